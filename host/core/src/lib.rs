//! What the gateway does: buckets, objects, versions, uploads, and the consistency of
//! metadata and bytes. No HTTP, SQL or wasm.

pub mod access;
pub mod backend;
pub mod body;
pub mod checksum;
pub mod cors;
pub mod encryption;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod inventory;
pub mod lifecycle;
pub mod logging;
pub mod metadata;
pub mod names;
pub mod notification;
pub mod object_lock;
pub mod storage_class;
pub mod website;

mod error;
mod gateway;

pub use error::{Error, Result};
pub use gateway::{
    ByteRange, CheckReport, CompleteOutcome, CompleteUpload, CopyObject, CopyOutcome, CopyPart, CreateBucket,
    CreatedBucket, DeleteObject, Found, Gateway, GatewayOptions, GetObject, Import, ImportReport, Incoming,
    LifecycleReport, ListedPart, LockTarget, NewUpload, PutObject, PutOutcome, PutPart, RangeCondition, ReadConditions,
    RewrapReport, Source, Trailer, UploadRef, Vanished, Watch, WatchReport,
};
