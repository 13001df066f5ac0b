//! What the gateway does: buckets, objects, versions, uploads, and the consistency of
//! metadata and bytes. No HTTP, SQL or wasm.

pub mod backend;
pub mod body;
pub mod checksum;
pub mod metadata;
pub mod names;

mod error;
mod gateway;

pub use error::{Error, Result};
pub use gateway::{
    ByteRange, CheckReport, CompleteOutcome, CompleteUpload, CopyObject, CopyOutcome, CopyPart, CreatedBucket,
    DeleteObject, Found, Gateway, GatewayOptions, GetObject, Incoming, ListedPart, NewUpload, PutObject, PutOutcome,
    PutPart, ReadConditions, Source, Trailer, UploadRef,
};
