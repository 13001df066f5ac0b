//! Looks names up, once for each connection.

use async_trait::async_trait;
use std::io;
use std::net::SocketAddr;

/// Looks names up in the system's place: for tests of names that mean another place each time.
#[async_trait]
pub trait Resolver: std::fmt::Debug + Send + Sync {
    /// The addresses of a name, with the port.
    ///
    /// # Errors
    /// When it has none; the connection fails with it.
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// As this machine is set up to do it.
#[derive(Debug)]
pub(crate) struct System;

#[async_trait]
impl Resolver for System {
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, port)).await?.collect())
    }
}
