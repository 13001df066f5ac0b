//! Carries lifecycles out: walks the database page by page, and does what the rules say.

use super::notifications::announcement;
use super::periodic::every;
use super::{Gateway, now};
use crate::access::{Action, Caller};
use crate::error::{Error, Result};
use crate::lifecycle::{Candidate, Clock, Expiry, Judgement, Lifecycle, Standing};
use crate::metadata::{
    Bucket, BucketSettings, Deleted, Deletion, Listed, Seen, UploadQuery, Version, VersionQuery, WriteConditions,
};
use crate::names::{BucketName, ObjectKey, VersionId};
use crate::notification::EventKind;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;

/// Versions, uploads or buckets looked at a time.
const PAGE: usize = 1_000;
/// Deletions under way at a time.
const CONCURRENCY: usize = 8;
/// Names the progress in the database.
const WORK: &str = "lifecycle";

/// What one pass over all buckets did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LifecycleReport {
    /// Objects, versions, markers and uploads that went or moved.
    pub done: usize,
    /// What should have been done and could not; the next pass tries again.
    pub failed: usize,
}

/// How far a pass came: every bucket before this one is done, and in it every key up to `key`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Progress {
    bucket: BucketName,
    key: Option<String>,
}

/// What is to be done with a version that was seen.
struct Decision {
    version: Version,
    judgement: Judgement,
}

impl Gateway {
    /// PutBucketLifecycleConfiguration, or DeleteBucketLifecycle with `None`.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn set_lifecycle(
        &self,
        caller: &Caller,
        bucket: &BucketName,
        lifecycle: Option<Lifecycle>,
    ) -> Result<()> {
        self.bucket_for(caller, Action::PutLifecycleConfiguration, bucket).await?;
        let change = Box::new(|settings: &mut BucketSettings| settings.lifecycle = lifecycle);
        self.metadata.change_settings(bucket, change).await?;
        Ok(())
    }

    /// When an upload of the bucket is aborted, for the headers that say so.
    ///
    /// # Errors
    /// `NoSuchBucket`.
    pub async fn upload_expiry(&self, bucket: &BucketName, key: &ObjectKey, initiated: i64) -> Result<Option<Expiry>> {
        let bucket = self.bucket(bucket).await?;
        let lifecycle = bucket.settings.lifecycle.as_ref();
        Ok(lifecycle.and_then(|lifecycle| lifecycle.abort(key.as_str(), initiated, Clock::default())))
    }

    /// Carries lifecycles out until `stop` resolves. Every step is safe to repeat and to be
    /// cut off.
    pub async fn carry_out_lifecycles(self: Arc<Self>, stop: impl Future<Output = ()>) {
        every(self.options.lifecycle_interval, stop, || async {
            match self.lifecycle_pass().await {
                Ok(report) if report.failed > 0 => {
                    tracing::warn!(failed = report.failed, "what lifecycles ask for is tried again");
                }
                Ok(_) => {}
                Err(error) => tracing::error!("lifecycles are carried out later: {error}"),
            }
        })
        .await;
    }

    /// One pass over all buckets, from where the last one was cut off. Two at a time are one.
    ///
    /// # Errors
    /// The database's.
    pub async fn lifecycle_pass(self: &Arc<Self>) -> Result<LifecycleReport> {
        let mut report = LifecycleReport::default();
        let Ok(_alone) = self.lifecycle_running.try_lock() else { return Ok(report) };
        if self.metadata.is_restored().await? {
            return Ok(report);
        }
        let text = self.metadata.progress(WORK).await?;
        // What cannot be read begins anew: nothing is lost but time.
        let mut left_off = text.and_then(|text| serde_json::from_str::<Progress>(&text).ok());
        let mut after = None;
        if let Some(progress) = &left_off {
            let bucket = progress.bucket.clone();
            self.bucket_lifecycle(&bucket, left_off.take().and_then(|progress| progress.key), &mut report).await?;
            after = Some(bucket.to_string());
        }
        loop {
            let page = self.metadata.all_buckets(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.name.to_string());
            for bucket in page.iter().filter(|bucket| bucket.settings.lifecycle.is_some()) {
                self.bucket_lifecycle(&bucket.name, None, &mut report).await?;
            }
        }
        self.metadata.note_progress(WORK, None).await?;
        metrics::gauge!("sallyport_lifecycle_last_pass_seconds").set((now() / 1000) as f64);
        Ok(report)
    }

    async fn bucket_lifecycle(
        self: &Arc<Self>,
        name: &BucketName,
        after: Option<String>,
        report: &mut LifecycleReport,
    ) -> Result<()> {
        if after.is_none() {
            self.note(name, None).await?;
            self.expire_uploads(name, report).await?;
        }
        let mut done = after.clone();
        let (mut key_marker, mut version_marker) = (after, None);
        let mut walk = Standings::default();
        // Read again for each page: rules may have changed, or be gone.
        while let Some((bucket, lifecycle)) = self.lifecycle_of(name).await? {
            let query = VersionQuery {
                bucket: name.clone(),
                prefix: lifecycle.common_prefix().to_owned(),
                delimiter: None,
                key_marker: key_marker.take(),
                version_marker: version_marker.take(),
                limit: PAGE,
            };
            let page = self.metadata.list_versions(&query).await?;
            let versions = page.entries.into_iter().filter_map(|entry| match entry {
                Listed::Object(version) => Some(*version),
                Listed::CommonPrefix(_) => None,
            });
            let versions: Vec<Version> = versions.collect();
            // The last one of a page that others follow is only looked at, and comes again.
            let shown = if page.is_truncated { versions.len().saturating_sub(1) } else { versions.len() };
            if let Some(last) = shown.checked_sub(1).and_then(|index| versions.get(index)) {
                (key_marker, version_marker) = (Some(last.key.to_string()), Some(last.id.clone()));
                let whole = versions.iter().take(shown).rev().find(|version| version.key != last.key);
                done = whole.map(|version| version.key.to_string()).or(done);
            }
            let decisions = walk.decide(versions, shown, &lifecycle, self.options.lifecycle_clock);
            self.carry_out(&bucket, decisions, report).await;
            if !page.is_truncated {
                break;
            }
            self.note(name, done.clone()).await?;
        }
        Ok(())
    }

    async fn note(&self, bucket: &BucketName, key: Option<String>) -> Result<()> {
        let progress = Progress { bucket: bucket.clone(), key };
        let text = serde_json::to_string(&progress).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(self.metadata.note_progress(WORK, Some(text)).await?)
    }

    async fn lifecycle_of(&self, name: &BucketName) -> Result<Option<(Bucket, Lifecycle)>> {
        let Some(bucket) = self.metadata.bucket(name).await? else { return Ok(None) };
        let lifecycle = bucket.settings.lifecycle.clone().filter(|lifecycle| lifecycle.enabled().next().is_some());
        Ok(lifecycle.map(|lifecycle| (bucket, lifecycle)))
    }

    async fn carry_out(self: &Arc<Self>, bucket: &Bucket, decisions: Vec<Decision>, report: &mut LifecycleReport) {
        let outcomes = stream::iter(decisions).map(|decision| async move {
            let outcome = self.follow(bucket, &decision).await;
            (decision.version.key, outcome)
        });
        // What keeps one from being moved keeps all others, too.
        let mut told = HashSet::new();
        let mut outcomes = std::pin::pin!(outcomes.buffer_unordered(CONCURRENCY));
        while let Some((key, outcome)) = outcomes.next().await {
            match outcome {
                Ok(done) => report.done += usize::from(done),
                Err(error) => {
                    report.failed += 1;
                    let cause = error.to_string();
                    if !told.contains(&cause) {
                        tracing::warn!(
                            bucket.name = %bucket.name, object.key = %key,
                            "a lifecycle rule could not be followed here, perhaps elsewhere: {cause}"
                        );
                        told.insert(cause);
                    }
                }
            }
        }
    }

    /// Does what was decided of a version, unless it does not stand there any more.
    async fn follow(self: &Arc<Self>, bucket: &Bucket, decision: &Decision) -> Result<bool> {
        let Decision { version, judgement } = decision;
        let by_id = Some(version.id.clone());
        let (id, newer, is_only, action) = match judgement {
            Judgement::Keep => return Ok(false),
            Judgement::Expire => (None, 0, false, "expire"),
            Judgement::RemoveMarker => (by_id, 0, true, "remove_marker"),
            // The current one is newer too.
            Judgement::RemoveNoncurrent { newer } => (by_id, newer.saturating_add(1), false, "remove_noncurrent"),
            Judgement::Move { storage_class } => {
                let moved = self.relocate(bucket, version, storage_class).await?;
                count("move", moved);
                return Ok(moved);
            }
        };
        let seen = Seen { sequence: version.sequence, tags: version.object.tags.clone(), newer, is_only };
        let deletion = Deletion {
            bucket: bucket.name.clone(),
            key: version.key.clone(),
            version: id,
            conditions: WriteConditions::default(),
            bypass_governance: false,
            as_seen: Some(seen),
            marker_id: VersionId::random(),
            hides: self.hiding_locations(bucket),
            owner: bucket.owner.clone(),
            now: now(),
            announcement: announcement(
                bucket,
                &version.key,
                None,
                &[EventKind::Expired, EventKind::MarkerByExpiration],
            ),
        };
        let _guard = self.keys.lock(&bucket.name, &version.key).await;
        let done = match self.metadata.delete(&deletion).await? {
            // Object lock, or somebody was faster.
            Deleted::Refused(_) | Deleted::Nothing => false,
            Deleted::Version { .. } | Deleted::Object | Deleted::Marker { .. } => true,
        };
        count(action, done);
        Ok(done)
    }

    async fn expire_uploads(&self, name: &BucketName, report: &mut LifecycleReport) -> Result<()> {
        let mut marker = (None, None);
        while let Some((_, lifecycle)) = self.lifecycle_of(name).await? {
            let query = UploadQuery {
                bucket: name.clone(),
                prefix: lifecycle.common_prefix().to_owned(),
                delimiter: None,
                key_marker: marker.0.take(),
                upload_marker: marker.1.take(),
                limit: PAGE,
            };
            let page = self.metadata.list_uploads(&query).await?;
            for upload in page.uploads {
                let clock = self.options.lifecycle_clock;
                let expiry = lifecycle.abort(upload.key.as_str(), upload.initiated, clock);
                if expiry.is_none_or(|expiry| expiry.at > now()) {
                    continue;
                }
                // A completion holds the lock until it is committed.
                let _guard = self.keys.lock(name, &upload.key).await;
                let done = self.metadata.abort_upload(name, &upload.key, &upload.id).await?;
                report.done += usize::from(done);
                count("abort_upload", done);
            }
            match page.next {
                Some((key, upload)) => marker = (Some(key), upload),
                None => break,
            }
        }
        Ok(())
    }
}

fn count(action: &'static str, done: bool) {
    if done {
        metrics::counter!("sallyport_lifecycle_actions_total", "action" => action).increment(1);
    }
}

/// Where versions stand, as they come: by key, newest first within one.
#[derive(Default)]
struct Standings {
    /// When the version before was made, and how many noncurrent ones there were.
    newer: Option<(i64, u32)>,
}

impl Standings {
    /// What is to be done with the first `shown` of these.
    fn decide(&mut self, versions: Vec<Version>, shown: usize, lifecycle: &Lifecycle, clock: Clock) -> Vec<Decision> {
        let time = now();
        let mut decisions = Vec::new();
        let mut versions = versions.into_iter().take(shown + 1).peekable();
        for _ in 0..shown {
            let Some(version) = versions.next() else { break };
            let is_only = versions.peek().is_none_or(|next| next.key != version.key);
            let standing = self.next(&version, is_only);
            let judgement = lifecycle.judge(&candidate(&version, standing), clock, time);
            if judgement != Judgement::Keep {
                decisions.push(Decision { version, judgement });
            }
        }
        decisions
    }

    fn next(&mut self, version: &Version, is_only: bool) -> Standing {
        let standing = match self.newer {
            Some((since, newer)) if !version.is_current => Standing::Noncurrent { since, newer },
            _ => Standing::Current { is_only },
        };
        let newer = match standing {
            Standing::Current { .. } => 0,
            Standing::Noncurrent { newer, .. } => newer + 1,
        };
        self.newer = Some((version.last_modified, newer));
        standing
    }
}

/// A version as rules see it.
pub(super) fn candidate(version: &Version, standing: Standing) -> Candidate<'_> {
    Candidate {
        key: version.key.as_str(),
        tags: &version.object.tags,
        size: version.size,
        is_marker: version.is_delete_marker,
        created: version.last_modified,
        standing,
    }
}
