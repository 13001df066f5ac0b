//! G: instances that come, go and do not come.

use super::Siege;
use futures::future::join_all;
use sallyport_tests::gateway::Setup;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test]
async fn g1_a_crash_loop_is_its_locations_alone() {
    for stage in ["validate", "open", "check"] {
        let siege = Siege::of(json!({ stage: "trap" }), json!({})).await;
        for index in 0..5 {
            let answer = siege.put(&format!("key-{index}"), "x").await;
            assert!([500, 503].contains(&answer.status.as_u16()), "{stage}: {}", answer.text());
        }
        let health = siege.gateway.run(&["check"]).await.unwrap();
        assert!(health.errors.contains("hostile"), "{stage}: {}", health.errors);
        siege.leaves_the_neighbour_alone().await;
    }
}

#[tokio::test]
async fn g2_instances_are_made_at_a_rate() {
    let siege = Siege::of(json!({}), json!({ "instancesPerSecond": 5, "queueMs": 100 })).await;
    let keys: Vec<String> = (0..60).map(|index| format!("trap/{index}")).collect();
    let answers = join_all(keys.iter().map(|key| siege.put(key, "x"))).await;
    let slowed = answers.iter().filter(|answer| answer.code() == "SlowDown").count();
    assert!(slowed >= 40, "{slowed} of 60 were slowed down");
    assert!(siege.hits("instancesPerSecond").await >= 40);
    tokio::time::sleep(Duration::from_secs(1)).await;
    siege.ends_well().await;
}

#[tokio::test]
async fn g3_a_full_location_says_slow_down_at_once() {
    let limits = json!({ "writes": 2, "waiting": 2, "queueMs": 300, "idleMs": 1_000 });
    let siege = Siege::of(json!({}), limits).await;
    let began = Instant::now();
    let keys: Vec<String> = (0..40).map(|index| format!("stall/{index}")).collect();
    let answers = join_all(keys.iter().map(|key| siege.put(key, "x"))).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let slowed = answers.iter().filter(|answer| (answer.status.as_u16(), answer.code().as_str()) == (503, "SlowDown"));
    assert!(slowed.count() >= 36);
    assert!(siege.hits("waiting").await >= 30 && siege.hits("writes").await >= 1 && siege.hits("idleMs").await >= 1);
    siege.ends_well().await;
}

fn location(account: &str, secret: &str) -> Value {
    json!({ "type": "hostile", "legacyAwsBehavior": false, "accounts": [account],
        "details": { "secret": secret, "endpoint": format!("http://{}.example.com:80", account.to_lowercase()) } })
}

#[tokio::test]
async fn g7_two_tenants_of_one_plugin_share_nothing() {
    let locations =
        json!({ "hostile": location("Bart", "barts-own-secret"), "lisas": location("Lisa", "lisas-own-secret") });
    let siege = Siege::start(Setup::with_locations(locations)).await;
    let lisa = sallyport_tests::client::Client::new(siege.gateway.endpoint(), "accessKey2", "verySecretKey2").unwrap();
    assert_eq!(lisa.create_bucket("lisas", "lisas").await.unwrap().status, 200);
    for _ in 0..10 {
        siege.says("state/x").await;
    }
    let state = lisa.put("lisas/state/x", "x").await.unwrap().text();
    assert!(state.contains("call 1 of this instance"), "{state}");
    let seen = lisa.put("lisas/sees/x", "x").await.unwrap().text();
    assert!(seen.contains("lisa.example.com") && !seen.contains("bart"), "{seen}");
    let masked = |text: &str| text.bytes().map(|byte| format!("{:02x}", byte ^ 0x5a)).collect::<String>();
    for text in ["barts-own-secret", "bart.example.com", "lisas-own-secret"] {
        let said = lisa.put(&format!("lisas/seeks/{}", masked(text)), "x").await.unwrap().text();
        assert!(said.contains("found 0 times"), "{text}: {said}");
    }
    let said = lisa.put(&format!("lisas/seeks/{}", masked("lisa.example.com")), "x").await.unwrap().text();
    assert!(said.contains("found ") && !said.contains("found 0 times"), "the search works: {said}");
    siege.ends_well().await;
}

#[tokio::test]
async fn g8_an_instance_serves_no_more_calls_than_configured() {
    let siege = Siege::of(json!({}), json!({ "callsPerInstance": 1 })).await;
    for _ in 0..5 {
        let said = siege.says("state/x").await;
        assert!(said.contains("call 1 of this instance"), "{said}");
    }
    siege.ends_well().await;
}
