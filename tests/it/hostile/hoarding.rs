//! B: memory and handles.

use super::{Siege, repetitions};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn b1_memory_ends_at_its_limit() {
    let siege = Siege::of(json!({}), json!({ "memoryBytes": 16 << 20 })).await;
    assert_eq!(siege.repeat("grow", repetitions()).await, ["InternalError"]);
    assert!(siege.hits("memoryBytes").await >= repetitions() as u64);
    siege.ends_well().await;
}

#[tokio::test]
async fn b2_tables_end_at_their_limit() {
    let siege = Siege::of(json!({}), json!({ "tableElements": 5_000 })).await;
    assert_eq!(siege.repeat("table", repetitions()).await, ["InternalError"]);
    assert!(siege.hits("tableElements").await >= repetitions() as u64);
    siege.ends_well().await;
}

#[tokio::test]
async fn b3_streams_end_at_the_limit_of_handles() {
    let siege = Siege::of(json!({}), json!({ "handles": 200 })).await;
    assert_eq!(siege.repeat("streams", repetitions()).await, ["InternalError"]);
    assert!(siege.hits("handles").await >= repetitions() as u64);
    siege.ends_well().await;
}

#[tokio::test]
async fn b4_headers_end_at_the_limit_of_resources() {
    let siege = Siege::of(json!({}), json!({ "resources": 200, "handles": 10_000 })).await;
    assert_eq!(siege.repeat("fields", repetitions()).await, ["InternalError"]);
    assert!(siege.hits("resources").await >= repetitions() as u64);
    siege.ends_well().await;
}

#[tokio::test]
async fn b5_what_is_said_at_length_is_cut_or_refused() {
    let siege = Siege::of(json!({}), json!({})).await;
    let cut = siege.put("error/100000", "x").await;
    assert!(cut.status == 503 && cut.body.len() < 2_048, "{}", cut.body.len());
    assert_eq!(siege.hits("errorBytes").await, 1);
    assert_eq!(siege.put("error/12000000", "x").await.code(), "InternalError");
    assert_eq!(siege.hits("hostCallBytes").await, 1);
    assert_eq!(siege.put("long-line/1000000", "x").await.status, 200);
    assert_eq!(siege.hits("logBytesPerSecond").await + siege.hits("logLineBytes").await, 1);
    assert_eq!(siege.repeat("error/100000", repetitions()).await, ["ServiceUnavailable"]);
    let log = siege.ends_well().await;
    assert!(log.lines().all(|line| line.len() < 10_000), "a long line");
}

#[tokio::test]
async fn b6_a_large_write_takes_no_more_than_the_plugin_has() {
    let siege = Siege::of(json!({}), json!({})).await;
    assert_eq!(siege.put("get-big", vec![1; 20 << 20]).await.status, 200);
    let codes = siege.repeat_with(10, async |_| siege.get("get-big").await.unwrap().body.len().to_string()).await;
    assert_eq!(codes, [(20 << 20).to_string()]);
    siege.ends_well().await;
}

#[tokio::test]
async fn b7_an_instance_that_leaks_handles_is_replaced() {
    let siege = Siege::of(json!({}), json!({ "handles": 100 })).await;
    let codes = siege.repeat("leak/5", repetitions()).await;
    // Most calls work; the one that meets the limit costs its instance.
    assert_eq!(codes, ["", "InternalError"]);
    assert!(siege.hits("handles").await >= 1);
    siege.ends_well().await;
}

#[tokio::test]
async fn b8_memory_that_is_held_ends_at_the_limit_of_its_location() {
    let siege = Siege::of(json!({}), json!({ "locationMemoryBytes": 100 << 20 })).await;
    // Each within its own limit, and two of them together within that of the location.
    let most = async {
        let mut most = 0;
        for _ in 0..20 {
            most = most.max(siege.counted("sallyport_plugin_memory_bytes", "").await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        most
    };
    let (codes, most) = tokio::join!(siege.repeat("hold/40", repetitions().div_ceil(10)), most);
    assert!(codes.contains(&String::new()), "{codes:?}");
    assert!(codes.iter().all(|code| ["", "SlowDown"].contains(&code.as_str())), "{codes:?}");
    assert!(siege.hits("locationMemoryBytes").await >= 1);
    assert!((40 << 20..=100 << 20).contains(&most), "{most} bytes were held");
    siege.ends_well().await;
}
