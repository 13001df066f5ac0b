//! Works off the queue: what has to be done on backends, however long they are dead.

use super::{Gateway, now};
use crate::backend::{Backend, BackendError, FailureCode, Name, Place};
use crate::error::{Error, Result};
use crate::metadata::{Job, JobKind, MetadataError, Segment, Selector};
use crate::names::{BucketName, ObjectKey, VersionId, WriteId};
use futures::{StreamExt, stream};
use std::sync::PoisonError;

/// Jobs taken at a time.
const BATCH: usize = 64;
/// Jobs under way at a time.
const CONCURRENCY: usize = 8;
/// Longest wait between two tries, in milliseconds.
const LONGEST_WAIT: i64 = 3_600_000;

/// How far a job came.
enum Progress {
    Done,
    /// Another job takes its place.
    Replaced,
    /// It is looked at again, milliseconds since 1970.
    Again {
        due: i64,
    },
}

impl Gateway {
    /// Works off what is due and answers how many jobs were done. Safe to call at any time;
    /// nothing is swept from a restored database that was not checked.
    ///
    /// # Errors
    /// The database's.
    pub async fn work_queue(&self) -> Result<usize> {
        if self.metadata.is_restored().await? {
            return Ok(0);
        }
        self.give_back_remembered().await?;
        let mut done = 0;
        loop {
            let jobs = self.metadata.claim_jobs(now(), BATCH).await?;
            if jobs.is_empty() {
                return Ok(done);
            }
            let outcomes: Vec<Result<bool>> =
                stream::iter(jobs).map(|job| self.work(job)).buffer_unordered(CONCURRENCY).collect().await;
            for outcome in outcomes {
                done += usize::from(outcome?);
            }
        }
    }

    /// Whether the job is done. One whose end cannot be noted is given back in the next round:
    /// it would stay this process's until a restart.
    async fn work(&self, job: Job) -> Result<bool> {
        let (is_done, noted) = match self.try_job(&job).await {
            Ok(Progress::Done) => (true, self.metadata.finish_job(job.id).await),
            Ok(Progress::Replaced) => (false, Ok(())),
            Ok(Progress::Again { due }) => (false, self.metadata.retry_job(job.id, due, "").await),
            Err(error) => {
                let wait = 1_000_i64.saturating_mul(1 << job.attempts.min(20)).min(LONGEST_WAIT);
                tracing::warn!(location = %job.location, attempts = job.attempts, "a queued job failed: {error}");
                (false, self.metadata.retry_job(job.id, now() + wait, &error.to_string()).await)
            }
        };
        if noted.is_err() {
            self.unnoted_jobs.lock().unwrap_or_else(PoisonError::into_inner).push(job.id);
        }
        Ok(noted.map(|()| is_done)?)
    }

    /// Jobs may be done twice.
    async fn give_back_remembered(&self) -> Result<()> {
        let remembered = std::mem::take(&mut *self.unnoted_jobs.lock().unwrap_or_else(PoisonError::into_inner));
        let mut outcome = Ok(());
        for id in remembered {
            if let Err(error) = self.metadata.retry_job(id, now(), "its end could not be noted").await {
                self.unnoted_jobs.lock().unwrap_or_else(PoisonError::into_inner).push(id);
                outcome = Err(error.into());
            }
        }
        outcome
    }

    async fn try_job(&self, job: &Job) -> Result<Progress> {
        if let JobKind::Tags { bucket, .. } | JobKind::Hide { bucket, .. } = &job.kind
            && !self.may_show(bucket, &job.location).await?
        {
            return Ok(Progress::Done);
        }
        // Bytes that nothing refers to any more are freed, whosever the location is by now.
        let backend = self.backend(&job.location)?;
        let failed = |error: BackendError| Error::from_backend(&job.location, error);
        match &job.kind {
            JobKind::Delete { locator } => match backend.delete(locator).await {
                // Other bytes took the place: ours are gone already.
                Err(error) if error.code() == Some(FailureCode::Changed) => Ok(()),
                Err(error) => Err(failed(error)),
                Ok(()) => Ok(()),
            },
            JobKind::Abort { upload } => backend.abort_upload(upload).await.map_err(failed),
            JobKind::Tags { bucket, key, version } => {
                self.show_tags(job, backend.as_ref(), (bucket, key, version)).await
            }
            JobKind::Hide { bucket, key, marker } => self.hide(job, backend.as_ref(), (bucket, key, marker)).await,
            JobKind::Recheck { name, write } => return self.recheck(job, backend.as_ref(), name, write).await,
        }
        .map(|()| Progress::Done)
    }

    /// Looks for what a write stored after it was taken back.
    async fn recheck(&self, job: &Job, backend: &dyn Backend, name: &Name, write: &WriteId) -> Result<Progress> {
        let _guard = self.keys.lock(&name.bucket, &name.key).await;
        let found = backend.find(name, Some(write)).await.map_err(|error| Error::from_backend(&job.location, error))?;
        if let Some(found) = found {
            // An upload whose completion was taken back may have been completed since.
            let is_known = self.metadata.is_known(&job.location, &found.locator, Some(write)).await?;
            if !is_known {
                tracing::info!(location = %job.location, write_id = %write, "removing what a backend stored late");
                self.metadata.found_late(job.id, &found.locator).await?;
                return Ok(Progress::Replaced);
            }
        }
        Ok(self.next_look(job.created).map_or(Progress::Done, |due| Progress::Again { due }))
    }

    async fn show_tags(
        &self,
        job: &Job,
        backend: &dyn Backend,
        (bucket, key, version): (&BucketName, &ObjectKey, &VersionId),
    ) -> Result<()> {
        if !backend.traits().tagging {
            return Ok(());
        }
        let Some(version) = self.metadata.version(bucket, key, &Selector::Id(version.clone())).await? else {
            return Ok(());
        };
        for segment in version.segments.iter().filter(|segment| segment.location == job.location) {
            match backend.put_tags(&segment.locator, &version.object).await {
                Ok(locator) if locator != segment.locator => {
                    self.metadata.replace_locator(&job.location, &segment.locator, &locator).await?;
                }
                Ok(_) => {}
                // The object went or changed meanwhile: there is nothing to show.
                Err(error) if matches!(error.code(), Some(FailureCode::NotFound | FailureCode::Changed)) => {}
                Err(error) => return Err(Error::from_backend(&job.location, error)),
            }
        }
        Ok(())
    }

    /// Leaves the backend's delete marker over what ours hides. Under the key's lock, where
    /// every write ends, so that the marker never comes to lie over a newer object.
    async fn hide(
        &self,
        job: &Job,
        backend: &dyn Backend,
        (bucket, key, marker): (&BucketName, &ObjectKey, &VersionId),
    ) -> Result<()> {
        if !backend.traits().versions {
            return Ok(());
        }
        let _guard = self.keys.lock(bucket, key).await;
        let current = self.metadata.version(bucket, key, &Selector::Current).await?;
        let is_wanted = current
            .is_some_and(|current| current.is_delete_marker && current.id == *marker && current.segments.is_empty());
        if !is_wanted {
            return Ok(());
        }
        let name = Name { bucket: bucket.clone(), key: key.clone(), place: Place::Plain };
        let locator = match backend.hide(&name).await {
            // Its bucket keeps no versions: there are no markers.
            Err(error) if error.code() == Some(FailureCode::Unsupported) => return Ok(()),
            other => other.map_err(|error| Error::from_backend(&job.location, error))?,
        };
        let segment = Segment::whole(job.location.clone(), name, WriteId::random(), locator.clone(), 0);
        match self.metadata.mark_hidden(bucket, key, marker, segment).await {
            Err(MetadataError::Gone(_)) => Ok(self.metadata.queue_deletion(&job.location, &locator).await?),
            other => Ok(other?),
        }
    }
}
