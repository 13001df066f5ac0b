//! Listens, speaks HTTP, and hands each request to one handler.

mod certificate;
mod connection;
mod idle;
mod io;
mod server;
mod signal;

pub use certificate::{Certificate, CertificateError};
pub use idle::{IdleBody, IdleError};
pub use server::{Drained, Listening, ServeError, ServeOptions, Serving, bind};
pub use signal::{reload_requests, stop_requested};

use std::net::SocketAddr;

/// Who sent a request, and how it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the connection.
    pub address: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests prepare their files")]
mod tests;
