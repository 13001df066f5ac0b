//! Reads a file or a span of it as a native body.

use super::folder::Folder;
use super::path::FilePath;
use super::{failure, from_errno, on_a_thread, too_many};
use crate::bindings::base::sallyport::plugin::types::Failure;
use crate::call::{Call, OpenFile};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::ReadWriteFlags;
use std::io::IoSliceMut;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;
use wasmtime_wasi_http::{Error, WasiBody};

/// Up to this many bytes are read together with opening the file.
const SMALL: u64 = 256 << 10;
/// What one turn of the thread pool reads of a larger file.
const FRAME: u64 = 512 << 10;

pub(super) struct Found {
    pub(super) size: u64,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) body: WasiBody,
}

/// See `wit/host.wit`.
pub(super) async fn open(
    folder: Arc<Folder>,
    call: Arc<Call>,
    path: String,
    span: Option<(u64, u64)>,
) -> Result<Found, Failure> {
    // What the system has in memory costs less to read than to hand to another thread.
    if let Some(found) = open_cached(&folder, &call, &path, span) {
        return Ok(found);
    }
    on_a_thread(move || {
        let open = call.open_file().ok_or_else(too_many)?;
        let file = open_file(&folder, &path)?;
        let Span { size, offset, length } = Span::of(&file, span)?;
        let body = if length <= SMALL {
            let bytes = read_at(&file, offset, length).map_err(from_errno)?;
            if bytes.len() as u64 != length {
                return Err(failure("unavailable", "the file ends early"));
            }
            whole(bytes)
        } else {
            FileBody { file: Arc::new(file), offset, left: length, reading: None, _open: open }.boxed_unsync()
        };
        Ok(Found { size, offset, length, body })
    })
    .await
}

/// The same without ever waiting for a disk; `None` when that is not certain, or anything is
/// not as it should be.
fn open_cached(folder: &Folder, call: &Arc<Call>, path: &str, span: Option<(u64, u64)>) -> Option<Found> {
    let open = call.open_file()?;
    let file = folder.open_cached(&FilePath::parse(path).ok()?)?;
    let Span { size, offset, length } = Span::of(&file, span).ok()?;
    let body = if length <= SMALL {
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        let mut buffers = [IoSliceMut::new(&mut bytes)];
        let read = rustix::io::preadv2(&file, &mut buffers, offset, ReadWriteFlags::NOWAIT).ok()?;
        if read != bytes.len() {
            return None;
        }
        whole(bytes)
    } else {
        FileBody { file: Arc::new(file), offset, left: length, reading: None, _open: open }.boxed_unsync()
    };
    Some(Found { size, offset, length, body })
}

/// What is read of a file.
struct Span {
    size: u64,
    offset: u64,
    length: u64,
}

impl Span {
    /// All of a file, or the part that was asked for, which has to be there.
    fn of(file: &OwnedFd, asked: Option<(u64, u64)>) -> Result<Self, Failure> {
        let stat = rustix::fs::fstat(file).map_err(from_errno)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(failure("invalid", "the path is not a file"));
        }
        let size = stat.st_size as u64;
        let (offset, length) = asked.unwrap_or((0, size));
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(failure("invalid", &format!("the span ends beyond the file's {size} bytes")));
        }
        Ok(Self { size, offset, length })
    }
}

fn whole(bytes: impl Into<Bytes>) -> WasiBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

fn open_file(folder: &Folder, path: &str) -> Result<OwnedFd, Failure> {
    let path = FilePath::parse(path)?;
    let parent = folder.parent(&path)?;
    // NONBLOCK: a named pipe that somebody put there must not hold the thread.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::openat(&parent, path.name, flags, Mode::empty()).map_err(from_errno)
}

fn read_at(file: &OwnedFd, offset: u64, length: u64) -> Result<Bytes, rustix::io::Errno> {
    let length = length as usize;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let at = offset + bytes.len() as u64;
        let read = rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), at)?;
        if read == 0 {
            break;
        }
    }
    bytes.truncate(length);
    Ok(bytes.into())
}

/// The rest of a file, read one frame ahead of who takes it.
struct FileBody {
    file: Arc<OwnedFd>,
    offset: u64,
    /// Bytes that were not asked of the thread pool yet.
    left: u64,
    reading: Option<JoinHandle<Result<Bytes, Error>>>,
    _open: OpenFile,
}

impl FileBody {
    fn read_ahead(&mut self) {
        let length = self.left.min(FRAME);
        if length == 0 {
            return;
        }
        let (file, offset) = (self.file.clone(), self.offset);
        self.offset += length;
        self.left -= length;
        self.reading = Some(tokio::task::spawn_blocking(move || match read_at(&file, offset, length) {
            Ok(bytes) if bytes.len() as u64 == length => Ok(bytes),
            Ok(_) => Err(Error::HttpResponseIncomplete),
            Err(error) => Err(Error::InternalError(Some(error.to_string()))),
        }));
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.reading.is_none() {
            self.read_ahead();
        }
        let Some(reading) = self.reading.as_mut() else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let read = read.unwrap_or_else(|error| Err(Error::InternalError(Some(error.to_string()))));
        if read.is_ok() {
            self.read_ahead();
        } else {
            self.left = 0;
        }
        Poll::Ready(Some(read.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && self.reading.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
