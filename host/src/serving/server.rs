//! Accepts connections, bounds their number, and drains them at the end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Peer, connection};
use crate::config::ConnectionLimits;

/// How long accepting rests when the system has no more file descriptors.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// What a server is started with.
#[derive(Clone)]
pub struct ServeOptions {
    /// Bounds on each connection and all of them.
    pub limits: ConnectionLimits,
    /// Absent: plain HTTP.
    pub tls: Option<TlsAcceptor>,
}

/// An address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ServeError {
    address: SocketAddr,
    source: io::Error,
}

/// Sockets that already hold their addresses, but do not accept yet.
#[derive(Debug)]
pub struct Listening(Vec<(TcpListener, SocketAddr)>);

/// Takes all of the addresses, or none.
pub async fn bind(addresses: &[SocketAddr]) -> Result<Listening, ServeError> {
    let mut listeners = Vec::new();
    for &address in addresses {
        let error = |source| ServeError { address, source };
        let listener = TcpListener::bind(address).await.map_err(error)?;
        let real = listener.local_addr().map_err(error)?;
        listeners.push((listener, real));
    }
    Ok(Listening(listeners))
}

impl Listening {
    /// The addresses, with the real port where 0 was asked for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|(_, address)| *address).collect()
    }

    /// Begins to accept. Each request goes to `handler`, whose answer is sent as it is.
    pub fn serve<H, F, E>(self, options: ServeOptions, handler: H) -> Serving
    where
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<UnsyncBoxBody<Bytes, E>>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let serving = Serving {
            addresses: self.addresses(),
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
            connections: TaskTracker::new(),
            drain: options.limits.drain,
        };
        let permits = Arc::new(Semaphore::new(options.limits.connections));
        for (listener, local) in self.0 {
            let accepting = Accepting {
                listener,
                local,
                options: options.clone(),
                handler: handler.clone(),
                permits: Arc::clone(&permits),
                stop: serving.stop.clone(),
                cut: serving.cut.clone(),
                connections: serving.connections.clone(),
            };
            serving.connections.spawn(accepting.run());
        }
        serving.connections.close();
        serving
    }
}

/// A server that runs. Dropping it lets it run on; only `drain` ends it.
#[derive(Debug)]
pub struct Serving {
    addresses: Vec<SocketAddr>,
    stop: CancellationToken,
    cut: CancellationToken,
    connections: TaskTracker,
    drain: Duration,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut since the deadline had passed.
    pub cut: usize,
}

impl Serving {
    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops accepting, lets requests finish, and cuts what is not done by the deadline.
    pub async fn drain(self) -> Drained {
        self.stop.cancel();
        if tokio::time::timeout(self.drain, self.connections.wait()).await.is_ok() {
            return Drained { cut: 0 };
        }
        let cut = self.connections.len();
        self.cut.cancel();
        self.connections.wait().await;
        Drained { cut }
    }
}

struct Accepting<H> {
    listener: TcpListener,
    local: SocketAddr,
    options: ServeOptions,
    handler: H,
    permits: Arc<Semaphore>,
    stop: CancellationToken,
    cut: CancellationToken,
    connections: TaskTracker,
}

impl<H, F, E> Accepting<H>
where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<UnsyncBoxBody<Bytes, E>>> + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    async fn run(self) {
        loop {
            let next = tokio::select! {
                next = self.next() => next,
                () = self.stop.cancelled() => return,
            };
            match next {
                Ok((stream, address, permit)) => self.spawn(stream, address, permit),
                Err(error) => {
                    tracing::warn!(error = %error, listen = %self.local, "Cannot accept");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            }
        }
    }

    /// The permit comes first: without one, a connection waits in the system's queue.
    async fn next(&self) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
        let (stream, address) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, address, permit))
    }

    fn spawn(&self, stream: TcpStream, address: SocketAddr, permit: OwnedSemaphorePermit) {
        let ServeOptions { limits, tls } = self.options.clone();
        let peer = Peer { address, local: self.local, tls: tls.is_some() };
        let (handler, stop, cut) = (self.handler.clone(), self.stop.clone(), self.cut.clone());
        self.connections.spawn(async move {
            let serving = async {
                let Some(tls) = tls else {
                    return connection::serve(stream, peer, limits, handler, stop).await;
                };
                let accepting = tokio::time::timeout(limits.header, tls.accept(stream));
                let accepted = tokio::select! {
                    accepted = accepting => accepted,
                    // Nothing was asked yet that could come to its end.
                    () = stop.cancelled() => return,
                };
                match accepted {
                    Ok(Ok(stream)) => connection::serve(stream, peer, limits, handler, stop).await,
                    Ok(Err(error)) => {
                        tracing::debug!(peer = %address, error = %error, "TLS handshake failed");
                    }
                    Err(_) => tracing::debug!(peer = %address, "TLS handshake took too long"),
                }
            };
            tokio::select! {
                () = serving => {}
                () = cut.cancelled() => {}
            }
            drop(permit);
        });
    }
}
