//! Reads CloudServer's files and variables: the one place that knows their names.

mod accounts;
mod destinations;
mod field;
mod files;
mod grants;
mod load;
mod locations;
mod server;
mod tenants;
mod variables;
mod watch;

pub(crate) use grants::read as read_grants;
pub use load::{Overrides, draft, load};

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests prepare their files")]
mod tests;
