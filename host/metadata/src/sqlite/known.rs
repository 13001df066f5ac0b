//! Buckets and current versions as they were last read: a request for an object that is asked
//! for often costs no look at the database.
//!
//! It is right because one process has the database, and its one writer says before each
//! commit what changes: that is forgotten, and nothing is kept until the commit is over. A
//! row that was asked for before a change is not kept after it.

use sallyport_core::metadata::{Bucket, Version};
use sallyport_core::names::{BucketName, ObjectKey};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most rows that are kept; with one more all are read anew.
const KEPT: usize = 10_000;
/// A version of more segments or parts than this is large, and read seldom enough.
const MOST_PARTS: usize = 4;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Known {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    buckets: HashMap<BucketName, Bucket>,
    versions: HashMap<BucketName, HashMap<ObjectKey, Version>>,
    rows: usize,
    /// Counts changes; odd while one is being committed.
    changes: u64,
}

/// What a transaction changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A bucket's own row.
    Bucket(BucketName),
    /// Versions of a key, or their segments.
    Key(BucketName, ObjectKey),
    /// Nobody knows which keys.
    Keys,
}

/// When a row was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked(u64);

impl Known {
    /// A bucket, or when it was asked for.
    pub(super) fn bucket(&self, name: &BucketName) -> Result<Bucket, Asked> {
        let state = self.state();
        state.buckets.get(name).cloned().ok_or(Asked(state.changes))
    }

    /// A key's current version, or when it was asked for.
    pub(super) fn current(&self, bucket: &BucketName, key: &ObjectKey) -> Result<Version, Asked> {
        let state = self.state();
        let found = state.versions.get(bucket).and_then(|keys| keys.get(key));
        found.cloned().ok_or(Asked(state.changes))
    }

    /// Keeps a bucket, unless something changed since it was asked for.
    pub(super) fn keep_bucket(&self, bucket: &Bucket, asked: Asked) {
        if let Some(mut state) = self.unchanged(asked) {
            state.rows += 1;
            state.buckets.insert(bucket.name.clone(), bucket.clone());
        }
    }

    /// Keeps a current version, unless something changed since it was asked for.
    pub(super) fn keep_current(&self, bucket: &BucketName, version: &Version, asked: Asked) {
        if version.segments.len().max(version.parts.len()) > MOST_PARTS {
            return;
        }
        if let Some(mut state) = self.unchanged(asked) {
            state.rows += 1;
            state.versions.entry(bucket.clone()).or_default().insert(version.key.clone(), version.clone());
        }
    }

    /// Forgets what a transaction changes; nothing is kept until the answer is dropped, which
    /// has to be after the commit.
    pub(super) fn changing(self: &Arc<Self>, changes: &[Change]) -> Option<Changing> {
        if changes.is_empty() {
            return None;
        }
        let mut state = self.state();
        state.changes += 1;
        for change in changes {
            match change {
                Change::Bucket(name) => {
                    state.buckets.remove(name);
                    state.versions.remove(name);
                }
                Change::Key(bucket, key) => {
                    if let Some(keys) = state.versions.get_mut(bucket) {
                        keys.remove(key);
                    }
                }
                Change::Keys => state.versions.clear(),
            }
        }
        Some(Changing(Arc::clone(self)))
    }

    /// Room for one more row, when nothing changed and nothing is changing.
    fn unchanged(&self, asked: Asked) -> Option<MutexGuard<'_, State>> {
        let mut state = self.state();
        if state.changes != asked.0 || asked.0 % 2 == 1 {
            return None;
        }
        if state.rows >= KEPT {
            *state = State { changes: state.changes, ..State::default() };
        }
        Some(state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A commit that is under way.
#[derive(Debug)]
pub(super) struct Changing(Arc<Known>);

impl Drop for Changing {
    fn drop(&mut self) {
        self.0.state().changes += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sallyport_core::metadata::Versioning;
    use sallyport_core::names::{AccountId, LocationName};

    fn bucket(versioning: Versioning) -> Bucket {
        Bucket {
            number: 1,
            name: BucketName::parse("bucket").unwrap(),
            owner: AccountId::new("owner"),
            location: LocationName::parse("us-east-1").unwrap(),
            versioning,
            created: 0,
            settings: Arc::default(),
        }
    }

    #[test]
    fn a_row_that_was_asked_for_before_or_during_a_change_is_not_kept() {
        let known = Arc::new(Known::default());
        let old = bucket(Versioning::Off);
        let before = known.bucket(&old.name).unwrap_err();
        let changing = known.changing(&[Change::Bucket(old.name.clone())]);
        known.keep_bucket(&old, before);
        let during = known.bucket(&old.name).unwrap_err();
        known.keep_bucket(&old, during);
        drop(changing);
        known.keep_bucket(&old, before);
        known.keep_bucket(&old, during);
        let after = known.bucket(&old.name).unwrap_err();
        let new = bucket(Versioning::Enabled);
        known.keep_bucket(&new, after);
        assert_eq!(known.bucket(&old.name).unwrap(), new);
    }

    #[test]
    fn a_change_of_another_bucket_leaves_what_is_known() {
        let known = Arc::new(Known::default());
        let kept = bucket(Versioning::Off);
        known.keep_bucket(&kept, known.bucket(&kept.name).unwrap_err());
        drop(known.changing(&[Change::Bucket(BucketName::parse("other").unwrap()), Change::Keys]));
        assert_eq!(known.bucket(&kept.name).unwrap(), kept);
    }
}
