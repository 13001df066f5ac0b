//! Lists the files of writes, folder by folder, page by page.
//!
//! Not every service lists in order, or from where a page before ended. A folder is a 256th of everything: it is listed
//! whole, and of what it has, as much is kept as fits the page.

use crate::place::{Stored, is_shard};
use opendal_core::{Entry as Listed, EntryMode};
use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::listing::{Entry, ListRequest, ListResponse};
use sallyport_plugin_sdk::paging::Page;
use sallyport_plugin_sdk::types::Failure;
use std::collections::{BTreeMap, BTreeSet};

/// A page of everything below the root. `visit` calls its last argument with what a folder has; the root is `/`.
pub(crate) async fn list<V>(request: &ListRequest, visit: V) -> Result<ListResponse, Failure>
where
    V: AsyncFn(&str, &mut dyn FnMut(&Listed)) -> Result<(), Failure>,
{
    if request.prefix.is_some() {
        return Err(failure::unsupported("a file does not show its bucket"));
    }
    let after = request.cursor.as_deref().map(|write_id| Stored::new(write_id, 0)).transpose()?;
    let mut shards = BTreeSet::new();
    visit("/", &mut |entry| {
        let name = entry.name().trim_end_matches('/');
        if entry.metadata().mode() == EntryMode::DIR && is_shard(name) {
            shards.insert(name.to_owned());
        }
    })
    .await?;
    let mut page = Page::new(request.limit);
    for shard in shards.into_iter().filter(|shard| after.as_ref().is_none_or(|after| shard.as_str() >= after.shard())) {
        let behind = after.as_ref().filter(|after| after.shard() == shard).map(Stored::write_id);
        // One more than fits, so that the page knows whether it is the last one.
        let room = page.room() + 1;
        let mut kept = BTreeMap::new();
        visit(&format!("{shard}/"), &mut |listed| {
            // What is no file of a write there is not ours.
            let Some(entry) = entry(&shard, listed) else { return };
            if behind.is_none_or(|behind| entry.name.as_str() > behind) {
                kept.insert(entry.name.clone(), entry);
                if kept.len() > room {
                    kept.pop_last();
                }
            }
        })
        .await?;
        for entry in kept.into_values() {
            if !page.push(entry) {
                return Ok(page.finish(|last| last.name.clone()));
            }
        }
    }
    Ok(page.finish(|last| last.name.clone()))
}

fn entry(shard: &str, listed: &Listed) -> Option<Entry> {
    let metadata = listed.metadata();
    if metadata.mode() != EntryMode::FILE {
        return None;
    }
    let stored = Stored::new(listed.name(), metadata.content_length()).ok().filter(|stored| stored.shard() == shard)?;
    let modified = metadata.last_modified().map(|time| time.into_inner().as_millisecond());
    Some(Entry {
        name: stored.write_id().to_owned(),
        locator: stored.locator(),
        size: stored.size,
        last_modified: modified.and_then(|milliseconds| u64::try_from(milliseconds).ok()),
        write_id: Some(stored.write_id().to_owned()),
        attributes: Vec::new(),
    })
}
