//! The traits of the optional interfaces.
//!
//! A plugin implements the ones that its backend can do and names them in `export_plugin!`;
//! the host finds out by looking at the component's exports.
#![expect(async_fn_in_trait, reason = "a component has one thread: no future here needs to be Send")]

use crate::copy::{CopyPartRequest, CopyRequest};
use crate::listing::{ListRequest, ListResponse};
use crate::multipart::{
    AbortRequest, AbortResponse, CompleteRequest, CreateRequest, CreateResponse, FindUploadsRequest,
    FindUploadsResponse, KeepRequest, KeepResponse, PartRequest,
};
use crate::storage::{Body, Complete, Storage};
use crate::tagging::{PutTagsRequest, PutTagsResponse};
use crate::types::{Failure, Stored, StoredPart};
use crate::versions::{HideRequest, HideResponse};

/// The `multipart` interface: the backend assembles an object from parts.
pub trait Multipart: Storage {
    /// Opens an upload. Not idempotent.
    async fn create(&self, request: CreateRequest) -> Result<CreateResponse, Failure>;

    /// Stores a part; the same number again replaces it.
    async fn put_part(&self, request: PartRequest, body: Body, complete: Complete) -> Result<StoredPart, Failure>;

    /// Turns the parts into an object, by reference.
    async fn complete(&self, request: CompleteRequest) -> Result<Stored, Failure>;

    /// Frees an upload with its parts. Idempotent.
    async fn abort(&self, request: AbortRequest) -> Result<AbortResponse, Failure>;

    /// Keeps an upload from expiring.
    async fn keep(&self, request: KeepRequest) -> Result<KeepResponse, Failure>;

    /// The open uploads at a place that a write may have left behind.
    async fn find_uploads(&self, request: FindUploadsRequest) -> Result<FindUploadsResponse, Failure>;
}

/// The `copy` interface: the backend copies without the bytes passing the host.
pub trait ServerCopy: Storage {
    /// Copies exactly the bytes that the source names; `unsupported` when it cannot.
    async fn copy(&self, request: CopyRequest) -> Result<Stored, Failure>;

    /// Makes a part of an upload from stored bytes; `unsupported` when it cannot.
    async fn copy_part(&self, request: CopyPartRequest) -> Result<StoredPart, Failure>;
}

/// The `tagging` interface: the backend shows the object's tags.
pub trait Tagging: Storage {
    /// Replaces the tags of an object. Idempotent.
    async fn put_tags(&self, request: PutTagsRequest) -> Result<PutTagsResponse, Failure>;
}

/// The `versions` interface: the backend has versions of its own.
pub trait Versions: Storage {
    /// Leaves the backend's own delete marker at a place.
    async fn hide(&self, request: HideRequest) -> Result<HideResponse, Failure>;
}

/// The `listing` interface: the backend lists what it holds.
pub trait Listing: Storage {
    /// One page of what is there. No side effect.
    async fn list(&self, request: ListRequest) -> Result<ListResponse, Failure>;
}
