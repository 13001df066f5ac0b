//! One lock per key: the order in which writes of a key are decided and committed.

use crate::names::{BucketName, ObjectKey};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

type Key = (BucketName, ObjectKey);

/// Locks by key; a lock exists while somebody holds it or waits for it.
#[derive(Default)]
pub(super) struct KeyLocks {
    locks: Arc<Mutex<HashMap<Key, Arc<AsyncMutex<()>>>>>,
}

/// The held lock of a key.
pub(super) struct KeyGuard {
    key: Key,
    guard: Option<OwnedMutexGuard<()>>,
    locks: Arc<Mutex<HashMap<Key, Arc<AsyncMutex<()>>>>>,
}

impl KeyLocks {
    /// Waits for the key.
    pub(super) async fn lock(&self, bucket: &BucketName, key: &ObjectKey) -> KeyGuard {
        let key = (bucket.clone(), key.clone());
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(locks.entry(key.clone()).or_default())
        };
        let guard = Some(lock.lock_owned().await);
        KeyGuard { key, guard, locks: Arc::clone(&self.locks) }
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.guard.take());
        // The map's own reference is the last one: nobody waits.
        if locks.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_that_nobody_holds_takes_no_room() {
        let locks = KeyLocks::default();
        let (bucket, key) = (BucketName::parse("bucket").unwrap(), ObjectKey::parse("key").unwrap());
        drop(locks.lock(&bucket, &key).await);
        assert!(locks.locks.lock().unwrap().is_empty());
    }
}
