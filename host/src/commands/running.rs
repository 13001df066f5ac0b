//! What a server says of its locations that runs with the same configuration.

use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How long its answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long its answer may be, in bytes.
const MOST: usize = 16 << 20;

/// A line of its `/status`.
#[derive(Deserialize)]
struct Line {
    name: String,
    breaker: Option<String>,
}

/// The locations whose breaker is open, each with why, as the first says that answers on one of
/// the admin ports; nothing when no server runs here.
pub(super) async fn open_breakers(ports: &[SocketAddr]) -> Option<Vec<(String, String)>> {
    for port in ports.iter().filter(|port| port.port() != 0) {
        if let Ok(Some(lines)) = tokio::time::timeout(PATIENCE, status(local(*port))).await {
            return Some(lines.into_iter().filter_map(|line| Some((line.name, line.breaker?))).collect());
        }
    }
    None
}

async fn status(address: SocketAddr) -> Option<Vec<Line>> {
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let uri: Uri = format!("http://{address}/status").parse().ok()?;
    let answer = client.get(uri).await.ok()?;
    let body = Limited::new(answer.into_body(), MOST).collect().await.ok()?.to_bytes();
    serde_json::from_slice(&body).ok()
}

/// Where who listens on every address is reached from here.
fn local(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
