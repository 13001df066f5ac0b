//! Moves a version to another storage class, and with it to another location when the class
//! is one.

use super::ingest::{self, Announced, SMALL};
use super::notifications::announcement;
use super::object::finish_anyway;
use super::request::Incoming;
use super::write::{Begin, Draft, contradiction};
use super::{Gateway, now};
use crate::backend::{BackendError, Span, Stored};
use crate::body::{self, Body};
use crate::checksum::Algorithm;
use crate::error::{Error, Result};
use crate::metadata::{Bucket, ChecksumKind, Relocated, Relocation, Segment, Version, WriteConditions};
use crate::names::{AccountId, LocationName};
use crate::notification::EventKind;
use crate::storage_class;
use std::sync::Arc;

impl Gateway {
    /// Whether objects in buckets of this account can have the storage class.
    pub fn is_storage_class(&self, owner: &AccountId, class: &str) -> bool {
        storage_class::is_known(class) || self.location_of_class(owner, class).is_some()
    }

    /// The location that a storage class is, in buckets of this account. One that has the name
    /// of a class of S3's makes that class real.
    pub(super) fn location_of_class(&self, owner: &AccountId, class: &str) -> Option<LocationName> {
        let name = LocationName::parse(class).ok()?;
        self.location_for(owner, &name).map(|location| location.name)
    }

    /// Gives a version another storage class, and moves its bytes when that is a location.
    /// All else of it stays. Answers whether that was done: not when it is so already, and
    /// not when the version changed or went meanwhile.
    ///
    /// # Errors
    /// `InvalidStorageClass` when the class was a location and is none now, or not one of the
    /// bucket's owner: the label alone would hide that the bytes never moved.
    pub(super) async fn relocate(
        self: &Arc<Self>,
        bucket: &Bucket,
        version: &Version,
        storage_class: &str,
    ) -> Result<bool> {
        let target = self.location_of_class(&bucket.owner, storage_class);
        if target.is_none() {
            if version.storage_class == storage_class {
                return Ok(false);
            }
            if !storage_class::is_known(storage_class) {
                return Err(Error::InvalidStorageClass(storage_class.to_owned()));
            }
        }
        // A line of a listing has no segments, and its class does not say where they are.
        let selector = crate::metadata::Selector::Id(version.id.clone());
        let current = self.metadata.version(&bucket.name, &version.key, &selector).await?;
        let Some(version) = current.filter(|current| {
            current.sequence == version.sequence
                && !current.is_delete_marker
                && current.object.tags == version.object.tags
        }) else {
            return Ok(false);
        };
        let stays = |target: &LocationName| version.segments.iter().all(|segment| segment.location == *target);
        match target.filter(|target| !stays(target)) {
            None if version.storage_class == storage_class => Ok(false),
            None => {
                let relocation = Relocation::of(bucket, &version, storage_class, version.segments.clone());
                let _guard = self.keys.lock(&bucket.name, &version.key).await;
                Ok(self.metadata.relocate(None, relocation).await? == Relocated::Done)
            }
            Some(target) => {
                let (this, bucket) = (Arc::clone(self), bucket.clone());
                let class = storage_class.to_owned();
                finish_anyway(async move { this.move_bytes(bucket, version, target, class).await }).await
            }
        }
    }

    /// The way of a write, but that its end replaces segments of a version that is there.
    /// The intent is never prepared: after a crash the sweeper takes the new bytes back.
    async fn move_bytes(
        self: Arc<Self>,
        bucket: Bucket,
        version: Version,
        target: LocationName,
        storage_class: String,
    ) -> Result<bool> {
        // Sealed bytes stay sealed: they move as they are stored.
        let size = version.attributes.stored_size(version.size);
        self.check_size(&target, size)?;
        self.check_room(&version, &target).await?;
        let source = self.reopen_stored(&version, Span { offset: 0, length: size }).await?;
        let draft = draft(bucket, &version, target);
        let (announced, body) = Announced::split(verifying(&version, size, source));
        // A place of its own: the plain one is for writes of clients.
        let begun = self.begin(&draft, false, None).await?;
        let stored = self.store_verified(&draft, &begun, announced, body).await?;
        if let Some(wrong) = contradiction(&stored.checksums, &version.etag).filter(|_| has_plain_digest(&version)) {
            self.roll_back(&begun.id, Some(&stored.locator)).await?;
            return Err(Error::Internal(format!("the location {} stored other bytes: {wrong}", draft.location)));
        }
        let segment =
            Segment::whole(draft.location.clone(), begun.name.clone(), begun.id.clone(), stored.locator.clone(), size);
        let relocation = Relocation::of(&draft.bucket, &version, &storage_class, vec![segment]);
        let _guard = self.keys.lock(&draft.bucket.name, &draft.key).await;
        match self.metadata.relocate(Some(&begun.id), relocation).await {
            Ok(Relocated::Done) => Ok(true),
            Ok(Relocated::Stale) => {
                self.roll_back(&begun.id, Some(&stored.locator)).await?;
                Ok(false)
            }
            Ok(Relocated::Full) => {
                self.roll_back(&begun.id, Some(&stored.locator)).await?;
                Err(Error::NoSpace(draft.location.clone()))
            }
            Err(error) => {
                self.leave_to_sweeper(&begun.id).await;
                Err(error.into())
            }
        }
    }
}

impl Gateway {
    /// Refuses, before its bytes are read, what a location's limit leaves no room for. Decided
    /// again when they are there.
    async fn check_room(&self, version: &Version, target: &LocationName) -> Result<()> {
        let Some(allowance) = self.metadata.location_allowance(target).await? else { return Ok(()) };
        let there = version.segments.iter().filter(|segment| segment.location == *target);
        let used = allowance.used.saturating_sub(there.map(|segment| segment.length).sum());
        // A limit is of what clients stored, sealed or not.
        if used.saturating_add(version.size) > allowance.most {
            return Err(Error::NoSpace(target.clone()));
        }
        Ok(())
    }

    /// Stores a body that is cut before its end when it is not what it should be.
    async fn store_verified(&self, draft: &Draft, begun: &Begin, announced: Announced, body: Body) -> Result<Stored> {
        let (size, md5) = (announced.size(), announced.md5());
        if size <= SMALL {
            let outcome = match ingest::collect(&announced, body).await {
                Ok((bytes, _)) => self.store(draft, begun, size, md5, body::full(bytes)).await,
                Err(error) => {
                    self.roll_back(&begun.id, None).await?;
                    return Err(error.into());
                }
            };
            return match outcome {
                Ok(stored) => Ok(stored),
                Err(error) => Err(self.fail(draft, begun, error).await),
            };
        }
        let (body, mut held) = ingest::hold(announced, body);
        let mut storing = self.store(draft, begun, size, md5, body);
        let early = || BackendError::Broke("it answered before it had the whole body".to_owned());
        let digests = tokio::select! {
            biased;
            outcome = &mut storing => return Err(self.fail(draft, begun, outcome.err().unwrap_or_else(early)).await),
            digests = held.digests() => digests,
        };
        if digests.is_some() {
            held.release();
        } else {
            drop(held);
        }
        match storing.await {
            Ok(stored) if digests.is_some() => Ok(stored),
            Ok(_) => Err(self.fail(draft, begun, early()).await),
            Err(error) => Err(self.fail(draft, begun, error).await),
        }
    }
}

fn draft(bucket: Bucket, version: &Version, location: LocationName) -> Draft {
    Draft {
        bucket,
        key: version.key.clone(),
        location,
        object: version.object.clone(),
        attributes: version.attributes.clone(),
        seal: None,
        owner: version.owner.clone(),
        storage_class: version.storage_class.clone(),
        conditions: WriteConditions::default(),
        announcement: None,
    }
}

/// Whether the ETag is the MD5 of what is stored.
fn has_plain_digest(version: &Version) -> bool {
    !version.etag.contains('-') && version.attributes.encryption.is_none()
}

/// What is read has to be what was written.
fn verifying(version: &Version, size: u64, body: Body) -> Incoming {
    let incoming = Incoming { body, size, md5: None, checksums: Vec::new(), trailer: None, compute: None };
    if version.attributes.encryption.is_some() {
        // Its digests are of what is sealed; each chunk is verified when it is opened.
        return incoming;
    }
    let whole = version.checksums.iter().filter(|own| own.kind == ChecksumKind::FullObject);
    let checksums = whole.filter_map(|own| {
        let algorithm = Algorithm::parse(&own.algorithm)?;
        Some((algorithm, algorithm.decode(&own.value)?))
    });
    let md5 = hex::decode(&version.etag).ok().and_then(|digest| digest.try_into().ok());
    Incoming { md5, checksums: checksums.collect(), ..incoming }
}

impl Relocation {
    fn of(bucket: &Bucket, version: &Version, storage_class: &str, segments: Vec<Segment>) -> Self {
        Self {
            bucket: version.bucket.clone(),
            key: version.key.clone(),
            version: version.id.clone(),
            sequence: version.sequence,
            from: version.segments.clone(),
            segments,
            tags: version.object.tags.clone(),
            storage_class: storage_class.to_owned(),
            at: now(),
            announcement: announcement(bucket, &version.key, None, &[EventKind::Moved]),
        }
    }
}
