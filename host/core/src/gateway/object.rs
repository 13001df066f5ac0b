//! Objects: put, delete, tags.

use super::access::{Owned, own};
use super::authorize::{Asks, Brings};
use super::notifications::{announcement, kind_of_put};
use super::request::{DeleteObject, PutObject, PutOutcome};
use super::write::Draft;
use super::{Gateway, now, shown_version};
use crate::access::{Action, Caller, Facts};
use crate::error::{Error, Result};
use crate::metadata::{Attributes, Bucket, Deleted, Deletion, MetadataError, Selector, Version, Versioning};
use crate::names::{BucketName, LocationName, ObjectKey, VersionId};
use crate::notification::EventKind;
use crate::object_lock::ObjectLock;
use std::sync::Arc;

/// Largest object of one PutObject, in bytes.
const LARGEST_PUT: u64 = 5 << 30;

impl Gateway {
    /// PutObject. Atomic and durable when it returns; it goes on to its end, one way or the
    /// other, when the caller goes away.
    ///
    /// # Errors
    /// See [`Error`]; nothing is stored then, or it is not known and settled later.
    pub async fn put_object(self: &Arc<Self>, request: PutObject) -> Result<PutOutcome> {
        let target = (&request.bucket, &request.key);
        let facts = Facts { creates: Some(true), lock: request.attributes.lock, ..Facts::default() };
        let brings = Brings { tags: &request.object.tags, has_list: request.acl.is_some(), facts };
        let bucket = self.write_for(&request.caller, target, brings).await?;
        self.may_compare(&request.caller, (&bucket, &request.key), None, &request.conditions).await?;
        let owned = own(&request.caller, &bucket, request.acl.as_ref())?;
        self.put_owned(bucket, owned, request).await
    }

    /// PutObject when it is decided that it may be, and whose the object is.
    pub(super) async fn put_owned(
        self: &Arc<Self>,
        bucket: Bucket,
        owned: Owned,
        request: PutObject,
    ) -> Result<PutOutcome> {
        if request.incoming.size > LARGEST_PUT {
            return Err(Error::EntityTooLarge { size: request.incoming.size, limit: LARGEST_PUT });
        }
        let location = self.choose_location(request.location.as_deref(), &request.storage_class, &bucket)?;
        let mut attributes = request.attributes;
        attributes.lock = self.lock_of_write(&request.caller, &bucket, &request.key, attributes.lock).await?;
        let encryption = self.encryption_of_write(&bucket, &request.encryption).await?;
        let (encryption, seal) = encryption.unzip();
        let caller = Some(&request.caller);
        let draft = Draft {
            announcement: announcement(&bucket, &request.key, caller, &[kind_of_put(&request.caller)]),
            bucket,
            key: request.key,
            location,
            object: request.object,
            attributes: Attributes { acl: owned.acl, encryption, ..attributes },
            seal,
            owner: owned.owner,
            storage_class: request.storage_class,
            conditions: request.conditions,
        };
        let this = Arc::clone(self);
        finish_anyway(async move { this.write(draft, request.incoming).await }).await
    }

    /// Whether a caller may store an object under a key, asked before its bytes come.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn check_put(
        &self,
        caller: &Caller,
        (bucket, key): (&BucketName, &ObjectKey),
        (tags, lock): (&[(String, String)], ObjectLock),
        has_list: bool,
    ) -> Result<()> {
        let facts = Facts { creates: Some(true), lock, ..Facts::default() };
        self.write_for(caller, (bucket, key), Brings { tags, has_list, facts }).await.map(drop)
    }

    /// DeleteObject. The bytes are freed later, also when the backend is down now.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `PreconditionFailed`, `ObjectLocked`.
    pub async fn delete_object(&self, request: DeleteObject) -> Result<Deleted> {
        let action = if request.version.is_some() { Action::DeleteObjectVersion } else { Action::DeleteObject };
        let facts = Facts { version: request.version.as_ref(), ..Facts::default() };
        let bucket = self.key_for(&request.caller, action, (&request.bucket, &request.key), facts).await?;
        let target = (&bucket, &request.key);
        self.may_compare(&request.caller, target, request.version.as_ref(), &request.conditions).await?;
        let bypass_governance = request.bypass_governance
            && self
                .key_for(&request.caller, Action::BypassGovernanceRetention, (&request.bucket, &request.key), facts)
                .await
                .is_ok();
        let hides = self.hiding_locations(&bucket);
        let _guard = self.keys.lock(&request.bucket, &request.key).await;
        let kinds = [EventKind::Removed, EventKind::MarkerCreated];
        let deletion = Deletion {
            announcement: announcement(&bucket, &request.key, Some(&request.caller), &kinds),
            bucket: request.bucket,
            key: request.key,
            version: request.version,
            conditions: request.conditions,
            bypass_governance,
            as_seen: None,
            marker_id: VersionId::random(),
            hides,
            owner: request.caller.account,
            now: now(),
        };
        match self.metadata.delete(&deletion).await? {
            Deleted::Refused(failure) => Err(failure.into()),
            deleted => Ok(deleted),
        }
    }

    /// Locations whose backends have delete markers. One that cannot be asked now counts: the
    /// queue asks it again.
    pub(super) fn hiding_locations(&self, bucket: &Bucket) -> Vec<LocationName> {
        if bucket.versioning == Versioning::Off {
            return Vec::new();
        }
        let names = self.locations.names().into_iter().filter(|name| self.belongs_to(name, &bucket.owner));
        names.filter(|name| self.backend(name).map_or(true, |backend| backend.traits().versions)).collect()
    }

    /// GetObjectTagging: the tags, and the version's id where the bucket shows ids.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowed`.
    pub async fn tags(
        &self,
        caller: &Caller,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<(Vec<(String, String)>, Option<VersionId>)> {
        let action = if version.is_some() { Action::GetObjectVersionTagging } else { Action::GetObjectTagging };
        let (bucket, version) = self.version_for(caller, action, (bucket, key), version, Asks::default()).await?;
        let shown = shown_version(bucket.versioning, &version.id);
        Ok((version.object.tags, shown))
    }

    /// PutObjectTagging; no tags delete them. The backend shows them sooner or later.
    ///
    /// # Errors
    /// As [`Gateway::tags`].
    pub async fn set_tags(
        &self,
        caller: &Caller,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
        tags: Vec<(String, String)>,
    ) -> Result<Option<VersionId>> {
        let action = match (tags.is_empty(), version.is_some()) {
            (false, false) => Action::PutObjectTagging,
            (false, true) => Action::PutObjectVersionTagging,
            (true, false) => Action::DeleteObjectTagging,
            (true, true) => Action::DeleteObjectVersionTagging,
        };
        let _guard = self.keys.lock(bucket, key).await;
        let asks = Asks { request_tags: &tags, ..Asks::default() };
        let (bucket, live) = self.version_for(caller, action, (bucket, key), version, asks).await?;
        let selector = Selector::Id(live.id);
        let kind = if tags.is_empty() { EventKind::Untagged } else { EventKind::Tagged };
        let told = announcement(&bucket, key, Some(caller), &[kind]);
        let version = match self.metadata.set_tags(&bucket.name, key, &selector, tags, told).await {
            Err(MetadataError::Gone(_)) => return Err(Error::NoSuchKey { marker: None }),
            other => other?,
        };
        Ok(shown_version(bucket.versioning, &version.id))
    }

    /// A version that is there and no delete marker.
    pub(super) async fn live_version(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<Version> {
        let by_id = version.is_some();
        let selector = version.map_or(Selector::Current, Selector::Id);
        match self.metadata.version(&bucket.name, key, &selector).await? {
            None if by_id => Err(Error::NoSuchVersion),
            None => Err(Error::NoSuchKey { marker: None }),
            Some(version) if version.is_delete_marker && by_id => Err(Error::MethodNotAllowedOnMarker {
                marker: version.id.to_string(),
                last_modified: version.last_modified,
            }),
            Some(version) if version.is_delete_marker => Err(Error::NoSuchKey { marker: Some(version.id.to_string()) }),
            Some(version) => Ok(version),
        }
    }
}

/// Runs a write to its end even when its caller is dropped, as happens when a client goes
/// away: its intent is then settled now, not by the sweeper after a restart.
pub(super) async fn finish_anyway<T: Send + 'static>(
    write: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    match tokio::spawn(write).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Error::Internal(format!("the write's task ended: {error}"))),
    }
}
