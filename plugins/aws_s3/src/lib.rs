//! The plugin for locations in a bucket that speaks S3.
//!
//! What is hot (put, get, head, delete, a part) is one request built here, unsigned; the rest
//! goes through the AWS SDK. Either way the host signs it as it leaves.

mod plugin;

mod description;
mod details;
mod endpoint;

mod backend;
mod client;
mod errors;

mod copy;
mod health;
mod listing;
mod multipart;
mod objects;
mod shown;
mod tagging;
mod versions;

mod locator;
mod projection;

pub use plugin::AwsS3;

#[cfg(feature = "component")]
sallyport_plugin_sdk::export_plugin!(AwsS3, features = [multipart, copy, tagging, versions, listing]);
