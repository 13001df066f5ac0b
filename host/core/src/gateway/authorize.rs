//! Whether a caller may do what it asks for.
//!
//! A deny of the bucket's policy beats everything. The bucket's owner may do whatever is
//! not denied, except to objects that somebody else owns. Everybody else needs an allow of
//! the policy or a grant of a list.

use super::Gateway;
use crate::access::{AccessControlList, Action, Caller, Facts, Of, PublicAccessBlock, Request, Steps, Verdict};
use crate::error::{Error, Result};
use crate::metadata::{Bucket, Selector, Version, WriteConditions};
use crate::names::{BucketName, ObjectKey, VersionId};
use crate::object_lock::ObjectLock;

/// What an action is done to.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) bucket: &'a Bucket,
    /// `None` for the bucket itself.
    pub(super) key: Option<&'a ObjectKey>,
    /// The object as it is, where that matters.
    pub(super) existing: Option<&'a Version>,
    /// Tags that the request brings.
    pub(super) request_tags: &'a [(String, String)],
    /// The prefix that a listing of the key would have.
    pub(super) prefix: Option<&'a str>,
    /// What is about to be done.
    pub(super) facts: Facts<'a>,
}

impl<'a> Target<'a> {
    pub(super) fn key(bucket: &'a Bucket, key: &'a ObjectKey) -> Self {
        Self { key: Some(key), ..Self::bucket(bucket) }
    }

    fn bucket(bucket: &'a Bucket) -> Self {
        Self { bucket, key: None, existing: None, request_tags: &[], prefix: None, facts: Facts::default() }
    }
}

/// What a new object has beside its bytes, for which S3 asks more than for those.
#[derive(Clone, Copy)]
pub(super) struct Brings<'a> {
    pub(super) tags: &'a [(String, String)],
    pub(super) has_list: bool,
    pub(super) facts: Facts<'a>,
}

/// What a request makes of a version that is there.
#[derive(Clone, Copy, Default)]
pub(super) struct Asks<'a> {
    pub(super) request_tags: &'a [(String, String)],
    pub(super) lock: ObjectLock,
    /// Whether who may read may know what is not there, as visitors of
    /// [websites](https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteAccessPermissionsReqd.html) may.
    pub(super) tells_absence: bool,
}

impl Gateway {
    /// A bucket, whoever asks: for what does not tell anything of it.
    ///
    /// # Errors
    /// `NoSuchBucket`.
    pub async fn bucket(&self, name: &BucketName) -> Result<Bucket> {
        self.metadata.bucket(name).await?.ok_or_else(|| Error::NoSuchBucket(name.clone()))
    }

    /// A bucket on which the caller may do something to the bucket itself.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn bucket_for(&self, caller: &Caller, action: Action, name: &BucketName) -> Result<Bucket> {
        let bucket = self.bucket(name).await?;
        decide(caller, action, Target::bucket(&bucket))?;
        Ok(bucket)
    }

    /// A bucket on which the caller may do something to a key, whatever is there.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub(super) async fn key_for(
        &self,
        caller: &Caller,
        action: Action,
        (name, key): (&BucketName, &ObjectKey),
        facts: Facts<'_>,
    ) -> Result<Bucket> {
        let bucket = self.bucket(name).await?;
        let existing = self.existing_for_tags(&bucket, key, facts.version).await?;
        let target = Target { existing: existing.as_ref(), facts, ..Target::key(&bucket, key) };
        decide(caller, action, target)?;
        Ok(bucket)
    }

    /// A bucket into which the caller may write an object that brings this with it.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub(super) async fn write_for(
        &self,
        caller: &Caller,
        (name, key): (&BucketName, &ObjectKey),
        brings: Brings<'_>,
    ) -> Result<Bucket> {
        let bucket = self.bucket(name).await?;
        let existing = self.existing_for_tags(&bucket, key, None).await?;
        let target = Target {
            existing: existing.as_ref(),
            request_tags: brings.tags,
            facts: brings.facts,
            ..Target::key(&bucket, key)
        };
        decide(caller, Action::PutObject, target)?;
        if !brings.tags.is_empty() {
            may_tag_new(caller, target)?;
        }
        if brings.has_list {
            // The list is of what the caller is about to own: nobody has to allow it.
            not_denied(caller, Action::PutObjectAcl, target)?;
        }
        Ok(bucket)
    }

    /// Whether a caller may have a write or a deletion depend on these conditions: who compares
    /// an object learns of it, and has to be allowed to read it.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub(super) async fn may_compare(
        &self,
        caller: &Caller,
        (bucket, key): (&Bucket, &ObjectKey),
        version: Option<&VersionId>,
        conditions: &WriteConditions,
    ) -> Result<()> {
        if !conditions.compares() {
            return Ok(());
        }
        let action = if version.is_some() { Action::GetObjectVersion } else { Action::GetObject };
        let existing = match self.live_version(bucket, key, version.cloned()).await {
            Err(error @ Error::Metadata(_)) => return Err(error),
            other => other.ok(),
        };
        let facts = Facts { version, ..Facts::default() };
        decide(caller, action, Target { existing: existing.as_ref(), facts, ..Target::key(bucket, key) })
    }

    /// What is at a key, or the version of it, when the bucket's policy wants to know its tags.
    async fn existing_for_tags(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<Option<Version>> {
        if !bucket.settings.policy.as_ref().is_some_and(|policy| policy.looks_at_tags()) {
            return Ok(None);
        }
        let selector = version.cloned().map_or(Selector::Current, Selector::Id);
        Ok(self.metadata.version(&bucket.name, key, &selector).await?)
    }

    /// A version that the caller may do something to, and that is no delete marker.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied` (also for what is not there, when the caller may not
    /// list the bucket), `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowedOnMarker`.
    pub(super) async fn version_for(
        &self,
        caller: &Caller,
        action: Action,
        (name, key): (&BucketName, &ObjectKey),
        version: Option<VersionId>,
        Asks { request_tags, lock, tells_absence }: Asks<'_>,
    ) -> Result<(Bucket, Version)> {
        let bucket = self.bucket(name).await?;
        let found = self.live_version(&bucket, key, version.clone()).await;
        let facts = Facts { version: version.as_ref(), lock, ..Facts::default() };
        let target = Target { existing: found.as_ref().ok(), request_tags, facts, ..Target::key(&bucket, key) };
        match found {
            Ok(_) => decide(caller, action, target)?,
            // Whether something is there is for those to know who may list.
            Err(Error::NoSuchKey { .. } | Error::NoSuchVersion | Error::MethodNotAllowedOnMarker { .. }) => {
                if policy_says(caller, action, &target) == Verdict::Denied {
                    return Err(Error::AccessDenied);
                }
                // A website tells whoever may read what is not there.
                if !(tells_absence && decide(caller, action, Target { existing: None, ..target }).is_ok()) {
                    let list = Target { key: None, prefix: Some(key.as_str()), facts: Facts::default(), ..target };
                    decide(caller, Action::ListBucket, list)?;
                }
            }
            Err(_) => {}
        }
        let version = found?;
        Ok((bucket, version))
    }
}

/// Whether a caller who may write an object may give it tags, which is an action of its own.
/// No list speaks of tags: where one lets somebody write, they come with the object.
///
/// # Errors
/// `AccessDenied`.
pub(super) fn may_tag_new(caller: &Caller, target: Target<'_>) -> Result<()> {
    let block = target.bucket.settings.public_access_block.unwrap_or_default();
    if lists_allow(caller, Action::PutObject, &target, block) {
        return not_denied(caller, Action::PutObjectTagging, target);
    }
    decide(caller, Action::PutObjectTagging, target)
}

/// Whether the policy leaves a caller what is its own anyway.
///
/// # Errors
/// `AccessDenied`.
pub(super) fn not_denied(caller: &Caller, action: Action, target: Target<'_>) -> Result<()> {
    if policy_says(caller, action, &target) == Verdict::Denied { Err(Error::AccessDenied) } else { Ok(()) }
}

/// The decision.
///
/// # Errors
/// `AccessDenied`.
pub(super) fn decide(caller: &Caller, action: Action, target: Target<'_>) -> Result<()> {
    let settings = &target.bucket.settings;
    let is_owner = caller.account == target.bucket.owner;
    // A service acts for a bucket of the same owner.
    let is_insider = is_owner || caller.service().is_some();
    let block = settings.public_access_block.unwrap_or_default();
    let verdict = policy_says(caller, action, &target);
    // Who locked itself out has to get back in.
    let is_rescue =
        is_owner && matches!(action, Action::GetBucketPolicy | Action::PutBucketPolicy | Action::DeleteBucketPolicy);
    let allowed = match verdict {
        Verdict::Denied => is_rescue,
        Verdict::Allowed if is_owners(action, &target) && (is_insider || !is_restricted(&target, block)) => true,
        Verdict::Allowed | Verdict::Silent => {
            (is_owner && is_owners(action, &target)) || lists_allow(caller, action, &target, block)
        }
    };
    if allowed { Ok(()) } else { Err(Error::AccessDenied) }
}

/// What the policy alone says.
pub(super) fn policy_says(caller: &Caller, action: Action, target: &Target<'_>) -> Verdict {
    let Some(policy) = &target.bucket.settings.policy else { return Verdict::Silent };
    policy.decide(&Request {
        caller,
        action,
        bucket: target.bucket,
        key: target.key,
        existing_tags: target.existing.map(|version| version.object.tags.as_slice()).unwrap_or_default(),
        request_tags: target.request_tags,
        facts: target.facts,
        prefix: target.prefix,
        steps: Steps::default(),
    })
}

fn is_restricted(target: &Target<'_>, block: PublicAccessBlock) -> bool {
    block.restrict_public_buckets && target.bucket.settings.policy.as_ref().is_some_and(|policy| policy.is_public())
}

/// Whether an action is the bucket owner's to do and to allow: all but reading, and changing
/// the lists of, what others own.
fn is_owners(action: Action, target: &Target<'_>) -> bool {
    let reaches_into_objects = matches!(
        action,
        Action::GetObject
            | Action::GetObjectVersion
            | Action::GetObjectAttributes
            | Action::GetObjectVersionAttributes
            | Action::GetObjectAcl
            | Action::GetObjectVersionAcl
            | Action::PutObjectAcl
            | Action::PutObjectVersionAcl
    );
    !reaches_into_objects
        || target.existing.is_none_or(|version| owner_of(version, target.bucket) == target.bucket.owner)
}

/// Who owns a version: the bucket's owner, whoever wrote it, where lists are disabled.
fn owner_of(version: &Version, bucket: &Bucket) -> crate::names::AccountId {
    if lists_are_disabled(bucket) { bucket.owner.clone() } else { version.owner.clone() }
}

/// Whether lists count for nothing in the bucket.
pub(super) fn lists_are_disabled(bucket: &Bucket) -> bool {
    bucket.settings.ownership.unwrap_or_default().disables_lists()
}

fn lists_allow(caller: &Caller, action: Action, target: &Target<'_>, block: PublicAccessBlock) -> bool {
    if lists_are_disabled(target.bucket) {
        return false;
    }
    let of_bucket = bucket_list(target.bucket).allows(caller, Of::Bucket, action, block.ignore_public_acls);
    let of_object = target.existing.is_some_and(|version| {
        version_list(version, target.bucket).allows(caller, Of::Object, action, block.ignore_public_acls)
    });
    of_bucket || of_object
}

/// The list that a bucket shows.
pub(super) fn bucket_list(bucket: &Bucket) -> AccessControlList {
    let own = bucket.settings.acl.clone().filter(|_| !lists_are_disabled(bucket));
    own.unwrap_or_else(|| AccessControlList::private(bucket.owner.clone()))
}

/// The list that a version shows.
pub(super) fn version_list(version: &Version, bucket: &Bucket) -> AccessControlList {
    let own = version.attributes.acl.clone().filter(|_| !lists_are_disabled(bucket));
    own.unwrap_or_else(|| AccessControlList::private(owner_of(version, bucket)))
}
