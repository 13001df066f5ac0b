//! Where a form's file waits until its length is known: what the gateway stores has one.

use crate::error::{Code, S3Error};
use crate::form::Part;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use sallyport_core::body::{self, Body, BodyError};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;

/// Up to here a file waits in memory, in bytes.
const IN_MEMORY: usize = 1 << 20;

/// A bounded place on disk. Its files have no names, so nothing stays behind.
pub(crate) struct Spool {
    folder: PathBuf,
    limit: u64,
    used: Arc<AtomicU64>,
}

/// A file whose length is known.
pub(crate) struct Spooled {
    pub(crate) body: Body,
    pub(crate) size: u64,
}

/// Room that comes back when the file is gone.
struct Room {
    used: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Spool {
    /// A spool in a folder that takes so many bytes at a time.
    pub(crate) fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit, used: Arc::default() }
    }

    /// Takes a file of at most `most` bytes.
    pub(crate) async fn take(&self, mut part: Part, most: u64) -> Result<Spooled, S3Error> {
        let mut held = BytesMut::new();
        while let Some(chunk) = part.chunk().await? {
            held.extend_from_slice(&chunk);
            check(held.len() as u64, most)?;
            if held.len() > IN_MEMORY {
                return self.to_disk(held.freeze(), part, most).await;
            }
        }
        Ok(Spooled { size: held.len() as u64, body: body::full(held.freeze()) })
    }

    async fn to_disk(&self, begun: Bytes, mut part: Part, most: u64) -> Result<Spooled, S3Error> {
        let mut room = Room { used: Arc::clone(&self.used), bytes: 0 };
        let folder = self.folder.clone();
        let created = tokio::task::spawn_blocking(move || tempfile::tempfile_in(folder)).await;
        let file = created.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        let mut file = File::from_std(file);
        let mut next = Some(begun);
        while let Some(chunk) = next {
            self.reserve(&mut room, chunk.len() as u64)?;
            check(room.bytes, most)?;
            file.write_all(&chunk).await.map_err(|error| failed(&error))?;
            next = part.chunk().await?;
        }
        file.flush().await.map_err(|error| failed(&error))?;
        file.rewind().await.map_err(|error| failed(&error))?;
        let size = room.bytes;
        let chunks = ReaderStream::with_capacity(file, 128 << 10).map(move |chunk| {
            // The room is taken until the last byte is read.
            let _ = &room;
            chunk.map_err(|error| BodyError::Backend(format!("reading a spooled form: {error}")))
        });
        Ok(Spooled { body: body::from_stream(chunks), size })
    }

    fn reserve(&self, room: &mut Room, bytes: u64) -> Result<(), S3Error> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        room.bytes += bytes;
        if before.saturating_add(bytes) > self.limit {
            return Err(Code::SlowDown.into());
        }
        Ok(())
    }
}

fn check(size: u64, most: u64) -> Result<(), S3Error> {
    if size <= most {
        return Ok(());
    }
    Err(S3Error::new(Code::EntityTooLarge)
        .with("ProposedSize", size.to_string())
        .with("MaxSizeAllowed", most.to_string()))
}

fn failed(error: &dyn std::fmt::Display) -> S3Error {
    S3Error { operator: Some(format!("spooling a form: {error}")), ..Code::ServiceUnavailable.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Form;
    use http_body_util::BodyExt;
    use std::time::Duration;

    async fn part(size: usize) -> Part {
        let head = "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
        let text = format!("{head}{}\r\n--x--", "a".repeat(size));
        let body = body::full(text);
        Form::read("multipart/form-data; boundary=x", body, Duration::from_secs(5)).await.expect("a form").file
    }

    #[tokio::test]
    async fn files_of_every_size_come_back_whole_and_give_back_their_room() {
        let folder = tempfile::tempdir().expect("folder");
        let spool = Spool::new(folder.path().to_owned(), 4 << 20);
        for size in [0, 3, 3 << 20] {
            let spooled = spool.take(part(size).await, u64::MAX).await.expect("spooled");
            assert_eq!(spooled.size, size as u64);
            assert_eq!(spooled.body.collect().await.expect("whole").to_bytes().len(), size);
            assert_eq!(spool.used.load(Ordering::Relaxed), 0);
        }
    }

    #[tokio::test]
    async fn what_is_too_large_for_the_policy_or_the_disk_is_refused() {
        let spool = Spool::new(std::env::temp_dir(), 2 << 20);
        let code = |outcome: Result<Spooled, S3Error>| outcome.err().expect("refused").code;
        assert_eq!(code(spool.take(part(11).await, 10).await), Code::EntityTooLarge);
        assert_eq!(code(spool.take(part(3 << 20).await, u64::MAX).await), Code::SlowDown);
        assert_eq!(spool.used.load(Ordering::Relaxed), 0);
    }
}
