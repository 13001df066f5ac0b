//! Where one right ends and the next begins: what S3 asks for besides the right to read or write.

use super::{Bench, OTHER, allow};
use hyper::Method;
use sallyport_tests::client::{Answer, Call};
use serde_json::{Value, json};

const OBJECTS: &str = "arn:aws:s3:::bucket/*";

fn lets(actions: &[&str]) -> Value {
    let mut statement = allow(json!({ "AWS": OTHER }), "s3:GetObject", OBJECTS);
    statement["Action"] = json!(actions);
    statement
}

async fn other(bench: &Bench, call: Call) -> u16 {
    bench.other.send(call).await.unwrap().status.as_u16()
}

async fn tag(bench: &Bench, key: &str) {
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>";
    let put = Call::new(Method::PUT, &format!("bucket/{key}")).query("tagging", "").body(tags);
    assert_eq!(bench.owner.send(put).await.unwrap().status, 200);
}

#[tokio::test]
async fn tags_of_a_new_object_take_a_right_of_their_own_and_its_list_none() {
    let bench = Bench::start().await;
    let tagged = |path: &str| Call::new(Method::PUT, path).header("x-amz-tagging", "a=1").body("x");
    let listed = |path: &str| Call::new(Method::PUT, path).header("x-amz-acl", "bucket-owner-full-control").body("x");
    let upload = || Call::new(Method::POST, "bucket/parts").query("uploads", "").header("x-amz-tagging", "a=1");
    bench.policy(json!([lets(&["s3:PutObject"])])).await;
    assert_eq!(other(&bench, Call::new(Method::PUT, "bucket/new").body("x")).await, 200);
    assert_eq!(other(&bench, tagged("bucket/new")).await, 403);
    assert_eq!(other(&bench, upload()).await, 403);
    assert_eq!(other(&bench, listed("bucket/new")).await, 200, "the list is of what the writer owns");
    bench.policy(json!([lets(&["s3:PutObject", "s3:PutObjectTagging"])])).await;
    assert_eq!(other(&bench, tagged("bucket/new")).await, 200);
    assert_eq!(other(&bench, upload()).await, 200);

    let deny = json!({ "Effect": "Deny", "Principal": "*", "Action": ["s3:PutObjectAcl", "s3:PutObjectTagging"], "Resource": OBJECTS });
    bench.policy(json!([lets(&["s3:*"]), deny])).await;
    for call in [tagged("bucket/new"), listed("bucket/new"), upload()] {
        assert_eq!(other(&bench, call).await, 403);
    }
    assert_eq!(bench.owner.send(listed("bucket/new")).await.unwrap().status, 403, "a deny is for the owner too");
    assert_eq!(bench.owner.put("bucket/new", "x").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_copy_reads_the_tags_that_it_writes() {
    let bench = Bench::start().await;
    tag(&bench, "key").await;
    assert_eq!(bench.other.create_bucket("theirs", "").await.unwrap().status, 200);
    let copy = || Call::new(Method::PUT, "theirs/copy").header("x-amz-copy-source", "/bucket/key");
    bench.policy(json!([lets(&["s3:GetObject"])])).await;
    assert_eq!(other(&bench, copy()).await, 403);
    assert_eq!(other(&bench, copy().header("x-amz-tagging-directive", "REPLACE")).await, 200);
    bench.policy(json!([lets(&["s3:GetObject", "s3:GetObjectTagging"])])).await;
    assert_eq!(other(&bench, copy()).await, 200);
    assert_eq!(bench.other.head("theirs/copy").await.unwrap().header("x-amz-tagging-count"), "1");
}

#[tokio::test]
async fn who_opened_an_upload_writes_no_longer_than_it_may() {
    let bench = Bench::start().await;
    bench.policy(json!([lets(&["s3:PutObject"])])).await;
    let opened = bench.other.send(Call::new(Method::POST, "bucket/big").query("uploads", "")).await.unwrap();
    let id = opened.elements("UploadId").remove(0);
    let part = |number: &str| {
        Call::new(Method::PUT, "bucket/big").query("partNumber", number).query("uploadId", &id).body("part")
    };
    let about = |method: Method| Call::new(method, "bucket/big").query("uploadId", &id);
    assert_eq!(other(&bench, part("1")).await, 200);
    bench.policy(json!([lets(&["s3:GetObject"])])).await;
    assert_eq!(other(&bench, part("2")).await, 403);
    let listed = bench.other.send(about(Method::GET)).await.unwrap();
    assert_eq!(listed.elements("PartNumber"), ["1"], "{}", listed.text());
    assert_eq!(other(&bench, about(Method::DELETE)).await, 204);
}

#[tokio::test]
async fn a_policy_opens_only_what_the_buckets_owner_owns() {
    let bench = Bench::start().await;
    let acl = Call::new(Method::PUT, "bucket").query("acl", "").header("x-amz-acl", "public-read-write");
    assert_eq!(bench.owner.send(acl).await.unwrap().status, 200);
    assert_eq!(bench.other.put("bucket/theirs", "theirs").await.unwrap().status, 200);
    bench.policy(json!([allow(json!("*"), "s3:*", OBJECTS)])).await;
    assert_eq!(bench.anonymous(Method::GET, "bucket/key").await, 200);
    assert_eq!(bench.anonymous(Method::GET, "bucket/theirs").await, 403);
    assert_eq!(bench.owner.get("bucket/theirs").await.unwrap().status, 403);
    assert_eq!(bench.other.get("bucket/theirs").await.unwrap().status, 200);
    let controls =
        "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>";
    let private = Call::new(Method::PUT, "bucket").query("acl", "").header("x-amz-acl", "private");
    assert_eq!(bench.owner.send(private).await.unwrap().status, 200);
    assert_eq!(bench.configure("ownershipControls", controls).await.status, 200);
    assert_eq!(bench.anonymous(Method::GET, "bucket/theirs").await, 200, "now the bucket's owner owns it");
}

#[tokio::test]
async fn no_other_account_touches_a_policy_even_if_the_policy_says_so() {
    let bench = Bench::start().await;
    bench.policy(json!([allow(json!({ "AWS": OTHER }), "s3:*", "arn:aws:s3:::bucket")])).await;
    let open = json!({ "Version": "2012-10-17", "Statement": [allow(json!("*"), "s3:*", OBJECTS)] }).to_string();
    for (method, body) in [(Method::GET, ""), (Method::PUT, open.as_str()), (Method::DELETE, "")] {
        let call = Call::new(method.clone(), "bucket").query("policy", "").body(body.to_owned());
        let answer = bench.other.send(call).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (405, "MethodNotAllowed"), "{method}");
    }
    let versioning = Call::new(Method::GET, "bucket").query("versioning", "");
    assert_eq!(other(&bench, versioning).await, 200, "all else that it allows holds");
}

#[tokio::test]
async fn a_readers_right_does_not_tell_of_attributes_and_tags() {
    let bench = Bench::start().await;
    tag(&bench, "key").await;
    let attributes =
        || Call::new(Method::GET, "bucket/key").query("attributes", "").header("x-amz-object-attributes", "ObjectSize");
    let count = |answer: &Answer| answer.header("x-amz-tagging-count").to_owned();
    bench.policy(json!([lets(&["s3:GetObject"])])).await;
    assert_eq!(count(&bench.other.get("bucket/key").await.unwrap()), "");
    assert_eq!(count(&bench.owner.get("bucket/key").await.unwrap()), "1");
    assert_eq!(other(&bench, attributes()).await, 403);
    bench.policy(json!([lets(&["s3:GetObjectAttributes"])])).await;
    assert_eq!(other(&bench, attributes()).await, 403, "it shows what only readers may see");
    bench.policy(json!([lets(&["s3:GetObject*"])])).await;
    assert_eq!(count(&bench.other.get("bucket/key").await.unwrap()), "1");
    assert_eq!(other(&bench, attributes()).await, 200);
}

#[tokio::test]
async fn only_who_signs_says_what_an_object_passes_for() {
    let bench = Bench::start().await;
    bench.policy(json!([allow(json!("*"), "s3:GetObject", OBJECTS)])).await;
    let get = || Call::new(Method::GET, "bucket/key").query("response-content-type", "text/html");
    let refused = bench.owner.send_unsigned(get()).await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "InvalidRequest"));
    assert_eq!(bench.other.send(get()).await.unwrap().header("content-type"), "text/html");
}
