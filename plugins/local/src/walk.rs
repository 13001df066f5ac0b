//! Walks the files of a location in the order of their paths, a page at a time.

use crate::layout::{Stored, WriteId, is_folder};
use sallyport_plugin_sdk::types::Failure;

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) is_folder: bool,
    pub(crate) size: u64,
    pub(crate) modified: u64,
}

/// Lists one folder: names greater than `after` in byte order, at most `limit` of them.
pub(crate) trait Folders {
    async fn list(&self, path: &str, after: Option<&str>, limit: u32) -> Result<Vec<Listed>, Failure>;
}

/// One file of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Walked {
    pub(crate) stored: Stored,
    pub(crate) modified: u64,
}

/// Some files, and where to go on after them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) files: Vec<Walked>,
    pub(crate) is_last: bool,
}

/// The most names that the host lists at once.
const MOST: u32 = 1000;

/// The files behind `after`, at most `limit` of them.
///
/// What is not named as a write's file is not ours and is left out.
pub(crate) async fn walk(folders: &impl Folders, after: Option<WriteId>, limit: usize) -> Result<Page, Failure> {
    let start = after.map(|id| id.path());
    let start = start.as_deref();
    let mut files = Vec::new();
    for leaf in subfolders(folders).await? {
        if is_before(&leaf, start) {
            continue;
        }
        let behind = start.and_then(|path| path.strip_prefix(leaf.as_str())).map(|name| name.trim_start_matches('/'));
        let is_full = collect(folders, &leaf, behind, limit, &mut files).await?;
        if is_full {
            return Ok(Page { files, is_last: false });
        }
    }
    Ok(Page { files, is_last: true })
}

/// Whether everything in a folder comes before the path where the walk starts.
fn is_before(folder: &str, start: Option<&str>) -> bool {
    start.is_some_and(|path| !path.starts_with(folder) && folder < path)
}

/// Adds the files of one folder; answers whether the page is full.
async fn collect(
    folders: &impl Folders,
    leaf: &str,
    after: Option<&str>,
    limit: usize,
    files: &mut Vec<Walked>,
) -> Result<bool, Failure> {
    let mut after = after.map(str::to_owned);
    loop {
        let room = limit.saturating_sub(files.len());
        if room == 0 {
            return Ok(true);
        }
        let asked = u32::try_from(room).unwrap_or(MOST).min(MOST);
        let listed = folders.list(leaf, after.as_deref(), asked).await?;
        let is_end = (listed.len() as u64) < u64::from(asked);
        after = listed.last().map(|last| last.name.clone());
        files.extend(listed.into_iter().filter_map(|listed| file_in(leaf, &listed)));
        if is_end {
            return Ok(false);
        }
    }
}

/// The write whose file this is: only at the one path that the layout gives it.
fn file_in(leaf: &str, listed: &Listed) -> Option<Walked> {
    let write = WriteId::parse(&listed.name).filter(|_| !listed.is_folder)?;
    (write.path().strip_prefix(leaf)?.trim_start_matches('/') == listed.name)
        .then_some(Walked { stored: Stored { write, size: listed.size }, modified: listed.modified })
}

/// The names of all folders of the layout.
async fn subfolders(folders: &impl Folders) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let listed = folders.list("", after.as_deref(), MOST).await?;
        let is_end = (listed.len() as u64) < u64::from(MOST);
        after = listed.last().map(|last| last.name.clone());
        names.extend(
            listed.into_iter().filter(|listed| listed.is_folder && is_folder(&listed.name)).map(|listed| listed.name),
        );
        if is_end {
            return Ok(names);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use std::collections::BTreeMap;

    /// Folders in memory: path to size.
    struct Memory(BTreeMap<String, u64>);

    impl Folders for Memory {
        async fn list(&self, path: &str, after: Option<&str>, limit: u32) -> Result<Vec<Listed>, Failure> {
            let mut names = BTreeMap::new();
            for (file, size) in &self.0 {
                let inside = match path {
                    "" => Some(file.as_str()),
                    _ => file.strip_prefix(path).and_then(|rest| rest.strip_prefix('/')),
                };
                if let Some(inside) = inside {
                    let (name, is_folder) = match inside.split_once('/') {
                        Some((folder, _)) => (folder, true),
                        None => (inside, false),
                    };
                    names.insert(name.to_owned(), (is_folder, *size));
                }
            }
            Ok(names
                .into_iter()
                .filter(|(name, _)| after.is_none_or(|after| name.as_str() > after))
                .take(limit as usize)
                .map(|(name, (is_folder, size))| Listed { name, is_folder, size, modified: 7 })
                .collect())
        }
    }

    /// Seven in each second.
    fn write(number: u128) -> WriteId {
        WriteId::parse(&format!("{:012x}{number:020x}", number / 7 * 1000)).unwrap()
    }

    fn memory(count: u128) -> Memory {
        Memory((0..count).map(|n| (write(n).path(), n as u64)).collect())
    }

    fn walk_all(memory: &Memory, limit: usize) -> Vec<String> {
        let mut paths = Vec::new();
        let mut after = None;
        loop {
            let page = block_on(walk(memory, after, limit)).unwrap();
            assert!(page.files.len() <= limit);
            after = page.files.last().map(|file| file.stored.write);
            paths.extend(page.files.iter().map(|file| file.stored.write.path()));
            if page.is_last {
                return paths;
            }
        }
    }

    #[test]
    fn an_empty_folder_is_one_empty_page() {
        let page = block_on(walk(&memory(0), None, 10)).unwrap();
        assert_eq!(page, Page { files: Vec::new(), is_last: true });
    }

    #[test]
    fn pages_of_any_size_show_each_file_once() {
        let memory = memory(300);
        let all: Vec<String> = memory.0.keys().cloned().collect();
        for limit in [1, 7, 299, 300, 301] {
            assert_eq!(walk_all(&memory, limit), all, "{limit}");
        }
    }

    #[test]
    fn a_leaf_with_more_files_than_a_list_is_walked_to_its_end() {
        let leaf = write(0).path()[..3].to_owned();
        let same_leaf = (0..7).map(write).inspect(|id| assert!(id.path().starts_with(&leaf)));
        let memory = Memory(same_leaf.take(5).map(|id| (id.path(), 1)).collect());
        assert_eq!(walk_all(&memory, 2).len(), 5);
    }

    #[test]
    fn the_walk_goes_on_when_the_file_at_the_cursor_is_gone() {
        let mut memory = memory(50);
        let page = block_on(walk(&memory, None, 20)).unwrap();
        let cursor = page.files.last().unwrap().stored.write;
        memory.0.remove(&cursor.path());
        let rest = block_on(walk(&memory, Some(cursor), 100)).unwrap();
        assert_eq!(rest.files.len(), 30);
    }

    #[test]
    fn what_is_not_ours_is_left_out() {
        let mut memory = memory(3);
        let misplaced = format!("zzz/{}", write(9));
        let elsewhere = format!("{}/{}", &write(1).path()[..3], write(77));
        for path in ["lost+found/x", "notes.txt", "abc/readme", &misplaced, &elsewhere] {
            memory.0.insert(path.to_owned(), 1);
        }
        assert_eq!(walk_all(&memory, 2).len(), 3);
    }
}
