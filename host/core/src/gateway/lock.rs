//! Object lock: configured on buckets, put on versions, shown to who may know.

use super::authorize::Asks;
use super::{Gateway, now, shown_version};
use crate::access::{Action, Caller, Facts};
use crate::error::{Error, Result};
use crate::metadata::{Bucket, MetadataError, Selector, Version, Versioning};
use crate::names::{BucketName, ObjectKey, VersionId};
use crate::object_lock::{ObjectLock, ObjectLockConfiguration, Protected, Retention};
use tokio::sync::oneshot;

const MISSING: &str = "Bucket is missing Object Lock Configuration";

impl Gateway {
    /// PutObjectLockConfiguration: enables object lock, for ever, and sets the default.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `InvalidBucketState` without versioning.
    pub async fn configure_object_lock(
        &self,
        caller: &Caller,
        bucket: &BucketName,
        configuration: ObjectLockConfiguration,
    ) -> Result<()> {
        let _settled = self.bucket_states.lock().await;
        let bucket = self.bucket_for(caller, Action::PutBucketObjectLockConfiguration, bucket).await?;
        if bucket.versioning != Versioning::Enabled {
            return Err(Error::InvalidBucketState(
                "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
            ));
        }
        let change = Box::new(|settings: &mut crate::metadata::BucketSettings| {
            settings.object_lock = Some(configuration);
        });
        self.metadata.change_settings(&bucket.name, change).await?;
        Ok(())
    }

    /// GetObjectRetention and GetObjectLegalHold: what protects a version.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `InvalidRequest` without object lock, and those of
    /// versions that are not there.
    pub async fn object_lock(
        &self,
        caller: &Caller,
        action: Action,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<ObjectLock> {
        let (_, version) = self.lockable(caller, action, (bucket, key), version, ObjectLock::default()).await?;
        Ok(version.attributes.lock)
    }

    /// A version in a bucket that locks objects, on which `new` may be put; without the right to list nobody learns
    /// whether it is there.
    async fn lockable(
        &self,
        caller: &Caller,
        action: Action,
        target: (&BucketName, &ObjectKey),
        version: Option<VersionId>,
        new: ObjectLock,
    ) -> Result<(Bucket, Version)> {
        let asks = Asks { lock: new, ..Asks::default() };
        let found = self.version_for(caller, action, target, version, asks).await;
        if !matches!(found, Err(Error::AccessDenied)) {
            require_lock(&self.bucket(target.0).await?)?;
        }
        found
    }

    /// PutObjectRetention; `None` takes it off. Answers the id of the version.
    ///
    /// # Errors
    /// As [`Gateway::object_lock`], and `ObjectLocked`.
    pub async fn set_retention(&self, target: LockTarget, new: Option<Retention>) -> Result<Option<VersionId>> {
        if new.is_some_and(|new| new.until <= now()) {
            return Err(past());
        }
        let asked = ObjectLock { retention: new, legal_hold: None };
        let facts = Facts { version: target.version.as_ref(), lock: asked, ..Facts::default() };
        let place = (&target.bucket, &target.key);
        let bypass = target.bypass_governance
            && self.key_for(&target.caller, Action::BypassGovernanceRetention, place, facts).await.is_ok();
        let action = Action::PutObjectRetention;
        self.change_lock(target, (action, asked), move |lock| lock.retain(new, now(), bypass)).await
    }

    /// PutObjectLegalHold. Answers the id of the version.
    ///
    /// # Errors
    /// As [`Gateway::object_lock`].
    pub async fn set_legal_hold(&self, target: LockTarget, on: bool) -> Result<Option<VersionId>> {
        let asked = ObjectLock { retention: None, legal_hold: Some(on) };
        self.change_lock(target, (Action::PutObjectLegalHold, asked), move |lock| {
            lock.legal_hold = Some(on);
            Ok(())
        })
        .await
    }

    async fn change_lock(
        &self,
        target: LockTarget,
        (action, asked): (Action, ObjectLock),
        change: impl FnOnce(&mut ObjectLock) -> Result<(), Protected> + Send + 'static,
    ) -> Result<Option<VersionId>> {
        let LockTarget { caller, bucket, key, version, .. } = target;
        let _guard = self.keys.lock(&bucket, &key).await;
        let (bucket, live) = self.lockable(&caller, action, (&bucket, &key), version, asked).await?;
        let selector = Selector::Id(live.id);
        let (decided, decision) = oneshot::channel();
        let change = Box::new(|attributes: &mut crate::metadata::Attributes| {
            let outcome = change(&mut attributes.lock);
            // Whoever gave up does not want to know.
            let _ = decided.send(outcome);
        });
        let version = match self.metadata.change_attributes(&bucket.name, &key, &selector, change, None).await {
            Err(MetadataError::Gone(_)) => return Err(Error::NoSuchVersion),
            other => other?,
        };
        match decision.await {
            Ok(Ok(())) => Ok(shown_version(bucket.versioning, &version.id)),
            Ok(Err(Protected)) => Err(Error::ObjectLocked),
            Err(_) => Err(Error::Internal("a change of object lock was not decided".to_owned())),
        }
    }

    /// What a write puts on its version: its own, or the bucket's default.
    pub(super) async fn lock_of_write(
        &self,
        caller: &Caller,
        bucket: &Bucket,
        key: &ObjectKey,
        lock: ObjectLock,
    ) -> Result<ObjectLock> {
        self.check_lock(caller, bucket, key, lock).await?;
        Ok(lock.or_default(bucket.settings.object_lock.as_ref(), now()))
    }

    /// Whether a write may put this on its version.
    pub(super) async fn check_lock(
        &self,
        caller: &Caller,
        bucket: &Bucket,
        key: &ObjectKey,
        lock: ObjectLock,
    ) -> Result<()> {
        if lock.is_empty() {
            return Ok(());
        }
        require_lock(bucket)?;
        let facts = Facts { lock, ..Facts::default() };
        if let Some(retention) = lock.retention {
            if retention.until <= now() {
                return Err(past());
            }
            self.key_for(caller, Action::PutObjectRetention, (&bucket.name, key), facts).await?;
        }
        if lock.legal_hold.is_some() {
            self.key_for(caller, Action::PutObjectLegalHold, (&bucket.name, key), facts).await?;
        }
        Ok(())
    }

    /// What a reader of a version is told of its lock; `asked` is the version's id if it was named.
    pub(super) async fn shown_lock(&self, caller: &Caller, version: &Version, asked: Option<&VersionId>) -> ObjectLock {
        let mut lock = version.attributes.lock;
        if lock.is_empty() {
            return lock;
        }
        let place = (&version.bucket, &version.key);
        let facts = Facts { version: asked, ..Facts::default() };
        if self.key_for(caller, Action::GetObjectRetention, place, facts).await.is_err() {
            lock.retention = None;
        }
        if self.key_for(caller, Action::GetObjectLegalHold, place, facts).await.is_err() {
            lock.legal_hold = None;
        }
        lock
    }
}

/// Of which version a lock is changed, and by whom.
#[derive(Debug, Clone)]
pub struct LockTarget {
    /// Who asks.
    pub caller: Caller,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version.
    pub version: Option<VersionId>,
    /// `x-amz-bypass-governance-retention`.
    pub bypass_governance: bool,
}

fn require_lock(bucket: &Bucket) -> Result<()> {
    if bucket.settings.object_lock.is_some() { Ok(()) } else { Err(Error::InvalidRequest(MISSING.to_owned())) }
}

fn past() -> Error {
    Error::InvalidArgument {
        argument: "x-amz-object-lock-retain-until-date",
        message: "The retain until date must be in the future!".to_owned(),
    }
}
