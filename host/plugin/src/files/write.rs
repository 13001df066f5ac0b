//! Writes a file whole or not at all, in as few turns of the thread pool as its size allows.

use super::folder::Folder;
use super::path::{FilePath, TEMPORARY};
use super::{ended, failure, from_errno, on_a_thread};
use crate::bindings::base::sallyport::plugin::types::Failure;
use bytes::Bytes;
use http_body_util::BodyExt;
use rustix::fd::OwnedFd;
use rustix::fs::{Advice, AtFlags, FallocateFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::io::{IoSlice, Write};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use wasmtime_wasi_http::WasiBody;

/// A body of at most this many bytes is collected first and written in one turn.
const SMALL: u64 = 1 << 20;
/// Of files from this many bytes on nothing stays in memory once it is on the disk.
const UNCACHED: u64 = 256 << 10;
/// What is written in one turn of a larger body.
const BATCH: usize = 512 << 10;

/// See `wit/host.wit`.
pub(super) async fn write(
    folder: Arc<Folder>,
    path: String,
    size: u64,
    replace: bool,
    mut body: WasiBody,
) -> Result<(), Failure> {
    FilePath::parse(&path)?;
    if size <= SMALL {
        let mut frames = Vec::new();
        let mut counted = 0_u64;
        while let Some(frame) = next(&mut body).await? {
            counted += frame.len() as u64;
            if counted > size {
                break;
            }
            frames.push(frame);
        }
        check_length(counted, size)?;
        return on_a_thread(move || {
            let mut file = Unfinished::create(folder, path)?;
            file.write(&frames)?;
            file.publish(replace)
        })
        .await;
    }
    let mut turn = Turn::begin(move || {
        let file = Unfinished::create(folder, path)?;
        file.reserve(size)?;
        Ok(file)
    });
    let fed = feed(&mut body, size, &mut turn).await;
    match fed {
        Ok(rest) => {
            let mut file = turn.end().await?;
            on_a_thread(move || {
                file.write(&rest)?;
                file.publish(replace)
            })
            .await
        }
        Err(failure) => Err(turn.give_up().await.unwrap_or(failure)),
    }
}

/// Hands over batch after batch, and answers the last one once the length is right.
async fn feed(body: &mut WasiBody, size: u64, turn: &mut Turn) -> Result<Vec<Bytes>, Failure> {
    let mut counted = 0_u64;
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(frame) = next(body).await? {
        counted += frame.len() as u64;
        if counted > size {
            break;
        }
        bytes += frame.len();
        batch.push(frame);
        if bytes >= BATCH {
            turn.write(std::mem::take(&mut batch)).await?;
            bytes = 0;
        }
    }
    check_length(counted, size)?;
    Ok(batch)
}

/// A turn of the thread pool that has the file: no thread waits for a body, and one batch is
/// written while the next one comes. Dropped, it leaves no file behind.
struct Turn(Option<JoinHandle<Result<Unfinished, Failure>>>);

impl Turn {
    fn begin(work: impl FnOnce() -> Result<Unfinished, Failure> + Send + 'static) -> Self {
        Self(Some(tokio::task::spawn_blocking(work)))
    }

    /// Begins to write a batch, once the one before is written.
    async fn write(&mut self, frames: Vec<Bytes>) -> Result<(), Failure> {
        let mut file = self.end().await?;
        *self = Self::begin(move || {
            file.write(&frames)?;
            Ok(file)
        });
        Ok(())
    }

    /// The file, once the turn is over.
    async fn end(&mut self) -> Result<Unfinished, Failure> {
        let Some(turn) = &mut self.0 else { return Err(failure("internal", "the file has gone")) };
        let ended = ended(turn).await;
        self.0 = None;
        ended
    }

    /// Removes the file. Answers why it could not be written, where that is so.
    async fn give_up(mut self) -> Option<Failure> {
        let turn = self.0.as_mut()?;
        let ended = ended(turn).await;
        self.0 = None;
        match ended {
            Ok(file) => removed(file).await.err(),
            Err(failure) => Some(failure),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (Some(mut turn), Ok(runtime)) = (self.0.take(), Handle::try_current()) else { return };
        runtime.spawn(async move {
            if let Ok(file) = ended(&mut turn).await {
                let _ = removed(file).await;
            }
        });
    }
}

/// Drops a file where waiting for a disk is fine.
async fn removed(file: Unfinished) -> Result<(), Failure> {
    on_a_thread(move || {
        drop(file);
        Ok(())
    })
    .await
}

async fn next(body: &mut WasiBody) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failure("unavailable", &format!("the body broke off: {error}")))?;
        if let Ok(data) = frame.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn check_length(counted: u64, size: u64) -> Result<(), Failure> {
    if counted == size {
        return Ok(());
    }
    Err(failure("invalid", &format!("the body has {counted} bytes or more where {size} were announced")))
}

/// A file that is not there yet: dropped, it leaves nothing behind.
///
/// It lies in the location's own folder, locked, until it gets its name: what is found there
/// without a lock is a dead process's.
struct Unfinished {
    folder: Arc<Folder>,
    root: OwnedFd,
    file: std::fs::File,
    temporary: String,
    path: String,
    /// Bytes that it has so far.
    size: u64,
    published: bool,
}

impl Unfinished {
    fn create(folder: Arc<Folder>, path: String) -> Result<Self, Failure> {
        FilePath::parse(&path)?;
        let root = folder.root()?;
        let temporary = format!("{TEMPORARY}{}", sallyport_core::names::WriteId::random());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(&root, temporary.as_str(), flags, Mode::from_raw_mode(0o640)).map_err(from_errno)?;
        // Where locks are not known, age alone tells the dead from the living.
        let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(Self { folder, root, file: file.into(), temporary, path, size: 0, published: false })
    }

    /// Space that is missing shows now and not after an hour; where it cannot be reserved,
    /// writing tells.
    fn reserve(&self, size: u64) -> Result<(), Failure> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, size) {
            Err(Errno::NOSPC) => Err(from_errno(Errno::NOSPC)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn write(&mut self, frames: &[Bytes]) -> Result<(), Failure> {
        let mut slices: Vec<IoSlice<'_>> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            let written = self.file.write_vectored(left).map_err(from_io)?;
            if written == 0 {
                return Err(failure("no-space", "nothing more can be written"));
            }
            self.size += written as u64;
            IoSlice::advance_slices(&mut left, written);
        }
        Ok(())
    }

    /// Makes the file appear under its name, for good: the bytes are synced before the name
    /// is there, and the folder before anybody hears of it.
    fn publish(mut self, replace: bool) -> Result<(), Failure> {
        rustix::fs::fdatasync(&self.file).map_err(from_errno)?;
        if self.size >= UNCACHED {
            // A hint: what does not heed it keeps the bytes.
            let _ = rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed);
        }
        let path = FilePath::parse(&self.path)?;
        // A removal may take away an empty folder between these two steps: it is made again.
        for _ in 0..8 {
            let parent = self.folder.made_parent(&path)?;
            match self.rename(&parent.descriptor, path.name, replace) {
                Ok(()) => {
                    self.published = true;
                    return parent.sync().map_err(from_errno);
                }
                Err(Errno::NOENT) => {}
                Err(error) => return Err(from_errno(error)),
            }
        }
        Err(failure("unavailable", "the folder is removed again and again"))
    }

    fn rename(&self, parent: &OwnedFd, name: &str, replace: bool) -> Result<(), Errno> {
        let temporary = self.temporary.as_str();
        if replace {
            return rustix::fs::renameat(&self.root, temporary, parent, name);
        }
        match rustix::fs::renameat_with(&self.root, temporary, parent, name, RenameFlags::NOREPLACE) {
            // Some file systems do not know the flag; a link does not replace either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(&self.root, temporary, parent, name, AtFlags::empty())?;
                rustix::fs::unlinkat(&self.root, temporary, AtFlags::empty())
            }
            renamed => renamed,
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.published {
            let _ = rustix::fs::unlinkat(&self.root, self.temporary.as_str(), AtFlags::empty());
        }
    }
}

fn from_io(error: std::io::Error) -> Failure {
    match error.raw_os_error() {
        Some(code) => from_errno(Errno::from_raw_os_error(code)),
        None => failure("unavailable", &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream::{self, StreamExt};
    use http_body::Frame;
    use http_body_util::StreamBody;
    use std::path::Path;
    use std::time::Duration;

    /// More than can be written at once, and not a multiple of what is.
    const SIZE: u64 = (3 << 20) + 1;

    fn whole(bytes: &Bytes) -> WasiBody {
        let chunks = bytes.chunks(100_000).map(Bytes::copy_from_slice);
        let frames: Vec<_> = chunks.map(|chunk| Ok(Frame::data(chunk))).collect();
        StreamBody::new(stream::iter(frames)).boxed_unsync()
    }

    /// A body that comes to a part of its length and no further.
    fn stalled() -> WasiBody {
        let frames = (0..3).map(|_| Ok(Frame::data(Bytes::from(vec![7; BATCH]))));
        StreamBody::new(stream::iter(frames).chain(stream::pending())).boxed_unsync()
    }

    async fn names(folder: &Path) -> Vec<String> {
        let mut names = Vec::new();
        let mut entries = tokio::fs::read_dir(folder).await.expect("a folder");
        while let Some(entry) = entries.next_entry().await.expect("an entry") {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names
    }

    async fn soon<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(20), what).await.expect("it takes no time")
    }

    #[test]
    fn an_upload_that_stands_still_holds_no_thread_and_leaves_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let made = tempfile::tempdir().expect("a folder");
            let folder = Arc::new(Folder::new(made.path().to_owned()));
            let slow = tokio::spawn(write(folder.clone(), "slow".to_owned(), SIZE, true, stalled()));
            soon(async { while names(made.path()).await.is_empty() {} }).await;
            let bytes: Bytes = (0..=255_u8).cycle().take(SIZE as usize).collect();
            let quick = write(folder, "quick".to_owned(), SIZE, true, whole(&bytes));
            assert!(soon(quick).await.is_ok());
            assert!(tokio::fs::read(made.path().join("quick")).await.is_ok_and(|found| found == bytes));
            slow.abort();
            assert!(slow.await.is_err());
            soon(async { while names(made.path()).await != ["quick"] {} }).await;
        });
    }

    #[tokio::test]
    async fn a_body_that_is_no_good_leaves_nothing_behind_its_answer() {
        let made = tempfile::tempdir().expect("a folder");
        let folder = Arc::new(Folder::new(made.path().to_owned()));
        let bytes = Bytes::from(vec![7; SIZE as usize]);
        for size in [SIZE - 1, SIZE + 1] {
            let written = write(folder.clone(), "key".to_owned(), size, true, whole(&bytes)).await;
            assert_eq!(written.err().map(|failure| failure.code).as_deref(), Some("invalid"));
            assert!(names(made.path()).await.is_empty());
        }
        assert!(write(folder.clone(), "key".to_owned(), SIZE, false, whole(&bytes)).await.is_ok());
        let again = write(folder, "key".to_owned(), SIZE, false, whole(&bytes)).await;
        assert_eq!(again.err().map(|failure| failure.code).as_deref(), Some("exists"));
        assert_eq!(names(made.path()).await, ["key"]);
    }
}
