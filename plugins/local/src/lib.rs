//! Stores objects as files below one folder of this machine.
//!
//! Each write is a file of its own, named by its write id, so nothing is ever overwritten and
//! a key may be any text. `layout` says where the files are.

mod description;
mod layout;
mod plugin;
mod walk;

pub use plugin::Local;

sallyport_plugin_sdk::export_plugin!(Local, features = [listing]);
