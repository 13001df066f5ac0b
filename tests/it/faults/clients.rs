//! Clients that go away: while they send, while they read, while they wait.

use super::{LARGE, content, create_upload, files, part_call, setup, until};
use hyper::Method;
use sallyport_tests::chaos::Mood;
use sallyport_tests::client::{Call, Client};
use sallyport_tests::gateway::Gateway;
use sallyport_tests::stage::Stage;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Larger than what all buffers between a backend and a client that does not read can hold.
const HUGE: usize = 32 << 20;

/// Sends the head of a call and a part of its body.
async fn send_half(gateway: &Gateway, client: &Client, call: &Call, method: &str, body: &[u8], of: usize) -> TcpStream {
    let host = gateway.endpoint().trim_start_matches("http://");
    let mut socket = TcpStream::connect(host).await.unwrap();
    let url = client.presign(call, 60);
    let target = url.strip_prefix(gateway.endpoint()).unwrap();
    let head = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {of}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body).await.unwrap();
    socket
}

#[tokio::test]
async fn a_client_that_goes_away_midway_leaves_nothing() {
    let gateway = setup(json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("load", "").await.unwrap().status, 200);
    assert_eq!(client.put("load/kept", "before").await.unwrap().status, 200);
    let upload = create_upload(&client, "load/parts").await;
    let calls = [
        Call::new(Method::PUT, "load/kept"),
        Call::new(Method::PUT, "load/new"),
        part_call("load/parts", &upload, 1, Vec::new()),
    ];
    for call in calls {
        let socket = send_half(&gateway, &client, &call, "PUT", &vec![7; LARGE / 2], LARGE).await;
        // Gone only once its bytes began to be written, or there would be nothing to clean up.
        until("bytes are written", async || files(&gateway).len() == 2).await;
        drop(socket);
        until("they are gone", async || files(&gateway).len() == 1).await;
    }
    assert_eq!(client.get("load/kept").await.unwrap().text(), "before");
    assert_eq!(client.get("load/new").await.unwrap().status, 404);
    assert_eq!(client.keys("load").await.unwrap(), ["kept"]);
    let parts = client.send(Call::new(Method::GET, "load/parts").query("uploadId", &upload)).await.unwrap();
    assert!(parts.elements("PartNumber").is_empty(), "{}", parts.text());
}

#[tokio::test]
async fn a_client_that_goes_away_midway_leaves_nothing_on_a_cloud() {
    let stage = Stage::start().await.unwrap();
    let gateway = setup(stage.locations()).start().await.unwrap();
    let client = gateway.client().unwrap();
    for (location, chaos) in [("aws", &stage.before_moto), ("azure", &stage.before_azurite)] {
        let bucket = format!("load-{location}");
        assert_eq!(client.create_bucket(&bucket, location).await.unwrap().status, 200);
        assert_eq!(client.put(&format!("{bucket}/kept"), "before").await.unwrap().status, 200);
        for key in ["kept", "new"] {
            let before = chaos.requests();
            let call = Call::new(Method::PUT, &format!("{bucket}/{key}"));
            let socket = send_half(&gateway, &client, &call, "PUT", &vec![7; LARGE / 2], LARGE).await;
            until("the backend hears of it", async || chaos.requests() > before).await;
            drop(socket);
        }
        let settled = async || stage.kept(location).await.unwrap().len() == 1;
        until("one object is left", settled).await;
        assert_eq!(client.get(&format!("{bucket}/kept")).await.unwrap().text(), "before");
        assert_eq!(client.get(&format!("{bucket}/new")).await.unwrap().status, 404);
    }
}

#[tokio::test]
async fn clients_that_stop_reading_take_nothing_from_others() {
    let gateway = setup(json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("load", "").await.unwrap().status, 200);
    let bytes = content(3, HUGE);
    assert_eq!(client.put("load/huge", bytes.clone()).await.unwrap().status, 200);
    let mut sockets = Vec::new();
    for _ in 0..8 {
        let mut socket = send_half(&gateway, &client, &Call::new(Method::GET, "load/huge"), "GET", &[], 0).await;
        let mut first = [0; 64];
        socket.read_exact(&mut first).await.unwrap();
        assert!(first.starts_with(b"HTTP/1.1 200"));
        sockets.push(socket);
    }
    assert!(client.get("load/huge").await.unwrap().body == bytes);
    drop(sockets);
    // The bytes that were being read may go, and a server that hangs on to them would not end.
    assert_eq!(client.delete("load/huge").await.unwrap().status, 204);
    until("the file goes", async || files(&gateway).is_empty()).await;
    let process = gateway.process_id().unwrap();
    let opened = format!("/proc/{process}/fd");
    until("no file stays open", async || {
        let links = std::fs::read_dir(&opened).unwrap().filter_map(Result::ok);
        !links.filter_map(|link| std::fs::read_link(link.path()).ok()).any(|to| to.ends_with("(deleted)"))
    })
    .await;
}

#[tokio::test]
async fn a_write_whose_client_goes_away_while_it_waits_ends_whole_or_not_at_all() {
    let stage = Stage::start().await.unwrap();
    let gateway = setup(stage.locations()).start().await.unwrap();
    let client = gateway.client().unwrap();
    for (location, chaos) in [("aws", &stage.before_moto), ("azure", &stage.before_azurite)] {
        let bucket = format!("load-{location}");
        assert_eq!(client.create_bucket(&bucket, location).await.unwrap().status, 200);
        for (key, size) in [("small", 1_000), ("large", LARGE)] {
            let path = format!("{bucket}/{key}");
            chaos.turn(Mood::Slow(Duration::from_millis(700)));
            let before = chaos.requests();
            let bytes = content(5, size);
            let socket = send_half(&gateway, &client, &Call::new(Method::PUT, &path), "PUT", &bytes, size).await;
            until("the backend hears of it", async || chaos.requests() > before).await;
            drop(socket);
            chaos.turn(Mood::Honest);
            // The change of mood may have cut it, so it either is there or never comes.
            let mut answer = client.get(&path).await.unwrap();
            until("the write settles", async || {
                answer = client.get(&path).await.unwrap();
                let there = stage.kept(location).await.unwrap().iter().filter(|name| name.contains(key)).count();
                (answer.status == 200 && there == 1) || (answer.status == 404 && there == 0)
            })
            .await;
            assert!(answer.status == 404 || answer.body == bytes, "{path}");
        }
    }
}
