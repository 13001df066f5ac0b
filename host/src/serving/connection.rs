//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::Peer;
use super::io::Guarded;
use crate::config::ConnectionLimits;

/// Bytes that a client may send ahead on one stream of HTTP/2, and on the connection.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// Headers of one request: as many as S3's 8 KB hold when each has 32 bytes.
const MOST_HEADERS: usize = 256;

/// Serves requests until the client leaves, or until `stop` and the current ones are done.
pub(super) async fn serve<S, H, F, E>(
    stream: S,
    peer: Peer,
    limits: ConnectionLimits,
    handler: H,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>, Peer) -> F + Send + 'static,
    F: Future<Output = Response<UnsyncBoxBody<Bytes, E>>> + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    let stream = TokioIo::new(Guarded::new(stream, limits.header, limits.idle_body));
    let service = service_fn(move |request| {
        let answer = handler(request, peer);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let builder = builder(limits);
    let connection = builder.serve_connection(stream, service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %peer.address, error = %error, "A connection ended early");
    }
}

fn builder(limits: ConnectionLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // No pipeline_flush: it holds back what is to be sent while more is to be read, and with it
    // the 400 of a request that cannot be read.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header).max_headers(MOST_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(limits.header);
    builder
}
