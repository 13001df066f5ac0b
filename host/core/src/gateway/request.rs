//! What the gateway is asked, and what it answers.

use crate::access::{Caller, RequestedAcl};
use crate::backend::{Projection, Span};
use crate::body::Body;
use crate::checksum::Algorithm;
use crate::encryption::{CustomerParameters, EncryptionParameters, Method};
use crate::lifecycle::Expiry;
use crate::metadata::{
    Attributes, BucketSettings, ChecksumKind, EtagCondition, ObjectChecksum, Version, WriteConditions,
};
use crate::names::{BucketName, LocationName, ObjectKey, UploadId, VersionId};
use std::sync::{Arc, OnceLock};

/// A body from a client, with what its headers say of it.
pub struct Incoming {
    /// Exactly `size` bytes, then the end; an error in place of the end when a signature or
    /// hash that belongs to the protocol does not match.
    pub body: Body,
    /// In bytes.
    pub size: u64,
    /// `Content-MD5`.
    pub md5: Option<[u8; 16]>,
    /// `x-amz-checksum-*` headers: raw digests.
    pub checksums: Vec<(Algorithm, Vec<u8>)>,
    /// A checksum that follows the body.
    pub trailer: Option<Trailer>,
    /// An algorithm to compute without a value to compare with.
    pub compute: Option<Algorithm>,
}

/// A checksum that a trailer announces: the decoder fills it in before the body ends.
#[derive(Debug, Clone)]
pub struct Trailer {
    /// Which `x-amz-checksum-*` it is.
    pub algorithm: Algorithm,
    /// The header's text, once it came.
    pub value: Arc<OnceLock<String>>,
}

/// PutObject.
pub struct PutObject {
    /// Who asks.
    pub caller: Caller,
    /// Where to.
    pub bucket: BucketName,
    /// What name.
    pub key: ObjectKey,
    /// Headers, metadata, tags.
    pub object: Projection,
    /// What no backend is told; its list is made of `acl`.
    pub attributes: Attributes,
    /// The list that is asked for; `None` for a private one.
    pub acl: Option<RequestedAcl>,
    /// As the client asks for it.
    pub encryption: EncryptionParameters,
    /// `STANDARD` and so on.
    pub storage_class: String,
    /// `x-amz-meta-scal-location-constraint`.
    pub location: Option<String>,
    /// `If-Match`, `If-None-Match`.
    pub conditions: WriteConditions,
    /// The bytes.
    pub incoming: Incoming,
}

/// A stored object or part, as its answer shows it.
#[derive(Debug, Clone)]
pub struct PutOutcome {
    /// Without quotes.
    pub etag: String,
    /// When the bucket's versioning is enabled.
    pub version: Option<VersionId>,
    /// `x-amz-checksum-*`.
    pub checksums: Vec<ObjectChecksum>,
    /// In bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub last_modified: i64,
    /// When a lifecycle rule removes it.
    pub expiry: Option<Expiry>,
    /// How it is encrypted.
    pub encryption: Option<Method>,
}

/// GetObject and HeadObject.
#[derive(Debug, Clone)]
pub struct GetObject {
    /// Who asks.
    pub caller: Caller,
    /// From where.
    pub bucket: BucketName,
    /// What.
    pub key: ObjectKey,
    /// Which version.
    pub version: Option<VersionId>,
    /// `Range`.
    pub range: Option<ByteRange>,
    /// `partNumber`.
    pub part: Option<u32>,
    /// `If-*`.
    pub conditions: ReadConditions,
    /// The client's own key.
    pub customer: CustomerParameters,
    /// A look at a website, whose visitors are told what is not there.
    pub is_visit: bool,
}

/// A `Range` header of one range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-last`, both included.
    FromTo(u64, u64),
    /// `bytes=first-`.
    From(u64),
    /// `bytes=-length`.
    Last(u64),
}

/// Conditions of a read, or of a copy's source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadConditions {
    /// `If-Match`.
    pub if_match: Option<EtagCondition>,
    /// `If-None-Match`.
    pub if_none_match: Option<EtagCondition>,
    /// `If-Modified-Since`, milliseconds since 1970.
    pub if_modified_since: Option<i64>,
    /// `If-Unmodified-Since`, milliseconds since 1970.
    pub if_unmodified_since: Option<i64>,
    /// `If-Range`.
    pub if_range: Option<RangeCondition>,
}

/// What an object has to be still, for a range of it to be sent instead of all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeCondition {
    /// The one with this ETag, without quotes; a weak one is no object's.
    Etag(String),
    /// The one of this very second, milliseconds since 1970.
    Modified(i64),
}

/// What HeadObject shows and GetObject streams.
#[derive(Debug, Clone)]
pub struct Found {
    /// The version.
    pub version: Version,
    /// Its id, when the bucket's versioning is configured.
    pub version_id: Option<VersionId>,
    /// Set for a range or a part: answer 206.
    pub span: Option<Span>,
    /// How many parts the object has, when a part was asked for and there are parts.
    pub parts_count: Option<usize>,
    /// The part's checksums, when a part was asked for.
    pub part_checksums: Vec<ObjectChecksum>,
    /// When a lifecycle rule removes it.
    pub expiry: Option<Expiry>,
}

/// DeleteObject.
#[derive(Debug, Clone)]
pub struct DeleteObject {
    /// Who asks.
    pub caller: Caller,
    /// From where.
    pub bucket: BucketName,
    /// What.
    pub key: ObjectKey,
    /// Which version for good.
    pub version: Option<VersionId>,
    /// `If-Match` and its kin.
    pub conditions: WriteConditions,
    /// `x-amz-bypass-governance-retention`.
    pub bypass_governance: bool,
}

/// CopyObject.
#[derive(Debug, Clone)]
pub struct CopyObject {
    /// Who asks.
    pub caller: Caller,
    /// Where from.
    pub source: Source,
    /// Where to.
    pub bucket: BucketName,
    /// What name.
    pub key: ObjectKey,
    /// `REPLACE`: content headers and metadata; `None` for `COPY`.
    pub replace_metadata: Option<Projection>,
    /// `REPLACE`: tags; `None` for `COPY`.
    pub replace_tags: Option<Vec<(String, String)>>,
    /// What no backend is told; nothing of the source's is copied.
    pub attributes: Attributes,
    /// The list that is asked for; `None` for a private one.
    pub acl: Option<RequestedAcl>,
    /// As the client asks for it.
    pub encryption: EncryptionParameters,
    /// `STANDARD` and so on.
    pub storage_class: String,
    /// `x-amz-meta-scal-location-constraint` of the metadata that is stored.
    pub location: Option<String>,
    /// A checksum to compute; `None` keeps the source's.
    pub checksum: Option<Algorithm>,
    /// On the destination.
    pub conditions: WriteConditions,
}

/// Source of a copy.
#[derive(Debug, Clone)]
pub struct Source {
    /// From where.
    pub bucket: BucketName,
    /// What.
    pub key: ObjectKey,
    /// Which version.
    pub version: Option<VersionId>,
    /// `x-amz-copy-source-if-*`.
    pub conditions: ReadConditions,
    /// The client's key of the source.
    pub customer: CustomerParameters,
}

/// A finished copy.
#[derive(Debug, Clone)]
pub struct CopyOutcome {
    /// The new object.
    pub put: PutOutcome,
    /// The source's version, when its bucket's versioning is configured.
    pub source_version: Option<VersionId>,
}

/// CreateMultipartUpload.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// Who asks.
    pub caller: Caller,
    /// Where to.
    pub bucket: BucketName,
    /// What name.
    pub key: ObjectKey,
    /// Headers, metadata, tags.
    pub object: Projection,
    /// What no backend is told; its list is made of `acl`.
    pub attributes: Attributes,
    /// The list that is asked for; `None` for a private one.
    pub acl: Option<RequestedAcl>,
    /// As the client asks for it.
    pub encryption: EncryptionParameters,
    /// `STANDARD` and so on.
    pub storage_class: String,
    /// `x-amz-meta-scal-location-constraint`.
    pub location: Option<String>,
    /// `x-amz-checksum-algorithm` and `-type`.
    pub checksum: Option<(Algorithm, Option<ChecksumKind>)>,
}

/// UploadPart.
pub struct PutPart {
    /// The upload.
    pub upload: UploadRef,
    /// 1 to 10,000.
    pub number: u32,
    /// The bytes.
    pub incoming: Incoming,
    /// The client's own key.
    pub customer: CustomerParameters,
}

/// UploadPartCopy.
#[derive(Debug, Clone)]
pub struct CopyPart {
    /// The upload.
    pub upload: UploadRef,
    /// 1 to 10,000.
    pub number: u32,
    /// Where from.
    pub source: Source,
    /// `x-amz-copy-source-range`: first and last byte.
    pub range: Option<(u64, u64)>,
    /// The client's own key.
    pub customer: CustomerParameters,
}

/// Names an upload.
#[derive(Debug, Clone)]
pub struct UploadRef {
    /// Who asks.
    pub caller: Caller,
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Its id.
    pub id: UploadId,
}

/// CompleteMultipartUpload.
#[derive(Debug, Clone)]
pub struct CompleteUpload {
    /// The upload.
    pub upload: UploadRef,
    /// As the client lists them.
    pub parts: Vec<ListedPart>,
    /// `If-Match`, `If-None-Match`.
    pub conditions: WriteConditions,
    /// `x-amz-checksum-*` of the whole object: algorithm and base64, perhaps with `-N`.
    pub checksum: Option<(Algorithm, String)>,
    /// `x-amz-mp-object-size`.
    pub size: Option<u64>,
    /// The client's own key.
    pub customer: CustomerParameters,
}

/// A part in a completion.
#[derive(Debug, Clone)]
pub struct ListedPart {
    /// Its number.
    pub number: u32,
    /// Without quotes.
    pub etag: String,
    /// Checksums that the client lists, base64.
    pub checksums: Vec<(Algorithm, String)>,
}

/// A completed upload.
#[derive(Debug, Clone)]
pub struct CompleteOutcome {
    /// The object.
    pub put: PutOutcome,
    /// Where it is.
    pub location: LocationName,
}

/// CreateBucket.
#[derive(Debug, Clone)]
pub struct CreateBucket {
    /// Who asks.
    pub caller: Caller,
    /// Its name.
    pub bucket: BucketName,
    /// Where its objects go.
    pub location: String,
    /// The list that is asked for; `None` for a private one.
    pub acl: Option<RequestedAcl>,
    /// What is configured from the start; its list is made of `acl`.
    pub settings: BucketSettings,
}

/// A bucket that was created.
#[derive(Debug, Clone, Default)]
pub struct CreatedBucket {
    /// For the log and, as `x-sallyport-warning`, for the client.
    pub warning: Option<String>,
}
