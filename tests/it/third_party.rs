//! A plugin that somebody else wrote from the contract is dropped into the folder, where it works.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MATCH, IF_NONE_MATCH, RANGE};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sallyport_tests::client::{Call, Client};
use sallyport_tests::gateway::Setup;
use sallyport_tests::guests;
use sallyport_tests::tools::root;
use serde_json::json;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const WRITE_ID: &str = "x-write-id";
const LARGE: usize = 3_000_000;

#[tokio::test]
async fn a_plugin_from_elsewhere_needs_nothing_but_its_file() {
    let web = Web::start().await;
    let folder = TempDir::new().unwrap();
    std::fs::copy(built().await, folder.path().join("webstore.wasm")).unwrap();
    let location = json!({ "web": {
        "type": "webstore", "legacyAwsBehavior": false, "details": { "endpoint": format!("http://{}", web.address) }
    } });
    let setup = Setup::with_locations(location).plugins(folder.path());
    let mut gateway = setup
        .environment("SALLYPORT_SWEEP_INTERVAL_MS", "100")
        .environment("SALLYPORT_DELETION_DELAY_MS", "0")
        .start()
        .await
        .unwrap();
    let client = gateway.client().unwrap();
    let created = client.create_bucket("elsewhere", "web").await.unwrap();
    assert_eq!(created.status, 200, "{}\n{}", created.text(), gateway.log());

    let large: Bytes = (0..LARGE).map(|index| u8::try_from(index % 251).unwrap()).collect();
    for (key, body) in [("small ä/x", Bytes::from_static(b"bytes")), ("large", large.clone())] {
        let put = client.put(&format!("elsewhere/{key}"), body).await.unwrap();
        assert_eq!(put.status, 200, "{}\n{}", put.text(), gateway.log());
    }
    assert_eq!(web.bodies(), [Bytes::from_static(b"bytes"), large.clone()]);
    assert_eq!(gateway.bytes_below_data().unwrap(), 0, "the bytes are elsewhere");

    assert_eq!(client.get("elsewhere/small ä/x").await.unwrap().text(), "bytes");
    assert_eq!(client.get("elsewhere/large").await.unwrap().body, large);
    let range = Call::new(Method::GET, "elsewhere/large").header("range", "bytes=1000-1999");
    let answer = client.send(range).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body), (206, &large.slice(1000..2000)));
    assert_eq!(client.keys("elsewhere").await.unwrap(), ["large", "small ä/x"]);

    // The second write of a key replaces the first one, here as there.
    assert_eq!(client.put("elsewhere/large", "smaller").await.unwrap().status, 200);
    assert_eq!(client.get("elsewhere/large").await.unwrap().text(), "smaller");

    for key in ["elsewhere/small ä/x", "elsewhere/large"] {
        assert_eq!(client.delete(key).await.unwrap().status, 204);
        assert_eq!(client.get(key).await.unwrap().status, 404);
    }
    assert_eq!(client.keys("elsewhere").await.unwrap(), Vec::<String>::new());
    web.becomes_empty().await;
    assert_eq!(client.delete("elsewhere").await.unwrap().status, 204);
}

#[tokio::test]
async fn a_plugin_that_reads_bodies_itself_stores_and_gives_them_back_whole() {
    let (web, plain) = (Web::start().await, Web::start().await);
    let folder = TempDir::new().unwrap();
    std::fs::copy(built().await, folder.path().join("webstore.wasm")).unwrap();
    let details = |web: &Web, pad: u8| json!({ "endpoint": format!("http://{}", web.address), "scramble": pad });
    let locations = json!({
        "scrambled": { "type": "webstore", "legacyAwsBehavior": false, "details": details(&web, 90) },
        "plain": { "type": "webstore", "legacyAwsBehavior": false, "details": details(&plain, 0) },
    });
    let gateway = Setup::with_locations(locations).plugins(folder.path()).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("scrambled", "scrambled").await.unwrap().status, 200);
    assert_eq!(client.create_bucket("plain", "plain").await.unwrap().status, 200);
    let large: Bytes = (0..LARGE).map(|index| u8::try_from(index % 253).unwrap()).collect();
    for body in [Bytes::new(), Bytes::from_static(b"x"), Bytes::from_static(b"small"), large.clone()] {
        let put = Call::new(Method::PUT, "scrambled/key").header("content-length", &body.len().to_string());
        let put = client.send(put.body(body.clone())).await.unwrap();
        assert_eq!(put.status, 200, "{}", put.text());
        assert_eq!(client.get("scrambled/key").await.unwrap().body, body);
        let scrambled = (0_u8..251).cycle().zip(&body).map(|(position, byte)| byte ^ 90 ^ position).collect::<Bytes>();
        assert_eq!(web.bodies(), [scrambled], "the server has what the plugin made of {} bytes", body.len());
    }
    for (first, last) in [(0, 0), (250, 251), (1_000_000, 2_100_000), (LARGE - 1, LARGE - 1)] {
        let range = Call::new(Method::GET, "scrambled/key").header("range", &format!("bytes={first}-{last}"));
        let answer = client.send(range).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body), (206, &large.slice(first..=last)), "{first}-{last}");
    }
    let copy = Call::new(Method::PUT, "plain/copy").header("x-amz-copy-source", "scrambled/key");
    assert_eq!(client.send(copy).await.unwrap().status, 200);
    assert_eq!(plain.bodies(), std::slice::from_ref(&large));

    // Bytes that do not agree are never stored, although the plugin has read them all.
    let before = web.bodies();
    for body in [large.clone(), large.slice(..100)] {
        let wrong =
            Call::new(Method::PUT, "scrambled/key").body(body).header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==");
        assert_eq!(client.send(wrong).await.unwrap().code(), "BadDigest");
    }
    assert_eq!(web.bodies(), before);
    assert_eq!(client.get("scrambled/key").await.unwrap().body, large);

    // No multipart here, so what it cannot take at once is refused before the body is read.
    let refused = announce(&client, &Call::new(Method::PUT, "plain/large"), (16 << 20) + 1).await;
    assert!(refused.starts_with("HTTP/1.1 400 ") && refused.contains("<Code>EntityTooLarge</Code>"), "{refused}");
    assert!(refused.contains("<MaxSizeAllowed>16777216</MaxSizeAllowed>"), "{refused}");
    let created = client.send(Call::new(Method::POST, "plain/large").query("uploads", "")).await.unwrap();
    let id = created.elements("UploadId").remove(0);
    let part = Call::new(Method::PUT, "plain/large").query("partNumber", "1").query("uploadId", &id);
    assert!(announce(&client, &part, (16 << 20) + 1).await.contains("<Code>EntityTooLarge</Code>"));
    assert_eq!(client.send(part.body(large.clone())).await.unwrap().status, 200);
    assert_eq!(plain.bodies(), [large.clone(), large]);
}

/// What is answered to a request that announces a body and sends none of it.
async fn announce(client: &Client, call: &Call, length: usize) -> String {
    let url = client.presign(call, 60);
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut socket = tokio::net::TcpStream::connect(host).await.unwrap();
    let head =
        format!("PUT /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(std::time::Duration::from_secs(30), socket.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    answer
}

/// Where what is not of this workspace is built.
pub(crate) fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("third-party")
}

/// Builds the plugin as its author would, in a target folder of its own.
pub(crate) async fn built() -> PathBuf {
    guests::build("third-party", "webstore").await.unwrap()
}

#[derive(Debug, Clone)]
struct Page {
    body: Bytes,
    etag: String,
    write_id: String,
}

#[derive(Debug, Default)]
struct Pages {
    all: BTreeMap<String, Page>,
    writes: u64,
}

/// A plain HTTP server that keeps what is PUT, knowing nothing of buckets or gateways.
pub(crate) struct Web {
    pub(crate) address: String,
    pages: Arc<Mutex<Pages>>,
    task: JoinHandle<()>,
}

impl Web {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let pages = Arc::<Mutex<Pages>>::default();
        let shared = Arc::clone(&pages);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let pages = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| answer(request, Arc::clone(&pages)));
                    let server = auto::Builder::new(TokioExecutor::new());
                    // A connection that breaks is its client's to notice.
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { address, pages, task }
    }

    /// From the shortest to the longest.
    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        let mut bodies: Vec<_> = self.pages.lock().unwrap().all.values().map(|page| page.body.clone()).collect();
        bodies.sort_by_key(Bytes::len);
        bodies
    }

    async fn becomes_empty(&self) {
        let mut pause = tokio::time::interval(std::time::Duration::from_millis(50));
        for _ in 0..400 {
            pause.tick().await;
            if self.bodies().is_empty() {
                return;
            }
        }
        panic!("deleted objects stay: {:?}", self.pages.lock().unwrap().all.keys());
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(request: Request<Incoming>, pages: Arc<Mutex<Pages>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    // A body that breaks off stores nothing.
    let Ok(body) = body.collect().await else { return Ok(plain(StatusCode::BAD_REQUEST)) };
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let mut pages = pages.lock().unwrap();
    let path = head.uri.path().to_owned();
    let page = pages.all.get(&path).cloned();
    if let Some(wanted) = header(IF_MATCH.as_str()) {
        match &page {
            None => return Ok(plain(StatusCode::NOT_FOUND)),
            Some(page) if page.etag != wanted => return Ok(plain(StatusCode::PRECONDITION_FAILED)),
            Some(_) => {}
        }
    }
    if header(IF_NONE_MATCH.as_str()).is_some() && page.is_some() {
        return Ok(plain(StatusCode::PRECONDITION_FAILED));
    }
    Ok(match (head.method, page) {
        (Method::PUT, _) => {
            pages.writes += 1;
            let etag = format!("\"{}\"", pages.writes);
            let write_id = header(WRITE_ID).unwrap_or_default().to_owned();
            pages.all.insert(path, Page { body: body.to_bytes(), etag: etag.clone(), write_id });
            Response::builder().status(StatusCode::CREATED).header(ETAG, etag).body(Full::default()).unwrap()
        }
        (Method::GET | Method::HEAD, Some(page)) => shown(&page, header(RANGE.as_str())),
        (Method::DELETE, Some(_)) => {
            pages.all.remove(&path);
            plain(StatusCode::NO_CONTENT)
        }
        (Method::GET | Method::HEAD | Method::DELETE, None) => plain(StatusCode::NOT_FOUND),
        _ => plain(StatusCode::METHOD_NOT_ALLOWED),
    })
}

fn shown(page: &Page, range: Option<&str>) -> Response<Full<Bytes>> {
    let response = Response::builder().header(ETAG, &page.etag).header(WRITE_ID, &page.write_id);
    // Of an empty page hyper would say nothing to HEAD.
    let whole = page.body.len();
    let Some((first, last)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return response.header(CONTENT_LENGTH, whole).body(Full::new(page.body.clone())).unwrap();
    };
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    if first >= page.body.len() {
        return plain(StatusCode::RANGE_NOT_SATISFIABLE);
    }
    let last = last.min(page.body.len() - 1);
    let response = response.status(StatusCode::PARTIAL_CONTENT);
    let response = response.header(CONTENT_RANGE, format!("bytes {first}-{last}/{}", page.body.len()));
    response.body(Full::new(page.body.slice(first..=last))).unwrap()
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::default()).unwrap()
}
