//! Works off the queue: deletions, aborts and projections that survive dead backends.

use super::{Gateway, now};
use crate::backend::{BackendError, FailureCode};
use crate::error::{Error, Result};
use crate::metadata::{Job, JobKind, Selector};
use futures::{StreamExt, stream};

/// Jobs taken at a time.
const BATCH: usize = 64;
/// Jobs under way at a time.
const CONCURRENCY: usize = 8;
/// Longest wait between two tries, in milliseconds.
const LONGEST_WAIT: i64 = 3_600_000;

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

    async fn work(&self, job: Job) -> Result<bool> {
        match self.try_job(&job).await {
            Ok(()) => {
                self.metadata.finish_job(job.id).await?;
                Ok(true)
            }
            Err(error) => {
                let wait = 1_000_i64.saturating_mul(1 << job.attempts.min(20)).min(LONGEST_WAIT);
                tracing::warn!(location = %job.location, attempts = job.attempts, "a queued job failed: {error}");
                self.metadata.retry_job(job.id, now() + wait, &error.to_string()).await?;
                Ok(false)
            }
        }
    }

    async fn try_job(&self, job: &Job) -> Result<()> {
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
                if !backend.traits().tagging {
                    return Ok(());
                }
                let selector = Selector::Id(version.clone());
                let Some(version) = self.metadata.version(bucket, key, &selector).await? else {
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
                        Err(error) => return Err(failed(error)),
                    }
                }
                Ok(())
            }
        }
    }
}
