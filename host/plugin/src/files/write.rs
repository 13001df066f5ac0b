//! Writes a file whole or not at all, in as few turns of the thread pool as its size allows.

use super::folder::Folder;
use super::path::{FilePath, TEMPORARY};
use super::{failure, from_errno, on_a_thread};
use crate::bindings::base::sallyport::plugin::types::Failure;
use bytes::Bytes;
use http_body_util::BodyExt;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FallocateFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::io::{IoSlice, Write};
use std::sync::Arc;
use tokio::sync::mpsc;
use wasmtime_wasi_http::WasiBody;

/// A body of at most this many bytes is collected first and written in one turn.
const SMALL: u64 = 1 << 20;
/// What is handed to the writing thread at a time.
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
            let mut file = Unfinished::create(&folder, &path)?;
            file.write(&frames)?;
            file.publish(replace)
        })
        .await;
    }
    let (sender, receiver) = mpsc::channel(2);
    let writing = tokio::spawn(on_a_thread(move || write_batches(&folder, &path, size, replace, receiver)));
    let fed = feed(&mut body, size, &sender).await;
    let fed = match fed {
        // Without this the writer takes the end of the channel for a body that broke off.
        Ok(()) => sender.send(Batch::End).await.map_err(|_| failure("unavailable", "the writer stopped")),
        Err(failure) => Err(failure),
    };
    drop(sender);
    let written = writing.await.unwrap_or_else(|error| Err(failure("internal", &error.to_string())));
    match (fed, written) {
        (Err(failure), Ok(())) => Err(failure),
        (Err(fed), Err(written)) => Err(if written.code == "unfinished" { fed } else { written }),
        (Ok(()), written) => written,
    }
}

enum Batch {
    Frames(Vec<Bytes>),
    End,
}

async fn feed(body: &mut WasiBody, size: u64, sender: &mpsc::Sender<Batch>) -> Result<(), Failure> {
    let stopped = |_| failure("unavailable", "the writer stopped");
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
            sender.send(Batch::Frames(std::mem::take(&mut batch))).await.map_err(stopped)?;
            bytes = 0;
        }
    }
    check_length(counted, size)?;
    sender.send(Batch::Frames(batch)).await.map_err(stopped)
}

fn write_batches(
    folder: &Folder,
    path: &str,
    size: u64,
    replace: bool,
    mut receiver: mpsc::Receiver<Batch>,
) -> Result<(), Failure> {
    let mut file = Unfinished::create(folder, path)?;
    // Space that is missing shows now and not after an hour; where it cannot be reserved,
    // writing tells.
    let reserved = rustix::fs::fallocate(&file.file, FallocateFlags::KEEP_SIZE, 0, size);
    if reserved == Err(Errno::NOSPC) {
        return Err(from_errno(Errno::NOSPC));
    }
    while let Some(batch) = receiver.blocking_recv() {
        match batch {
            Batch::Frames(frames) => file.write(&frames)?,
            Batch::End => return file.publish(replace),
        }
    }
    Err(failure("unfinished", "the body broke off"))
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
struct Unfinished<'a> {
    folder: &'a Folder,
    root: OwnedFd,
    file: std::fs::File,
    temporary: String,
    path: FilePath<'a>,
    published: bool,
}

impl<'a> Unfinished<'a> {
    fn create(folder: &'a Folder, path: &'a str) -> Result<Self, Failure> {
        let path = FilePath::parse(path)?;
        let root = folder.root()?;
        let temporary = format!("{TEMPORARY}{}", sallyport_core::names::WriteId::random());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(&root, temporary.as_str(), flags, Mode::from_raw_mode(0o640)).map_err(from_errno)?;
        // Where locks are not known, age alone tells the dead from the living.
        let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(Self { folder, root, file: file.into(), temporary, path, published: false })
    }

    fn write(&mut self, frames: &[Bytes]) -> Result<(), Failure> {
        let mut slices: Vec<IoSlice<'_>> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            let written = self.file.write_vectored(left).map_err(from_io)?;
            if written == 0 {
                return Err(failure("no-space", "nothing more can be written"));
            }
            IoSlice::advance_slices(&mut left, written);
        }
        Ok(())
    }

    /// Makes the file appear under its name, for good: the bytes are synced before the name
    /// is there, and the folder before anybody hears of it.
    fn publish(mut self, replace: bool) -> Result<(), Failure> {
        rustix::fs::fdatasync(&self.file).map_err(from_errno)?;
        // A removal may take away an empty folder between these two steps: it is made again.
        for _ in 0..8 {
            let parent = self.folder.made_parent(&self.path)?;
            match self.rename(&parent.descriptor, replace) {
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

    fn rename(&self, parent: &OwnedFd, replace: bool) -> Result<(), Errno> {
        let (temporary, name) = (self.temporary.as_str(), self.path.name);
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

impl Drop for Unfinished<'_> {
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
