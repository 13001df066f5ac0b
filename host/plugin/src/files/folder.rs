//! One location's folder: every step of a path is opened from the one above, no link followed.

use super::path::{FilePath, TEMPORARY, segments};
use super::{failure, from_errno};
use crate::bindings::base::sallyport::plugin::types::Failure;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The time between making a file and locking it, with room to spare.
const ABANDONED: Duration = Duration::from_secs(2);

/// Where a location keeps its files.
pub(crate) struct Folder {
    path: PathBuf,
    /// Folders that were made and whose names may not be on the disk yet, with which making it was.
    fresh: Mutex<HashMap<String, u64>>,
    makings: AtomicU64,
}

/// The folder that a file is to be in, and the folders above it that have to be synced with it.
pub(super) struct Parent<'a> {
    folder: &'a Folder,
    pub(super) descriptor: OwnedFd,
    unsynced: Vec<Fresh>,
}

/// A folder whose name may not be on the disk yet.
struct Fresh {
    path: String,
    making: u64,
    /// The folder that has the name.
    above: OwnedFd,
}

impl Parent<'_> {
    /// Syncs the folder, and the names of folders that lead to it: after the file has its name,
    /// since a disk that is asked for all of it at once writes once.
    pub(super) fn sync(self) -> Result<(), Errno> {
        rustix::fs::fsync(&self.descriptor)?;
        for fresh in self.unsynced.iter().rev() {
            rustix::fs::fsync(&fresh.above)?;
        }
        for fresh in &self.unsynced {
            self.folder.is_synced(&fresh.path, fresh.making);
        }
        Ok(())
    }
}

/// A name in a folder.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) folder: bool,
    pub(super) size: u64,
    pub(super) modified: u64,
}

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, fresh: Mutex::default(), makings: AtomicU64::new(0) }
    }

    /// Opens the location's own folder. It is opened anew each time: what is mounted there
    /// may come and go.
    pub(super) fn root(&self) -> Result<OwnedFd, Failure> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&self.path, flags, Mode::empty());
        opened.map_err(|error| match error {
            Errno::NOENT => failure("unavailable", "the location's folder is not there"),
            error => from_errno(error),
        })
    }

    /// Opens the folder that a path's last segment is in.
    pub(super) fn parent(&self, path: &FilePath<'_>) -> Result<OwnedFd, Failure> {
        let mut folder = self.root()?;
        for name in &path.folders {
            folder = open_folder(&folder, name).map_err(from_errno)?;
        }
        Ok(folder)
    }

    /// Opens a file when no disk is needed to find it; `None` when one may be, when a step is
    /// a link, and for every error: [`Folder::parent`] and what follows it tells which.
    pub(super) fn open_cached(&self, path: &FilePath<'_>) -> Option<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let root = rustix::fs::openat2(CWD, &self.path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?;
        let below = ResolveFlags::CACHED | ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        // NONBLOCK: a named pipe that somebody put there must not hold the thread.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        rustix::fs::openat2(&root, path.whole, flags, Mode::empty(), below).ok()
    }

    /// The same, making what is missing. What is put into it is there for good after [`Parent::sync`].
    pub(super) fn made_parent(&self, path: &FilePath<'_>) -> Result<Parent<'_>, Failure> {
        let mut parent = Parent { folder: self, descriptor: self.root()?, unsynced: Vec::new() };
        let mut below = String::new();
        for name in &path.folders {
            below.push('/');
            below.push_str(name);
            let found = open_folder(&parent.descriptor, name);
            let making = match &found {
                // Noted before it is made: whoever finds the folder finds the note.
                Err(Errno::NOENT) => Some(self.note(&below)),
                // Somebody else made it a moment ago and has not synced it yet.
                Ok(_) => self.fresh().get(&below).copied(),
                Err(_) => None,
            };
            let opened = match found {
                Err(Errno::NOENT) => match rustix::fs::mkdirat(&parent.descriptor, *name, Mode::from_raw_mode(0o750)) {
                    Ok(()) | Err(Errno::EXIST) => open_folder(&parent.descriptor, name),
                    Err(error) => Err(error),
                },
                found => found,
            };
            let above = std::mem::replace(&mut parent.descriptor, opened.map_err(from_errno)?);
            parent.unsynced.extend(making.map(|making| Fresh { path: below.clone(), making, above }));
        }
        Ok(parent)
    }

    fn note(&self, folder: &str) -> u64 {
        let making = self.makings.fetch_add(1, Ordering::Relaxed);
        self.fresh().insert(folder.to_owned(), making);
        making
    }

    /// A folder's name is on the disk, unless the folder was made once more meanwhile.
    fn is_synced(&self, folder: &str, making: u64) {
        let mut fresh = self.fresh();
        if fresh.get(folder) == Some(&making) {
            fresh.remove(folder);
        }
    }

    fn fresh(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stat(&self, path: &str) -> Result<(u64, u64), Failure> {
        let path = FilePath::parse(path)?;
        let parent = self.parent(&path)?;
        let stat = rustix::fs::statat(&parent, path.name, AtFlags::SYMLINK_NOFOLLOW).map_err(from_errno)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok((stat.st_size as u64, milliseconds(&stat))),
            FileType::Symlink => Err(failure("denied", "the path is a symbolic link")),
            _ => Err(failure("invalid", "the path is not a file")),
        }
    }

    pub(super) fn remove(&self, path: &str) -> Result<(), Failure> {
        let path = FilePath::parse(path)?;
        let mut chain = vec![self.root()?];
        for name in &path.folders {
            let Some(last) = chain.last() else { break };
            match open_folder(last, name) {
                Ok(folder) => chain.push(folder),
                Err(Errno::NOENT) => return Ok(()),
                Err(error) => return Err(from_errno(error)),
            }
        }
        let Some(parent) = chain.last() else { return Ok(()) };
        match rustix::fs::unlinkat(parent, path.name, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(from_errno(error)),
        }
        rustix::fs::fsync(parent).map_err(from_errno)?;
        for (name, above) in path.folders.iter().rev().zip(chain.iter().rev().skip(1)) {
            // Another name may appear in it at any moment: then it is not empty, and stays.
            if rustix::fs::unlinkat(above, *name, AtFlags::REMOVEDIR).is_err() {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn list(&self, path: &str, after: Option<&str>, limit: usize) -> Result<Vec<Entry>, Failure> {
        let mut folder = self.root()?;
        for name in segments(path)? {
            folder = match open_folder(&folder, name) {
                Ok(folder) => folder,
                Err(Errno::NOENT) => return Ok(Vec::new()),
                Err(error) => return Err(from_errno(error)),
            };
        }
        let names = smallest_names(&folder, after.unwrap_or_default(), limit)?;
        let entries = names.into_iter().filter_map(|name| {
            let stat = rustix::fs::statat(&folder, name.as_str(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            let folder = kind == FileType::Directory;
            (folder || kind == FileType::RegularFile).then(|| Entry {
                name,
                folder,
                size: if folder { 0 } else { stat.st_size as u64 },
                modified: milliseconds(&stat),
            })
        });
        Ok(entries.collect())
    }

    /// Makes the folder when it is missing, writes into it once, and removes what dead
    /// writes left at its top.
    #[expect(clippy::disallowed_methods, reason = "called where blocking is allowed, as all of this")]
    pub(super) fn check(&self) -> Result<u64, Failure> {
        std::fs::create_dir_all(&self.path).map_err(|error| failure("unavailable", &error.to_string()))?;
        let root = self.root()?;
        let probe = format!("{TEMPORARY}check-{}", std::process::id());
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&root, probe.as_str(), flags, Mode::from_raw_mode(0o600)).map_err(from_errno)?;
        rustix::fs::unlinkat(&root, probe.as_str(), AtFlags::empty()).map_err(from_errno)?;
        sweep(&root);
        let space = rustix::fs::fstatvfs(&root).map_err(from_errno)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

/// Opens a folder within a folder; a symbolic link is refused.
pub(super) fn open_folder(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// The first names after `after`, in byte order, without holding all names of a large folder.
fn smallest_names(folder: &OwnedFd, after: &str, limit: usize) -> Result<Vec<String>, Failure> {
    let mut heap = std::collections::BinaryHeap::new();
    let mut buffer = [MaybeUninit::uninit(); 32 << 10];
    let mut names = RawDir::new(folder, &mut buffer);
    while let Some(entry) = names.next() {
        let entry = entry.map_err(from_errno)?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name == "." || name == ".." || name.starts_with(TEMPORARY) || name <= after {
            continue;
        }
        heap.push(name.to_owned());
        if heap.len() > limit {
            heap.pop();
        }
    }
    Ok(heap.into_sorted_vec())
}

/// Removes the unfinished files of dead processes: a living one holds a lock on its own.
fn sweep(root: &OwnedFd) {
    let mut buffer = [MaybeUninit::uninit(); 32 << 10];
    let mut names = RawDir::new(root, &mut buffer);
    while let Some(Ok(entry)) = names.next() {
        if !entry.file_name().to_bytes().starts_with(TEMPORARY.as_bytes()) {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let Ok(file) = rustix::fs::openat(root, entry.file_name(), flags, Mode::empty()) else { continue };
        let old = rustix::fs::fstat(&file).is_ok_and(|stat| is_older(&stat, ABANDONED));
        if old && rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = rustix::fs::unlinkat(root, entry.file_name(), AtFlags::empty());
        }
    }
}

fn is_older(stat: &rustix::fs::Stat, age: Duration) -> bool {
    let modified = std::time::UNIX_EPOCH + Duration::from_millis(milliseconds(stat));
    modified.elapsed().is_ok_and(|elapsed| elapsed >= age)
}

fn milliseconds(stat: &rustix::fs::Stat) -> u64 {
    let milliseconds = stat.st_mtime.saturating_mul(1000).saturating_add(stat.st_mtime_nsec as i64 / 1_000_000);
    u64::try_from(milliseconds).unwrap_or_default()
}
