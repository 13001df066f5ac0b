//! A bare pipe: every request goes to the upstream as it came, unread.

use anyhow::{Context, Result};
use http::{Request, Uri, header};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::SocketAddr;

/// Serves until it is killed.
///
/// # Errors
/// When nothing can be bound.
pub(crate) async fn run(upstream: SocketAddr) -> Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
    super::serve(move |mut request: Request<Incoming>| {
        let client = client.clone();
        async move {
            let target = request.uri().path_and_query().context("a request without a path")?;
            let uri: Uri = format!("http://{upstream}{target}").parse()?;
            *request.uri_mut() = uri;
            request.headers_mut().remove(header::HOST);
            Ok(client.request(request).await?)
        }
    })
    .await
}
