//! Makes versions of what others stored, where it lies.

use super::{Gateway, now};
use crate::backend::{Backend, BackendError, Found, Locator, Name, Place, Shown, StoredEntry};
use crate::error::{Error, Result};
use crate::metadata::{
    Attributes, Begun, Bucket, ChecksumKind, ConditionFailure, EtagCondition, Listed, NewVersion, NewWrite,
    ObjectChecksum, Segment, Version, VersionQuery, WriteConditions, WriteKind,
};
use crate::names::{LocationName, ObjectKey, VersionId, WriteId};
use crate::storage_class::STANDARD;
use crate::{checksum, checksum::Algorithm};
use md5::{Digest as _, Md5};
use std::sync::Arc;

/// Where objects of a bucket lie that others store.
pub(super) struct Ground {
    pub(super) bucket: Bucket,
    pub(super) location: LocationName,
    pub(super) backend: Arc<dyn Backend>,
    /// What the listing of the bucket's place is asked for.
    pub(super) prefix: String,
}

/// What became of one stored object.
pub(super) enum Fate {
    /// It is a version now, of so many bytes.
    TakenIn(u64),
    /// The database knows its key or its bytes.
    Known,
    /// Why not.
    Skipped(String),
}

impl Ground {
    /// The key that an entry of the listing seems to have. Only the plugin knows.
    pub(super) fn key(&self, entry: &StoredEntry) -> Option<ObjectKey> {
        // A namespace goes on from its target with a slash that is no part of a name.
        let prefix = self.prefix.strip_prefix('/').unwrap_or(&self.prefix);
        entry.name.strip_prefix(prefix).and_then(|key| ObjectKey::parse(key).ok())
    }

    pub(super) fn name(&self, key: ObjectKey) -> Name {
        Name { bucket: self.bucket.name.clone(), key, place: Place::Plain }
    }

    pub(super) fn failed(&self, error: BackendError) -> Error {
        Error::from_backend(&self.location, error)
    }
}

impl Gateway {
    /// The place of a bucket in a location, when others may store there.
    ///
    /// # Errors
    /// `NoSuchBucket`, `LocationUnavailable`, `NotImplemented` without a listing,
    /// `InvalidRequest` when the location is not that of the bucket's owner.
    pub(super) async fn ground(&self, bucket: Bucket, location: &LocationName) -> Result<Ground> {
        if !self.belongs_to(location, &bucket.owner) {
            return Err(Error::InvalidRequest(format!(
                "the location {location} does not belong to the account that owns {}: name it in the location's `accounts`",
                bucket.name
            )));
        }
        let backend = self.backend(location)?;
        if !backend.traits().listing {
            return Err(Error::NotImplemented(format!("Listing what the location {location} holds")));
        }
        let failed = |error: BackendError| Error::from_backend(location, error);
        let namespace = backend.namespace(&bucket.name).await.map_err(failed)?;
        let prefix = namespace.strip_prefix(backend.traits().target.as_str()).unwrap_or_default().to_owned();
        Ok(Ground { bucket, location: location.clone(), backend, prefix })
    }

    /// Refuses a bucket whose names in a location are another bucket's.
    ///
    /// # Errors
    /// `InvalidRequest`.
    pub(super) async fn claim_ground(&self, ground: &Ground) -> Result<()> {
        if self.may_write_plain(&ground.bucket.name, &ground.location).await? {
            return Ok(());
        }
        Err(Error::InvalidRequest(format!(
            "another bucket has the names that {} would have in the location {}",
            ground.bucket.name, ground.location
        )))
    }

    /// The newest version or delete marker of a key, without its segments. Not kept in memory
    /// for readers, of whom there may be none.
    pub(super) async fn newest(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Option<Version>> {
        let query = VersionQuery {
            bucket: bucket.name.clone(),
            prefix: key.to_string(),
            delimiter: None,
            key_marker: None,
            version_marker: None,
            limit: 1,
        };
        let page = self.metadata.list_versions(&query).await?;
        Ok(page.entries.into_iter().find_map(|entry| match entry {
            Listed::Object(version) if version.key == *key => Some(*version),
            Listed::Object(_) | Listed::CommonPrefix(_) => None,
        }))
    }

    /// Takes in an object whose key is not known, with what it shows beside its bytes.
    pub(super) async fn take_in(&self, ground: &Ground, entry: &StoredEntry, dry_run: bool) -> Result<Fate> {
        let Some(key) = ground.key(entry) else { return Ok(Fate::Skipped("no key has this name".to_owned())) };
        let is_known = self.newest(&ground.bucket, &key).await?.is_some()
            || self.metadata.is_known(&ground.location, &entry.locator, entry.write_id.as_ref()).await?;
        if is_known {
            return Ok(Fate::Known);
        }
        let name = ground.name(key);
        // The plugin alone knows which key belongs to a name: what it finds under the key has
        // to be what it listed. Names of ours that no key shows are not.
        let Some(shown) = ground.backend.look(&name).await.map_err(|error| ground.failed(error))? else {
            return Ok(Fate::Skipped("the location would store this key under another name".to_owned()));
        };
        if shown.found.size != entry.size {
            return Ok(Fate::Skipped("it changed while it was looked at".to_owned()));
        }
        if self.is_ours(ground, &shown, entry).await? {
            return Ok(Fate::Known);
        }
        if dry_run {
            return Ok(Fate::TakenIn(shown.found.size));
        }
        let _guard = self.keys.lock(&ground.bucket.name, &name.key).await;
        self.adopt(ground, shown, entry, (name, None)).await
    }

    /// Whether a row, a part, an open write or a waiting deletion refers to what was found.
    pub(super) async fn is_ours(&self, ground: &Ground, shown: &Shown, entry: &StoredEntry) -> Result<bool> {
        let write = shown.write_id.as_ref().or(entry.write_id.as_ref());
        Ok(self.metadata.is_known(&ground.location, &shown.found.locator, write).await?)
    }

    /// A write whose bytes are there before its intent; the key is locked. One that is cut off in
    /// between is taken back by the sweeper, which finds no bytes of that write. With `replaced`
    /// it takes the place of the null version with that locator, and frees nothing of it.
    pub(super) async fn adopt(
        &self,
        ground: &Ground,
        shown: Shown,
        entry: &StoredEntry,
        (name, replaced): (Name, Option<Locator>),
    ) -> Result<Fate> {
        let conditions = match &replaced {
            Some(_) => WriteConditions::default(),
            None => WriteConditions { if_none_match: Some(EtagCondition::Any), ..WriteConditions::default() },
        };
        let version = version(&ground.bucket, &shown, entry);
        let size = version.size;
        let write = NewWrite {
            id: WriteId::random(),
            bucket: ground.bucket.name.clone(),
            bucket_number: Some(ground.bucket.number),
            key: name.key.clone(),
            location: ground.location.clone(),
            wants_plain: true,
            // Who holds a place alone has overwritten it, and frees nothing there: not even
            // where the backend keeps what was overwritten, which is somebody else's.
            exclusive: replaced.is_some() || !ground.backend.traits().keeps_overwritten,
            kind: WriteKind::Object,
            prepared: Some((version, conditions)),
        };
        let id = write.id.clone();
        match self.metadata.begin(write).await? {
            Begun::Refused(ConditionFailure::PreconditionFailed | ConditionFailure::NoSuchKey) => {
                return Ok(Fate::Known);
            }
            Begun::Refused(ConditionFailure::Protected) => return Ok(Fate::Skipped("it is locked".to_owned())),
            Begun::Refused(ConditionFailure::BucketFull | ConditionFailure::LocationFull) => {
                return Ok(Fate::Skipped("the bucket or the location would hold more than it may".to_owned()));
            }
            Begun::Started { name: begun, replaces } if begun == name && replaces == replaced => {}
            Begun::Started { .. } => {
                self.roll_back(&id, None).await?;
                return Ok(Fate::Skipped("a write or a deletion of this key is under way".to_owned()));
            }
        }
        let stored_by = shown.write_id.or_else(|| entry.write_id.clone()).unwrap_or_else(|| id.clone());
        let segment = Segment::whole(ground.location.clone(), name, stored_by, shown.found.locator, size);
        self.commit(&id, vec![segment]).await?;
        Ok(Fate::TakenIn(size))
    }
}

/// What is known of bytes that somebody else stored: the null version, as from before
/// versioning.
fn version(bucket: &Bucket, shown: &Shown, entry: &StoredEntry) -> NewVersion {
    let found = &shown.found;
    let md5 = found.checksums.iter().find(|digest| digest.algorithm == "md5");
    // Where nobody knows the MD5, the ETag must not look like one.
    let other = || format!("{}-1", hex::encode(Md5::digest(&found.locator.0)));
    NewVersion {
        id: VersionId::null(),
        etag: md5.map_or_else(other, |digest| hex::encode(&digest.value)),
        size: found.size,
        last_modified: entry.last_modified.and_then(|time| i64::try_from(time).ok()).unwrap_or_else(now),
        object: shown.object.clone(),
        attributes: Attributes { is_taken_in: true, ..Attributes::default() },
        checksums: checksums(found),
        owner: bucket.owner.clone(),
        storage_class: STANDARD.to_owned(),
        parts: Vec::new(),
        announcement: None,
    }
}

/// What S3's checksum headers can show of what the backend keeps.
fn checksums(found: &Found) -> Vec<ObjectChecksum> {
    let known = found.checksums.iter().filter_map(|digest| {
        let algorithm = Algorithm::parse(&digest.algorithm)?;
        Some(ObjectChecksum {
            algorithm: algorithm.name().to_owned(),
            value: checksum::encode(&digest.value),
            kind: ChecksumKind::FullObject,
        })
    });
    known.collect()
}
