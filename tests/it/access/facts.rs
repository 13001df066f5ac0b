//! Conditions look at what is done, and not at what a request says besides.

use super::{Bench, OTHER, allow};
use hyper::Method;
use sallyport_tests::client::Call;
use serde_json::{Value, json};

const OBJECTS: &str = "arn:aws:s3:::bucket/*";

fn with(mut statement: Value, effect: &str, condition: Value) -> Value {
    statement["Effect"] = json!(effect);
    statement["Condition"] = condition;
    statement
}

fn other(actions: &[&str]) -> Value {
    let mut statement = allow(json!({ "AWS": OTHER }), "s3:GetObject", OBJECTS);
    statement["Action"] = json!(actions);
    statement
}

async fn sent(bench: &Bench, call: Call) -> u16 {
    bench.other.send(call).await.unwrap().status.as_u16()
}

async fn versioned(bench: &Bench) -> [String; 2] {
    let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(bench.configure("versioning", on).await.status, 200);
    let put = async |text: &'static str| {
        let answer = bench.owner.put("bucket/key", text).await.unwrap();
        answer.header("x-amz-version-id").to_owned()
    };
    [put("one").await, put("two").await]
}

#[tokio::test]
async fn a_header_that_comes_twice_is_refused() {
    let bench = Bench::start().await;
    let private = json!({ "StringEquals": { "s3:x-amz-acl": ["public-read", "public-read-write"] } });
    let everybody = allow(json!("*"), "s3:PutObject", OBJECTS);
    bench.policy(json!([everybody.clone(), with(everybody, "Deny", private)])).await;
    let put = || Call::new(Method::PUT, "bucket/new").body("x").header("x-amz-acl", "public-read");
    assert_eq!(bench.owner.send_unsigned(put()).await.unwrap().status, 403);
    let twice = bench.owner.send_unsigned(put().header("x-amz-acl", "private")).await.unwrap();
    assert_eq!((twice.status.as_u16(), twice.code().as_str()), (400, "InvalidArgument"));
    let conditional = Call::new(Method::PUT, "bucket/key").body("x").header("if-match", "\u{e9}");
    let unread = bench.owner.send_unsigned(conditional).await.unwrap();
    assert_eq!(unread.status, 400, "a condition that cannot be read is none that holds");
}

#[tokio::test]
async fn a_version_is_the_one_that_is_read_or_deleted() {
    let bench = Bench::start().await;
    let [one, two] = versioned(&bench).await;
    let first = json!({ "StringEquals": { "s3:VersionId": one } });
    let both = other(&["s3:GetObjectVersion", "s3:DeleteObjectVersion"]);
    bench.policy(json!([with(both, "Allow", first.clone())])).await;
    let delete = format!("<Delete><Object><Key>key</Key><VersionId>{two}</VersionId></Object></Delete>");
    let delete = Call::new(Method::POST, "bucket").query("delete", "").query("versionId", &one).body(delete);
    let answer = bench.other.send(delete).await.unwrap();
    assert_eq!(answer.elements("Code"), ["AccessDenied"], "{}", answer.text());
    assert_eq!(bench.other.create_bucket("theirs", "").await.unwrap().status, 200);
    let copy = |version: &str| {
        Call::new(Method::PUT, "theirs/copy").header("x-amz-copy-source", &format!("/bucket/key?versionId={version}"))
    };
    assert_eq!((sent(&bench, copy(&one)).await, sent(&bench, copy(&two)).await), (200, 403));
    let get = |version: &str| Call::new(Method::GET, "bucket/key").query("versionId", version);
    assert_eq!((sent(&bench, get(&one)).await, sent(&bench, get(&two)).await), (200, 403));
    let deny = with(other(&["s3:GetObjectVersion"]), "Deny", first);
    bench.policy(json!([other(&["s3:GetObjectVersion"]), deny])).await;
    assert_eq!((sent(&bench, copy(&one)).await, sent(&bench, copy(&two)).await), (403, 200));
}

#[tokio::test]
async fn a_source_is_what_is_copied_however_it_is_spelled() {
    let bench = Bench::start().await;
    assert_eq!(bench.owner.put("bucket/secret/x", "x").await.unwrap().status, 200);
    let into = other(&["s3:PutObject", "s3:GetObject"]);
    let secret = json!({ "StringLike": { "s3:x-amz-copy-source": "bucket/secret/*" } });
    bench.policy(json!([into, with(other(&["s3:PutObject"]), "Deny", secret)])).await;
    for source in ["bucket/secret/x", "/bucket/secret/x", "bucket/s%65cret/x", "bucket%2Fsecret%2Fx"] {
        let copy = Call::new(Method::PUT, "bucket/copy").header("x-amz-copy-source", source);
        assert_eq!(sent(&bench, copy).await, 403, "{source}");
    }
    let copy = Call::new(Method::PUT, "bucket/copy").header("x-amz-copy-source", "bucket/key");
    assert_eq!(sent(&bench, copy).await, 200);
}

#[tokio::test]
async fn a_lock_is_the_one_that_is_put_on() {
    let bench = Bench::start().await;
    let create = Call::new(Method::PUT, "locked").header("x-amz-bucket-object-lock-enabled", "true");
    assert_eq!(bench.owner.send(create).await.unwrap().status, 200);
    assert_eq!(bench.owner.put("locked/key", "x").await.unwrap().status, 200);
    let governance = json!({ "StringEquals": { "s3:object-lock-mode": "GOVERNANCE" },
        "NumericLessThan": { "s3:object-lock-remaining-retention-days": 100_000 } });
    let on = |actions: &[&str]| {
        let mut statement = other(actions);
        statement["Resource"] = json!("arn:aws:s3:::locked/*");
        statement
    };
    let deny =
        with(on(&["s3:PutObjectLegalHold"]), "Deny", json!({ "StringEquals": { "s3:object-lock-legal-hold": "ON" } }));
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        with(on(&["s3:PutObjectRetention"]), "Allow", governance), on(&["s3:PutObjectLegalHold"]), deny
    ] });
    let put = Call::new(Method::PUT, "locked").query("policy", "").body(policy.to_string());
    assert_eq!(bench.owner.send(put).await.unwrap().status, 204);
    let retain = |mode: &str, year: i32| {
        let until = format!("{year}-01-01T00:00:00Z");
        let body = format!("<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>");
        Call::new(Method::PUT, "locked/key").query("retention", "").body(body)
    };
    assert_eq!(sent(&bench, retain("COMPLIANCE", 2099).header("x-amz-object-lock-mode", "GOVERNANCE")).await, 403);
    assert_eq!(sent(&bench, retain("GOVERNANCE", 2999)).await, 403, "for too long");
    assert_eq!(sent(&bench, retain("GOVERNANCE", 2099)).await, 200);
    let hold = |status: &str| {
        let body = format!("<LegalHold><Status>{status}</Status></LegalHold>");
        Call::new(Method::PUT, "locked/key").query("legal-hold", "").body(body)
    };
    assert_eq!((sent(&bench, hold("ON")).await, sent(&bench, hold("OFF")).await), (403, 200));
}

#[tokio::test]
async fn writes_can_be_required_to_be_conditional() {
    let bench = Bench::start().await;
    let unconditional =
        json!({ "Null": { "s3:if-none-match": "true" }, "Bool": { "s3:ObjectCreationOperation": "true" } });
    let put = other(&["s3:PutObject"]);
    bench.policy(json!([put.clone(), with(put, "Deny", unconditional)])).await;
    assert_eq!(sent(&bench, Call::new(Method::PUT, "bucket/new").body("x")).await, 403);
    assert_eq!(sent(&bench, Call::new(Method::PUT, "bucket/new").body("x").header("if-none-match", "*")).await, 200);
    let opened = bench.other.send(Call::new(Method::POST, "bucket/big").query("uploads", "")).await.unwrap();
    assert_eq!(opened.status, 200, "nothing comes into being yet");
    let id = opened.elements("UploadId").remove(0);
    let part = Call::new(Method::PUT, "bucket/big").query("partNumber", "1").query("uploadId", &id).body("part");
    let etag = bench.other.send(part).await.unwrap().header("etag").to_owned();
    let list = format!("<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>");
    let complete = || {
        let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
        Call::new(Method::POST, "bucket/big").query("uploadId", &id).body(body)
    };
    assert_eq!(sent(&bench, complete()).await, 403);
    assert_eq!(sent(&bench, complete().header("if-none-match", "*")).await, 200);
}

#[tokio::test]
async fn what_a_presigned_url_brings_counts_as_headers() {
    let bench = Bench::start().await;
    let put = Call::new(Method::PUT, "bucket/presigned")
        .query("x-amz-meta-colour", "blue")
        .query("x-amz-tagging", "a=1")
        .query("x-amz-storage-class", "STANDARD_IA")
        .query("x-amz-acl", "public-read")
        .body("x");
    let answer = bench.owner.send_presigned(put, 60).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let head = bench.owner.head("bucket/presigned").await.unwrap();
    for (name, value) in
        [("x-amz-meta-colour", "blue"), ("x-amz-tagging-count", "1"), ("x-amz-storage-class", "STANDARD_IA")]
    {
        assert_eq!(head.header(name), value, "{name}");
    }
    assert_eq!(bench.anonymous(Method::GET, "bucket/presigned").await, 200);
    // As the SDK for JavaScript signs it: the checksum of no body.
    let empty = Call::new(Method::PUT, "bucket/presigned").query("x-amz-checksum-crc32", "AAAAAA==");
    let empty = empty.query("x-amz-sdk-checksum-algorithm", "CRC32").body("x");
    assert_eq!(bench.owner.send_presigned(empty, 60).await.unwrap().status, 200);
    let key = Call::new(Method::GET, "bucket/key").query("x-amz-server-side-encryption-customer-key", "a2V5");
    assert_eq!(bench.owner.send_presigned(key, 60).await.unwrap().code(), "InvalidArgument");
    let copy = Call::new(Method::PUT, "bucket/copied").query("x-amz-copy-source", "/bucket/key");
    assert_eq!(bench.owner.send_presigned(copy, 60).await.unwrap().status, 200);
    assert_eq!(bench.owner.get("bucket/copied").await.unwrap().text(), "bytes");
}

#[tokio::test]
async fn what_nobody_signed_can_be_closed_again() {
    let bench = Bench::start().await;
    let open = Call::new(Method::PUT, "bucket").query("acl", "").header("x-amz-acl", "public-read-write");
    assert_eq!(bench.owner.send(open).await.unwrap().status, 200);
    assert_eq!(bench.anonymous(Method::PUT, "bucket/anonymous").await, 200);
    assert_eq!(bench.anonymous(Method::GET, "bucket/anonymous").await, 200);
    let share = Call::new(Method::PUT, "bucket/anonymous").query("acl", "").header("x-amz-acl", "public-read");
    assert_eq!(bench.owner.send_unsigned(share).await.unwrap().status, 403, "nobody in particular owns it");
    let block =
        "<PublicAccessBlockConfiguration><IgnorePublicAcls>true</IgnorePublicAcls></PublicAccessBlockConfiguration>";
    assert_eq!(bench.configure("publicAccessBlock", block).await.status, 200);
    assert_eq!(bench.anonymous(Method::GET, "bucket/anonymous").await, 403);
}

#[tokio::test]
async fn a_policy_that_misspells_is_refused() {
    let bench = Bench::start().await;
    let misspelled = with(other(&["s3:GetObject"]), "Deny", json!({ "StringEquals": { "s3:VersionID2": "x" } }));
    let mut pointless = other(&["s3:ListBucket"]);
    pointless["Effect"] = json!("Deny");
    for statement in [other(&["s3:GetObejct"]), pointless, misspelled] {
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
        assert_eq!(bench.configure("policy", &policy).await.code(), "MalformedPolicy", "{policy}");
    }
}
