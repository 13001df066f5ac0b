//! Generates the Rust side of the contract from `wit/`.
//!
//! The required interface and each optional one have a world of their own, so that a component
//! declares just the ones that its author chose; what they share comes from the first one.
#![allow(unsafe_code, reason = "generated code crosses the component boundary")]
#![allow(missing_docs, unreachable_pub, reason = "generated code; `wit/` documents it")]
#![allow(
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "generated code"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "plugin",
    generate_all,
    additional_derives: [PartialEq],
    pub_export_macro: true,
    export_macro_name: "__export_storage",
});

/// Generates one optional interface on top of the shared types.
macro_rules! optional {
    ($module:ident, $world:literal, $export:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../../wit",
                world: $world,
                with: { "sallyport:plugin/types@0.1.0": crate::bindings::sallyport::plugin::types },
                additional_derives: [PartialEq],
                pub_export_macro: true,
                export_macro_name: $export,
            });
        }
    };
}

optional!(multipart, "with-multipart", "__export_multipart");
optional!(copy, "with-copy", "__export_copy");
optional!(tagging, "with-tagging", "__export_tagging");
optional!(versions, "with-versions", "__export_versions");
optional!(listing, "with-listing", "__export_listing");
