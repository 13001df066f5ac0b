//! A newer plugin takes over from an older one under load.

use super::{ORDINARY, Stage, drop_in, release};
use bytes::Bytes;
use hyper::Method;
use sallyport_tests::client::{Call, Client};
use sallyport_tests::wait::until;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Writers and readers, until they are told to stop; what fails is remembered.
struct Load {
    tasks: JoinSet<Vec<String>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU32>,
}

impl Load {
    fn start(client: &Client) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
        let mut tasks = JoinSet::new();
        for number in 0..4 {
            let (client, stop, done) = (client.clone(), stop.clone(), done.clone());
            tasks.spawn(async move {
                let mut failures = Vec::new();
                let key = format!("loaded/{number}");
                for round in 0_u32.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let body = Bytes::from(vec![u8::try_from(round % 251).unwrap(); 20_000]);
                    let put = client.put(&key, body.clone()).await.unwrap();
                    let get = client.get(&key).await.unwrap();
                    if put.status != 200 || get.status != 200 || get.body != body {
                        failures.push(format!("{} {}: {} {}", put.status, get.status, put.text(), get.body.len()));
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                failures
            });
        }
        Self { tasks, stop, done }
    }

    /// Lets so many more rounds pass.
    async fn goes_on(&self, rounds: u32) {
        let wanted = self.done.load(Ordering::Relaxed) + rounds;
        until("the load goes on", async || self.done.load(Ordering::Relaxed) >= wanted).await;
    }

    async fn failures(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await.concat()
    }
}

#[tokio::test]
async fn a_newer_plugin_takes_over_without_a_failed_request() {
    let stage = Stage::start().await;
    let client = stage.bucket("loaded", "web").await;
    stage.serves("0.1.0").await;
    let load = Load::start(&client);
    load.goes_on(20).await;
    // One upload begins on the old version and ends when the new one serves.
    let body = Bytes::from(vec![7; 3_000_000]);
    let mut slow = SlowPut::begin(&client, "loaded/slow", body.len()).await;
    slow.send(&body[..1_000_000]).await;

    drop_in(stage.plugins.path(), &release("0.2.0", ORDINARY).await);
    stage.serves("0.2.0").await;
    load.goes_on(40).await;
    slow.send(&body[1_000_000..]).await;
    assert!(slow.answer().await.starts_with("HTTP/1.1 200"));
    assert_eq!(client.get("loaded/slow").await.unwrap().body, body);

    // And back, by the same way.
    drop_in(stage.plugins.path(), &release("0.1.0", ORDINARY).await);
    stage.serves("0.1.0").await;
    load.goes_on(40).await;
    assert_eq!(load.failures().await, Vec::<String>::new());
    let status = stage.status().await;
    assert!(status["fault"].is_null() && status["rejected"].is_null(), "{status}");
}

#[tokio::test]
async fn a_plugin_that_was_missing_heals_its_location_when_it_comes() {
    let stage = Stage::with(None, |setup| setup).await;
    let client = stage.bucket("waiting", "web").await;
    let refused = client.put("waiting/key", "bytes").await.unwrap();
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("no plugin serves the type `webstore`"), "{}", refused.text());
    drop_in(stage.plugins.path(), &release("0.1.0", ORDINARY).await);
    until("it heals", async || client.put("waiting/key", "bytes").await.unwrap().status == 200).await;
    assert_eq!(client.get("waiting/key").await.unwrap().text(), "bytes");

    // Taking the file away takes nothing from who serves already.
    std::fs::remove_file(stage.plugins.path().join("webstore.wasm")).unwrap();
    stage.is_rejected("no plugin serves the type").await;
    assert_eq!(client.put("waiting/key", "more bytes").await.unwrap().status, 200);
    drop_in(stage.plugins.path(), &release("0.1.0", ORDINARY).await);
    until("nothing is held against it", async || stage.status().await["rejected"].is_null()).await;
}

/// A PUT whose body comes in pieces.
struct SlowPut(TcpStream);

impl SlowPut {
    async fn begin(client: &Client, key: &str, length: usize) -> Self {
        let url = client.presign(&Call::new(Method::PUT, key), 60);
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut socket = TcpStream::connect(host).await.unwrap();
        let head =
            format!("PUT /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        Self(socket)
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    async fn answer(mut self) -> String {
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).await.unwrap();
        answer
    }
}
