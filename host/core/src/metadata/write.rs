//! Writes from intent to commit, and deletions.

use super::settings::Attributes;
use super::version::{ObjectChecksum, PartBoundary, Segment, Version};
use crate::backend::{Locator, Name, Projection, Token};
use crate::names::{AccountId, BucketName, LocationName, ObjectKey, UploadId, VersionId, WriteId};
use crate::notification::Announcement;
use serde::{Deserialize, Serialize};

/// A write to begin.
#[derive(Debug, Clone)]
pub struct NewWrite {
    /// Its id.
    pub id: WriteId,
    /// The bucket.
    pub bucket: BucketName,
    /// Its number, when somebody was allowed to write there: not to one that was made since
    /// under the same name. `None` for what belongs to an upload, which goes with its bucket.
    pub bucket_number: Option<i64>,
    /// The key.
    pub key: ObjectKey,
    /// Where its bytes go.
    pub location: LocationName,
    /// The plain place is wanted.
    pub wants_plain: bool,
    /// The backend does not keep what it overwrites, so a place has one writer at a time.
    pub exclusive: bool,
    /// What it will be.
    pub kind: WriteKind,
    /// Set when everything is known before the first byte leaves.
    pub prepared: Option<(NewVersion, WriteConditions)>,
}

/// What a write becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteKind {
    /// A version of its key.
    Object,
    /// A version of its key whose bytes are another's, and stay where they are.
    Copy,
    /// A part that is an object of its own on the backend.
    Part {
        /// Of this upload.
        upload: UploadId,
        /// With this number.
        number: u32,
    },
    /// A version assembled from an upload's parts; it lives where the upload was opened.
    Completion {
        /// The upload.
        upload: UploadId,
        /// Where it was opened.
        name: Name,
        /// The backend's upload.
        token: Token,
    },
}

/// A version that is ready but for its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewVersion {
    /// Its id, by the bucket's versioning.
    pub id: VersionId,
    /// Without quotes.
    pub etag: String,
    /// In bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub last_modified: i64,
    /// Content headers, user metadata, tags.
    pub object: Projection,
    /// What no backend is told.
    #[serde(default)]
    pub attributes: Attributes,
    /// What S3's checksum headers show.
    pub checksums: Vec<ObjectChecksum>,
    /// Who writes it.
    pub owner: AccountId,
    /// `STANDARD` and so on.
    pub storage_class: String,
    /// For one uploaded in parts.
    pub parts: Vec<PartBoundary>,
    /// Who is told of it when it is committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announcement: Option<Box<Announcement>>,
}

impl NewVersion {
    /// How many bytes are stored of it.
    pub fn stored_size(&self) -> u64 {
        self.attributes.stored_size(self.size)
    }
}

impl From<Version> for NewVersion {
    /// What another version of the same bytes is made of.
    fn from(version: Version) -> Self {
        Self {
            id: version.id,
            etag: version.etag,
            size: version.size,
            last_modified: version.last_modified,
            object: version.object,
            attributes: version.attributes,
            checksums: version.checksums,
            owner: version.owner,
            storage_class: version.storage_class,
            parts: version.parts,
            announcement: None,
        }
    }
}

/// What became of `begin`.
#[derive(Debug, Clone)]
pub enum Begun {
    /// The intent is recorded.
    Started {
        /// Where the bytes go.
        name: Name,
        /// What lives at that very place now and will be replaced.
        replaces: Option<Locator>,
    },
    /// A prepared write's condition does not hold; nothing is recorded.
    Refused(ConditionFailure),
}

/// What became of `prepare`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepared {
    /// Recorded.
    Ready,
    /// The condition does not hold; the intent is as it was.
    Refused(ConditionFailure),
}

/// A committed version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its id.
    pub id: VersionId,
    /// Milliseconds since 1970.
    pub last_modified: i64,
}

/// Where an abandoned write stands among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abandoned {
    /// When it began, milliseconds since 1970.
    pub started: i64,
    /// Its id, which decides between those that began together.
    pub id: WriteId,
}

impl OpenWrite {
    /// Where it stands among the others.
    pub fn place_in_line(&self) -> Abandoned {
        Abandoned { started: self.started, id: self.id.clone() }
    }
}

/// An intent that nobody finishes any more.
#[derive(Debug, Clone)]
pub struct OpenWrite {
    /// Its id.
    pub id: WriteId,
    /// The key it writes.
    pub bucket: BucketName,
    /// The key it writes.
    pub key: ObjectKey,
    /// Where its bytes go.
    pub location: LocationName,
    /// Where there.
    pub name: Name,
    /// What it would become.
    pub kind: WriteKind,
    /// What `prepare` recorded.
    pub prepared: Option<NewVersion>,
    /// It alone may write the plain place of its key.
    pub holds: bool,
    /// When its backend was first seen to have nothing of it, milliseconds since 1970.
    pub unheard: Option<i64>,
    /// When it began, milliseconds since 1970.
    pub started: i64,
}

/// Conditions of a write or deletion on the current version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteConditions {
    /// `If-Match`.
    pub if_match: Option<EtagCondition>,
    /// `If-None-Match`.
    pub if_none_match: Option<EtagCondition>,
    /// `x-amz-if-match-last-modified-time`, milliseconds since 1970 (deletions only).
    pub if_last_modified: Option<i64>,
    /// `x-amz-if-match-size` in bytes (deletions only).
    pub if_size: Option<u64>,
}

/// What an ETag is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EtagCondition {
    /// `*`.
    Any,
    /// Any of these, without quotes.
    OneOf(Vec<String>),
}

/// Why a write's condition does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionFailure {
    /// `412 PreconditionFailed`.
    PreconditionFailed,
    /// `If-Match` on a key that is not there: `404 NoSuchKey`.
    NoSuchKey,
    /// Object lock protects the version that would go.
    Protected,
    /// The bucket would hold more than its quota.
    BucketFull,
    /// The location would hold more than its limit.
    LocationFull,
}

impl EtagCondition {
    /// Whether an ETag without quotes is one of these.
    pub fn matches(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(etags) => etags.iter().any(|one| one == etag),
        }
    }
}

impl WriteConditions {
    /// Decides the conditions on a write: `current` is the current version, unless that is
    /// absent.
    ///
    /// # Errors
    /// What the client is told. A delete marker counts as no object.
    pub fn decide(&self, current: Option<&Version>) -> Result<(), ConditionFailure> {
        let current = current.filter(|version| !version.is_delete_marker);
        if let Some(condition) = &self.if_match {
            let Some(version) = current else {
                return Err(ConditionFailure::NoSuchKey);
            };
            if !condition.matches(&version.etag) {
                return Err(ConditionFailure::PreconditionFailed);
            }
        }
        let Some(version) = current else {
            return Ok(());
        };
        if self.if_none_match.as_ref().is_some_and(|condition| condition.matches(&version.etag)) {
            return Err(ConditionFailure::PreconditionFailed);
        }
        Ok(())
    }
}

impl WriteConditions {
    /// Decides the conditions on a deletion of `named`, the version that would go or be
    /// hidden. What is not there is gone already, whatever the conditions say; a delete
    /// marker is there, with no ETag and no bytes.
    ///
    /// # Errors
    /// What the client is told.
    pub fn decide_deletion(&self, named: Option<&Version>) -> Result<(), ConditionFailure> {
        let Some(version) = named else {
            return Ok(());
        };
        // HTTP dates have whole seconds.
        let seconds = version.last_modified.div_euclid(1000);
        let holds = self.if_match.as_ref().is_none_or(|condition| condition.matches(&version.etag))
            && self.if_last_modified.is_none_or(|time| time.div_euclid(1000) == seconds)
            && self.if_size.is_none_or(|size| size == version.size);
        if holds { Ok(()) } else { Err(ConditionFailure::PreconditionFailed) }
    }

    /// Whether they compare what is there with what the client says of it, so that the outcome
    /// tells more than whether something is there.
    pub fn compares(&self) -> bool {
        let names = |condition: &Option<EtagCondition>| matches!(condition, Some(EtagCondition::OneOf(_)));
        names(&self.if_match) || names(&self.if_none_match) || self.if_last_modified.is_some() || self.if_size.is_some()
    }

    /// Whether a deletion depends on what is there.
    pub fn is_about_current(&self) -> bool {
        self.if_match.is_some() || self.if_last_modified.is_some() || self.if_size.is_some()
    }
}

/// A deletion.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// One version for good; `None` deletes as the bucket's versioning has it.
    pub version: Option<VersionId>,
    /// On the current version, or on the one that is named.
    pub conditions: WriteConditions,
    /// The deleter may bypass governance, and says so.
    pub bypass_governance: bool,
    /// Only while the version stands where it was seen; else `Deleted::Nothing`.
    pub as_seen: Option<Seen>,
    /// Id of the delete marker that an enabled bucket gets.
    pub marker_id: VersionId,
    /// Locations whose backends have delete markers of their own.
    pub hides: Vec<LocationName>,
    /// Who deletes: the marker's owner.
    pub owner: AccountId,
    /// Milliseconds since 1970.
    pub now: i64,
    /// Who is told of what comes of it.
    pub announcement: Option<Box<Announcement>>,
}

/// New segments, or a new storage class alone, for a version that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Its id.
    pub version: VersionId,
    /// The very version.
    pub sequence: i64,
    /// Where its bytes are.
    pub from: Vec<Segment>,
    /// Where they are to be: all in one location.
    pub segments: Vec<Segment>,
    /// The tags that they are shown with there.
    pub tags: Vec<(String, String)>,
    /// What it is to be shown as.
    pub storage_class: String,
    /// Milliseconds since 1970.
    pub at: i64,
    /// Who is told of it.
    pub announcement: Option<Box<Announcement>>,
}

/// What became of a relocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relocated {
    /// It is done.
    Done,
    /// The version went or has other segments: nothing was done.
    Stale,
    /// The location would hold more than its limit: nothing was done.
    Full,
}

/// A version as it was seen when somebody decided on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The very version.
    pub sequence: i64,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// How many newer versions there are at least; none at all when it is 0.
    pub newer: u32,
    /// And no other version of its key.
    pub is_only: bool,
}

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// Nothing was there; in S3 that is no error.
    Nothing,
    /// A version is gone for good.
    Version {
        /// Its id.
        id: VersionId,
        /// It was a delete marker.
        was_marker: bool,
    },
    /// An unversioned object is gone.
    Object,
    /// A delete marker hides the key now.
    Marker {
        /// Its id.
        id: VersionId,
    },
    /// The condition does not hold; nothing was done.
    Refused(ConditionFailure),
}
