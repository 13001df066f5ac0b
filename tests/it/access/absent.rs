//! Who may not list a bucket learns of no key that is not there, by no operation.

use super::*;

const RETENTION: &str =
    "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate></Retention>";
const TAGS: &str = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";

/// Everything that can be asked of an object, each about `key`.
fn calls(key: &str) -> Vec<(&'static str, Call)> {
    let path = format!("locked/{key}");
    let sub = |method: Method, name: &'static str| Call::new(method, &path).query(name, "");
    let copied = |target: &str| Call::new(Method::PUT, target).header("x-amz-copy-source", &path);
    vec![
        ("GetObject", Call::new(Method::GET, &path)),
        ("HeadObject", Call::new(Method::HEAD, &path)),
        ("GetObjectTagging", sub(Method::GET, "tagging")),
        ("PutObjectTagging", sub(Method::PUT, "tagging").body(TAGS)),
        ("DeleteObjectTagging", sub(Method::DELETE, "tagging")),
        ("GetObjectAcl", sub(Method::GET, "acl")),
        ("PutObjectAcl", sub(Method::PUT, "acl").header("x-amz-acl", "bucket-owner-full-control")),
        ("GetObjectAttributes", sub(Method::GET, "attributes").header("x-amz-object-attributes", "ETag")),
        ("GetObjectRetention", sub(Method::GET, "retention")),
        ("PutObjectRetention", sub(Method::PUT, "retention").body(RETENTION)),
        ("GetObjectLegalHold", sub(Method::GET, "legal-hold")),
        ("PutObjectLegalHold", sub(Method::PUT, "legal-hold").body("<LegalHold><Status>OFF</Status></LegalHold>")),
        ("CopyObject", copied("locked/copy")),
    ]
}

async fn bench() -> Bench {
    let bench = Bench::start().await;
    let create = Call::new(Method::PUT, "locked").header("x-amz-bucket-object-lock-enabled", "true");
    assert_eq!(bench.owner.send(create).await.unwrap().status, 200);
    assert_eq!(bench.owner.put("locked/present", "bytes").await.unwrap().status, 200);
    bench
}

async fn allow_in_locked(bench: &Bench, statements: Value) {
    let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    let call = Call::new(Method::PUT, "locked").query("policy", "").body(policy);
    assert_eq!(bench.owner.send(call).await.unwrap().status, 204);
}

#[tokio::test]
async fn who_may_not_list_learns_of_no_key() {
    let bench = bench().await;
    let objects = allow(json!({ "AWS": OTHER }), "s3:*", "arn:aws:s3:::locked/*");
    allow_in_locked(&bench, json!([objects.clone()])).await;
    for (operation, call) in calls("absent") {
        assert_eq!(bench.other.send(call).await.unwrap().status, 403, "{operation} of what is not there");
    }
    for (operation, call) in calls("present") {
        let answer = bench.other.send(call).await.unwrap();
        let is_there = answer.status != 404 || answer.code() == "NoSuchObjectLockConfiguration";
        assert!(is_there && answer.status != 403, "{operation}: {}", answer.text());
    }
    let list = allow(json!({ "AWS": OTHER }), "s3:ListBucket", "arn:aws:s3:::locked");
    allow_in_locked(&bench, json!([objects, list])).await;
    for (operation, call) in calls("absent") {
        assert_eq!(bench.other.send(call).await.unwrap().status, 404, "{operation} by who may list");
    }
}

#[tokio::test]
async fn who_may_not_read_compares_nothing() {
    let bench = Bench::start().await;
    let etag = bench.owner.head("bucket/key").await.unwrap().header("etag").to_owned();
    let write = allow(json!({ "AWS": OTHER }), "s3:PutObject", "arn:aws:s3:::bucket/*");
    let delete = allow(json!({ "AWS": OTHER }), "s3:DeleteObject", "arn:aws:s3:::bucket/*");
    bench.policy(json!([write.clone(), delete.clone()])).await;
    let put = |etag: &str| Call::new(Method::PUT, "bucket/key").header("if-match", etag).body("new");
    let remove = |etag: &str| Call::new(Method::DELETE, "bucket/key").header("if-match", etag);
    for one in [etag.as_str(), "\"0123456789abcdef0123456789abcdef\""] {
        assert_eq!(bench.other.send(put(one)).await.unwrap().status, 403, "{one}");
        assert_eq!(bench.other.send(remove(one)).await.unwrap().status, 403, "{one}");
    }
    let create = Call::new(Method::PUT, "bucket/key").header("if-none-match", "*").body("new");
    assert_eq!(bench.other.send(create).await.unwrap().status, 412, "that something is there is to be known");
    let read = allow(json!({ "AWS": OTHER }), "s3:GetObject", "arn:aws:s3:::bucket/*");
    bench.policy(json!([write, delete, read])).await;
    assert_eq!(bench.other.send(put("\"0123456789abcdef0123456789abcdef\"")).await.unwrap().status, 412);
    let replaced = bench.other.send(put(&etag)).await.unwrap();
    assert_eq!(replaced.status, 200);
    assert_eq!(bench.other.send(remove(replaced.header("etag"))).await.unwrap().status, 204);
}

#[tokio::test]
async fn a_completion_is_not_read_for_who_may_not_write() {
    let bench = Bench::start().await;
    let complete = || Call::new(Method::POST, "bucket/key").query("uploadId", "x").body("no document");
    assert_eq!(bench.other.send(complete()).await.unwrap().code(), "AccessDenied");
    assert_eq!(bench.owner.send_unsigned(complete()).await.unwrap().code(), "AccessDenied");
    assert_eq!(bench.owner.send(complete()).await.unwrap().code(), "MalformedXML");
}
