//! Buckets: creation, listing, versioning, deletion.

use super::request::{CreateBucket, CreatedBucket};
use super::{Claimed, Gateway, now};
use crate::access::{AccessControlList, Action, Caller, ObjectOwnership, RequestedAcl};
use crate::encryption::BucketEncryption;
use crate::error::{Error, Result};
use crate::metadata::{
    Allowance, Bucket, BucketCreation, BucketDeletion, BucketSettings, ListQuery, ListedPage, NamespaceClaim,
    NewBucket, UploadPage, UploadQuery, VersionPage, VersionQuery, Versioning,
};
use crate::names::{AccountId, BucketName, LocationName};
use std::sync::PoisonError;

impl Gateway {
    /// ListBuckets: the caller's, by name.
    pub async fn list_buckets(&self, caller: &Caller, after: Option<&str>, limit: usize) -> Result<Vec<Bucket>> {
        Ok(self.metadata.buckets(&caller.account, after, limit).await?)
    }

    /// CreateBucket. Nothing is created or asked on the backend but the place that the
    /// bucket's objects will have, so a bucket in a location that is down is created.
    ///
    /// # Errors
    /// `InvalidLocationConstraint`, `InvalidBucketAclWithObjectOwnership`, `BucketAlreadyExists`, `BucketAlreadyOwnedByYou` (a
    /// success when both locations have `legacyAwsBehavior`).
    pub async fn create_bucket(&self, request: CreateBucket) -> Result<CreatedBucket> {
        let CreateBucket { caller, bucket: name, location, acl, mut settings } = request;
        if let Some(acl) = acl {
            settings.acl = first_list(&caller.account, &acl, settings.ownership.unwrap_or_default())?;
        }
        let location = location.as_str();
        let unknown = || Error::InvalidLocationConstraint(location.to_owned());
        let location_name = LocationName::parse(location).map_err(|_| unknown())?;
        let location = self.location_for(&caller.account, &location_name).ok_or_else(unknown)?;
        if self.locations.is_cold(&location_name) {
            return Err(Error::ColdLocation(location_name.as_str().to_owned()));
        }
        let bucket = NewBucket {
            name: name.clone(),
            owner: caller.account.clone(),
            location: location_name.clone(),
            created: now(),
            // Object lock lives on versions.
            versioning: if settings.object_lock.is_some() { Versioning::Enabled } else { Versioning::Off },
            settings,
        };
        match self.metadata.create_bucket(bucket).await? {
            BucketCreation::Created(bucket) => {
                let claim = self.claim(&bucket.name, &location_name).await.ok().filter(|claim| !claim.plain);
                let Some(claim) = claim else { return Ok(CreatedBucket::default()) };
                let others: Vec<String> =
                    claim.others.iter().map(|(bucket, location)| format!("{bucket} in {location}")).collect();
                let warning = collision_warning(&others);
                tracing::warn!(bucket.name = %name, location = %location_name, "{warning}");
                let visible = self.visible_neighbours(&caller.account, &claim.others).await?;
                Ok(CreatedBucket { warning: Some(collision_warning(&visible)) })
            }
            BucketCreation::Exists(bucket) if bucket.owner != caller.account => {
                Err(Error::BucketAlreadyExists(name.clone()))
            }
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
    pub async fn delete_bucket(&self, caller: &Caller, name: &BucketName) -> Result<()> {
        let bucket = self.bucket_for(caller, Action::DeleteBucket, name).await?;
        let mut outcome = self.metadata.delete_bucket(name).await?;
        if outcome == BucketDeletion::NotEmpty && self.settle_bucket(name).await? {
            outcome = self.metadata.delete_bucket(name).await?;
        }
        match outcome {
            BucketDeletion::Deleted => {
                self.claims.lock().unwrap_or_else(PoisonError::into_inner).retain(|(bucket, _), _| bucket != name);
                self.forget_inventories(&bucket).await;
                Ok(())
            }
            BucketDeletion::NotEmpty => Err(Error::BucketNotEmpty(name.clone())),
            BucketDeletion::Absent => Err(Error::NoSuchBucket(name.clone())),
        }
    }

    /// A bucket's quota in bytes, and what it holds of it.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn quota(&self, caller: &Caller, name: &BucketName) -> Result<Option<Allowance>> {
        self.bucket_for(caller, Action::GetBucketQuota, name).await?;
        Ok(self.metadata.bucket_allowance(name).await?)
    }

    /// Sets a bucket's quota in bytes, or lifts it.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn set_quota(&self, caller: &Caller, name: &BucketName, most: Option<u64>) -> Result<()> {
        self.bucket_for(caller, Action::PutBucketQuota, name).await?;
        Ok(self.metadata.allow_bucket(name, most).await?)
    }

    /// PutBucketVersioning.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `InvalidBucketState` where object lock is enabled.
    pub async fn set_versioning(&self, caller: &Caller, name: &BucketName, versioning: Versioning) -> Result<()> {
        let _settled = self.bucket_states.lock().await;
        let bucket = self.bucket_for(caller, Action::PutBucketVersioning, name).await?;
        if bucket.settings.object_lock.is_some() && versioning != Versioning::Enabled {
            return Err(Error::InvalidBucketState(
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
            ));
        }
        Ok(self.metadata.set_versioning(name, versioning).await?)
    }

    /// PutBucketEncryption and DeleteBucketEncryption: what new objects get that ask for nothing.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn set_bucket_encryption(
        &self,
        caller: &Caller,
        name: &BucketName,
        encryption: Option<BucketEncryption>,
    ) -> Result<()> {
        self.bucket_for(caller, Action::PutEncryptionConfiguration, name).await?;
        let change = Box::new(move |settings: &mut BucketSettings| settings.encryption = encryption);
        self.metadata.change_settings(name, change).await?;
        Ok(())
    }

    /// ListObjects, either version.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn list(&self, caller: &Caller, query: &ListQuery) -> Result<ListedPage> {
        self.bucket_for(caller, Action::ListBucket, &query.bucket).await?;
        Ok(self.metadata.list(query).await?)
    }

    /// ListObjectVersions.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn list_versions(&self, caller: &Caller, query: &VersionQuery) -> Result<VersionPage> {
        self.bucket_for(caller, Action::ListBucketVersions, &query.bucket).await?;
        Ok(self.metadata.list_versions(query).await?)
    }

    /// ListMultipartUploads.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn list_uploads(&self, caller: &Caller, query: &UploadQuery) -> Result<UploadPage> {
        self.bucket_for(caller, Action::ListBucketMultipartUploads, &query.bucket).await?;
        Ok(self.metadata.list_uploads(query).await?)
    }

    /// Whether the bucket may write plain places in a location; asked once, then known.
    pub(super) async fn may_write_plain(&self, bucket: &BucketName, location: &LocationName) -> Result<bool> {
        let key = (bucket.clone(), location.clone());
        let generation = self.locations.generation(location);
        if let Some(claimed) = self.claims.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && claimed.generation == generation
        {
            return Ok(claimed.plain);
        }
        Ok(self.claim(bucket, location).await?.plain)
    }

    async fn claim(&self, bucket: &BucketName, location: &LocationName) -> Result<NamespaceClaim> {
        // Before the storage: what a newer one says may be asked for once more, never the other way round.
        let generation = self.locations.generation(location);
        let backend = self.backend_of(bucket, location).await?;
        let namespace = backend.namespace(bucket).await.map_err(|error| Error::from_backend(location, error))?;
        let claim = self.metadata.claim_namespace(bucket, location, &namespace).await?;
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.insert((bucket.clone(), location.clone()), Claimed { plain: claim.plain, generation });
        Ok(claim)
    }
}

/// The list of a bucket that is created.
fn first_list(owner: &AccountId, acl: &RequestedAcl, ownership: ObjectOwnership) -> Result<Option<AccessControlList>> {
    let list = Some(acl.resolve(owner, owner)).filter(|list| !list.is_private());
    if list.is_some() && ownership.disables_lists() {
        return Err(Error::InvalidBucketAclWithObjectOwnership);
    }
    Ok(list)
}

fn collision_warning(others: &[String]) -> String {
    format!(
        "this bucket would write the same names on the backend as {}: its objects get names of their own instead; \
         set bucketMatch to false, or give each bucket a container of its own, to have plain names",
        others.join(", ")
    )
}
