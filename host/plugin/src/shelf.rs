//! The plugins as their files stand now: each admitted once, and again when its file changed.

use crate::error::PluginError;
use crate::plugin::{Plugin, Workshop};
use crate::trust::{CHECKSUMS, beside};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a file that changed has to stand still before it is read: it may be half written.
const SETTLED: Duration = Duration::from_millis(300);
/// Looks at a file that goes on changing before it is read as it is.
const LOOKS: u32 = 30;

/// Every type's plugin, by what its file is now.
pub(crate) struct Shelf {
    folders: Vec<PathBuf>,
    workshop: Workshop,
    plugins: Mutex<HashMap<String, Arc<Place>>>,
}

/// Where one type's plugin is.
#[derive(Default)]
struct Place {
    looked: Mutex<Option<Looked>>,
    /// Held by the one admission that is under way, which may take minutes.
    admitting: tokio::sync::Mutex<()>,
}

/// What the last look at a type's file came to.
#[derive(Clone)]
struct Looked {
    stamp: Stamp,
    outcome: Result<Arc<Plugin>, PluginError>,
}

/// Tells whether any file that decides about a plugin is another one than before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Stamp {
    path: Option<PathBuf>,
    files: Vec<Option<FileStamp>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Shelf {
    pub(crate) fn new(folders: Vec<PathBuf>, workshop: Workshop) -> Self {
        Self { folders, workshop, plugins: Mutex::default() }
    }

    /// What admits the plugins.
    pub(crate) fn workshop(&self) -> &Workshop {
        &self.workshop
    }

    /// The plugin of a type. A file that is as it was at the last look costs a few calls of
    /// the system; the same bytes again are the same plugin again, also under a newer date.
    /// While a newer file is being admitted, everybody else goes on with what there was.
    pub(crate) async fn plugin(&self, kind: &str) -> Result<Arc<Plugin>, PluginError> {
        let place = held(&self.plugins).entry(kind.to_owned()).or_default().clone();
        let before = held(&place.looked).clone();
        let _one = match (place.admitting.try_lock(), before) {
            (Ok(one), _) => one,
            (Err(_), Some(before)) => return before.outcome,
            (Err(_), None) => place.admitting.lock().await,
        };
        let before = held(&place.looked).clone();
        let mut stamp = self.stamp(kind).await;
        if let Some(before) = before.as_ref().filter(|before| before.stamp == stamp) {
            return before.outcome.clone();
        }
        if before.is_some() {
            stamp = self.settled(kind, stamp).await;
        }
        let outcome = match &stamp.path {
            Some(path) => Plugin::admit(&self.workshop, kind, path.clone()).await.map(Arc::new),
            None => Err(self.missing(kind)),
        };
        let outcome = keep_the_same(before.as_ref(), outcome);
        if before.is_some() {
            report(kind, &outcome);
        }
        *held(&place.looked) = Some(Looked { stamp, outcome: outcome.clone() });
        outcome
    }

    /// The types that the folders have a file for, sorted.
    pub(crate) async fn kinds(&self) -> Vec<String> {
        let mut kinds = Vec::new();
        for folder in &self.folders {
            let Ok(mut entries) = tokio::fs::read_dir(folder).await else { continue };
            while let Ok(Some(entry)) = entries.next_entry().await {
                let name = entry.file_name();
                let kind = name.to_str().and_then(|name| name.strip_suffix(".wasm"));
                kinds.extend(kind.map(str::to_owned));
            }
        }
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// Waits until the files stand still, at most for some seconds.
    async fn settled(&self, kind: &str, mut stamp: Stamp) -> Stamp {
        for _ in 0..LOOKS {
            tokio::time::sleep(SETTLED).await;
            let now = self.stamp(kind).await;
            if now == stamp {
                break;
            }
            stamp = now;
        }
        stamp
    }

    async fn stamp(&self, kind: &str) -> Stamp {
        let Some(path) = self.find(kind).await else { return Stamp::default() };
        let mut files = Vec::new();
        for file in deciding(&path) {
            files.push(tokio::fs::metadata(&file).await.ok().map(|metadata| FileStamp {
                device: metadata.dev(),
                inode: metadata.ino(),
                size: metadata.size(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            }));
        }
        Stamp { path: Some(path), files }
    }

    async fn find(&self, kind: &str) -> Option<PathBuf> {
        let legal = !kind.is_empty()
            && kind.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-');
        if !legal {
            return None;
        }
        for folder in &self.folders {
            let path = folder.join(format!("{kind}.wasm"));
            if tokio::fs::try_exists(&path).await.unwrap_or(false) {
                return Some(path);
            }
        }
        None
    }

    fn missing(&self, kind: &str) -> PluginError {
        let folders: Vec<String> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
        let folders = if folders.is_empty() { NO_FOLDER.to_owned() } else { folders.join(", ") };
        PluginError::Missing { kind: kind.to_owned(), file: format!("{kind}.wasm"), folders }
    }
}

/// In place of the folders, where there are none.
const NO_FOLDER: &str = "the plugin folders: there is none, neither beside the binary nor by --plugins";

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The files that decide what a plugin is and may do.
fn deciding(path: &Path) -> [PathBuf; 4] {
    let list = path.with_file_name(CHECKSUMS);
    [path.to_owned(), beside(path), beside(&list), list]
}

/// The plugin of before when nothing about it is new: who compares versions sees none.
fn keep_the_same(
    before: Option<&Looked>,
    outcome: Result<Arc<Plugin>, PluginError>,
) -> Result<Arc<Plugin>, PluginError> {
    let plugin = outcome?;
    match before.map(|before| &before.outcome) {
        Some(Ok(old)) if old.is(&plugin) => Ok(old.clone()),
        Some(Ok(_) | Err(_)) | None => Ok(plugin),
    }
}

fn report(kind: &str, outcome: &Result<Arc<Plugin>, PluginError>) {
    if let Err(error) = outcome {
        metrics::counter!("sallyport_plugin_refused_total", "plugin" => kind.to_owned()).increment(1);
        tracing::error!(plugin = kind, "the file of the plugin {kind} is not taken: {error}");
    }
}

#[cfg(test)]
mod tests {
    use crate::{HostOptions, PluginHost};

    #[tokio::test]
    async fn that_there_is_no_folder_at_all_is_said() {
        let host = PluginHost::new(HostOptions::default()).unwrap();
        let said = host.description("absent").await.unwrap_err().to_string();
        assert!(said.contains("absent.wasm is in none of the plugin folders: there is none"), "{said}");
    }
}
