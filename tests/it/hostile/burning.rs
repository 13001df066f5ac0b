//! A: processor time and stack.

use super::{Siege, repetitions};
use serde_json::json;

/// Every attempt ends with its budget, and the counter says so.
async fn burns(behaviour: &str, limit: &str, times: usize) {
    let cpu = if limit == "cpuMs" { 10 } else { 500 };
    let siege = Siege::of(json!({}), json!({ "cpuMs": cpu })).await;
    assert_eq!(siege.repeat(behaviour, times).await, ["InternalError"]);
    let hits = siege.hits(limit).await;
    assert!(hits >= times as u64, "{hits} hits of {limit}");
    let log = siege.ends_well().await;
    assert!(log.contains("broke in put"), "{log}");
}

#[tokio::test]
async fn a1_a_loop_ends_with_its_budget() {
    burns("spin", "cpuMs", repetitions()).await;
}

#[tokio::test]
async fn a2_a_loop_in_validate_or_open_stops_its_location_alone() {
    for stage in ["validate", "open", "check"] {
        let siege = Siege::of(json!({ stage: "spin" }), json!({ "cpuMs": 10 })).await;
        let refused = siege.put("key", "x").await;
        assert!([500, 503].contains(&refused.status.as_u16()), "{stage}: {}", refused.text());
        siege.leaves_the_neighbour_alone().await;
    }
}

#[tokio::test]
async fn a3_a_loop_in_realloc_ends_with_its_budget() {
    burns("realloc", "cpuMs", repetitions()).await;
}

#[tokio::test]
async fn a4_yielding_for_ever_is_no_way_around_the_budget() {
    let siege = Siege::of(json!({}), json!({ "cpuMs": 10, "wallMs": 300 })).await;
    assert_eq!(siege.repeat("yield", repetitions() / 10).await, ["InternalError"]);
    assert!(siege.hits("cpuMs").await + siege.hits("wallMs").await >= (repetitions() / 10) as u64);
    siege.ends_well().await;
}

#[tokio::test]
async fn a5_endless_recursion_is_a_trap() {
    burns("recurse", "stack", repetitions()).await;
}

#[tokio::test]
async fn a6_copying_memory_for_ever_ends_with_its_budget() {
    burns("copy", "cpuMs", repetitions() / 4).await;
}
