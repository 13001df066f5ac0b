//! Opens connections to addresses that were checked, directly or through a proxy.

use super::policy::{Admission, Policy};
use super::proxy::Proxies;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connector for one location's pool.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) policy: Arc<Policy>,
    pub(crate) overrides: Arc<HashMap<String, SocketAddr>>,
    pub(crate) proxies: Arc<Proxies>,
    pub(crate) timeout: Duration,
    pub(crate) diversion: Option<Arc<dyn Diversion>>,
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
        Box::pin(async move {
            let opening = tokio::time::timeout(connector.timeout, connector.open(&uri));
            opening.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        })
    }
}

impl Connector {
    async fn open(&self, uri: &http::Uri) -> io::Result<Stream> {
        let scheme = uri.scheme_str().unwrap_or("http");
        let host = uri.host().ok_or_else(|| io::Error::other("the request names no host"))?;
        let port = uri.port_u16().or_else(|| super::policy::default_port(scheme));
        let port = port.ok_or_else(|| io::Error::other("the request names no port"))?;
        let admission =
            self.policy.admit(scheme, host, port).ok_or_else(|| io::Error::from(io::ErrorKind::PermissionDenied))?;
        let Some(proxy) = self.proxies.of(scheme, host) else {
            return Ok(Stream { inner: TokioIo::new(self.dial(host, port, admission).await?), proxied: false });
        };
        // The proxy is the operator's own and resolves the name itself.
        let trusted = Admission { private: true };
        let mut stream = self.dial(&proxy.host, proxy.port, trusted).await?;
        let tunnel = scheme == "https";
        if tunnel {
            connect_through(&mut stream, host, port, proxy.authorization.as_deref()).await?;
        }
        Ok(Stream { inner: TokioIo::new(stream), proxied: !tunnel })
    }

    async fn dial(&self, host: &str, port: u16, admission: Admission) -> io::Result<TcpStream> {
        let mut refused = false;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let (addresses, admission) = match self.overrides.get(&name) {
            // Who gave the address means it, also where the name is a cloud's own.
            Some(address) => (vec![*address], Admission { private: true }),
            None => (tokio::net::lookup_host((name.as_str(), port)).await?.collect(), admission),
        };
        for address in addresses {
            // The address that was checked is the one that is connected to: a second look-up
            // could answer something else.
            if !admission.allows(address.ip()) {
                refused = true;
                continue;
            }
            let address = match &self.diversion {
                Some(diversion) => diversion.divert(address)?,
                None => address,
            };
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        if refused {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the address is not one that may be connected to",
            ));
        }
        Err(last)
    }
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
