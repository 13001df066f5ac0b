//! Why the gateway refuses a request, in its own words; S3's codes are the front's.

use crate::access::MalformedPolicy;
use crate::backend::{BackendError, FailureCode};
use crate::body::{BodyError, Refusal};
use crate::encryption::{EncryptionRefusal, KeyError};
use crate::metadata::{ConditionFailure, MetadataError};
use crate::names::{BucketName, LocationName};
use std::time::Duration;

/// What a request can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bucket or object belongs to somebody else.
    #[error("access denied")]
    AccessDenied,
    /// Only the account that owns the bucket may do this, whoever else is allowed to.
    #[error("only the account that owns the bucket may do this")]
    NotTheOwnersAccount,
    /// The bucket's owner owns everything in it, and lists count for nothing.
    #[error("the bucket does not allow ACLs")]
    AccessControlListNotSupported,
    /// Lists cannot be disabled while the bucket's grants something to others.
    #[error("the bucket's ACL grants access to others")]
    InvalidBucketAclWithObjectOwnership,
    /// A policy that is none.
    #[error(transparent)]
    MalformedPolicy(#[from] MalformedPolicy),
    /// Object lock protects the version.
    #[error("object lock protects the version")]
    ObjectLocked,
    /// The bucket would hold more than its quota.
    #[error("the bucket's quota is exceeded")]
    QuotaExceeded,
    /// The bucket's state does not allow it.
    #[error("{0}")]
    InvalidBucketState(&'static str),
    /// No bucket of that name.
    #[error("the bucket {0} does not exist")]
    NoSuchBucket(BucketName),
    /// The bucket is somebody else's.
    #[error("the bucket name {0} is taken by another account")]
    BucketAlreadyExists(BucketName),
    /// The bucket is the caller's own.
    #[error("the bucket {0} is yours already")]
    BucketAlreadyOwnedByYou(BucketName),
    /// It holds objects, versions, delete markers or open writes.
    #[error("the bucket {0} is not empty")]
    BucketNotEmpty(BucketName),
    /// The location of a CreateBucket is not configured.
    #[error("the location constraint {0} is not listed in locationConfig.json")]
    InvalidLocationConstraint(String),
    /// The location of a CreateBucket is for what is archived.
    #[error("the location constraint {0} is cold: it takes no new buckets")]
    ColdLocation(String),
    /// The location of an object's header is not configured.
    #[error("the object's location constraint {0} is not listed in locationConfig.json")]
    InvalidObjectLocation(String),
    /// Neither a storage class of S3's nor a location.
    #[error("the storage class {0} is neither one of S3's nor listed in locationConfig.json")]
    InvalidStorageClass(String),
    /// A destination of notifications is not configured, or did not take its test event.
    #[error("the destination {arn} cannot be used: {why}")]
    InvalidDestination {
        /// As the client named it.
        arn: String,
        /// Without anything secret.
        why: String,
    },
    /// No current object of that key.
    #[error("the key does not exist")]
    NoSuchKey {
        /// Set when a delete marker hides it: the marker's id.
        marker: Option<String>,
    },
    /// No version of that id.
    #[error("the version does not exist")]
    NoSuchVersion,
    /// The version is a delete marker, which has no bytes.
    #[error("the version is a delete marker")]
    MethodNotAllowedOnMarker {
        /// Its id.
        marker: String,
        /// Milliseconds since 1970.
        last_modified: i64,
    },
    /// Logs cannot be delivered there.
    #[error("{0}")]
    InvalidTargetBucket(&'static str),
    /// Reports cannot be delivered there.
    #[error("{0}")]
    InvalidDestinationBucket(&'static str),
    /// The bucket has as many configurations of a kind as it may have.
    #[error("the bucket has {0} configurations, which is as many as it may have")]
    TooManyConfigurations(usize),
    /// No configuration of that id.
    #[error("the configuration does not exist")]
    NoSuchConfiguration,
    /// No upload of that id.
    #[error("the upload does not exist")]
    NoSuchUpload,
    /// A part of a completion is not there or has another ETag or checksum.
    #[error("a part was not uploaded or is not as it was listed: {0:?}")]
    InvalidPart(Option<u32>),
    /// A completion's parts are not in ascending order.
    #[error("the parts are not in ascending order")]
    InvalidPartOrder,
    /// A part but the last is smaller than 5 MiB, or than the backend takes.
    #[error("part {number} has {size} bytes, less than every part but the last needs")]
    EntityTooSmall {
        /// Its number.
        number: u32,
        /// In bytes.
        size: u64,
        /// In bytes, where that is known.
        minimum: Option<u64>,
    },
    /// An object or part is larger than S3 takes.
    #[error("{size} bytes are more than the {limit} that are allowed")]
    EntityTooLarge {
        /// In bytes.
        size: u64,
        /// In bytes.
        limit: u64,
    },
    /// An object or part is larger than the backend takes.
    #[error("too large for the object's location")]
    TooLargeForLocation,
    /// The requested part of an object is not there.
    #[error("the object has no part {0}")]
    InvalidPartNumber(u32),
    /// A range that touches no byte.
    #[error("the range is not satisfiable for {size} bytes")]
    InvalidRange {
        /// The object's size in bytes.
        size: u64,
    },
    /// A condition of a request does not hold.
    #[error("a condition does not hold: {0}")]
    PreconditionFailed(&'static str),
    /// The client has it already.
    #[error("not modified")]
    NotModified {
        /// Without quotes.
        etag: String,
        /// Milliseconds since 1970.
        last_modified: i64,
        /// The version's id, when the bucket shows ids.
        version: Option<String>,
    },
    /// What the client sent contradicts itself.
    #[error(transparent)]
    Refused(Refusal),
    /// The client's body broke off.
    #[error("the request's body broke off: {0}")]
    IncompleteBody(String),
    /// The client's body stalled.
    #[error("the request's body stalled")]
    RequestTimeout,
    /// A request that S3 refuses for a reason of its own.
    #[error("{message}")]
    InvalidArgument {
        /// The argument.
        argument: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// A request that S3 refuses as a whole.
    #[error("{0}")]
    InvalidRequest(String),
    /// What S3 finds wrong with a request's encryption.
    #[error("{0}")]
    Encryption(EncryptionRefusal),
    /// The key that an object is encrypted with cannot be used.
    #[error("{0}")]
    Key(KeyError),
    /// Not there yet, or not on this backend.
    #[error("{0} is not implemented")]
    NotImplemented(String),
    /// The location cannot work now.
    #[error("the location {location} is not available: {cause}")]
    LocationUnavailable {
        /// Its name.
        location: LocationName,
        /// One sentence, without secrets.
        cause: String,
        /// When it is worth trying again, where that is known.
        retry_after: Option<Duration>,
    },
    /// The backend lost the bytes, or somebody else took or changed them.
    #[error("the object's bytes are not in the location {location} any more")]
    LocationLost {
        /// Its name.
        location: LocationName,
    },
    /// Too much at once.
    #[error("busy: {0}")]
    SlowDown(String),
    /// The backend's storage is full.
    #[error("the location {0} is full")]
    NoSpace(LocationName),
    /// Anything that should not happen.
    #[error("internal: {0}")]
    Internal(String),
    /// The database failed.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

/// Shorthand.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<ConditionFailure> for Error {
    fn from(failure: ConditionFailure) -> Self {
        match failure {
            ConditionFailure::PreconditionFailed => Self::PreconditionFailed("If-Match or If-None-Match"),
            ConditionFailure::NoSuchKey => Self::NoSuchKey { marker: None },
            ConditionFailure::Protected => Self::ObjectLocked,
            ConditionFailure::BucketFull => Self::QuotaExceeded,
            // CloudServer answers the same, so a client need not know of locations.
            ConditionFailure::LocationFull => Self::AccessDenied,
        }
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Client(cause) => Self::IncompleteBody(cause),
            BodyError::Idle => Self::RequestTimeout,
            BodyError::Refused(refusal) => Self::Refused(refusal),
            BodyError::Backend(cause) => Self::Internal(cause),
            BodyError::Length { expected, actual } => {
                Self::IncompleteBody(format!("{actual} of {expected} bytes came"))
            }
        }
    }
}

impl Error {
    /// What a backend's failure means to the client of a location: the one table.
    pub fn from_backend(location: &LocationName, error: BackendError) -> Self {
        let unavailable = |cause: String, retry_after: Option<Duration>| Self::LocationUnavailable {
            location: location.clone(),
            cause,
            retry_after,
        };
        match error {
            BackendError::Body(body) => body.into(),
            BackendError::Busy(what) => Self::SlowDown(format!("the location {location}: {what}")),
            BackendError::Broke(cause) => Self::Internal(format!("the location {location}: {cause}")),
            BackendError::Answered { code, message, retry_after } => match code {
                FailureCode::NotFound | FailureCode::Changed => Self::LocationLost { location: location.clone() },
                FailureCode::Throttled => Self::SlowDown(format!("the location {location}: {message}")),
                FailureCode::NoSpace => Self::NoSpace(location.clone()),
                FailureCode::TooLarge => Self::TooLargeForLocation,
                FailureCode::Unsupported => Self::NotImplemented("this on the object's location".to_owned()),
                FailureCode::Denied | FailureCode::Unavailable | FailureCode::Exists => {
                    unavailable(message, retry_after)
                }
                FailureCode::TooSmall | FailureCode::Invalid | FailureCode::Internal => {
                    unavailable(message, retry_after)
                }
            },
        }
    }
}
