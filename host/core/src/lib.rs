//! What the gateway does: buckets, objects, versions, uploads, and the consistency of
//! metadata and bytes. No HTTP, SQL or wasm.

pub mod backend;
pub mod body;
pub mod metadata;
pub mod names;
