//! Lists, policies, ownership and public access blocks: read and changed.

use super::authorize::{Asks, Target, bucket_list, decide, lists_are_disabled, version_list};
use super::notifications::announcement;
use super::{Gateway, shown_version};
use crate::access::{
    AccessControlList, Action, Caller, Grant, Grantee, ObjectOwnership, Policy, PublicAccessBlock, RequestedAcl,
};
use crate::error::{Error, Result};
use crate::metadata::{Bucket, BucketSettings, MetadataError, Selector};
use crate::names::{AccountId, BucketName, ObjectKey, VersionId};
use crate::notification::EventKind;

/// Who owns a new object, and its list when that is not private.
pub(super) struct Owned {
    pub(super) owner: AccountId,
    pub(super) acl: Option<AccessControlList>,
}

/// The owner and the list of what a caller writes.
///
/// # Errors
/// `AccessControlListNotSupported`, `AccessDenied` for a public list that is blocked.
pub(super) fn own(caller: &Caller, bucket: &Bucket, acl: Option<&RequestedAcl>) -> Result<Owned> {
    let ownership = bucket.settings.ownership.unwrap_or_default();
    let owner = ownership.owner(caller.account.clone(), &bucket.owner, acl);
    let Some(acl) = acl else { return Ok(Owned { owner, acl: None }) };
    if lists_are_disabled(bucket) {
        return if is_harmless(acl) {
            Ok(Owned { owner, acl: None })
        } else {
            Err(Error::AccessControlListNotSupported)
        };
    }
    let list = acl.resolve(&owner, &bucket.owner);
    refuse_public(&bucket.settings, &list)?;
    Ok(Owned { owner, acl: Some(list).filter(|list| !list.is_private()) })
}

/// Lists that say what holds anyway where lists are disabled.
fn is_harmless(acl: &RequestedAcl) -> bool {
    acl.is_bucket_owners()
}

pub(super) fn refuse_public(settings: &BucketSettings, list: &AccessControlList) -> Result<()> {
    let blocks = settings.public_access_block.is_some_and(|block| block.block_public_acls);
    // What everybody has who does not sign is its owner's own.
    let is_own = |grant: &Grant| grant.grantee == Grantee::Account(list.owner.clone());
    let opens = list.grants.iter().any(|grant| grant.grantee.is_public() && !is_own(grant));
    if blocks && opens { Err(Error::AccessDenied) } else { Ok(()) }
}

impl Gateway {
    /// GetBucketAcl.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn bucket_acl(&self, caller: &Caller, name: &BucketName) -> Result<AccessControlList> {
        Ok(bucket_list(&self.bucket_for(caller, Action::GetBucketAcl, name).await?))
    }

    /// PutBucketAcl. Atomic.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `AccessControlListNotSupported`.
    pub async fn set_bucket_acl(&self, caller: &Caller, name: &BucketName, acl: &RequestedAcl) -> Result<()> {
        let bucket = self.bucket_for(caller, Action::PutBucketAcl, name).await?;
        if lists_are_disabled(&bucket) {
            return Err(Error::AccessControlListNotSupported);
        }
        keeps_owner(acl, &bucket.owner)?;
        let list = acl.resolve(&bucket.owner, &bucket.owner);
        refuse_public(&bucket.settings, &list)?;
        let list = Some(list).filter(|list| !list.is_private());
        self.change_settings(name, move |settings| settings.acl = list).await
    }

    /// GetObjectAcl, with the version's id where the bucket shows ids.
    ///
    /// # Errors
    /// Those of reading a version.
    pub async fn object_acl(
        &self,
        caller: &Caller,
        name: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<(AccessControlList, Option<VersionId>)> {
        let action = if version.is_some() { Action::GetObjectVersionAcl } else { Action::GetObjectAcl };
        let (bucket, version) = self.version_for(caller, action, (name, key), version, Asks::default()).await?;
        Ok((version_list(&version, &bucket), shown_version(bucket.versioning, &version.id)))
    }

    /// PutObjectAcl, of one version. Atomic.
    ///
    /// # Errors
    /// Those of reading a version, `AccessControlListNotSupported`.
    pub async fn set_object_acl(
        &self,
        caller: &Caller,
        (name, key): (&BucketName, &ObjectKey),
        version: Option<VersionId>,
        acl: &RequestedAcl,
    ) -> Result<Option<VersionId>> {
        let action = if version.is_some() { Action::PutObjectVersionAcl } else { Action::PutObjectAcl };
        let _guard = self.keys.lock(name, key).await;
        let (bucket, version) = self.version_for(caller, action, (name, key), version, Asks::default()).await?;
        if lists_are_disabled(&bucket) {
            return Err(Error::AccessControlListNotSupported);
        }
        keeps_owner(acl, &version.owner)?;
        let list = acl.resolve(&version.owner, &bucket.owner);
        refuse_public(&bucket.settings, &list)?;
        let list = Some(list).filter(|list| !list.is_private());
        let change = Box::new(|attributes: &mut crate::metadata::Attributes| attributes.acl = list);
        let told = announcement(&bucket, key, Some(caller), &[EventKind::ListReplaced]);
        match self.metadata.change_attributes(name, key, &Selector::Id(version.id), change, told).await {
            Err(MetadataError::Gone(_)) => Err(Error::NoSuchKey { marker: None }),
            other => Ok(shown_version(bucket.versioning, &other?.id)),
        }
    }

    /// GetBucketPolicy.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `NotTheOwnersAccount`.
    pub async fn policy(&self, caller: &Caller, name: &BucketName) -> Result<Option<Policy>> {
        Ok(self.policy_for(caller, Action::GetBucketPolicy, name).await?.settings.policy.clone())
    }

    /// A bucket whose policy the caller may look at or replace: nobody of another account,
    /// whatever the policy itself allows.
    async fn policy_for(&self, caller: &Caller, action: Action, name: &BucketName) -> Result<Bucket> {
        let bucket = self.bucket_for(caller, action, name).await?;
        if bucket.owner == caller.account { Ok(bucket) } else { Err(Error::NotTheOwnersAccount) }
    }

    /// PutBucketPolicy; `None` is DeleteBucketPolicy. Atomic.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied` (also for a public policy that is blocked),
    /// `NotTheOwnersAccount`, `MalformedPolicy`.
    pub async fn set_policy(&self, caller: &Caller, name: &BucketName, policy: Option<Policy>) -> Result<()> {
        let action = if policy.is_some() { Action::PutBucketPolicy } else { Action::DeleteBucketPolicy };
        let bucket = self.policy_for(caller, action, name).await?;
        if let Some(policy) = &policy {
            policy.check_resources(name)?;
            policy.check_names()?;
            let blocks = bucket.settings.public_access_block.is_some_and(|block| block.block_public_policy);
            if blocks && policy.is_public() {
                return Err(Error::AccessDenied);
            }
        }
        self.change_settings(name, move |settings| settings.policy = policy).await
    }

    /// GetBucketPolicyStatus: whether the policy or the list makes the bucket public; `None`
    /// without a policy.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn is_public(&self, caller: &Caller, name: &BucketName) -> Result<bool> {
        let bucket = self.bucket_for(caller, Action::GetBucketPolicyStatus, name).await?;
        let block = bucket.settings.public_access_block.unwrap_or_default();
        let policy = bucket.settings.policy.as_ref().is_some_and(Policy::is_public) && !block.restrict_public_buckets;
        let list = bucket_list(&bucket).is_public() && !block.ignore_public_acls;
        Ok(policy || list)
    }

    /// PutBucketOwnershipControls; `None` is DeleteBucketOwnershipControls. Atomic.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `InvalidBucketAclWithObjectOwnership` when lists
    /// would be disabled while the bucket's grants something to others.
    pub async fn set_ownership(
        &self,
        caller: &Caller,
        name: &BucketName,
        ownership: Option<ObjectOwnership>,
    ) -> Result<()> {
        let bucket = self.bucket_for(caller, Action::PutBucketOwnershipControls, name).await?;
        if ownership.is_some_and(ObjectOwnership::disables_lists) && !bucket_list(&bucket).is_private() {
            return Err(Error::InvalidBucketAclWithObjectOwnership);
        }
        self.change_settings(name, move |settings| settings.ownership = ownership).await
    }

    /// PutPublicAccessBlock; `None` is DeletePublicAccessBlock. Atomic.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn set_public_access_block(
        &self,
        caller: &Caller,
        name: &BucketName,
        block: Option<PublicAccessBlock>,
    ) -> Result<()> {
        self.bucket_for(caller, Action::PutBucketPublicAccessBlock, name).await?;
        self.change_settings(name, move |settings| settings.public_access_block = block).await
    }

    /// Changes a bucket's settings for a caller who may. Atomic.
    ///
    /// # Errors
    /// `NoSuchBucket`.
    pub(super) async fn change_settings(
        &self,
        name: &BucketName,
        change: impl FnOnce(&mut BucketSettings) + Send + 'static,
    ) -> Result<()> {
        match self.metadata.change_settings(name, Box::new(change)).await {
            Err(MetadataError::Gone(_)) => Err(Error::NoSuchBucket(name.clone())),
            other => Ok(other.map(drop)?),
        }
    }

    /// Whether a caller may do something to a key, when the answer only changes what is shown.
    pub async fn may(&self, caller: &Caller, action: Action, bucket: &Bucket, key: &ObjectKey) -> bool {
        decide(caller, action, Target::key(bucket, key)).is_ok()
    }
}

/// A list that names its owner has to name the one there is.
fn keeps_owner(acl: &RequestedAcl, owner: &AccountId) -> Result<()> {
    match acl {
        RequestedAcl::List(list) if list.owner != *owner => Err(Error::AccessDenied),
        RequestedAcl::List(_) | RequestedAcl::Canned(_) | RequestedAcl::Grants(_) => Ok(()),
    }
}
