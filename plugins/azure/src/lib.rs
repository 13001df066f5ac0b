//! The plugin for locations of the type `azure`: block blobs in one container.

mod description;
mod details;
mod endpoint;
mod names;
mod locator;
mod projection;
mod requests;
mod errors;
mod plugin;
mod objects;
mod health;
mod multipart;
mod copy;
mod tagging;
mod listing;

pub use plugin::Azure;

sallyport_plugin_sdk::export_plugin!(Azure, features = [multipart, copy, tagging, listing]);
