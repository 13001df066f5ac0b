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

/// Lets lines be delivered to a bucket, by its list.
async fn admit(client: &Client, bucket: &str) {
    let put = Call::new(Method::PUT, bucket).query("acl", "").header("x-amz-acl", "log-delivery-write");
    assert_eq!(client.send(put).await.unwrap().status, 200);
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

/// Waits until the log says once more that lines were lost.
async fn more_are_lost(gateway: &mut Gateway, before: usize) {
    for _ in 0..100 {
        if gateway.log().matches("access logs are lost").count() > before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing was lost");
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
    let unwelcome = configure(&client, "source", &enabled("target", "")).await;
    assert_eq!((unwelcome.status.as_u16(), unwelcome.code().as_str()), (400, "InvalidTargetBucketForLogging"));
    admit(&client, "target").await;
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
    admit(&client, "target").await;
    assert_eq!(configure(&client, "source", &enabled("target", format)).await.status, 200);
    assert_eq!(client.get("source/missing").await.unwrap().status, 404);
    let many = "<Delete><Object><Key>a b</Key></Object><Object><Key>c</Key><ETag>x</ETag></Object></Delete>";
    let removed = client.send(Call::new(Method::POST, "source").query("delete", "").body(many)).await.unwrap();
    assert_eq!(removed.status, 200, "{}", removed.text());
    assert!(client.keys("target").await.unwrap().is_empty());
    gateway.stop_and_restart().await.unwrap();
    let client = gateway.client().unwrap();
    let (keys, text) = delivered(&client, "target").await;
    assert!(keys.iter().all(|key| key.contains("/us-east-1/source/20")), "{keys:?}");
    assert!(text.contains(" REST.GET.OBJECT missing \"GET /source/missing HTTP/1.1\" 404 NoSuchKey "), "{text}");
    assert!(text.contains(" REST.POST.MULTI_OBJECT_DELETE - \"POST /source?delete"), "{text}");
    assert!(text.contains(" BATCH.DELETE.OBJECT a%20b - 204 - - - - - "), "{text}");
    assert!(text.contains(" BATCH.DELETE.OBJECT c - "), "{text}");
    assert_eq!(configure(&client, "source", "").await.status, 200);
    let told = client.send(Call::new(Method::GET, "source").query("logging", "")).await.unwrap();
    assert!(told.elements("TargetBucket").is_empty());
}

#[tokio::test]
async fn a_policy_admits_the_lines_of_the_buckets_that_it_names() {
    let (mut gateway, client) = start("300").await;
    let policy = |source: &str, account: &str| {
        let statement = json!({
            "Effect": "Allow", "Principal": { "Service": "logging.s3.amazonaws.com" }, "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::target/logs/*", "Condition": {
                "ArnLike": { "aws:SourceArn": format!("arn:aws:s3:::{source}") },
                "StringEquals": { "aws:SourceAccount": account }
            }
        });
        let text = json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
        client.send(Call::new(Method::PUT, "target").query("policy", "").body(text))
    };
    for (source, account) in [("other", "123456789012"), ("source", "999999999999")] {
        let before = gateway.log().matches("access logs are lost").count();
        assert_eq!(policy(source, account).await.unwrap().status, 204);
        assert_eq!(configure(&client, "source", &enabled("target", "")).await.status, 200, "it may be put right");
        assert_eq!(client.put("source/key", "bytes").await.unwrap().status, 200);
        more_are_lost(&mut gateway, before).await;
        assert!(client.keys("target").await.unwrap().is_empty(), "{source} {account}");
    }
    assert_eq!(policy("source", "123456789012").await.unwrap().status, 204);
    let grant = "<TargetGrants><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"Group\">\
                 <URI>http://acs.amazonaws.com/groups/global/AuthenticatedUsers</URI></Grantee><Permission>READ</Permission>\
                 </Grant></TargetGrants>";
    let controls = |name: &str| {
        let rule =
            format!("<OwnershipControls><Rule><ObjectOwnership>{name}</ObjectOwnership></Rule></OwnershipControls>");
        client.send(Call::new(Method::PUT, "target").query("ownershipControls", "").body(rule))
    };
    assert_eq!(controls("BucketOwnerEnforced").await.unwrap().status, 200);
    let refused = configure(&client, "source", &enabled("target", grant)).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "AccessControlListNotSupported"));
    assert_eq!(controls("ObjectWriter").await.unwrap().status, 200);
    let accepted = configure(&client, "source", &enabled("target", grant)).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text());
    assert_eq!(client.put("source/key", "bytes").await.unwrap().status, 200);
    let other = Client::new(gateway.endpoint(), "accessKey2", "verySecretKey2").unwrap();
    let object = with_line(&client, "target", " REST.PUT.OBJECT key ").await;
    assert_eq!(other.get(&object).await.unwrap().status, 200, "the grants of the configuration are the object's");
}

/// Waits for the delivered object that has a line with this in it.
async fn with_line(client: &Client, bucket: &str, part: &str) -> String {
    for _ in 0..100 {
        for key in client.keys(bucket).await.unwrap() {
            let path = format!("{bucket}/{key}");
            if client.get(&path).await.unwrap().text().contains(part) {
                return path;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no line with {part} was delivered");
}
