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
mod trust;
mod variables;
mod watch;

pub use load::{Overrides, draft, load};
pub(crate) use locations::read_location;

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests prepare their files")]
mod tests;
