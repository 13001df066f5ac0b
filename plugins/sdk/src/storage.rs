//! The trait that every plugin implements.

use crate::objects::{
    CheckRequest, CheckResponse, DeleteRequest, DeleteResponse, Description, FindRequest, FindResponse, GetRequest,
    GetResponse, HeadRequest, HeadResponse, NamespaceRequest, NamespaceResponse, OpenRequest, PutRequest, Validation,
    ValidationRequest,
};
use crate::types::{Failure, Stored};
use wit_bindgen::rt::async_support::{FutureReader, StreamReader};

/// The bytes of an object on their way.
///
/// Handed on unread, they flow in the host and never enter the plugin.
pub type Body = StreamReader<u8>;

/// Resolves to ok once the whole of a [`Body`] that the plugin reads itself was accepted.
pub type Complete = FutureReader<Result<(), Failure>>;

/// The `storage` interface: what the host requires of a plugin.
///
/// An instance is a location that was opened. Calls may overlap, so state that changes lives
/// in cells, and no borrow of one is held across an await.
#[expect(async_fn_in_trait, reason = "a component has one thread: no future here needs to be Send")]
pub trait Storage: Sized + 'static {
    /// What the host must know of this type of location. Pure, and the same for ever.
    fn describe() -> Description;

    /// Finds every problem of a location's `details`. Pure.
    fn validate(request: ValidationRequest) -> Validation;

    /// Prepares an instance; called once, before anything but the functions above.
    async fn open(request: OpenRequest) -> Result<Self, Failure>;

    /// Asks the backend whether this location can work. Safe to repeat.
    async fn check(&self, request: CheckRequest) -> Result<CheckResponse, Failure>;

    /// Where the plain places of a bucket are. Pure.
    fn namespace(&self, request: NamespaceRequest) -> NamespaceResponse;

    /// Stores an object whole or not at all. Atomic, not idempotent.
    async fn put(&self, request: PutRequest, body: Body, complete: Complete) -> Result<Stored, Failure>;

    /// Reads an object or a span of it.
    async fn get(&self, request: GetRequest) -> Result<(GetResponse, Body), Failure>;

    /// Whether the bytes are still there. No side effect.
    async fn head(&self, request: HeadRequest) -> Result<HeadResponse, Failure>;

    /// Frees the bytes that the locator names and no others. Idempotent.
    async fn delete(&self, request: DeleteRequest) -> Result<DeleteResponse, Failure>;

    /// Looks for a write by its name and id. No side effect.
    async fn find(&self, request: FindRequest) -> Result<FindResponse, Failure>;
}
