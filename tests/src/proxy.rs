//! A forward proxy, as companies have between their servers and the cloud.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::PROXY_AUTHORIZATION;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::{Client as Pool, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Lets in who knows `user:secret`, and knows where a few names are. Ends when dropped.
#[derive(Debug)]
pub struct ForwardProxy {
    port: u16,
    seen: Arc<Mutex<BTreeSet<String>>>,
    task: JoinHandle<()>,
}

struct Shared {
    names: BTreeMap<String, u16>,
    seen: Arc<Mutex<BTreeSet<String>>>,
    pool: Pool<HttpConnector, Incoming>,
}

impl ForwardProxy {
    /// A proxy that reaches these hosts, each at a local port.
    ///
    /// # Errors
    /// When nothing can be bound.
    pub async fn start(names: &[(&str, u16)]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let seen = Arc::<Mutex<BTreeSet<String>>>::default();
        let shared = Arc::new(Shared {
            names: names.iter().map(|(name, port)| ((*name).to_owned(), *port)).collect(),
            seen: Arc::clone(&seen),
            pool: Pool::builder(TokioExecutor::new()).build_http(),
        });
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
                    let server = hyper::server::conn::http1::Builder::new();
                    // A connection that breaks is its client's to notice.
                    let _ = server.serve_connection(TokioIo::new(socket), service).with_upgrades().await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { port, seen, task })
    }

    /// Its URL, with what it wants to hear.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://user:sec%72et@127.0.0.1:{}", self.port)
    }

    /// What it was asked for so far: `CONNECT host:port`, or the method and the host.
    #[must_use]
    pub fn seen(&self) -> BTreeSet<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

async fn answer(mut request: Request<Incoming>, shared: Arc<Shared>) -> Result<Answer, hyper::Error> {
    let expected = format!("Basic {}", STANDARD.encode("user:secret"));
    if request.headers().get(PROXY_AUTHORIZATION).is_none_or(|value| value != expected.as_str()) {
        return Ok(nothing(StatusCode::PROXY_AUTHENTICATION_REQUIRED));
    }
    request.headers_mut().remove(PROXY_AUTHORIZATION);
    let (method, uri) = (request.method().clone(), request.uri().clone());
    // Only what names its host is a request for a proxy.
    let Some(port) = uri.host().and_then(|host| shared.names.get(host)).copied() else {
        return Ok(nothing(StatusCode::BAD_GATEWAY));
    };
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    shared.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(format!("{method} {authority}"));
    if method == Method::CONNECT {
        tokio::spawn(tunnel(request, port));
        return Ok(nothing(StatusCode::OK));
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let Ok(upstream) = format!("http://127.0.0.1:{port}{path}").parse::<Uri>() else {
        return Ok(nothing(StatusCode::BAD_REQUEST));
    };
    // The Host header stays what was signed.
    *request.uri_mut() = upstream;
    match shared.pool.request(request).await {
        Ok(response) => Ok(response.map(BodyExt::boxed)),
        Err(_) => Ok(nothing(StatusCode::BAD_GATEWAY)),
    }
}

async fn tunnel(request: Request<Incoming>, port: u16) {
    let Ok(client) = hyper::upgrade::on(request).await else { return };
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut server).await;
}

fn nothing(status: StatusCode) -> Answer {
    let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed());
    *answer.status_mut() = status;
    answer
}
