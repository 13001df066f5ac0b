//! Objects: put, delete, tags.

use super::request::{DeleteObject, PutObject, PutOutcome};
use super::write::Draft;
use super::{Gateway, now, shown_version};
use crate::error::{Error, Result};
use crate::metadata::{Deleted, Deletion, MetadataError, Selector, Version, Versioning};
use crate::names::{AccountId, BucketName, LocationName, ObjectKey, VersionId};
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
        let bucket = self.bucket(&request.caller, &request.bucket).await?;
        if request.incoming.size > LARGEST_PUT {
            return Err(Error::EntityTooLarge { size: request.incoming.size, limit: LARGEST_PUT });
        }
        let location = self.choose_location(request.location.as_deref(), &bucket)?;
        let draft = Draft {
            bucket,
            key: request.key,
            location,
            object: request.object,
            owner: request.caller,
            storage_class: request.storage_class,
            conditions: request.conditions,
        };
        let this = Arc::clone(self);
        finish_anyway(async move { this.write(draft, request.incoming).await }).await
    }

    /// DeleteObject. The bytes are freed later, also when the backend is down now.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `PreconditionFailed`.
    pub async fn delete_object(&self, request: DeleteObject) -> Result<Deleted> {
        let bucket = self.bucket(&request.caller, &request.bucket).await?;
        let hides = if bucket.versioning == Versioning::Off { Vec::new() } else { self.hiding_locations() };
        let _guard = self.keys.lock(&request.bucket, &request.key).await;
        let deletion = Deletion {
            bucket: request.bucket,
            key: request.key,
            version: request.version,
            conditions: request.conditions,
            marker_id: VersionId::random(),
            hides,
            owner: request.caller,
            now: now(),
        };
        match self.metadata.delete(&deletion).await? {
            Deleted::Refused(failure) => Err(failure.into()),
            deleted => Ok(deleted),
        }
    }

    /// Locations whose backends have delete markers. One that cannot be asked now counts: the
    /// queue asks it again.
    fn hiding_locations(&self) -> Vec<LocationName> {
        let names = self.locations.names().into_iter();
        names.filter(|name| self.backend(name).map_or(true, |backend| backend.traits().versions)).collect()
    }

    /// GetObjectTagging: the tags, and the version's id where the bucket shows ids.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowed`.
    pub async fn tags(
        &self,
        caller: &AccountId,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<(Vec<(String, String)>, Option<VersionId>)> {
        let bucket = self.bucket(caller, bucket).await?;
        let version = self.live_version(&bucket, key, version).await?;
        let shown = shown_version(bucket.versioning, &version.id);
        Ok((version.object.tags, shown))
    }

    /// PutObjectTagging; no tags delete them. The backend shows them sooner or later.
    ///
    /// # Errors
    /// As [`Gateway::tags`].
    pub async fn set_tags(
        &self,
        caller: &AccountId,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
        tags: Vec<(String, String)>,
    ) -> Result<Option<VersionId>> {
        let bucket = self.bucket(caller, bucket).await?;
        let _guard = self.keys.lock(&bucket.name, key).await;
        let live = self.live_version(&bucket, key, version).await?;
        let selector = Selector::Id(live.id);
        let version = match self.metadata.set_tags(&bucket.name, key, &selector, tags).await {
            Err(MetadataError::Gone(_)) => return Err(Error::NoSuchKey { marker: None }),
            other => other?,
        };
        Ok(shown_version(bucket.versioning, &version.id))
    }

    /// A version that is there and no delete marker.
    pub(super) async fn live_version(
        &self,
        bucket: &crate::metadata::Bucket,
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
