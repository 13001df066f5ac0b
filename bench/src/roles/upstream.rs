//! An S3 upstream in memory that costs as little as one can: what is before it is what is measured.
//!
//! It has versions, checks no signature, keeps small objects, and of large ones only the length.

use anyhow::Result;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bodies up to this many bytes are kept.
const KEPT: u64 = 8 << 20;
/// Keys with this word in them are answered late.
const SLOW: &str = "slow";
const LATE: Duration = Duration::from_millis(500);
const MODIFIED: &str = "2026-01-01T00:00:00.000Z";
const MODIFIED_HTTP: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

type Answer = Response<BoxBody<Bytes, Infallible>>;

#[derive(Clone)]
struct Object {
    /// Absent when only the length is known.
    bytes: Option<Bytes>,
    size: u64,
    etag: String,
    version: u64,
    metadata: Vec<(http::HeaderName, http::HeaderValue)>,
}

#[derive(Default)]
struct Store {
    /// By `bucket/key`; newest last.
    objects: BTreeMap<String, Vec<Object>>,
    next_version: u64,
}

/// Serves until it is killed.
///
/// # Errors
/// When nothing can be bound.
pub(crate) async fn run() -> Result<()> {
    let store = Arc::new(Mutex::new(Store::default()));
    super::serve(move |request| answer(request, Arc::clone(&store))).await
}

fn locked(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(request: Request<Incoming>, store: Arc<Mutex<Store>>) -> Result<Answer> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let parameter = |name: &str| {
        let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find_map(|(found, value)| (found == name).then(|| value.to_owned()))
    };
    if !path.trim_end_matches('/').contains('/') {
        return about_bucket(&request, path.trim_end_matches('/'), &parameter, &store);
    }
    let version = parameter("versionId").and_then(|text| text.parse().ok());
    match *request.method() {
        Method::PUT => put(request, path, &store).await,
        Method::GET | Method::HEAD => {
            if path.contains(SLOW) {
                tokio::time::sleep(LATE).await;
            }
            get(&request, &path, version, &store)
        }
        Method::DELETE => {
            let mut store = locked(&store);
            if let Some(kept) = store.objects.get_mut(&path) {
                kept.retain(|object| version.is_some_and(|version| object.version != version));
                if kept.is_empty() {
                    store.objects.remove(&path);
                }
            }
            plain(StatusCode::NO_CONTENT, "")
        }
        _ => plain(StatusCode::METHOD_NOT_ALLOWED, ""),
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Result<Answer> {
    Ok(Response::builder().status(status).body(Full::new(text.into()).boxed())?)
}

fn about_bucket(
    request: &Request<Incoming>,
    bucket: &str,
    parameter: &dyn Fn(&str) -> Option<String>,
    store: &Mutex<Store>,
) -> Result<Answer> {
    if request.method() != Method::GET {
        return plain(StatusCode::OK, "");
    }
    if parameter("versioning").is_some() {
        return plain(
            StatusCode::OK,
            "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status>\
             </VersioningConfiguration>",
        );
    }
    if parameter("location").is_some() {
        return plain(StatusCode::OK, "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>");
    }
    // One page with all of it: the keys that are used here are few, and need no escapes.
    let prefix = format!("{bucket}/{}", parameter("prefix").unwrap_or_default().replace("%2F", "/"));
    let mut listed = format!("<ListBucketResult><Name>{bucket}</Name><IsTruncated>false</IsTruncated>");
    let store = locked(store);
    let below = store.objects.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
    for (path, versions) in below {
        if let (Some(object), Some(key)) = (versions.last(), path.get(bucket.len() + 1..)) {
            write!(
                listed,
                "<Contents><Key>{key}</Key><LastModified>{MODIFIED}</LastModified><ETag>\"{}\"</ETag>\
                 <Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                object.etag, object.size
            )?;
        }
    }
    listed.push_str("</ListBucketResult>");
    plain(StatusCode::OK, listed)
}

async fn put(request: Request<Incoming>, path: String, store: &Mutex<Store>) -> Result<Answer> {
    let (head, mut body) = request.into_parts();
    let metadata = head.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-amz-meta-"));
    let metadata = metadata.map(|(name, value)| (name.clone(), value.clone())).collect();
    let announced = head.headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let keep = announced.and_then(|text| text.parse().ok()).is_some_and(|size: u64| size <= KEPT);
    let (mut size, mut kept) = (0, Vec::new());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            size += data.len() as u64;
            if keep {
                kept.extend_from_slice(&data);
            }
        }
    }
    // An entity tag with a dash is no MD5, and nobody compares it with one.
    let etag = if keep { hex::encode(Md5::digest(&kept)) } else { format!("{size:032x}-1") };
    let mut store = locked(store);
    store.next_version += 1;
    let version = store.next_version;
    let object = Object { bytes: keep.then(|| kept.into()), size, etag: etag.clone(), version, metadata };
    store.objects.entry(path).or_default().push(object);
    let answer = Response::builder().header("etag", format!("\"{etag}\"")).header("x-amz-version-id", version);
    Ok(answer.body(Full::default().boxed())?)
}

fn get(request: &Request<Incoming>, path: &str, version: Option<u64>, store: &Mutex<Store>) -> Result<Answer> {
    let object = {
        let store = locked(store);
        let versions = store.objects.get(path).map(Vec::as_slice).unwrap_or_default();
        let found = versions.iter().rev().find(|object| version.is_none_or(|version| object.version == version));
        found.cloned()
    };
    let Some(object) = object else { return plain(StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>") };
    let range = request.headers().get(http::header::RANGE).and_then(|value| value.to_str().ok());
    let range = range.and_then(|text| text.strip_prefix("bytes=")?.split_once('-'));
    let span = range.and_then(|(from, to)| {
        let from: u64 = from.parse().ok()?;
        Some((from, to.parse().map_or(object.size, |to: u64| (to + 1).min(object.size))))
    });
    let mut answer = Response::builder()
        .header("etag", format!("\"{}\"", object.etag))
        .header("x-amz-version-id", object.version)
        .header("last-modified", MODIFIED_HTTP);
    for (name, value) in &object.metadata {
        answer = answer.header(name, value);
    }
    let (from, to) = span.unwrap_or((0, object.size));
    if span.is_some() {
        answer = answer
            .status(StatusCode::PARTIAL_CONTENT)
            .header("content-range", format!("bytes {from}-{}/{}", to.saturating_sub(1), object.size));
    }
    answer = answer.header("content-length", to - from);
    let body = match &object.bytes {
        _ if request.method() == Method::HEAD => Full::default().boxed(),
        Some(bytes) => Full::new(bytes.slice(usize::try_from(from)?..usize::try_from(to)?)).boxed(),
        None => crate::load::made(to - from),
    };
    Ok(answer.body(body)?)
}
