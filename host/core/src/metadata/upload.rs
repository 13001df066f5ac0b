//! Multipart uploads and their parts.

use super::settings::Attributes;
use super::version::{ChecksumKind, ObjectChecksum, Segment};
use crate::backend::{Name, Projection, Token};
use crate::encryption::SealedRun;
use crate::names::{AccountId, BucketName, LocationName, ObjectKey, UploadId, WriteId};
use serde::{Deserialize, Serialize};

/// A client's part number: 1 to 10,000.
pub type PartNumber = u32;

/// An open upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Ours, never the backend's.
    pub id: UploadId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Becomes the object's.
    pub owner: AccountId,
    /// Who asked for it, whoever owns what comes of it.
    pub initiator: AccountId,
    /// Milliseconds since 1970.
    pub initiated: i64,
    /// Becomes the object's.
    pub object: Projection,
    /// Become the object's.
    pub attributes: Attributes,
    /// Becomes the object's.
    pub storage_class: String,
    /// What the client asked to have computed: algorithm and type.
    pub checksum: Option<(String, ChecksumKind)>,
    /// Where its bytes go.
    pub location: LocationName,
    /// Stored with the object that it becomes.
    pub write_id: WriteId,
    /// Where the backend's upload was opened; `None` when each part is an object of its own.
    pub backend: Option<(Name, Token)>,
    /// When the backend's upload was last touched, milliseconds since 1970.
    pub kept: i64,
}

/// A stored part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its number.
    pub number: PartNumber,
    /// Without quotes: the MD5 of its bytes, or what an encrypted part has in its place.
    pub etag: String,
    /// In bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub last_modified: i64,
    /// Its own checksums.
    pub checksums: Vec<ObjectChecksum>,
    /// The backend's pieces of it, in order: number there, token, bytes.
    pub pieces: Vec<(u32, Token, u64)>,
    /// Where its bytes are when it is an object of its own.
    pub segment: Option<Segment>,
    /// How its bytes were sealed, when the upload is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<SealedRun>,
}
