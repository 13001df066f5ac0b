//! Files with keys: readable by their owner alone, replaced whole, locked against each other.
#![expect(clippy::disallowed_methods, reason = "callers run it on the blocking pool or in a command")]

use sallyport_core::encryption::KeyError;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// A file as it was at one time; another one when it was replaced.
pub(super) type Stamp = (u64, i64, i64, u64);

/// What tells whether a file was replaced; `None` when it is absent.
pub(super) fn stamp(path: &Path) -> Result<Option<Stamp>, KeyError> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, &error)),
    }
}

/// The permissions of a file that others may read, or more than its owner write; `None` when
/// there is none, or it cannot be looked at. A group that reads is the operator's choice.
pub(super) fn exposure(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.mode() & 0o777;
    (mode & 0o027 != 0).then_some(mode)
}

/// The whole of a file; `None` when it is absent.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let mut bytes = Zeroizing::new(Vec::new());
    match File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, &error)),
    }
}

/// Puts a file in place, whole and durable. Without `replace`, one that is there stays.
pub(super) fn write(path: &Path, bytes: &[u8], replace: bool) -> Result<(), KeyError> {
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let outcome = put_in_place(&draft, path, bytes, replace).map_err(|error| failed(path, &error));
    // After a rename there is nothing to remove.
    let _ = std::fs::remove_file(&draft);
    outcome
}

fn put_in_place(draft: &Path, path: &Path, bytes: &[u8], replace: bool) -> std::io::Result<()> {
    let folder = folder(path);
    std::fs::create_dir_all(folder)?;
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    if replace {
        std::fs::rename(draft, path)?;
    } else if let Err(error) = std::fs::hard_link(draft, path)
        && error.kind() != ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    File::open(folder)?.sync_all()
}

/// Held while a file is read and replaced; goes with the value.
pub(super) fn lock(path: &Path) -> Result<File, KeyError> {
    let take = || {
        std::fs::create_dir_all(folder(path))?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        file.lock()?;
        Ok(file)
    };
    take().map_err(|error: std::io::Error| failed(path, &error))
}

/// Where a file is; of a bare name, the working folder.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

pub(super) fn failed(path: &Path, error: &dyn std::error::Error) -> KeyError {
    KeyError::Unavailable(format!("{}: {error}", path.display()))
}
