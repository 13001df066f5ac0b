//! C: bodies in every wrong way.

use super::{Siege, repetitions};
use sallyport_tests::client::Call;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SIZE: usize = 200_000;

/// Waits a little for a body to move, so that a stall is over soon.
fn patient() -> serde_json::Value {
    json!({ "idleMs": 300, "wallMs": 2_000 })
}

#[tokio::test]
async fn c1_an_answer_before_the_body_is_no_success() {
    let siege = Siege::of(json!({}), json!({})).await;
    for size in [1, SIZE] {
        let answer = siege.put("early/key", vec![1; size]).await;
        assert_eq!(answer.code(), "InternalError", "{size}");
        assert_eq!(siege.get("early/key").await.unwrap().code(), "NoSuchKey");
    }
    assert_eq!(siege.repeat("early", repetitions()).await, ["InternalError"]);
    siege.ends_well().await;
}

#[tokio::test]
async fn c2_a_body_that_was_sniffed_at_is_not_stored_short() {
    let (upstream, _task) = accepting().await;
    let siege = Siege::of(json!({ "endpoint": format!("http://{upstream}") }), patient()).await;
    for way in ["", "-at-once"] {
        assert_eq!(siege.put(&format!("forward{way}/whole"), vec![1; SIZE]).await.status, 200);
        let sniffed = format!("sniff{way}/large");
        let answer = siege.put(&sniffed, vec![1; SIZE]).await;
        assert!(answer.status.is_server_error(), "{}", answer.text());
        assert_eq!(siege.get(&sniffed).await.unwrap().code(), "NoSuchKey");
    }
    siege.ends_well().await;
}

/// Takes requests with a length whole, and says 200 to them.
async fn accepting() -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut seen, mut buffer) = (Vec::new(), vec![0; 65_536]);
                loop {
                    let Ok(read @ 1..) = socket.read(&mut buffer).await else { return };
                    seen.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&seen).to_ascii_lowercase();
                    let Some(head) = text.find("\r\n\r\n") else { continue };
                    let length = text[..head].split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
                    let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or_default();
                    if seen.len() >= head + 4 + length {
                        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                        seen.clear();
                    }
                }
            });
        }
    });
    (address, task)
}

/// An object whose body goes wrong: the client never takes it for whole.
async fn breaks_off(behaviour: &str) {
    let siege = Siege::of(json!({}), patient()).await;
    let key = format!("get-{behaviour}");
    assert_eq!(siege.put(&key, vec![1; SIZE]).await.status, 200);
    let outcome = async |_| match siege.get(&key).await {
        Ok(answer) => format!("{} bytes of {}", answer.body.len(), answer.status),
        Err(_) => "broken".to_owned(),
    };
    assert_eq!(siege.repeat_with(repetitions() / 10, outcome).await, ["broken"]);
    siege.ends_well().await;
}

#[tokio::test]
async fn c3_a_body_without_end_is_cut_at_its_length() {
    let siege = Siege::of(json!({}), patient()).await;
    assert_eq!(siege.put("get-endless", vec![1; SIZE]).await.status, 200);
    let outcome = async |_| match siege.get("get-endless").await {
        Ok(answer) => format!("{} whole", answer.body.len() == SIZE),
        Err(_) => "broken".to_owned(),
    };
    let outcomes = siege.repeat_with(repetitions() / 10, outcome).await;
    assert!(outcomes.iter().all(|outcome| ["broken", "true whole"].contains(&outcome.as_str())), "{outcomes:?}");
    siege.ends_well().await;
}

#[tokio::test]
async fn c4_a_short_body_is_no_whole_one() {
    breaks_off("short").await;
}

#[tokio::test]
async fn c4_a_long_body_is_no_longer_than_announced() {
    let siege = Siege::of(json!({}), patient()).await;
    assert_eq!(siege.put("get-long", vec![1; SIZE]).await.status, 200);
    if let Ok(answer) = siege.get("get-long").await {
        assert_eq!(answer.body.len(), SIZE);
    }
    siege.ends_well().await;
}

#[tokio::test]
async fn c5_a_trap_in_a_body_breaks_that_body() {
    breaks_off("broken").await;
}

#[tokio::test]
async fn c6_a_body_that_stands_still_is_given_up() {
    let siege = Siege::of(json!({}), patient()).await;
    assert_eq!(siege.put("get-stalled", vec![1; SIZE]).await.status, 200);
    for _ in 0..5 {
        let got = tokio::time::timeout(Duration::from_secs(20), siege.get("get-stalled")).await;
        assert!(got.expect("no hang").is_err());
    }
    assert!(siege.hits("idleMs").await >= 1);
    siege.ends_well().await;
}

#[tokio::test]
async fn c9_a_stream_of_another_call_is_no_answer() {
    let siege = Siege::of(json!({}), patient()).await;
    assert_eq!(siege.put("get-kept", vec![1; 1_000]).await.status, 200);
    for _ in 0..20 {
        let _ = siege.put("keep/other", vec![2; SIZE]).await;
        let got = tokio::time::timeout(Duration::from_secs(20), siege.get("get-kept")).await.expect("no hang");
        if let Ok(answer) = got {
            assert!(answer.status.is_server_error(), "{} {}", answer.status, answer.body.len());
        }
    }
    siege.ends_well().await;
}

#[tokio::test]
async fn c10_a_storm_of_empty_writes_ends() {
    let siege = Siege::of(json!({}), patient()).await;
    assert_eq!(siege.put("get-zero", vec![1; SIZE]).await.status, 200);
    for _ in 0..5 {
        let got = tokio::time::timeout(Duration::from_secs(20), siege.get("get-zero")).await.expect("no hang");
        if let Ok(answer) = got {
            assert!(answer.status.is_server_error() || answer.body.len() == SIZE, "{}", answer.status);
        }
    }
    siege.ends_well().await;
}

#[tokio::test]
async fn c11_clients_that_leave_take_their_calls_with_them() {
    let siege = Siege::of(json!({}), json!({ "writes": 4, "queueMs": 10_000, "wallMs": 1_000, "idleMs": 500 })).await;
    let call = |index: usize| Call::new(hyper::Method::PUT, &format!("hostile/stall/{index}")).body("x");
    for index in 0..8 {
        let url = siege.attacker.presign(&call(index), 60);
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut socket = TcpStream::connect(host).await.unwrap();
        let request = format!("PUT /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1\r\n\r\nx");
        socket.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A write goes on without its client, and ends with its time: then all turns are free again.
    tokio::time::sleep(Duration::from_secs(3)).await;
    siege.ends_well().await;
}

#[tokio::test]
async fn c12_a_slow_reader_holds_no_more_than_a_window() {
    let siege = Siege::of(json!({}), json!({})).await;
    let size = 48 << 20;
    assert_eq!(siege.put("slow", vec![1; size]).await.status, 200);
    let url = siege.attacker.presign(&Call::new(hyper::Method::GET, "hostile/slow"), 60);
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let before = siege.footprint();
    let mut sockets = Vec::new();
    for _ in 0..4 {
        let mut socket = TcpStream::connect(host).await.unwrap();
        socket.write_all(format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).await.unwrap();
        sockets.push(socket);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = siege.footprint();
    assert!(after.resident < before.resident + (64 << 20), "{before:?} {after:?}");
    drop(sockets);
    siege.ends_well().await;
}

#[tokio::test]
async fn c13_a_trap_costs_no_call_but_its_own() {
    let siege = Siege::of(json!({}), json!({})).await;
    let outcome = async |index: usize| {
        let key = if index.is_multiple_of(2) { format!("trap/{index}") } else { format!("fine-{index}") };
        (siege.put(&key, "x").await.code() == if index.is_multiple_of(2) { "InternalError" } else { "" }).to_string()
    };
    assert_eq!(siege.repeat_with(repetitions(), outcome).await, ["true"]);
    siege.ends_well().await;
}

#[tokio::test]
async fn c14_a_task_that_outlives_its_call_is_ended() {
    let siege = Siege::of(json!({}), json!({ "idleMs": 200 })).await;
    assert_eq!(siege.repeat("linger", repetitions()).await, [""]);
    siege.ends_well().await;
}
