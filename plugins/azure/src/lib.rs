//! The plugin for locations of the type `azure`: block blobs in one container.

mod copy;
mod description;
mod details;
mod endpoint;
mod errors;
mod health;
mod listing;
mod locator;
mod multipart;
mod names;
mod objects;
mod plugin;
mod projection;
mod requests;
mod shown;
mod tagging;

pub use plugin::Azure;

sallyport_plugin_sdk::export_plugin!(Azure, features = [multipart, copy, tagging, listing]);
