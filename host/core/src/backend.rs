//! The port to where bytes are: what the gateway asks of a location's storage.

use crate::body::Body;
use crate::names::{AccountId, BucketName, LocationName, ObjectKey, WriteId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Storage of one location.
///
/// The contract of each operation is the one of `wit/storage.wit`, of which this is the
/// Rust side; what is said here is what the gateway relies on beyond it. Implementations
/// check everything that a plugin answers before they pass it on, enforce deadlines and
/// idle limits, and never retry a call that carried a body. Dropping a future gives up on
/// the answer: the operation may or may not take place, and `find` tells which.
#[async_trait]
pub trait Backend: Send + Sync {
    /// What this location's type and configuration can do. Constant while the backend lives.
    fn traits(&self) -> &Traits;

    /// What all plain places of a bucket start with; see `storage.namespace`.
    async fn namespace(&self, bucket: &BucketName) -> Result<String, BackendError>;

    /// Asks whether the location can work; `thorough` may create what is missing.
    async fn check(&self, thorough: bool) -> Result<Checked, BackendError>;

    /// Stores an object whole or not at all. Atomic, not idempotent. A body that ends with
    /// an error leaves nothing.
    async fn put(&self, request: Put, body: Body) -> Result<Stored, BackendError>;

    /// Reads an object or a span of it. The answer is checked: it starts where it was asked
    /// to and announces exactly the length that was asked for; the body still has to be
    /// counted by whoever sends it on.
    async fn get(&self, request: Get) -> Result<Body, BackendError>;

    /// The stored size in bytes, when the bytes are still there.
    async fn head(&self, locator: &Locator) -> Result<u64, BackendError>;

    /// Frees the bytes that the locator names and no others. Idempotent.
    async fn delete(&self, locator: &Locator) -> Result<(), BackendError>;

    /// What a write left at a place; `None` for the id asks for whatever is there.
    async fn find(&self, name: &Name, write_id: Option<&WriteId>) -> Result<Option<Found>, BackendError>;

    /// Whatever is at a place, with what it shows beside its bytes: for what others stored. A
    /// backend that cannot tell shows nothing.
    async fn look(&self, name: &Name) -> Result<Option<Shown>, BackendError> {
        let found = self.find(name, None).await?;
        Ok(found.map(|found| Shown { found, write_id: None, object: Projection::default() }))
    }

    /// Whose bytes these are, by the locator of a listing that does not tell. A backend that
    /// cannot tell either answers with the locator as it is.
    async fn identify(&self, locator: &Locator) -> Result<Identity, BackendError> {
        Ok(Identity { locator: locator.clone(), write_id: None })
    }

    /// Opens a backend upload. Needs `traits().multipart`, as do the other four.
    async fn create_upload(&self, request: CreateUpload) -> Result<Token, BackendError>;

    /// Stores a part; the same number again replaces it.
    async fn put_part(&self, request: PutPart, body: Body) -> Result<StoredPart, BackendError>;

    /// Turns parts into an object, by reference.
    async fn complete_upload(&self, request: CompleteUpload) -> Result<Stored, BackendError>;

    /// Frees an upload with its parts. Idempotent.
    async fn abort_upload(&self, upload: &Token) -> Result<(), BackendError>;

    /// Keeps an upload from expiring.
    async fn keep_upload(&self, upload: &Token) -> Result<(), BackendError>;

    /// Uploads that a write may have left open at a place.
    async fn find_uploads(&self, name: &Name, write_id: &WriteId) -> Result<Vec<Token>, BackendError>;

    /// Copies within the location. Needs `traits().copy`, as does `copy_part`;
    /// [`FailureCode::Unsupported`] means that the bytes have to be streamed.
    async fn copy(&self, request: Copy) -> Result<Stored, BackendError>;

    /// Makes a part of an upload from stored bytes.
    async fn copy_part(&self, request: CopyPart) -> Result<StoredPart, BackendError>;

    /// Replaces the tags that the backend shows. Needs `traits().tagging`. Idempotent.
    async fn put_tags(&self, locator: &Locator, object: &Projection) -> Result<Locator, BackendError>;

    /// Leaves the backend's own delete marker. Needs `traits().versions`.
    async fn hide(&self, name: &Name) -> Result<Locator, BackendError>;

    /// One page of what the backend holds. Needs `traits().listing`.
    async fn list(&self, request: ListStored) -> Result<StoredPage, BackendError>;
}

/// The locations of the configuration, by name.
pub trait Locations: Send + Sync {
    /// The location's settings; `None` when the configuration has no such location.
    fn location(&self, name: &LocationName) -> Option<Location>;

    /// All names, sorted.
    fn names(&self) -> Vec<LocationName>;

    /// The accounts that the location belongs to; `None` when it belongs to all of them. To any
    /// other account it is as if it was not there.
    fn accounts(&self, _name: &LocationName) -> Option<Arc<[AccountId]>> {
        None
    }

    /// `isCold`: no bucket is created there.
    fn is_cold(&self, _name: &LocationName) -> bool {
        false
    }

    /// `adoptExisting`: a write replaces what it finds at its plain place, whoever put it
    /// there. Matters where an overwrite loses what it replaces.
    fn adopts_existing(&self, _name: &LocationName) -> bool {
        false
    }

    /// Another number whenever the location's storage was opened anew: what was learned of
    /// the one before (how it names things) has to be asked again.
    fn generation(&self, _name: &LocationName) -> u64 {
        0
    }
}

/// A location as the gateway sees it.
#[derive(Clone)]
pub struct Location {
    /// Its name in the configuration.
    pub name: LocationName,
    /// `legacyAwsBehavior`.
    pub legacy_aws_behavior: bool,
    /// Its storage, or why there is none now (for the operator and, by name, the client).
    pub backend: Result<Arc<dyn Backend>, Unhealthy>,
}

/// Why a location cannot be used now; it heals by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhealthy {
    /// One sentence, without secrets.
    pub cause: String,
    /// When it is worth trying again, where that is known.
    pub retry_after: Option<Duration>,
}

/// What a check of a location that works found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// For the operator.
    pub warnings: Vec<String>,
    /// Fields of `details` that the operator left out, as the backend told them: the location
    /// works once it is opened with them.
    pub learned: Vec<(String, String)>,
}

/// What a location's type and configuration can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traits {
    /// Largest body of one put, in bytes.
    pub max_put: u64,
    /// Smallest part but the last, in bytes.
    pub min_part: u64,
    /// Largest part, in bytes.
    pub max_part: u64,
    /// Most parts of an upload and the highest number of one.
    pub max_parts: u32,
    /// An overwrite keeps what it replaces, and its locator goes on naming it.
    pub keeps_overwritten: bool,
    /// The backend forgets uploads that are left alone for this long.
    pub uploads_expire_after: Option<Duration>,
    /// Parts and assembly.
    pub multipart: bool,
    /// Server-side copies.
    pub copy: bool,
    /// Tags shown by the backend.
    pub tagging: bool,
    /// Delete markers of the backend's own.
    pub versions: bool,
    /// Listing of what is there.
    pub listing: bool,
    /// Identifies the container behind the location.
    pub target: String,
}

/// Where an object is asked to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Name {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Plain for people to find, or derived.
    pub place: Place,
}

/// Which of the places that belong to a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Place {
    /// Shows bucket and key as they are.
    Plain,
    /// Out of the way, unique by its token.
    Derived(String),
}

/// Names stored bytes; opaque.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Locator(pub Vec<u8>);

/// Names an open upload or a stored part; opaque.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token(pub Vec<u8>);

/// A digest that travels with an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// `md5`, `crc32`, `crc32c`, `crc64nvme`, `sha1` or `sha256`.
    pub algorithm: String,
    /// Raw bytes.
    pub value: Vec<u8>,
}

/// What is shown of an object on the backend beside its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projection {
    /// Content headers, lower case.
    pub content: Vec<(String, String)>,
    /// User metadata without its prefix.
    pub metadata: Vec<(String, String)>,
    /// Tags.
    pub tags: Vec<(String, String)>,
}

/// The metadata that chose an object's location: clients see it, backends do not, since it
/// would choose again where the backend is a gateway too.
pub const LOCATION_METADATA: &str = "scal-location-constraint";

/// What has to be at a place for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// Whatever is there is replaced.
    Anything,
    /// Nothing may be there.
    Nothing,
    /// These bytes have to be there.
    Bytes(Locator),
}

/// A write.
#[derive(Debug, Clone)]
pub struct Put {
    /// Where to.
    pub name: Name,
    /// Stored with the bytes.
    pub write_id: WriteId,
    /// Length of the body in bytes.
    pub size: u64,
    /// What has to be there.
    pub expect: Expectation,
    /// Shown beside the bytes.
    pub object: Projection,
    /// Known beforehand.
    pub checksums: Vec<Digest>,
}

/// Stored bytes.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Names them.
    pub locator: Locator,
    /// What the backend computed of them.
    pub checksums: Vec<Digest>,
}

/// A read.
#[derive(Debug, Clone)]
pub struct Get {
    /// What.
    pub locator: Locator,
    /// The stored size of all of it, in bytes.
    pub size: u64,
    /// Absolute; `None` for all of it.
    pub span: Option<Span>,
}

/// A span of bytes, absolute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First byte, from 0.
    pub offset: u64,
    /// How many; never 0.
    pub length: u64,
}

/// What a write left.
#[derive(Debug, Clone)]
pub struct Found {
    /// Names it.
    pub locator: Locator,
    /// Stored bytes.
    pub size: u64,
    /// What the backend knows of them.
    pub checksums: Vec<Digest>,
}

/// What others stored.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The bytes.
    pub found: Found,
    /// The write that stored them, when it was one of a Sallyport.
    pub write_id: Option<WriteId>,
    /// Content headers, user metadata and tags.
    pub object: Projection,
}

/// Whose stored bytes are.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Names them as their write was answered.
    pub locator: Locator,
    /// The write that stored them, when it was one of a Sallyport.
    pub write_id: Option<WriteId>,
}

/// An upload to open.
#[derive(Debug, Clone)]
pub struct CreateUpload {
    /// Where to.
    pub name: Name,
    /// Stored with the upload where the backend can.
    pub write_id: WriteId,
    /// Shown beside the bytes.
    pub object: Projection,
}

/// A part to store.
#[derive(Debug, Clone)]
pub struct PutPart {
    /// The upload.
    pub upload: Token,
    /// 1 to `max_parts`.
    pub number: u32,
    /// Length of the body in bytes.
    pub size: u64,
    /// Known beforehand.
    pub checksums: Vec<Digest>,
}

/// A stored part.
#[derive(Debug, Clone)]
pub struct StoredPart {
    /// Names it for completion.
    pub part: Token,
    /// What the backend computed of it.
    pub checksums: Vec<Digest>,
}

/// An upload to turn into an object.
#[derive(Debug, Clone)]
pub struct CompleteUpload {
    /// The upload.
    pub upload: Token,
    /// In the order of the bytes, numbers ascending.
    pub parts: Vec<CompletedPart>,
    /// All of them, in bytes.
    pub size: u64,
}

/// One part of a completion.
#[derive(Debug, Clone)]
pub struct CompletedPart {
    /// Its number on the backend.
    pub number: u32,
    /// Its name.
    pub part: Token,
    /// Its length in bytes.
    pub size: u64,
}

/// A server-side copy.
#[derive(Debug, Clone)]
pub struct Copy {
    /// Exactly these bytes.
    pub source: Locator,
    /// Their stored size.
    pub size: u64,
    /// Where to.
    pub name: Name,
    /// Stored with the copy.
    pub write_id: WriteId,
    /// What has to be there.
    pub expect: Expectation,
    /// Replaces what the source shows.
    pub object: Projection,
}

/// A part made from stored bytes.
#[derive(Debug, Clone)]
pub struct CopyPart {
    /// Exactly these bytes.
    pub source: Locator,
    /// Their stored size.
    pub source_size: u64,
    /// `None` for all of them.
    pub span: Option<Span>,
    /// The upload.
    pub upload: Token,
    /// 1 to `max_parts`.
    pub number: u32,
}

/// A page to list.
#[derive(Debug, Clone, Default)]
pub struct ListStored {
    /// Relative to the target; `None` for all.
    pub prefix: Option<String>,
    /// From the page before.
    pub cursor: Option<String>,
    /// 1 to 1,000.
    pub limit: u32,
    /// Also what is not current.
    pub versions: bool,
}

/// A page of what is there.
#[derive(Debug, Clone)]
pub struct StoredPage {
    /// In the backend's order.
    pub entries: Vec<StoredEntry>,
    /// `None` after the last page.
    pub cursor: Option<String>,
}

/// An object that the backend holds.
#[derive(Debug, Clone)]
pub struct StoredEntry {
    /// The backend's own name for it.
    pub name: String,
    /// Names its bytes.
    pub locator: Locator,
    /// Stored bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub last_modified: Option<u64>,
    /// The write that made it, when listing shows that.
    pub write_id: Option<WriteId>,
}

/// Why a backend did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BackendError {
    /// The plugin answered, with no.
    #[error("{code:?}: {message}")]
    Answered {
        /// Its reason.
        code: FailureCode,
        /// For the operator.
        message: String,
        /// When trying again may help.
        retry_after: Option<Duration>,
    },
    /// The plugin broke, overran a limit or lied: nothing that it said counts.
    #[error("the plugin broke: {0}")]
    Broke(String),
    /// No store, connection or permit was free; nothing was tried.
    #[error("the location is busy: {0}")]
    Busy(String),
    /// The body that was being sent broke off first.
    #[error(transparent)]
    Body(#[from] crate::body::BodyError),
}

impl BackendError {
    /// The code, when the plugin answered with one.
    pub fn code(&self) -> Option<FailureCode> {
        match self {
            Self::Answered { code, .. } => Some(*code),
            Self::Broke(_) | Self::Busy(_) | Self::Body(_) => None,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Answered { code, retry_after, .. } => {
                retry_after.is_some() || matches!(code, FailureCode::Throttled | FailureCode::Unavailable)
            }
            Self::Broke(_) | Self::Busy(_) => true,
            Self::Body(_) => false,
        }
    }
}

/// A plugin's reasons; what it says beyond them is `Internal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureCode {
    /// Nothing is there.
    NotFound,
    /// Other bytes are there.
    Changed,
    /// Something is there where nothing should be.
    Exists,
    /// The backend refuses the location's credentials.
    Denied,
    /// The backend wants fewer requests.
    Throttled,
    /// The backend does not answer or cannot work.
    Unavailable,
    /// The backend is full.
    NoSpace,
    /// Larger than the backend takes.
    TooLarge,
    /// A part but the last is smaller than the backend takes.
    TooSmall,
    /// The backend or the plugin cannot do this.
    Unsupported,
    /// The backend finds the request wrong.
    Invalid,
    /// Anything else.
    Internal,
}

impl FailureCode {
    /// The code of a plugin's word for it.
    pub fn from_word(word: &str) -> Self {
        match word {
            "not-found" => Self::NotFound,
            "changed" => Self::Changed,
            "exists" => Self::Exists,
            "denied" => Self::Denied,
            "throttled" => Self::Throttled,
            "unavailable" => Self::Unavailable,
            "no-space" => Self::NoSpace,
            "too-large" => Self::TooLarge,
            "too-small" => Self::TooSmall,
            "unsupported" => Self::Unsupported,
            "invalid" => Self::Invalid,
            _ => Self::Internal,
        }
    }
}
