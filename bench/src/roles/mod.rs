//! Servers that the figures compare with, each a process of its own so that its processor time can be read.

pub(crate) mod native;
pub(crate) mod pipe;
pub(crate) mod upstream;

use anyhow::Result;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Serves HTTP/1.1 on a free port of 127.0.0.1, says which, and never ends by itself.
///
/// # Errors
/// When nothing can be bound.
pub(crate) async fn serve<B, F>(handle: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static) -> Result<()>
where
    B: Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    F: Future<Output = Result<Response<B>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let handle = handle.clone();
        tokio::spawn(async move {
            let service = service_fn(handle);
            // A client that goes away ends its connection, and nothing else.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The line that whoever started the process waits for.
pub(crate) fn announce(address: SocketAddr) {
    crate::report::say(&format!("listening on {address}"));
}
