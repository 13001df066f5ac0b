//! The one crate that a Sallyport plugin in Rust needs.
//!
//! A plugin is a type that implements [`Storage`] and whichever of [`Multipart`],
//! [`ServerCopy`], [`Tagging`], [`Versions`] and [`Listing`] its backend can do, named once in
//! [`export_plugin!`]:
//!
//! ```ignore
//! struct Cellar { origin: http::Origin }
//!
//! impl Storage for Cellar { /* describe, validate, open, put, get, ... */ }
//! impl Listing for Cellar { /* list */ }
//!
//! sallyport_plugin_sdk::export_plugin!(Cellar, features = [listing]);
//! ```
//!
//! What each function promises is written in the contract, `wit/storage.wit`; its text is the
//! documentation of the traits here. The rest are helpers, each in a module of its own. A
//! component imports what it uses of them and nothing else.
//!
//! Everything compiles natively too, so that logic can be tested with a plain `cargo test`;
//! what calls the host panics there.

#[doc(hidden)]
pub mod bindings;

mod export;
mod optional;
mod storage;

pub mod body;
pub mod checksum;
pub mod details;
pub mod failure;
pub mod http;
pub mod locator;
pub mod log;
pub mod naming;
pub mod paging;
pub mod path;
pub mod retry;
pub mod shown;
pub mod xml;

pub use export::Opened;
pub use optional::{Listing, Multipart, ServerCopy, Tagging, Versions};
pub use storage::{Body, Complete, Storage};

/// The types that all interfaces share.
pub mod types {
    pub use crate::bindings::sallyport::plugin::types::{
        Attributes, Checksum, Expectation, Failure, Locator, Name, Place, Projection, Span, Stored, StoredPart, Token,
    };
}

/// Requests and answers of [`Storage`].
pub mod objects {
    pub use crate::bindings::exports::sallyport::plugin::storage::{
        CheckRequest, CheckResponse, DeleteRequest, DeleteResponse, Description, Field, FindRequest, FindResponse,
        Found, GetRequest, GetResponse, HeadRequest, HeadResponse, Limits, NamespaceRequest, NamespaceResponse,
        OpenRequest, OpenResponse, Parameter, Problem, Profile, PutRequest, Signing, Validation, ValidationRequest,
    };
}

/// Requests and answers of [`Multipart`].
pub mod multipart {
    pub use crate::bindings::multipart::exports::sallyport::plugin::multipart::{
        AbortRequest, AbortResponse, CompleteRequest, CompletedPart, CreateRequest, CreateResponse, FindUploadsRequest,
        FindUploadsResponse, KeepRequest, KeepResponse, PartRequest,
    };
}

/// Requests of [`ServerCopy`].
pub mod copy {
    pub use crate::bindings::copy::exports::sallyport::plugin::copy::{CopyPartRequest, CopyRequest};
}

/// Requests and answers of [`Tagging`].
pub mod tagging {
    pub use crate::bindings::tagging::exports::sallyport::plugin::tagging::{PutTagsRequest, PutTagsResponse};
}

/// Requests and answers of [`Versions`].
pub mod versions {
    pub use crate::bindings::versions::exports::sallyport::plugin::versions::{HideRequest, HideResponse};
}

/// Requests and answers of [`Listing`].
pub mod listing {
    pub use crate::bindings::listing::exports::sallyport::plugin::listing::{Entry, ListRequest, ListResponse};
}

/// The host's interface to files below the location's folder.
pub use bindings::sallyport::plugin::files;

/// The call that is being served: what time it has left, whether anybody waits for it.
pub use bindings::sallyport::plugin::call;

/// Clocks: `monotonic` to wait, `system` for the time of day.
pub mod clock {
    pub use crate::bindings::wasi::clocks::monotonic_clock as monotonic;
    pub use crate::bindings::wasi::clocks::system_clock as system;
}

/// Random numbers that nobody can guess.
pub use bindings::wasi::random::random;

/// The generator and runtime behind the bindings, for what the helpers leave out.
pub use wit_bindgen;
