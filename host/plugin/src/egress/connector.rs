//! Opens connections to addresses that were checked, directly or through a proxy.

use super::policy::{Admission, Policy};
use super::proxy::Proxies;
use super::resolver::Resolver;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A connector for one location's pool.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) policy: Arc<Policy>,
    pub(crate) overrides: Arc<HashMap<String, SocketAddr>>,
    pub(crate) proxies: Arc<Proxies>,
    /// Where this server itself listens.
    pub(crate) own: Arc<[SocketAddr]>,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) diversion: Option<Arc<dyn Diversion>>,
    /// One for each connection that is open.
    pub(crate) permits: Arc<Semaphore>,
    /// How long a connection is waited for when all are in use.
    pub(crate) queue: Duration,
}

/// Leads connections elsewhere once their addresses were checked: for tests of what becomes of
/// a location whose upstream misbehaves.
pub trait Diversion: std::fmt::Debug + Send + Sync {
    /// Where to connect instead of to this address.
    ///
    /// # Errors
    /// When there is no way round; the connection fails with it.
    fn divert(&self, checked: SocketAddr) -> io::Result<SocketAddr>;
}

impl tower_service::Service<http::Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.open(&uri).await })
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// A connector with an end to its patience: what takes too long, TLS included, is given up with
/// whatever it holds.
#[derive(Clone)]
pub(crate) struct Timely<C> {
    inner: C,
    timeout: Duration,
}

impl<C> Timely<C> {
    pub(crate) fn new(inner: C, timeout: Duration) -> Self {
        Self { inner, timeout }
    }
}

impl<C> tower_service::Service<http::Uri> for Timely<C>
where
    C: tower_service::Service<http::Uri> + 'static,
    C::Response: Send + 'static,
    C::Error: Into<AnyError> + Send + 'static,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = AnyError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, AnyError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AnyError>> {
        self.inner.poll_ready(cx).map_err(Into::<AnyError>::into)
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        let (opening, timeout) = (self.inner.call(uri), self.timeout);
        Box::pin(async move {
            match tokio::time::timeout(timeout, opening).await {
                Ok(opened) => opened.map_err(Into::<AnyError>::into),
                Err(_) => Err(AnyError::from(io::Error::from(io::ErrorKind::TimedOut))),
            }
        })
    }
}

impl Connector {
    async fn open(&self, uri: &http::Uri) -> io::Result<Stream> {
        let permit = tokio::time::timeout(self.queue, Arc::clone(&self.permits).acquire_owned()).await;
        // The kind is one that connecting itself never has.
        let permit = permit.ok().and_then(Result::ok).ok_or_else(|| io::Error::from(io::ErrorKind::WouldBlock))?;
        let scheme = uri.scheme_str().unwrap_or("http");
        let host = uri.host().ok_or_else(|| io::Error::other("the request names no host"))?;
        let port = uri.port_u16().or_else(|| super::policy::default_port(scheme));
        let port = port.ok_or_else(|| io::Error::other("the request names no port"))?;
        let admission =
            self.policy.admit(scheme, host, port).ok_or_else(|| io::Error::from(io::ErrorKind::PermissionDenied))?;
        let Some(proxy) = self.proxies.of(scheme, host, port) else {
            let stream = self.dial(host, port, admission).await?;
            return Ok(Stream { inner: TokioIo::new(stream), proxied: false, _permit: permit });
        };
        // The proxy is the operator's own and resolves the name itself: of the place behind it
        // only an address that is written out can be looked at.
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        if literal.is_some_and(|address| !self.may_reach(SocketAddr::new(address, port), admission)) {
            return Err(prohibited());
        }
        let mut stream = self.dial(&proxy.host, proxy.port, Admission::OPERATORS).await?;
        let tunnel = scheme == "https";
        if tunnel {
            connect_through(&mut stream, host, port, proxy.authorization.as_deref()).await?;
        }
        Ok(Stream { inner: TokioIo::new(stream), proxied: !tunnel, _permit: permit })
    }

    async fn dial(&self, host: &str, port: u16, admission: Admission) -> io::Result<TcpStream> {
        let mut refused = false;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let (addresses, admission) = match self.overrides.get(&name) {
            // Who gave the address means it, also where the name is a cloud's own.
            Some(address) => (vec![*address], Admission::OPERATORS),
            None => (self.resolver.resolve(&name, port).await?, admission),
        };
        for address in addresses {
            // The address that was checked is the one that is connected to: a second look-up
            // could answer something else.
            if !self.may_reach(address, admission) {
                refused = true;
                continue;
            }
            let address = match &self.diversion {
                Some(diversion) => diversion.divert(address)?,
                None => address,
            };
            match TcpStream::connect(address).await {
                // This machine by another of its addresses.
                Ok(stream) if !admission.granted && self.is_own_elsewhere(&stream, address) => refused = true,
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        if refused {
            let host = crate::log::printable(&name, 256);
            tracing::warn!(host, port, "{host}:{port} has no address that its location may be connected to");
            return Err(prohibited());
        }
        Err(last)
    }

    /// Whether the address is one that the name may lead to: also none of this server's own,
    /// where a request would come back for ever.
    fn may_reach(&self, address: SocketAddr, admission: Admission) -> bool {
        let ip = address.ip().to_canonical();
        let is_own = self.own.iter().any(|own| {
            let listens = own.ip().to_canonical();
            own.port() == address.port() && (listens == ip || (listens.is_unspecified() && ip.is_loopback()))
        });
        admission.allows(address.ip()) && (admission.granted || !is_own)
    }

    /// Whether a connection stays on this machine and meets a listener of all addresses.
    fn is_own_elsewhere(&self, stream: &TcpStream, address: SocketAddr) -> bool {
        let listens = self.own.iter().any(|own| own.port() == address.port() && own.ip().is_unspecified());
        listens && stream.local_addr().is_ok_and(|local| local.ip().to_canonical() == address.ip().to_canonical())
    }
}

fn prohibited() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "the address is not one that may be connected to")
}

/// Asks a proxy for a tunnel.
async fn connect_through(stream: &mut TcpStream, host: &str, port: u16, authorization: Option<&str>) -> io::Result<()> {
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if let Some(authorization) = authorization {
        request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // Byte by byte at the end, so that nothing of the tunnel's first bytes is swallowed.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > 8192 {
            return Err(io::Error::other("the proxy's answer does not end"));
        }
        answer.push(stream.read_u8().await?);
    }
    let status = String::from_utf8_lossy(&answer);
    match status.split_whitespace().nth(1) {
        Some("200") => Ok(()),
        other => Err(io::Error::other(format!("the proxy answered {}", other.unwrap_or("nothing")))),
    }
}

/// A connection that knows whether a proxy is at its other end.
pub(crate) struct Stream {
    inner: TokioIo<TcpStream>,
    proxied: bool,
    _permit: OwnedSemaphorePermit,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.inner.connected().proxy(self.proxied)
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_service::Service;

    /// Has a permit and gets no further, as with an upstream that does not answer in TLS.
    struct Stalling(Arc<Semaphore>);

    impl Service<http::Uri> for Stalling {
        type Response = ();
        type Error = io::Error;
        type Future = Pin<Box<dyn Future<Output = Result<(), io::Error>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: http::Uri) -> Self::Future {
            let permits = self.0.clone();
            Box::pin(async move {
                let _permit = permits.acquire_owned().await;
                std::future::pending::<Result<(), io::Error>>().await
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_stalls_gives_its_permit_back() {
        let permits = Arc::new(Semaphore::new(1));
        let mut connector = Timely::new(Stalling(permits.clone()), Duration::from_secs(10));
        let error = connector.call(http::Uri::from_static("https://h/")).await.expect_err("it stalls");
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        assert_eq!((kind, permits.available_permits()), (Some(io::ErrorKind::TimedOut), 1));
    }
}
