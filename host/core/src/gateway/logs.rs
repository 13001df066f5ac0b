//! Collects the lines of access logs, and delivers them in batches.

use super::Gateway;
use super::request::{Incoming, PutObject};
use crate::access::{Action, Caller};
use crate::backend::Projection;
use crate::body;
use crate::encryption::EncryptionParameters;
use crate::error::{Error, Result};
use crate::logging::{BucketLogging, LogSource};
use crate::metadata::{Attributes, Bucket, WriteConditions};
use crate::names::{BucketName, ObjectKey, WriteId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use time::{Date, OffsetDateTime};

/// All lines that wait, in bytes: beyond it lines are lost, as AWS's may be.
const MAX_WAITING: usize = 64 << 20;

/// Lines that wait for their delivery.
#[derive(Default)]
pub(super) struct Waiting(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    /// By bucket and day.
    texts: HashMap<(BucketName, Date), String>,
    size: usize,
    lost: u64,
}

impl Gateway {
    /// Replaces where a bucket's accesses are logged; `None` ends it.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `InvalidTargetBucket`.
    pub async fn set_logging(&self, caller: &Caller, name: &BucketName, logging: Option<BucketLogging>) -> Result<()> {
        let bucket = self.bucket_for(caller, Action::PutBucketLogging, name).await?;
        if let Some(logging) = &logging {
            let target = self.metadata.bucket(&logging.target).await?;
            let target =
                target.ok_or_else(|| Error::InvalidTargetBucket("The target bucket for logging does not exist"))?;
            if target.owner != bucket.owner {
                let why = "The owner for the bucket to be logged and the target bucket must be the same.";
                return Err(Error::InvalidTargetBucket(why));
            }
        }
        self.change_settings(name, move |settings| settings.logging = logging).await
    }

    /// Keeps a line until the next delivery.
    pub fn log_access(&self, bucket: &BucketName, time: OffsetDateTime, line: &str) {
        let mut lines = self.log_lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.size + line.len() > MAX_WAITING {
            lines.lost += 1;
            return;
        }
        lines.size += line.len();
        lines.texts.entry((bucket.clone(), time.date())).or_default().push_str(line);
    }

    /// Delivers until the future resolves, and what is left then.
    pub async fn deliver_logs(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut timer = tokio::time::interval(self.options.log_interval);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let stopped = tokio::select! {
                () = &mut stop => true,
                _ = timer.tick() => false,
            };
            self.deliver_once().await;
            if stopped {
                return;
            }
        }
    }

    async fn deliver_once(self: &Arc<Self>) {
        let taken = std::mem::take(&mut *self.log_lines.0.lock().unwrap_or_else(PoisonError::into_inner));
        if taken.lost > 0 {
            tracing::warn!("{} lines of access logs were lost: too many wait for their delivery", taken.lost);
        }
        for ((bucket, day), text) in taken.texts {
            if let Err(error) = self.deliver(&bucket, day, &text).await {
                tracing::warn!(bucket.name = %bucket, "access logs wait for the next delivery: {error}");
                self.log_access(&bucket, day.midnight().assume_utc(), &text);
            }
        }
    }

    /// Stores the lines of a bucket's day where they are wanted now, if anywhere.
    async fn deliver(self: &Arc<Self>, name: &BucketName, day: Date, text: &str) -> Result<()> {
        let Some(bucket) = self.metadata.bucket(name).await? else { return Ok(()) };
        let Some(logging) = &bucket.settings.logging else { return Ok(()) };
        let target = self.metadata.bucket(&logging.target).await?;
        let Some(target) = target.filter(|target| target.owner == bucket.owner) else {
            tracing::warn!(bucket.name = %name, "access logs are lost: the target bucket is gone");
            return Ok(());
        };
        self.put_object(log_object(&bucket, &target, logging, day, text)?).await.map(drop)
    }
}

fn log_object(bucket: &Bucket, target: &Bucket, logging: &BucketLogging, day: Date, text: &str) -> Result<PutObject> {
    let unique: String = WriteId::random().as_str().chars().take(16).collect::<String>().to_uppercase();
    let source = LogSource { owner: &bucket.owner, region: &bucket.location, bucket: &bucket.name };
    let key = logging.key(source, day.midnight().assume_utc(), OffsetDateTime::now_utc(), &unique);
    let key = ObjectKey::parse(&key).map_err(|error| Error::InvalidRequest(error.to_string()))?;
    Ok(PutObject {
        caller: Caller::of_account(target.owner.clone()),
        bucket: target.name.clone(),
        key,
        object: Projection {
            content: vec![("content-type".to_owned(), "text/plain".to_owned())],
            ..Projection::default()
        },
        attributes: Attributes::default(),
        acl: None,
        encryption: EncryptionParameters::default(),
        storage_class: "STANDARD".to_owned(),
        location: None,
        conditions: WriteConditions::default(),
        incoming: Incoming {
            body: body::full(text.to_owned()),
            size: text.len() as u64,
            md5: None,
            checksums: Vec::new(),
            trailer: None,
            compute: None,
        },
    })
}
