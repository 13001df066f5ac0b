//! Reads CloudServer's files and variables: the one place that knows their names.

mod accounts;
mod field;
mod files;
mod load;
mod locations;
mod server;
mod trust;
mod variables;
mod watch;

pub use load::{Overrides, draft, load};

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests prepare their files")]
mod tests;
