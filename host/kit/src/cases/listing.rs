//! Whether listing shows what is there.

use super::cases;
use crate::case::{Outcome, Stop, ensure, failed, skipped};
use crate::content::pattern;
use crate::trial::{Trial, said};
use bytes::Bytes;
use sallyport_core::backend::{FailureCode, ListStored, StoredEntry};

/// Pages that are walked before a container counts as too full to be looked through.
const MOST_PAGES: usize = 500;
/// The largest object that these cases store, in bytes.
const LARGEST: u64 = 1_000;

cases! {
    "listing.complete" Listing
    "Pages of any size show each object once, with its size and a locator that names its bytes." complete;
    "listing.order" Listing
    "Two walks show the same objects in the same order." order;
    "listing.gone" Listing
    "What was deleted is not listed." gone;
    "listing.empty" Listing
    "A bucket without objects is one empty page." empty;
}

async fn complete(trial: &Trial) -> Outcome {
    let mut expected = Vec::new();
    for index in 0..23_u64 {
        let bytes = pattern(500 + index, trial.fitting(index as usize * 31));
        let key = ["a/ä ", "b", "b/c ü", "z+%"].get(index as usize % 4).copied().unwrap_or("a");
        trial.put(&trial.plain(&format!("{key}{index}"))?, &bytes).await?;
        expected.push(bytes);
    }
    for limit in [1000, 10, 3] {
        let Some(entries) = walk(trial, limit).await? else { return skipped("the container holds too much else") };
        let shown = shown(trial, &entries, LARGEST).await?;
        for bytes in &expected {
            let times = shown.iter().filter(|shown| *shown == bytes).count();
            ensure(times == 1, || {
                format!("in pages of {limit}, the object of {} bytes is listed {times} times", bytes.len())
            })?;
        }
    }
    Ok(())
}

async fn order(trial: &Trial) -> Outcome {
    for index in 0..7 {
        trial.put_pattern(&format!("order/{}", 9 - index), 10 + index).await?;
    }
    let (Some(first), Some(second)) = (walk(trial, 2).await?, walk(trial, 1000).await?) else {
        return skipped("the container holds too much else");
    };
    let names = |entries: &[StoredEntry]| entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
    ensure(names(&first) == names(&second), || "in pages of 2 and of 1,000 they differ".to_owned())
}

async fn gone(trial: &Trial) -> Outcome {
    let (kept, kept_bytes) = trial.put_pattern("kept", 11).await?;
    let (removed, removed_bytes) = trial.put_pattern("removed", 13).await?;
    said("delete", trial.backend().delete(&removed.locator).await)?;
    let Some(entries) = walk(trial, 1000).await? else { return skipped("the container holds too much else") };
    let shown = shown(trial, &entries, LARGEST).await?;
    ensure(!shown.contains(&removed_bytes), || "a deleted object is listed".to_owned())?;
    ensure(shown.contains(&kept_bytes), || "an object is not listed".to_owned())?;
    trial.holds(&kept.locator, &kept_bytes).await
}

async fn empty(trial: &Trial) -> Outcome {
    let Some(prefix) = prefix(trial).await? else { return skipped("listing does not go by bucket here") };
    let page = said(
        "list",
        trial.backend().list(ListStored { prefix: Some(prefix), limit: 10, ..ListStored::default() }).await,
    )?;
    ensure(page.entries.is_empty() && page.cursor.is_none(), || format!("it has {} entries", page.entries.len()))
}

/// The bytes of what was listed, by the locators and sizes that the listing shows. A container
/// may hold what is not ours: what is larger than anything here is left alone.
async fn shown(trial: &Trial, entries: &[StoredEntry], largest: u64) -> Result<Vec<Bytes>, Stop> {
    let mut shown = Vec::new();
    for entry in entries.iter().filter(|entry| entry.size <= largest) {
        let read = said("get of a listed object", trial.get(&entry.locator, entry.size, None).await)?;
        ensure(read.len() as u64 == entry.size, || {
            format!("{} is listed with {} bytes and has {}", entry.name, entry.size, read.len())
        })?;
        shown.push(read);
    }
    Ok(shown)
}

/// What listing takes for the case's bucket; `None` where it cannot be narrowed to one.
async fn prefix(trial: &Trial) -> Result<Option<String>, Stop> {
    let namespace = said("namespace", trial.backend().namespace(trial.bucket()).await)?;
    let target = &trial.traits().target;
    let Some(prefix) = namespace.strip_prefix(target.as_str()).map(str::to_owned) else {
        return failed(format!("the namespace `{namespace}` does not begin with the target `{target}`"));
    };
    let narrowed = ListStored { prefix: Some(prefix.clone()), limit: 1, ..ListStored::default() };
    match trial.backend().list(narrowed).await {
        Ok(_) => Ok(Some(prefix)),
        Err(error) if error.code() == Some(FailureCode::Unsupported) => Ok(None),
        Err(error) => failed(format!("list failed: {error}")),
    }
}

/// All that the case's bucket shows, in pages of a size; `None` when it is too much.
async fn walk(trial: &Trial, limit: u32) -> Result<Option<Vec<StoredEntry>>, Stop> {
    let prefix = prefix(trial).await?;
    let mut entries = Vec::new();
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let request = ListStored { prefix: prefix.clone(), cursor: cursor.clone(), limit, versions: false };
        let page = said("list", trial.backend().list(request).await)?;
        ensure(page.entries.len() <= limit as usize, || format!("a page of {limit} has {}", page.entries.len()))?;
        entries.extend(page.entries);
        if page.cursor.is_none() {
            return Ok(Some(entries));
        }
        ensure(page.cursor != cursor, || "its cursor does not move on".to_owned())?;
        cursor = page.cursor;
    }
    Ok(None)
}
