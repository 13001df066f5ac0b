//! Settles what crashes and lost answers left open.

use super::periodic::every;
use super::write::contradiction;
use super::{Gateway, now};
use crate::backend::{Backend, BackendError, Place};
use crate::error::{Error, Result};
use crate::metadata::{OpenWrite, Segment, Upload, WriteKind};
use crate::names::BucketName;
use futures::{StreamExt, stream};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// For how many times the wait before the first look a late write is expected.
const RECHECKED_FOR: i64 = 60;
/// Abandoned writes read at a time, and how many of them are settled at a time.
const BATCH: usize = 64;
const CONCURRENCY: usize = 8;
/// How long a round settles writes. What is left then is for the next one, which goes on there:
/// a location that does not answer holds up nobody else.
const SETTLING: Duration = Duration::from_secs(20);
/// Uploads kept alive at a time.
const KEPT: usize = 64;
/// When one is tried again that could not be kept alive.
const KEEP_AGAIN: Duration = Duration::from_secs(600);

/// What a write may still do that its backend has nothing of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// It may arrive and take its turn.
    Expected,
    /// If it arrives it is removed.
    Discarded,
}

impl Gateway {
    /// Sweeps until the token's future resolves: abandoned writes, the queue, uploads that
    /// a backend would forget. Every step is safe to repeat and to be cut off.
    pub async fn sweep(self: Arc<Self>, stop: impl Future<Output = ()>) {
        every(self.options.sweep_interval, stop, || async {
            if let Err(error) = self.sweep_once().await {
                tracing::error!("sweeping failed and is tried again: {error}");
            }
        })
        .await;
    }

    /// One round.
    ///
    /// # Errors
    /// The database's; a backend's failure leaves its work for the next round.
    pub async fn sweep_once(&self) -> Result<()> {
        if self.metadata.is_restored().await? {
            return Ok(());
        }
        self.abandon_remembered().await?;
        self.settle_abandoned().await?;
        self.work_queue().await?;
        self.keep_uploads().await
    }

    /// Settles abandoned writes from where the last round was cut off.
    async fn settle_abandoned(&self) -> Result<()> {
        let begun = Instant::now();
        let mut after = self.settled_up_to.lock().unwrap_or_else(PoisonError::into_inner).take();
        loop {
            let page = self.metadata.abandoned_writes(now(), after.take(), BATCH).await?;
            let Some(last) = page.last() else { return Ok(()) };
            let next = last.place_in_line();
            stream::iter(page).for_each_concurrent(CONCURRENCY, |write| self.try_to_settle(write)).await;
            if begun.elapsed() >= SETTLING {
                *self.settled_up_to.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
                return Ok(());
            }
            after = Some(next);
        }
    }

    async fn try_to_settle(&self, write: OpenWrite) {
        if let Err(error) = self.settle(&write, Late::Expected).await {
            tracing::warn!(
                bucket.name = %write.bucket, location = %write.location, write_id = %write.id,
                "an interrupted write stays open until its backend answers: {error}"
            );
        }
    }

    /// Settles what was left open in a bucket, without waiting for the next round. Whether
    /// there was anything.
    pub(super) async fn settle_bucket(&self, bucket: &BucketName) -> Result<bool> {
        if self.metadata.is_restored().await? {
            return Ok(false);
        }
        self.abandon_remembered().await?;
        let mut settled = false;
        for write in self.metadata.abandoned_writes_of(bucket, None).await? {
            settled |= self.settle(&write, Late::Discarded).await.is_ok();
        }
        Ok(settled)
    }

    /// Rolls a write forward when it was prepared and its bytes are there, back otherwise.
    /// When the backend has nothing of it, it is looked for again: requests are carried out
    /// late, by a backend that never noticed that nobody waits for them any more.
    pub(super) async fn settle(&self, write: &OpenWrite, late: Late) -> Result<()> {
        let _guard = self.keys.lock(&write.bucket, &write.key).await;
        // What was waited for may have settled it, taken it over, or come in its place.
        let open = self.metadata.abandoned_writes_of(&write.bucket, Some(&write.key)).await?;
        let Some(write) = open.iter().find(|open| open.id == write.id) else { return Ok(()) };
        let is_here_alone = match &write.kind {
            WriteKind::Copy => true,
            WriteKind::Completion { token, .. } => token.0.is_empty(),
            WriteKind::Object | WriteKind::Part { .. } => false,
        };
        if is_here_alone {
            // Its bytes were there before: nothing happened outside the database.
            return Ok(self.metadata.rollback(&write.id, None).await?);
        }
        let backend = self.backend_of(&write.bucket, &write.location).await?;
        let failed = |error: BackendError| Error::from_backend(&write.location, error);
        let found = backend.find(&write.name, Some(&write.id)).await.map_err(failed)?;
        let is_version = !matches!(write.kind, WriteKind::Part { .. });
        if let (Some(found), Some(version)) = (&found, write.prepared.as_ref().filter(|_| is_version))
            && found.size == version.stored_size()
            && (version.etag.contains('-')
                || version.attributes.encryption.is_some()
                || contradiction(&found.checksums, &version.etag).is_none())
        {
            let segment = Segment::whole(
                write.location.clone(),
                write.name.clone(),
                write.id.clone(),
                found.locator.clone(),
                found.size,
            );
            self.metadata.commit(&write.id, vec![segment]).await?;
            return Ok(());
        }
        if let Some(found) = found {
            return Ok(self.metadata.rollback(&write.id, Some(&found.locator)).await?);
        }
        if matches!(write.kind, WriteKind::Object) && !self.abort_own_uploads(write, backend).await? {
            // It stays as it is until the next round.
            return Ok(());
        }
        // Over what lives at a plain place a late write takes its turn, as it would have in time.
        if late == Late::Expected && write.holds && matches!(write.kind, WriteKind::Object) {
            return match self.next_look(write.unheard.unwrap_or_else(now)) {
                Some(due) => Ok(self.metadata.postpone(&write.id, now(), due).await?),
                None => Ok(self.metadata.rollback(&write.id, None).await?),
            };
        }
        // Everywhere else it would be in nobody's way, and only has to be removed.
        let due = now() + millis(self.options.recheck_after);
        Ok(self.metadata.rollback_unheard(&write.id, due).await?)
    }

    /// When a write is looked for again that a backend first had nothing of at `since`: at
    /// four times the age each time. `None` when it has been long enough.
    pub(super) fn next_look(&self, since: i64) -> Option<i64> {
        let (first, now) = (millis(self.options.recheck_after).max(1), now());
        let age = now.saturating_sub(since);
        (age < first.saturating_mul(RECHECKED_FOR)).then(|| now.saturating_add(age.saturating_mul(3).max(first)))
    }

    /// Aborts what this write opened where nobody else opens anything: in a place of its own, or
    /// at names that are this bucket's alone. Elsewhere nothing tells others' uploads from one
    /// whose answer was lost, and they all stay. Answers false, and does nothing, while a write of
    /// the key is under way that may be about to note its own.
    async fn abort_own_uploads(&self, write: &OpenWrite, backend: Arc<dyn Backend>) -> Result<bool> {
        let failed = |error: BackendError| Error::from_backend(&write.location, error);
        if !backend.traits().multipart {
            return Ok(true);
        }
        let is_own_place = write.name.place == Place::Derived(write.id.to_string());
        if !is_own_place && are_names_shared(backend.as_ref(), &write.name.bucket).await.map_err(failed)? {
            return Ok(true);
        }
        let uploads = backend.find_uploads(&write.name, &write.id).await.map_err(failed)?;
        if uploads.is_empty() {
            return Ok(true);
        }
        let (known, is_one_pending) = self.metadata.known_uploads(&write.bucket, &write.key, &write.id).await?;
        if is_one_pending && !is_own_place {
            return Ok(false);
        }
        for upload in uploads.iter().filter(|upload| !known.contains(upload)) {
            backend.abort_upload(upload).await.map_err(failed)?;
        }
        Ok(true)
    }

    /// Touches uploads at a third of the time after which their backend forgets them.
    async fn keep_uploads(&self) -> Result<()> {
        let names = self.locations.names();
        let expiries = names.iter().filter_map(|name| {
            let backend = self.locations.location(name)?.backend.ok()?;
            backend.traits().uploads_expire_after
        });
        let Some(after) = expiries.min() else {
            return Ok(());
        };
        let before = now() - millis(after / 3);
        for upload in self.metadata.uploads_to_keep(before, KEPT).await? {
            let kept = match self.keep_upload(&upload).await {
                Ok(()) => now(),
                Err(error) => {
                    tracing::warn!(location = %upload.location, "an upload could not be kept alive: {error}");
                    // Behind all others that are to be kept.
                    before + millis(KEEP_AGAIN)
                }
            };
            self.metadata.upload_kept(&upload.id, kept).await?;
        }
        Ok(())
    }

    async fn keep_upload(&self, upload: &Upload) -> Result<()> {
        let backend = self.backend_of(&upload.bucket, &upload.location).await?;
        match &upload.backend {
            Some((_, token)) if backend.traits().uploads_expire_after.is_some() => {
                let kept = backend.keep_upload(token).await;
                kept.map_err(|error| Error::from_backend(&upload.location, error))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether a location stores objects under names that do not tell their bucket (`bucketMatch`):
/// there others are expected to store theirs, too.
async fn are_names_shared(backend: &dyn Backend, bucket: &BucketName) -> Result<bool, BackendError> {
    let other = if bucket.as_str() == "other" { "another" } else { "other" };
    let other = BucketName::parse(other).map_err(|error| BackendError::Broke(error.to_string()))?;
    Ok(backend.namespace(bucket).await? == backend.namespace(&other).await?)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
