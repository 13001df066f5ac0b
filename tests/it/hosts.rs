//! The documentation's lines on hosts and on `legacyAwsBehavior`.

use hyper::Method;
use sallyport_tests::client::{Call, Client};
use sallyport_tests::gateway::{Gateway, Ran, Setup};
use serde_json::{Value, json};

fn local(legacy: bool) -> Value {
    json!({ "type": "local", "legacyAwsBehavior": legacy, "details": {} })
}

fn setup() -> Setup {
    let locations = json!({
        "custom-location": local(false), "legacy-two": local(true), "modern": local(false), "modern-two": local(false)
    });
    Setup::with_locations(locations).config(
        "restEndpoints",
        json!({
            "localhost": "us-east-1", "127.0.0.1": "us-east-1", "custom": "custom-location", "[::1]": "modern"
        }),
    )
}

async fn location_of(client: &Client, bucket: &str) -> String {
    let answer = client.send(Call::new(Method::GET, bucket).query("location", "")).await.unwrap();
    let text = answer.text();
    let value = text.split_once("<LocationConstraint").and_then(|(_, rest)| rest.split_once('>'));
    value.and_then(|(_, rest)| rest.split('<').next()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_host_that_a_bucket_is_asked_of_decides_its_location() {
    let gateway = setup().start().await.unwrap();
    let client = gateway.client().unwrap();
    let custom = client.at_host("custom");
    assert_eq!(custom.create_bucket("through-custom", "").await.unwrap().status, 200);
    assert_eq!(client.create_bucket("through-address", "").await.unwrap().status, 200);
    assert_eq!(custom.create_bucket("by-body", "modern").await.unwrap().status, 200);
    // Host names are told apart without their case and port.
    assert_eq!(client.at_host("Custom:8000").create_bucket("with-port", "").await.unwrap().status, 200);
    assert_eq!(client.at_host("custom.").create_bucket("with-dot", "").await.unwrap().status, 200);
    assert_eq!(client.at_host("[::1]:8000").create_bucket("through-version-six", "").await.unwrap().status, 200);
    for (bucket, location) in [
        ("through-custom", "custom-location"),
        ("through-address", ""),
        ("by-body", "modern"),
        ("with-port", "custom-location"),
        ("with-dot", "custom-location"),
        ("through-version-six", "modern"),
    ] {
        assert_eq!(location_of(&client, bucket).await, location, "{bucket}");
    }
    assert_eq!(client.put("through-custom/key", "bytes").await.unwrap().status, 200);
    let bytes = gateway.bytes_below_data().unwrap();
    let there = folder_bytes(&gateway, "custom-location");
    assert_eq!((bytes, there), (there, bytes), "the bytes are in another location's folder");
    assert!(there >= 5);

    let listed = client.at_host("through-custom.custom").keys("").await.unwrap();
    assert_eq!(listed, ["key"], "the bucket before the host");
}

#[tokio::test]
async fn a_host_that_is_not_listed_is_refused_with_the_key_to_edit() {
    let gateway = setup().start().await.unwrap();
    let client = gateway.client().unwrap();
    for host in ["elsewhere.example", "bucket.elsewhere.example", "custom.evil.example"] {
        let answer = client.at_host(host).send(Call::new(Method::GET, "")).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "InvalidURI"), "{host}");
        let text = answer.text();
        assert!(text.contains(host) && text.contains("restEndpoints in config.json"), "{text}");
    }
    // An address is always taken, without being listed.
    assert_eq!(client.at_host("10.9.8.7").send(Call::new(Method::GET, "")).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_location_that_is_not_there_is_refused_at_the_start_and_at_a_buckets_creation() {
    let folder = tempfile::tempdir().unwrap();
    let mistaken = setup().config("restEndpoints", json!({ "custom": "nowhere" }));
    let ran = Ran::of(&mut mistaken.command(folder.path()).unwrap()).await.unwrap();
    assert_eq!(ran.code, Some(2), "{}", ran.errors);
    let line = ran.errors.lines().find(|line| line.contains("restEndpoints.custom")).expect("no line about it");
    assert!(line.contains("config.json") && line.contains("nowhere is not a location"), "{line}");
    assert!(line.contains("locationConfig.json lists"), "{line}");

    let gateway = setup().start().await.unwrap();
    let client = gateway.client().unwrap();
    let answer = client.create_bucket("bucket", "nowhere").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "InvalidLocationConstraint"));
    assert_eq!(client.head("bucket").await.unwrap().status, 404);
}

#[tokio::test]
async fn legacy_behaviour_decides_two_answers() {
    let gateway = setup().start().await.unwrap();
    let client = gateway.client().unwrap();
    // (where the bucket is, where it is asked for again, the answer)
    for (bucket, location, again, status, code) in [
        ("both-legacy", "us-east-1", "us-east-1", 200, ""),
        ("legacy-elsewhere", "us-east-1", "legacy-two", 200, ""),
        ("then-modern", "us-east-1", "modern", 409, "BucketAlreadyOwnedByYou"),
        ("then-legacy", "modern", "us-east-1", 409, "BucketAlreadyOwnedByYou"),
        ("both-modern", "modern", "modern-two", 409, "BucketAlreadyOwnedByYou"),
    ] {
        assert_eq!(client.create_bucket(bucket, location).await.unwrap().status, 200, "{bucket}");
        let answer = client.create_bucket(bucket, again).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{bucket}");
        let kept = location_of(&client, bucket).await;
        assert_eq!(kept, if location == "us-east-1" { "" } else { location }, "{bucket} moved");
    }
    for (bucket, status, code) in [("both-legacy", 404, "NoSuchUpload"), ("both-modern", 204, "")] {
        let unknown =
            Call::new(Method::DELETE, &format!("{bucket}/key")).query("uploadId", "00112233445566778899aabbccddeeff");
        let answer = client.send(unknown).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{bucket}");
    }
}

fn folder_bytes(gateway: &Gateway, location: &str) -> u64 {
    fn sum(folder: &std::path::Path) -> u64 {
        let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
        entries
            .map(Result::unwrap)
            .map(|entry| {
                let metadata = entry.metadata().unwrap();
                if metadata.is_dir() { sum(&entry.path()) } else { metadata.len() }
            })
            .sum()
    }
    sum(&gateway.folder().join("data").join(location))
}
