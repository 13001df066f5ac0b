//! An example: the services of Apache OpenDAL as locations, chosen by `details.service`.
//!
//! OpenDAL knows each service's requests and answers. What it would do badly here is left to the host: it signs nothing,
//! since requests are signed as they leave, and it never sees an object's bytes, since `transport` sends and hands on
//! bodies beside it. Each write is a file of its own, named by its write id, so that the services need to agree on no
//! more than files that are written, read, listed and removed.

mod plugin;

mod description;
mod listing;

mod place;
mod service;
mod transport;

pub use plugin::Store;

sallyport_plugin_sdk::export_plugin!(Store, features = [listing]);
