//! Uploads by a browser's form.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Method;
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::{ACCESS_KEY, SECRET_KEY, Setup};
use sallyport_tests::signing::hmac;
use serde_json::{Value, json};

const DATE: &str = "20261123";

/// A form with its file last.
pub(super) fn form(path: &str, fields: &[(&str, String)], file: &[u8]) -> Call {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes());
    }
    body.extend(b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\dir\\a b.txt\"\r\n");
    body.extend(b"Content-Type: text/ignored\r\n\r\n");
    body.extend(file);
    body.extend(b"\r\n--b\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\nUpload\r\n--b--\r\n");
    Call::new(Method::POST, path).header("content-type", "multipart/form-data; boundary=b").body(body)
}

/// The fields that sign a policy with SigV4.
pub(super) fn signed(conditions: &[Value]) -> Vec<(&'static str, String)> {
    let credential = format!("{ACCESS_KEY}/{DATE}/us-east-1/s3/aws4_request");
    let date = format!("{DATE}T000000Z");
    let mut conditions = conditions.to_vec();
    conditions.extend([
        json!({ "x-amz-credential": credential }),
        json!({ "x-amz-algorithm": "AWS4-HMAC-SHA256" }),
        json!({ "x-amz-date": date }),
    ]);
    let policy = json!({ "expiration": "2099-01-01T00:00:00Z", "conditions": conditions }).to_string();
    let policy = BASE64_STANDARD.encode(policy);
    let mut key = format!("AWS4{SECRET_KEY}").into_bytes();
    for step in [DATE, "us-east-1", "s3", "aws4_request"] {
        key = hmac(&key, step.as_bytes());
    }
    let signature = hmac(&key, policy.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        ("x-amz-credential", credential),
        ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
        ("x-amz-date", date),
        ("policy", policy),
        ("x-amz-signature", signature),
    ]
}

async fn post(client: &Client, conditions: &[Value], more: &[(&'static str, &str)], file: &[u8]) -> Answer {
    let mut fields = signed(conditions);
    fields.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    client.send_unsigned(form("forms", &fields, file)).await.unwrap()
}

#[tokio::test]
async fn a_signed_form_stores_what_its_policy_allows_and_nothing_else() {
    let gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("forms", "").await.unwrap().status, 200);
    let conditions = [
        json!({ "bucket": "forms" }),
        json!(["starts-with", "$key", "user/"]),
        json!(["starts-with", "$x-amz-meta-a", ""]),
        json!({ "success_action_status": "201" }),
        json!({ "content-type": "text/plain" }),
        json!(["content-length-range", 2, 4_000_000]),
    ];
    let more = [
        ("key", "user/${filename}"),
        ("x-amz-meta-a", "1"),
        ("success_action_status", "201"),
        ("Content-Type", "text/plain"),
        ("x-ignore-me", "x"),
    ];
    // The larger one waits on disk.
    for file in [b"bytes\r\n--".to_vec(), vec![7; 3_000_000]] {
        let answer = post(&client, &conditions, &more, &file).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(answer.elements("Key"), ["user/a b.txt"]);
        assert_eq!(answer.elements("Location"), [format!("{}/forms/user/a%20b.txt", gateway.endpoint())]);
        let stored = client.get("forms/user/a b.txt").await.unwrap();
        assert_eq!((stored.header("content-type"), stored.header("x-amz-meta-a")), ("text/plain", "1"));
        assert_eq!(stored.header("etag"), answer.header("etag"));
        assert!(stored.body == file, "{} bytes", stored.body.len());
    }
    let with = |name: &'static str, value: &'static str| {
        let mut changed: Vec<_> = more.to_vec();
        changed.retain(|(known, _)| *known != name);
        changed.push((name, value));
        changed
    };
    for (fields, file, status, code) in [
        (with("key", "other/x"), &b"bytes"[..], 403, "AccessDenied"),
        (with("x-amz-storage-class", "STANDARD"), b"bytes", 403, "AccessDenied"),
        (more.to_vec(), b"b", 400, "EntityTooSmall"),
    ] {
        let answer = post(&client, &conditions, &fields, file).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{}", answer.text());
    }
    let too_large = post(&client, &conditions, &more, &vec![0; 4_000_001]).await;
    assert_eq!((too_large.status.as_u16(), too_large.code().as_str()), (400, "EntityTooLarge"));
    assert_eq!(client.keys("forms").await.unwrap(), ["user/a b.txt"]);
}

#[tokio::test]
async fn an_unsigned_form_is_refused_before_its_file_is_read() {
    let gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("forms", "").await.unwrap().status, 200);
    let fields = [("key", "k".to_owned())];
    let answer = client.send_unsigned(form("forms", &fields, b"bytes")).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "AccessDenied"));
    let answer = client.send_unsigned(form("forms", &[], b"bytes")).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "InvalidArgument"));
    let answer = client.send_unsigned(Call::new(Method::POST, "forms").body("x")).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (412, "PreconditionFailed"));
    assert!(client.keys("forms").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_signature_outside_of_the_form_signs_no_form() {
    let gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("forms", "").await.unwrap().status, 200);
    let fields = [("key", "stored".to_owned())];
    let signed = client.send(form("forms", &fields, b"bytes")).await.unwrap();
    assert_eq!((signed.status.as_u16(), signed.code().as_str()), (400, "InvalidArgument"));
    assert_eq!(signed.elements("ArgumentName"), ["policy"]);
    let unsigned = client.send_unsigned(form("forms", &fields, b"bytes")).await.unwrap();
    assert_eq!(unsigned.code(), "AccessDenied");
    assert_eq!(client.get("forms/stored").await.unwrap().status, 404);
}
