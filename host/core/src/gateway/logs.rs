//! Collects the lines of access logs, and delivers them in batches.

use super::Gateway;
use super::access::{Owned, refuse_public};
use super::authorize::{Target, decide, lists_are_disabled};
use super::request::{Incoming, PutObject};
use crate::access::{AccessControlList, Action, Caller, ServiceCall};
use crate::backend::Projection;
use crate::body;
use crate::encryption::EncryptionParameters;
use crate::error::{Error, Result};
use crate::logging::{BucketLogging, LOG_DELIVERY, LogSource};
use crate::metadata::{Attributes, Bucket, WriteConditions};
use crate::names::{BucketName, ObjectKey, WriteId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use time::{Date, OffsetDateTime};

/// All lines that wait, in bytes: beyond it lines are lost, as AWS's may be.
const MAX_WAITING: usize = 64 << 20;

/// Why a bucket takes no lines, and what helps.
const UNWELCOME: &str = "The target bucket does not let access logs be delivered: its policy has to allow s3:PutObject to \
     the service logging.s3.amazonaws.com, or its list has to grant WRITE and READ_ACP to the log delivery group.";

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
    /// `NoSuchBucket`, `AccessDenied`, `InvalidTargetBucket` (also for one that says nothing of
    /// lines being delivered), `AccessControlListNotSupported`.
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
            if !logging.grants.is_empty() && lists_are_disabled(&target) {
                return Err(Error::AccessControlListNotSupported);
            }
            refuse_public(&target.settings, &list(&target, logging))?;
            let policy = target.settings.policy.as_ref();
            let now = OffsetDateTime::now_utc();
            // What a policy says of the service may be wrong and be put right later, as on AWS.
            if !policy.is_some_and(|policy| policy.speaks_of_service(LOG_DELIVERY))
                && may_deliver(&bucket, &target, logging, &key(&bucket, logging, now.date(), now)?).is_err()
            {
                return Err(Error::InvalidTargetBucket(UNWELCOME));
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
        let key = key(&bucket, logging, day, OffsetDateTime::now_utc())?;
        if may_deliver(&bucket, &target, logging, &key).is_err() {
            tracing::warn!(bucket.name = %name, "access logs are lost: {UNWELCOME}");
            return Ok(());
        }
        let list = list(&target, logging);
        let counts = !lists_are_disabled(&target) && refuse_public(&target.settings, &list).is_ok();
        let acl = Some(list).filter(|list| counts && !list.is_private());
        let owned = Owned { owner: target.owner.clone(), acl };
        let request = log_object(&target, key, text);
        self.put_owned(target, owned, request).await.map(drop)
    }
}

/// Whether the target bucket's policy, or its list, lets lines of the bucket be delivered.
fn may_deliver(bucket: &Bucket, target: &Bucket, logging: &BucketLogging, key: &ObjectKey) -> Result<()> {
    let service = Caller::of_service(ServiceCall {
        name: LOG_DELIVERY,
        source_arn: format!("arn:aws:s3:::{}", bucket.name),
        source_account: logging.account.clone(),
    });
    decide(&service, Action::PutObject, Target::key(target, key))
}

/// The list of an object with lines: its owner has everything, others what is granted.
fn list(target: &Bucket, logging: &BucketLogging) -> AccessControlList {
    let mut list = AccessControlList::private(target.owner.clone());
    list.grants.extend(logging.grants.iter().cloned());
    list
}

fn key(bucket: &Bucket, logging: &BucketLogging, day: Date, now: OffsetDateTime) -> Result<ObjectKey> {
    let unique: String = WriteId::random().as_str().chars().take(16).collect::<String>().to_uppercase();
    let source = LogSource { owner: &bucket.owner, region: &bucket.location, bucket: &bucket.name };
    let key = logging.key(source, day.midnight().assume_utc(), now, &unique);
    ObjectKey::parse(&key).map_err(|error| Error::InvalidRequest(error.to_string()))
}

fn log_object(target: &Bucket, key: ObjectKey, text: &str) -> PutObject {
    PutObject {
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
    }
}
