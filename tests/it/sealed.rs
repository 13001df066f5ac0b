//! The example that encrypts: what its upstream gets to see, and what clients read back.

use bytes::Bytes;
use hyper::{Method, StatusCode};
use sallyport_tests::client::{Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::tools;
use sallyport_tests::upstream::Moto;
use sallyport_tests::wait::until;
use serde_json::{Value, json};

const MIB: usize = 1 << 20;
/// Plain bytes of a chunk, and the bytes before the first one.
const CHUNK: usize = 64 * 1024;
const HEADER: usize = 35;
/// What no file of the upstream may have in it.
const WORDS: &str = "these words are readable; ";
const KEY: &str = "1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const NEWER: &str = "2:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
const UNRELATED: &str = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A location on a server of S3; `keys` is the text of `details.key`.
pub(crate) fn location(upstream: &Moto, keys: &str) -> Value {
    json!({
        "type": "sealed_s3", "legacyAwsBehavior": false, "grants": { "reveal": ["key"] },
        "details": {
            "awsEndpoint": format!("127.0.0.1:{}", upstream.port()), "bucketName": "cloud", "bucketMatch": false,
            "https": false, "pathStyle": true, "supportsVersioning": false, "key": keys,
            "credentials": { "accessKey": "testing", "secretKey": "testing" }
        }
    })
}

pub(crate) async fn upstream() -> Moto {
    let moto = Moto::start().await.unwrap();
    assert_eq!(moto.client().unwrap().create_bucket("cloud", "").await.unwrap().status, 200);
    moto
}

async fn gateway(location: Value) -> Gateway {
    let setup = Setup::with_locations(json!({ "sealed": location })).plugins(&tools::examples().unwrap());
    let setup = setup.environment("SALLYPORT_DELETION_DELAY_MS", "0").environment("SALLYPORT_SWEEP_INTERVAL_MS", "100");
    setup.environment("SALLYPORT_HEAL_INTERVAL_MS", "300").start().await.unwrap()
}

/// Readable words, that many bytes of them, of which no two chunks are alike.
fn words(size: usize) -> Bytes {
    let mut text = String::with_capacity(size + 64);
    while text.len() < size {
        text.push_str(WORDS);
        text.push_str(&text.len().to_string());
    }
    text.truncate(size);
    text.into()
}

/// The bytes that are stored of an object of one part.
fn sealed(size: usize) -> usize {
    HEADER + size + 16 * size.div_ceil(CHUNK).max(1)
}

/// The sizes of what is stored, each of which has to be sealed.
async fn stored(upstream: &Moto) -> Vec<usize> {
    let client = upstream.client().unwrap();
    let mut sizes = Vec::new();
    for key in client.keys("cloud").await.unwrap() {
        let object = client.get(&format!("cloud/{key}")).await.unwrap();
        if object.status == StatusCode::NOT_FOUND {
            // Deleted since it was listed.
            continue;
        }
        assert!(object.body.starts_with(b"sealed \x01"), "{key} has no header");
        assert!(!object.text().contains("readable"), "{key} can be read");
        assert!(!format!("{:?}", object.headers).contains("readable"), "{key} shows metadata");
        sizes.push(object.body.len());
    }
    sizes.sort_unstable();
    sizes
}

/// Without printing megabytes when they differ.
async fn reads(client: &Client, path: &str, expected: &[u8]) {
    let got = client.get(path).await.unwrap();
    assert!(got.status == 200 && got.body == expected, "{path}: {} with {} bytes", got.status, got.body.len());
}

async fn range(client: &Client, path: &str, first: usize, last: usize) -> Bytes {
    let call = Call::new(Method::GET, path).header("range", &format!("bytes={first}-{last}"));
    let answer = client.send(call).await.unwrap();
    assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{first}-{last}: {}", answer.text());
    answer.body
}

#[tokio::test]
async fn an_upstream_holds_sealed_bytes_alone_and_clients_read_their_own() {
    let upstream = upstream().await;
    let gateway = gateway(location(&upstream, KEY)).await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("private", "sealed").await.unwrap().status, 200);
    // One byte around each edge, and what is written without being held first.
    let sizes = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, 9 * MIB + 7];
    for size in sizes {
        let call = Call::new(Method::PUT, &format!("private/{size}")).header("x-amz-meta-words", WORDS);
        let call = if size == 0 { call.header("content-length", "0") } else { call };
        let put = client.send(call.body(words(size))).await.unwrap();
        assert_eq!(put.status, 200, "{size}: {}", put.text());
    }
    assert_eq!(stored(&upstream).await, sizes.map(sealed));
    for size in sizes {
        let got = client.get(&format!("private/{size}")).await.unwrap();
        assert!(got.status == 200 && got.body == words(size), "{size}: {}", got.status);
        assert_eq!(got.header("x-amz-meta-words"), WORDS.trim(), "metadata is in the database");
        assert_eq!(client.head(&format!("private/{size}")).await.unwrap().header("content-length"), size.to_string());
    }
    // The plugin has ended its part of a short body before anybody reads it, and its end arrives all the same.
    for _ in 0..200 {
        for size in [0, 1] {
            reads(&client, &format!("private/{size}"), &words(size)).await;
        }
    }
    let (large, all) = (format!("private/{}", 9 * MIB + 7), words(9 * MIB + 7));
    let edges =
        [(0, 0), (CHUNK - 1, CHUNK), (CHUNK, 2 * CHUNK - 1), (3, 4 * MIB), (9 * MIB, 9 * MIB + 6), (70_000, 70_001)];
    for (first, last) in edges {
        assert!(range(&client, &large, first, last).await == all.slice(first..=last), "{first}-{last}");
    }
    for size in sizes {
        assert_eq!(client.delete(&format!("private/{size}")).await.unwrap().status, 204);
    }
    until("what was deleted stays", async || stored(&upstream).await.is_empty()).await;
}

#[tokio::test]
async fn uploads_in_parts_and_copies_are_sealed_as_well() {
    let upstream = upstream().await;
    let mut gateway = gateway(location(&upstream, KEY)).await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("private", "sealed").await.unwrap().status, 200);
    let parts = [words(5 * MIB + 1), words(6 * MIB), words(100)];
    let begun = client.send(Call::new(Method::POST, "private/parts").query("uploads", "")).await.unwrap();
    let upload = begun.elements("UploadId").remove(0);
    let mut list = String::new();
    for (number, part) in (1..).zip(&parts) {
        let call = Call::new(Method::PUT, "private/parts").query("uploadId", &upload);
        let answer = client.send(call.query("partNumber", &number.to_string()).body(part.clone())).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let etag = answer.header("etag").to_owned();
        list.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"));
    }
    let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    let call = Call::new(Method::POST, "private/parts").query("uploadId", &upload).body(body);
    let completed = client.send(call).await.unwrap();
    assert!(completed.text().contains("<CompleteMultipartUploadResult"), "{}", completed.text());

    let whole = parts.concat();
    assert_eq!(stored(&upstream).await, [sealed(100), sealed(5 * MIB + 1), sealed(6 * MIB)]);
    reads(&client, "private/parts", &whole).await;
    for (first, last) in [(5 * MIB - 10, 5 * MIB + 10), (5 * MIB + 1, 11 * MIB + 50), (100, CHUNK)] {
        assert!(range(&client, "private/parts", first, last).await == whole[first..=last], "{first}-{last}");
    }

    assert_eq!(client.put("private/one", words(3 * MIB)).await.unwrap().status, 200);
    for (source, copy) in [("one", "copied"), ("parts", "copied-parts")] {
        let call = Call::new(Method::PUT, &format!("private/{copy}"));
        let call = call.header("x-amz-copy-source", &format!("/private/{source}"));
        let answer = client.send(call).await.unwrap();
        assert_eq!(answer.status, 200, "{}\n{}", answer.text(), gateway.log());
        assert_eq!(client.delete(&format!("private/{source}")).await.unwrap().status, 204);
    }
    reads(&client, "private/copied", &words(3 * MIB)).await;
    reads(&client, "private/copied-parts", &whole).await;
    stored(&upstream).await;
}

#[tokio::test]
async fn an_object_opens_with_its_own_key_alone() {
    let upstream = upstream().await;
    let mut gateway = gateway(location(&upstream, KEY)).await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("private", "sealed").await.unwrap().status, 200);
    assert_eq!(client.put("private/old", words(200_000)).await.unwrap().status, 200);

    // A newer key in front seals, and the older one behind it opens.
    gateway.change(|setup| setup.location("sealed", location(&upstream, &format!("{NEWER} {KEY}"))));
    gateway.stop_and_restart().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.put("private/new", words(200_000)).await.unwrap().status, 200);
    for key in ["private/old", "private/new"] {
        reads(&client, key, &words(200_000)).await;
    }

    // Without its key, or with another one of the same id, an object is an error and no bytes.
    gateway.change(|setup| setup.location("sealed", location(&upstream, UNRELATED)));
    gateway.stop_and_restart().await.unwrap();
    let client = gateway.client().unwrap();
    for key in ["private/old", "private/new"] {
        let got = client.get(key).await.unwrap();
        assert!(got.status.is_server_error(), "{key}: {}", got.status);
        assert!(!got.text().contains("readable"), "{key}");
    }
    assert_eq!(client.head("private/old").await.unwrap().status, 200, "nothing is lost");
    let log = gateway.log();
    for key in [KEY, NEWER, UNRELATED] {
        let secret = key.split_once(':').unwrap().1;
        assert!(!log.contains(secret), "a key was logged:\n{log}");
    }
}

#[tokio::test]
async fn a_key_that_is_hidden_seals_nothing() {
    let upstream = upstream().await;
    let mut hidden = location(&upstream, KEY);
    hidden.as_object_mut().unwrap().remove("grants");
    let mut gateway = gateway(hidden).await;
    let client = gateway.client().unwrap();
    client.create_bucket("private", "sealed").await.unwrap();
    let put = client.put("private/key", words(10)).await.unwrap();
    assert_eq!(put.status, 503, "{}", put.text());
    assert_eq!(stored(&upstream).await, Vec::<usize>::new());
    let log = gateway.log();
    assert!(log.contains("is hidden from the plugin") && log.contains("reveal"), "{log}");

    let checked = gateway.run(&["check"]).await.unwrap();
    let told = checked.output + &checked.errors;
    assert!(told.contains("details.key") && told.contains("reveal"), "{told}");
    gateway.change(|setup| setup.location("sealed", location(&upstream, KEY)));
    let checked = gateway.run(&["check"]).await.unwrap();
    let told = checked.output + &checked.errors;
    assert!(told.contains("sees the secret details.key itself"), "{told}");
    assert!(!told.contains(KEY.split_once(':').unwrap().1), "{told}");
}
