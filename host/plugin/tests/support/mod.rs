//! Built plugins, opened locations, and a blob server that remembers what it was sent.
#![allow(dead_code, reason = "each test file uses its own part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(unreachable_pub, reason = "each test file has it as a module of its own")]

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sallyport_core::backend::{
    Backend, BackendError, Expectation, Get, Locator, Name, Place, Projection, Put, Span, Stored,
};
use sallyport_core::body::{self, Body};
use sallyport_core::names::{BucketName, LocationName, ObjectKey, WriteId};
use sallyport_plugin::{HostOptions, Limits, LocationSpec, OpenedLocation, PluginHost};
use serde_json::Value;
use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A host whose folders go when it is dropped.
pub struct TestHost {
    pub host: PluginHost,
    pub folder: TempDir,
}

impl TestHost {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = HostOptions {
            plugin_folders: vec![built_plugins()],
            // Shared between tests: compiling takes longer than all of them together.
            cache_folder: std::env::temp_dir().join("sallyport-plugin-tests-cache"),
            data_folder: folder.path().join("data"),
            limits,
            ..HostOptions::default()
        };
        Self { host: PluginHost::new(options).unwrap(), folder }
    }

    pub async fn open(&self, kind: &str, details: Value) -> OpenedLocation {
        self.host.open(spec(kind, details)).await.unwrap_or_else(|error| panic!("{error}"))
    }
}

pub fn spec(kind: &str, details: Value) -> LocationSpec {
    LocationSpec {
        name: LocationName::parse("here").unwrap(),
        kind: kind.to_owned(),
        tenant: "t".to_owned(),
        details,
        grants: Vec::new(),
        trust: sallyport_plugin::Trust::default(),
    }
}

/// Where `cargo build --profile plugin --target wasm32-wasip2` leaves its components.
fn built_plugins() -> PathBuf {
    if let Some(folder) = std::env::var_os("SALLYPORT_TEST_PLUGINS") {
        return folder.into();
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    target.join("wasm32-wasip2/plugin")
}

pub fn name(key: &str) -> Name {
    Name { bucket: BucketName::parse("bucket").unwrap(), key: ObjectKey::parse(key).unwrap(), place: Place::Plain }
}

pub fn put(key: &str, size: u64) -> Put {
    Put {
        name: name(key),
        write_id: WriteId::random(),
        size,
        expect: Expectation::Anything,
        object: Projection::default(),
        checksums: Vec::new(),
    }
}

pub async fn store(backend: &Arc<dyn Backend>, key: &str, bytes: impl Into<Bytes>) -> Result<Stored, BackendError> {
    let bytes = bytes.into();
    backend.put(put(key, bytes.len() as u64), body::full(bytes)).await
}

pub async fn read(
    backend: &Arc<dyn Backend>,
    locator: &Locator,
    size: u64,
    span: Option<Span>,
) -> Result<Bytes, BackendError> {
    let body = backend.get(Get { locator: locator.clone(), size, span }).await?;
    Ok(collected(body).await)
}

pub async fn collected(body: Body) -> Bytes {
    body.collect().await.unwrap().to_bytes()
}

/// A request that the server saw.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: http::HeaderMap,
    pub length: usize,
}

/// Remembers blobs by their path, in memory.
#[derive(Clone, Default)]
pub struct BlobServer {
    blobs: Arc<Mutex<HashMap<String, Bytes>>>,
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

impl BlobServer {
    /// Starts it and answers its address.
    pub async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                let service = service_fn(move |request| {
                    let server = server.clone();
                    async move { server.answer(request).await }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        address
    }

    async fn answer(
        &self,
        request: http::Request<hyper::body::Incoming>,
    ) -> Result<http::Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return Ok(http::Response::new(Full::default())) };
        let body = body.to_bytes();
        self.seen.lock().unwrap().push(Seen {
            method: parts.method.to_string(),
            path: parts.uri.to_string(),
            headers: parts.headers.clone(),
            length: body.len(),
        });
        let answer = http::Response::builder()
            .header("etag", "\"0x1\"")
            .header("x-ms-request-id", "1")
            .header("last-modified", "Mon, 01 Jun 2026 00:00:00 GMT");
        let mut blobs = self.blobs.lock().unwrap();
        let path = parts.uri.path().to_owned();
        Ok(match (parts.method.as_str(), blobs.get(&path).cloned()) {
            // A block list, tags or the like: not the blob's bytes.
            ("PUT", _) if parts.uri.query().is_some_and(|query| query.starts_with("comp=")) => {
                answer.status(201).body(Full::default()).unwrap()
            }
            ("PUT", _) => {
                blobs.insert(path, body);
                answer.status(201).body(Full::default()).unwrap()
            }
            ("DELETE", Some(_)) => {
                blobs.remove(&path);
                answer.status(202).body(Full::default()).unwrap()
            }
            ("HEAD", Some(blob)) => answer.header("content-length", blob.len()).body(Full::default()).unwrap(),
            ("GET", Some(blob)) => match range(&parts.headers) {
                Some((first, last)) => answer
                    .status(206)
                    .header("content-range", format!("bytes {first}-{last}/{}", blob.len()))
                    .body(Full::new(blob.slice(first..=last)))
                    .unwrap(),
                None => answer.body(Full::new(blob)).unwrap(),
            },
            _ => answer.status(404).header("x-ms-error-code", "BlobNotFound").body(Full::default()).unwrap(),
        })
    }
}

fn range(headers: &http::HeaderMap) -> Option<(usize, usize)> {
    let value = headers.get("x-ms-range").or_else(|| headers.get("range"))?.to_str().ok()?;
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}
