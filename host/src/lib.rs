//! The server around the parts: configuration, listeners, the admin port.

pub mod config;
