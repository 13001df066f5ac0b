//! An example: objects in a bucket that speaks S3, encrypted before they get there.
//!
//! It wraps the plugin `aws_s3`, which it has as a library: requests, signing at egress and locators are that one's. What
//! comes on top is that bodies are read here, sealed in chunks of 64 KiB, and opened again on their way back. Who
//! reads the bucket sees names, sizes to within a chunk's tags, and nothing else.

mod plugin;

mod description;

mod layout;
mod locator;

mod keys;
mod sealing;

pub use plugin::SealedS3;

sallyport_plugin_sdk::export_plugin!(SealedS3, features = [copy]);
