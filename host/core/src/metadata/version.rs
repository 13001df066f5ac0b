//! Versions of objects, and the segments that their bytes are in.

use super::settings::Attributes;
use crate::backend::{Locator, Name, Projection};
use crate::names::{AccountId, BucketName, LocationName, ObjectKey, VersionId, WriteId};
use serde::{Deserialize, Serialize};

/// Which version of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The current one.
    Current,
    /// The one of this id.
    Id(VersionId),
}

/// A version of an object, or a delete marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Its id; `null` for the null version.
    pub id: VersionId,
    /// Order of commits: greater is newer.
    pub sequence: i64,
    /// Whether it is the current version of its key.
    pub is_current: bool,
    /// A delete marker has no bytes and no ETag.
    pub is_delete_marker: bool,
    /// The ETag without its quotes.
    pub etag: String,
    /// What the client stored, in bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub last_modified: i64,
    /// Content headers, user metadata, tags.
    pub object: Projection,
    /// What no backend is told.
    pub attributes: Attributes,
    /// What S3's checksum headers show.
    pub checksums: Vec<ObjectChecksum>,
    /// The account that wrote it.
    pub owner: AccountId,
    /// `STANDARD` and so on.
    pub storage_class: String,
    /// Part boundaries of an object that was uploaded in parts, in order.
    pub parts: Vec<PartBoundary>,
    /// Where its bytes are, in order; empty for an object of no bytes that stored nothing.
    /// Of a delete marker: the backend's own marker, once it has been left there.
    pub segments: Vec<Segment>,
}

/// A checksum as S3's headers show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectChecksum {
    /// `crc32`, `crc32c`, `crc64nvme`, `sha1` or `sha256`.
    pub algorithm: String,
    /// As the header has it: base64, and `-N` behind a composite one.
    pub value: String,
    /// Of all bytes, or of the parts' checksums.
    pub kind: ChecksumKind,
}

/// What a checksum is computed of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChecksumKind {
    /// All bytes in order.
    FullObject,
    /// The parts' checksums in order.
    Composite,
}

/// Where a part ends, kept so that it can be read by its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartBoundary {
    /// The client's part number.
    pub number: u32,
    /// In bytes.
    pub size: u64,
    /// The part's own checksums.
    pub checksums: Vec<ObjectChecksum>,
}

/// Bytes of a version in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// In which location.
    pub location: LocationName,
    /// Where there.
    pub name: Name,
    /// The write that stored them.
    pub write_id: WriteId,
    /// Names what was stored.
    pub locator: Locator,
    /// Stored bytes of the whole that the locator names.
    pub stored_size: u64,
    /// First byte of it that belongs to the segment.
    pub offset: u64,
    /// How many do.
    pub length: u64,
}

impl Segment {
    /// All of what a write stored, `size` bytes.
    pub fn whole(location: LocationName, name: Name, write_id: WriteId, locator: Locator, size: u64) -> Self {
        Self { location, name, write_id, locator, stored_size: size, offset: 0, length: size }
    }
}
