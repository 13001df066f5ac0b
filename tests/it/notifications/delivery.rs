//! What becomes of events while destinations or the gateway are down.

use super::{CREATED, configured, filter, gateway, names, records, rule, told};
use hyper::Method;
use sallyport_tests::client::{Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::wait::until;
use sallyport_tests::webhook::Webhook;
use serde_json::json;
use std::time::Duration;

/// A number that the admin port shows for a destination.
async fn metric(admin: &str, name: &str, destination: &str) -> Option<f64> {
    let call = Call::new(Method::GET, "metrics");
    let text = Client::new(admin, "", "").unwrap().send_unsigned(call).await.unwrap().text();
    let start = format!("sallyport_notifications_{name}{{destination=\"{destination}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
}

async fn shows(admin: &str, name: &str, value: f64) {
    until(&format!("{name} is {value}"), async || metric(admin, name, "hooks").await == Some(value)).await;
}

/// Waits until the log has a text.
async fn says(gateway: &mut Gateway, text: &str) {
    for _ in 0..600 {
        if gateway.log().contains(text) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not in the log: {text}\n{}", gateway.log());
}

#[tokio::test]
async fn a_destination_that_was_down_gets_all_in_order_and_holds_up_nobody_else() {
    let (hook, other) = (Webhook::start().await.unwrap(), Webhook::start().await.unwrap());
    let port = hook.port();
    let (mut gateway, client) = gateway(&[("hooks", &hook), ("other", &other)], |setup| setup).await;
    let removed = rule("other", &["s3:ObjectRemoved:*"], "");
    configured(&client, &format!("{}{removed}", rule("hooks", CREATED, ""))).await;
    drop(hook);
    for number in 0..20 {
        client.put("bucket/k", number.to_string()).await.unwrap();
        client.put(&format!("bucket/{number}"), "bytes").await.unwrap();
    }
    client.delete("bucket/k").await.unwrap();
    assert_eq!(names(&records(&other, 1).await), ["ObjectRemoved:Delete"]);
    says(&mut gateway, "notifications wait for their destination").await;
    let admin = gateway.admin().unwrap();
    shows(&admin, "pending", 40.0).await;
    assert!(metric(&admin, "failed_total", "hooks").await.unwrap() >= 1.0);
    let hook = Webhook::at(port).await.unwrap();
    let records = records(&hook, 40).await;
    let of_k = records.iter().filter(|record| record["s3"]["object"]["key"] == json!("k"));
    let sequencers: Vec<&str> = of_k.map(|record| record["s3"]["object"]["sequencer"].as_str().unwrap()).collect();
    assert_eq!(sequencers.len(), 20);
    assert!(sequencers.is_sorted_by(|a, b| a < b), "{sequencers:?}");
    shows(&admin, "delivered_total", 40.0).await;
    assert!(!gateway.log().contains("/events"), "a webhook's URL may be a secret");
}

#[tokio::test]
async fn what_was_acknowledged_is_told_after_a_kill() {
    let hook = Webhook::start().await.unwrap();
    let port = hook.port();
    let (mut gateway, client) = gateway(&[("hooks", &hook)], |setup| setup).await;
    let kinds = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"];
    configured(&client, &rule("hooks", &kinds, "")).await;
    drop(hook);
    for key in ["a", "b", "c"] {
        assert_eq!(client.put(&format!("bucket/{key}"), "bytes").await.unwrap().status, 200);
    }
    assert_eq!(client.delete("bucket/b").await.unwrap().status, 204);
    gateway.crash_and_restart().await.unwrap();
    let hook = Webhook::at(port).await.unwrap();
    let mut told = told(&records(&hook, 4).await);
    told.sort();
    let pair = |name: &str, key: &str| (name.to_owned(), key.to_owned());
    let put = "ObjectCreated:Put";
    assert_eq!(told, [pair(put, "a"), pair(put, "b"), pair(put, "c"), pair("ObjectRemoved:Delete", "b")]);
    // What was delivered before another kill is not sent again.
    shows(&gateway.admin().unwrap(), "pending", 0.0).await;
    gateway.crash_and_restart().await.unwrap();
    let client = gateway.client().unwrap();
    client.put("bucket/d", "bytes").await.unwrap();
    assert_eq!(super::told(&records(&hook, 5).await)[4], pair(put, "d"));
}

#[tokio::test]
async fn a_message_that_is_refused_for_good_is_dropped_and_the_next_ones_arrive() {
    let hook = Webhook::start().await.unwrap();
    let (mut gateway, client) = gateway(&[("hooks", &hook)], |setup| setup).await;
    configured(&client, &rule("hooks", CREATED, "")).await;
    hook.answer("poison", 422);
    for key in ["before", "poison", "after"] {
        client.put(&format!("bucket/{key}"), "bytes").await.unwrap();
    }
    let told = told(&records(&hook, 2).await);
    let keys: Vec<&str> = told.iter().map(|(_, key)| key.as_str()).collect();
    assert!(keys.contains(&"before") && keys.contains(&"after"), "{keys:?}");
    shows(&gateway.admin().unwrap(), "dropped_total", 1.0).await;
    let refused: Vec<_> = hook.posted().into_iter().filter(|posted| posted.status == 422).collect();
    assert_eq!(refused.len(), 5);
    let ids: std::collections::BTreeSet<_> =
        refused.iter().map(|posted| &posted.headers["x-sallyport-event-id"]).collect();
    assert_eq!(ids.len(), 1, "the same message has the same id");
}

#[tokio::test]
async fn more_than_may_wait_pushes_out_the_oldest_and_says_so() {
    let hook = Webhook::start().await.unwrap();
    let port = hook.port();
    let change = |setup: Setup| setup.environment("SALLYPORT_NOTIFICATIONS_MAX_PENDING", "5");
    let (mut gateway, client) = gateway(&[("hooks", &hook)], change).await;
    configured(&client, &rule("hooks", CREATED, "")).await;
    drop(hook);
    for number in 0..12 {
        client.put(&format!("bucket/{number:02}"), "bytes").await.unwrap();
    }
    shows(&gateway.admin().unwrap(), "dropped_total", 7.0).await;
    says(&mut gateway, "notifications were dropped").await;
    let hook = Webhook::at(port).await.unwrap();
    let mut told = told(&records(&hook, 5).await);
    told.sort();
    let keys: Vec<&str> = told.iter().map(|(_, key)| key.as_str()).collect();
    assert_eq!(keys, ["07", "08", "09", "10", "11"]);
}

#[tokio::test]
async fn events_of_a_destination_that_was_taken_away_wait_until_it_is_back() {
    let hook = Webhook::start().await.unwrap();
    let url = hook.url("/events");
    let (mut gateway, client) = gateway(&[("hooks", &hook)], |setup| setup).await;
    configured(&client, &rule("hooks", CREATED, &filter(&[("prefix", "a")]))).await;
    gateway.change(|setup| setup.config("bucketNotificationDestinations", json!([])));
    gateway.stop_and_restart().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.put("bucket/a", "bytes").await.unwrap().status, 200);
    gateway.stop_and_restart().await.unwrap();
    says(&mut gateway, "notifications wait for a destination that is not in config.json any more").await;
    let destination = json!([{ "resource": "hooks", "type": "http", "url": url }]);
    gateway.change(|setup| setup.config("bucketNotificationDestinations", destination));
    gateway.stop_and_restart().await.unwrap();
    assert_eq!(names(&records(&hook, 1).await), ["ObjectCreated:Put"]);
}
