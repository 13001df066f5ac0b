//! Access logs, from the configuration to the delivered lines.

use hyper::Method;
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use serde_json::json;
use std::time::Duration;

async fn configure(client: &Client, bucket: &str, content: &str) -> Answer {
    let document = format!("<BucketLoggingStatus>{content}</BucketLoggingStatus>");
    client.send(Call::new(Method::PUT, bucket).query("logging", "").body(document)).await.unwrap()
}

fn enabled(target: &str, more: &str) -> String {
    format!(
        "<LoggingEnabled><TargetBucket>{target}</TargetBucket><TargetPrefix>logs/</TargetPrefix>{more}</LoggingEnabled>"
    )
}

/// Waits until something was delivered; all lines.
async fn delivered(client: &Client, bucket: &str) -> (Vec<String>, String) {
    for _ in 0..100 {
        let keys = client.keys(bucket).await.unwrap();
        if !keys.is_empty() {
            let mut text = String::new();
            for key in &keys {
                text.push_str(&client.get(&format!("{bucket}/{key}")).await.unwrap().text());
            }
            return (keys, text);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing was delivered");
}

async fn start(interval: &str) -> (Gateway, Client) {
    let setup = Setup::with_locations(json!({})).environment("SALLYPORT_LOG_INTERVAL_MS", interval);
    let gateway = setup.start().await.unwrap();
    let client = gateway.client().unwrap();
    for bucket in ["source", "target"] {
        assert_eq!(client.create_bucket(bucket, "").await.unwrap().status, 200);
    }
    (gateway, client)
}

#[tokio::test]
async fn accesses_are_delivered_as_aws_writes_them() {
    let (_gateway, client) = start("300").await;
    let missing = configure(&client, "source", &enabled("nowhere", "")).await;
    assert_eq!((missing.status.as_u16(), missing.code().as_str()), (400, "InvalidTargetBucketForLogging"));
    assert_eq!(configure(&client, "source", &enabled("target", "")).await.status, 200);
    let told = client.send(Call::new(Method::GET, "source").query("logging", "")).await.unwrap();
    assert_eq!(told.elements("TargetBucket"), ["target"]);
    let put = Call::new(Method::PUT, "source/a key").header("user-agent", "say \"hi\"").body("bytes");
    assert_eq!(client.send(put).await.unwrap().status, 200);
    let (keys, text) = delivered(&client, "target").await;
    assert!(keys.iter().all(|key| key.starts_with("logs/20") && key.len() == "logs/".len() + 36), "{keys:?}");
    let line = text.lines().find(|line| line.contains("REST.PUT.OBJECT")).unwrap_or_else(|| panic!("{text}"));
    let (head, tail) = line.split_once(" \"PUT /source/a%20key HTTP/1.1\" ").unwrap_or_else(|| panic!("{line}"));
    let head: Vec<&str> = head.split(' ').collect();
    // Owner, bucket, time (two words), address, requester, request, operation, key.
    assert_eq!(head.len(), 9, "{line}");
    assert_eq!((head[1], head[4], head[7], head[8]), ("source", "127.0.0.1", "REST.PUT.OBJECT", "a%20key"), "{line}");
    assert_eq!(head[0], head[5], "the owner asked: {line}");
    assert!(tail.starts_with("200 - - 5 "), "{line}");
    assert!(tail.contains("\"say %22hi%22\" - "), "{line}");
    assert!(tail.contains(" SigV4 - AuthHeader 127.0.0.1:"), "{line}");
}

#[tokio::test]
async fn a_stop_delivers_what_waits_and_partitions_say_where_it_came_from() {
    let (mut gateway, client) = start("3600000").await;
    let format = "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource>\
                  </PartitionedPrefix></TargetObjectKeyFormat>";
    assert_eq!(configure(&client, "source", &enabled("target", format)).await.status, 200);
    assert_eq!(client.get("source/missing").await.unwrap().status, 404);
    assert!(client.keys("target").await.unwrap().is_empty());
    gateway.stop_and_restart().await.unwrap();
    let client = gateway.client().unwrap();
    let (keys, text) = delivered(&client, "target").await;
    assert!(keys.iter().all(|key| key.contains("/us-east-1/source/20")), "{keys:?}");
    assert!(text.contains(" REST.GET.OBJECT missing \"GET /source/missing HTTP/1.1\" 404 NoSuchKey "), "{text}");
    assert_eq!(configure(&client, "source", "").await.status, 200);
    let told = client.send(Call::new(Method::GET, "source").query("logging", "")).await.unwrap();
    assert!(told.elements("TargetBucket").is_empty());
}
