//! Buckets: creation, listing, versioning, deletion.

use super::request::CreatedBucket;
use super::{Gateway, now};
use crate::error::{Error, Result};
use crate::metadata::{
    Bucket, BucketCreation, BucketDeletion, ListQuery, ListedPage, NamespaceClaim, NewBucket, UploadPage, UploadQuery,
    VersionPage, VersionQuery, Versioning,
};
use crate::names::{AccountId, BucketName, LocationName};
use std::sync::PoisonError;

impl Gateway {
    /// ListBuckets: the caller's, by name.
    pub async fn list_buckets(&self, caller: &AccountId, after: Option<&str>, limit: usize) -> Result<Vec<Bucket>> {
        Ok(self.metadata.buckets(caller, after, limit).await?)
    }

    /// CreateBucket. Nothing is created or asked on the backend but the place that the
    /// bucket's objects will have, so a bucket in a location that is down is created.
    ///
    /// # Errors
    /// `InvalidLocationConstraint`, `BucketAlreadyExists`, `BucketAlreadyOwnedByYou` (a
    /// success when both locations have `legacyAwsBehavior`).
    pub async fn create_bucket(&self, caller: &AccountId, name: &BucketName, location: &str) -> Result<CreatedBucket> {
        let unknown = || Error::InvalidLocationConstraint(location.to_owned());
        let location_name = LocationName::parse(location).map_err(|_| unknown())?;
        let location = self.locations.location(&location_name).ok_or_else(unknown)?;
        if self.locations.is_cold(&location_name) {
            return Err(unknown());
        }
        let bucket =
            NewBucket { name: name.clone(), owner: caller.clone(), location: location_name.clone(), created: now() };
        match self.metadata.create_bucket(bucket).await? {
            BucketCreation::Created(bucket) => {
                let warning = self.claim(&bucket.name, &location_name).await.ok().and_then(collision_warning);
                if let Some(warning) = &warning {
                    tracing::warn!(bucket.name = %name, location = %location_name, "{warning}");
                }
                Ok(CreatedBucket { warning })
            }
            BucketCreation::Exists(bucket) if bucket.owner != *caller => Err(Error::BucketAlreadyExists(name.clone())),
            BucketCreation::Exists(bucket) => {
                let existing = self.locations.location(&bucket.location);
                if location.legacy_aws_behavior && existing.is_some_and(|existing| existing.legacy_aws_behavior) {
                    return Ok(CreatedBucket::default());
                }
                Err(Error::BucketAlreadyOwnedByYou(name.clone()))
            }
        }
    }

    /// DeleteBucket.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `BucketNotEmpty`.
    pub async fn delete_bucket(&self, caller: &AccountId, name: &BucketName) -> Result<()> {
        self.bucket(caller, name).await?;
        match self.metadata.delete_bucket(name).await? {
            BucketDeletion::Deleted => {
                let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
                claims.retain(|(bucket, _), _| bucket != name);
                Ok(())
            }
            BucketDeletion::NotEmpty => Err(Error::BucketNotEmpty(name.clone())),
            BucketDeletion::Absent => Err(Error::NoSuchBucket(name.clone())),
        }
    }

    /// PutBucketVersioning.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn set_versioning(&self, caller: &AccountId, name: &BucketName, versioning: Versioning) -> Result<()> {
        self.bucket(caller, name).await?;
        Ok(self.metadata.set_versioning(name, versioning).await?)
    }

    /// ListObjects, either version.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn list(&self, caller: &AccountId, query: &ListQuery) -> Result<ListedPage> {
        self.bucket(caller, &query.bucket).await?;
        Ok(self.metadata.list(query).await?)
    }

    /// ListObjectVersions.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn list_versions(&self, caller: &AccountId, query: &VersionQuery) -> Result<VersionPage> {
        self.bucket(caller, &query.bucket).await?;
        Ok(self.metadata.list_versions(query).await?)
    }

    /// ListMultipartUploads.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn list_uploads(&self, caller: &AccountId, query: &UploadQuery) -> Result<UploadPage> {
        self.bucket(caller, &query.bucket).await?;
        Ok(self.metadata.list_uploads(query).await?)
    }

    /// Whether the bucket may write plain places in a location; asked once, then known.
    pub(super) async fn may_write_plain(&self, bucket: &BucketName, location: &LocationName) -> Result<bool> {
        let key = (bucket.clone(), location.clone());
        if let Some(plain) = self.claims.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(*plain);
        }
        Ok(self.claim(bucket, location).await?.plain)
    }

    async fn claim(&self, bucket: &BucketName, location: &LocationName) -> Result<NamespaceClaim> {
        let backend = self.backend(location)?;
        let namespace = backend.namespace(bucket).await.map_err(|error| Error::from_backend(location, error))?;
        let claim = self.metadata.claim_namespace(bucket, location, &namespace).await?;
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.insert((bucket.clone(), location.clone()), claim.plain);
        Ok(claim)
    }
}

fn collision_warning(claim: NamespaceClaim) -> Option<String> {
    if claim.plain {
        return None;
    }
    let others: Vec<String> = claim.others.iter().map(|(bucket, location)| format!("{bucket} in {location}")).collect();
    Some(format!(
        "this bucket would write the same names on the backend as {}: its objects get names of their own instead; \
         set bucketMatch to false, or give each bucket a container of its own, to have plain names",
        others.join(", ")
    ))
}
