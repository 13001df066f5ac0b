//! Writes lines to the operator's log.

use crate::bindings::sallyport::plugin::log::{Level, write};

/// What the operator reads only when looking for something.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// What the operator may like to know.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// What deserves a look.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// What somebody must act on.
pub fn error(message: &str) {
    write(Level::Error, message);
}
