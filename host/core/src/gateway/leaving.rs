//! Ends open writes that came to nothing, also when the database cannot be told at once.

use super::Gateway;
use crate::backend::Locator;
use crate::error::Result;
use crate::metadata::Segment;
use crate::names::{BucketName, ObjectKey, WriteId};
use std::sync::PoisonError;

impl Gateway {
    /// Takes back an intent; bytes that it stored are queued for deletion.
    pub(super) async fn roll_back(&self, write: &WriteId, orphan: Option<&Locator>) -> Result<()> {
        match self.metadata.rollback(write, orphan).await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.leave_to_sweeper(write).await;
                Err(error.into())
            }
        }
    }

    /// Leaves an intent to the sweeper, which finds out what the backend has of it.
    pub(super) async fn abandon(&self, write: &WriteId) -> Result<()> {
        match self.metadata.abandon(write).await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.remember(write);
                Err(error.into())
            }
        }
    }

    /// Makes a prepared version current. When that fails its bytes are there all the same,
    /// and the sweeper rolls the write forward.
    pub(super) async fn commit(&self, write: &WriteId, segments: Vec<Segment>) -> Result<crate::metadata::Committed> {
        match self.metadata.commit(write, segments).await {
            Ok(committed) => Ok(committed),
            Err(error) => {
                self.leave_to_sweeper(write).await;
                Err(error.into())
            }
        }
    }

    /// As [`Gateway::abandon`], for a database that has just failed.
    pub(super) async fn leave_to_sweeper(&self, write: &WriteId) {
        if let Err(error) = self.abandon(write).await {
            tracing::error!(write_id = %write, "an open write waits until the database can be told: {error}");
        }
    }

    fn remember(&self, write: &WriteId) {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).push(write.clone());
    }

    /// Tells the database what it could not be told before. Without this a write of a
    /// process that lives on would stay open until its restart.
    pub(super) async fn abandon_remembered(&self) -> Result<()> {
        let remembered = std::mem::take(&mut *self.unsettled.lock().unwrap_or_else(PoisonError::into_inner));
        let mut outcome = Ok(());
        for write in remembered {
            outcome = outcome.and(self.abandon(&write).await);
        }
        outcome
    }

    /// Settles what is open of one key: a reader that finds the bytes changed came between
    /// the backend's answer and the commit, or before the sweeper.
    pub(super) async fn settle_key(&self, bucket: &BucketName, key: &ObjectKey) -> Result<()> {
        // Whoever writes has the lock until its commit.
        drop(self.keys.lock(bucket, key).await);
        if self.metadata.is_restored().await? {
            return Ok(());
        }
        for write in self.abandoned_in(bucket).await?.iter().filter(|write| write.key == *key) {
            self.settle(write).await?;
        }
        Ok(())
    }
}
