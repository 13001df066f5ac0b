//! Who may do what: policies, access control lists, ownership, public access blocks.

mod absent;
mod borders;
mod facts;

use hyper::Method;
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use serde_json::{Value, json};

/// The second account of the shipped authdata.json.
const OTHER: &str = "arn:aws:iam::123456789013:root";
const OTHER_ID: &str = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2bf";

struct Bench {
    owner: Client,
    other: Client,
    _gateway: Gateway,
}

impl Bench {
    async fn start() -> Self {
        let gateway = Setup::with_locations(json!({})).start().await.unwrap();
        let owner = gateway.client().unwrap();
        let other = Client::new(gateway.endpoint(), "accessKey2", "verySecretKey2").unwrap();
        assert_eq!(owner.create_bucket("bucket", "").await.unwrap().status, 200);
        assert_eq!(owner.put("bucket/key", "bytes").await.unwrap().status, 200);
        Self { owner, other, _gateway: gateway }
    }

    async fn configure(&self, subresource: &str, document: &str) -> Answer {
        self.owner
            .send(Call::new(Method::PUT, "bucket").query(subresource, "").body(document.to_owned()))
            .await
            .unwrap()
    }

    async fn policy(&self, statements: Value) {
        let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        let answer = self.configure("policy", &policy).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    async fn anonymous(&self, method: Method, path: &str) -> u16 {
        self.owner.send_unsigned(Call::new(method, path).body("x")).await.unwrap().status.as_u16()
    }
}

fn allow(principal: Value, action: &str, resource: &str) -> Value {
    json!({ "Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource })
}

#[tokio::test]
async fn without_a_grant_nobody_but_the_owner_gets_in() {
    let bench = Bench::start().await;
    for (method, path) in [
        (Method::GET, "bucket"),
        (Method::HEAD, "bucket"),
        (Method::DELETE, "bucket"),
        (Method::GET, "bucket/key"),
        (Method::GET, "bucket/absent"),
        (Method::PUT, "bucket/new"),
        (Method::DELETE, "bucket/key"),
    ] {
        let answer = bench.other.send(Call::new(method.clone(), path).body("x")).await.unwrap();
        assert_eq!(answer.status, 403, "{method} {path}");
        assert_eq!(bench.anonymous(method.clone(), path).await, 403, "{method} {path}, unsigned");
    }
    for subresource in ["acl", "policy", "tagging", "versioning", "uploads", "versions", "publicAccessBlock", "cors"] {
        let get = Call::new(Method::GET, "bucket").query(subresource, "");
        assert_eq!(bench.other.send(get).await.unwrap().status, 403, "{subresource}");
    }
    assert_eq!(bench.anonymous(Method::GET, "").await, 403, "ListBuckets wants a signature");
    assert_eq!(bench.anonymous(Method::PUT, "another").await, 403, "CreateBucket wants a signature");
    assert_eq!(bench.anonymous(Method::GET, "absent-bucket").await, 404);
    assert_eq!(bench.owner.get("bucket/key").await.unwrap().text(), "bytes");
}

#[tokio::test]
async fn a_policy_opens_what_it_names_and_no_more() {
    let bench = Bench::start().await;
    bench.policy(json!([allow(json!({ "AWS": OTHER }), "s3:GetObject", "arn:aws:s3:::bucket/key")])).await;
    assert_eq!(bench.other.get("bucket/key").await.unwrap().text(), "bytes");
    assert_eq!(bench.other.get("bucket/absent").await.unwrap().status, 403, "who may not list learns nothing");
    assert_eq!(bench.other.put("bucket/key", "x").await.unwrap().status, 403);
    assert_eq!(bench.anonymous(Method::GET, "bucket/key").await, 403);

    let list = allow(json!("*"), "s3:ListBucket", "arn:aws:s3:::bucket");
    bench.policy(json!([list, allow(json!("*"), "s3:GetObject", "arn:aws:s3:::bucket/*")])).await;
    assert_eq!(bench.anonymous(Method::GET, "bucket/key").await, 200);
    assert_eq!(bench.anonymous(Method::GET, "bucket/absent").await, 404);
    assert_eq!(bench.anonymous(Method::PUT, "bucket/key").await, 403);

    let deny = json!({ "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"] });
    bench.policy(json!([deny])).await;
    assert_eq!(bench.owner.get("bucket/key").await.unwrap().status, 403, "a deny is for the owner too");
    let policy = bench.owner.send(Call::new(Method::GET, "bucket").query("policy", "")).await.unwrap();
    assert!(policy.text().contains("Deny"), "{}", policy.text());
    let removed = bench.owner.send(Call::new(Method::DELETE, "bucket").query("policy", "")).await.unwrap();
    assert_eq!(removed.status, 204, "who locked itself out gets in again");
    assert_eq!(bench.owner.get("bucket/key").await.unwrap().status, 200);
    let malformed = bench.configure("policy", "{}").await;
    assert_eq!((malformed.status.as_u16(), malformed.code().as_str()), (400, "MalformedPolicy"));
}

#[tokio::test]
async fn a_policy_looks_at_prefixes_tags_and_sources() {
    let bench = Bench::start().await;
    let mut list = allow(json!("*"), "s3:ListBucket", "arn:aws:s3:::bucket");
    list["Condition"] = json!({ "StringLike": { "s3:prefix": "public/*" } });
    let mut read = allow(json!("*"), "s3:GetObject", "arn:aws:s3:::bucket/*");
    read["Condition"] = json!({ "StringEquals": { "s3:ExistingObjectTag/visible": "yes" } });
    let mut write = allow(json!("*"), "s3:PutObject", "arn:aws:s3:::bucket/in/*");
    write["Condition"] =
        json!({ "IpAddress": { "aws:SourceIp": "127.0.0.0/8" }, "StringNotEquals": { "s3:x-amz-acl": "public-read" } });
    bench.policy(json!([list, read, write])).await;
    let listed = |prefix: &str| Call::new(Method::GET, "bucket").query("prefix", prefix);
    assert_eq!(bench.other.send(listed("public/")).await.unwrap().status, 200);
    assert_eq!(bench.other.send(listed("private/")).await.unwrap().status, 403);
    assert_eq!(bench.other.get("bucket/key").await.unwrap().status, 403);
    let tags = "<Tagging><TagSet><Tag><Key>visible</Key><Value>yes</Value></Tag></TagSet></Tagging>";
    let tagged = bench.owner.send(Call::new(Method::PUT, "bucket/key").query("tagging", "").body(tags)).await.unwrap();
    assert_eq!(tagged.status, 200);
    assert_eq!(bench.other.get("bucket/key").await.unwrap().status, 200);
    let put = || Call::new(Method::PUT, "bucket/in/one").body("one");
    assert_eq!(bench.owner.send_unsigned(put()).await.unwrap().status, 200);
    assert_eq!(bench.owner.send_unsigned(put().header("x-amz-acl", "public-read")).await.unwrap().status, 403);
}

#[tokio::test]
async fn lists_grant_what_they_say() {
    let bench = Bench::start().await;
    let acl = |path: &str, canned: &str| Call::new(Method::PUT, path).query("acl", "").header("x-amz-acl", canned);
    assert_eq!(bench.owner.send(acl("bucket/key", "public-read")).await.unwrap().status, 200);
    assert_eq!(bench.anonymous(Method::GET, "bucket/key").await, 200);
    assert_eq!(bench.anonymous(Method::GET, "bucket").await, 403, "the object's list is not the bucket's");
    assert_eq!(bench.owner.send(acl("bucket/key", "authenticated-read")).await.unwrap().status, 200);
    assert_eq!(bench.anonymous(Method::GET, "bucket/key").await, 403);
    assert_eq!(bench.other.get("bucket/key").await.unwrap().status, 200);
    assert_eq!(bench.owner.send(acl("bucket", "public-read-write")).await.unwrap().status, 200);
    assert_eq!(bench.other.put("bucket/theirs", "theirs").await.unwrap().status, 200);
    assert_eq!(bench.owner.get("bucket/theirs").await.unwrap().status, 403, "it belongs to who wrote it");
    let shown = bench.other.send(Call::new(Method::GET, "bucket/theirs").query("acl", "")).await.unwrap();
    assert_eq!(shown.elements("ID"), [OTHER_ID, OTHER_ID]);
    assert_eq!(shown.elements("DisplayName"), ["Lisa", "Lisa"]);
    assert_eq!(bench.owner.delete("bucket/theirs").await.unwrap().status, 204, "the bucket is the owner's");

    let grant = Call::new(Method::PUT, "bucket/granted").header("x-amz-grant-read", &format!("id=\"{OTHER_ID}\""));
    assert_eq!(bench.owner.send(grant.body("x")).await.unwrap().status, 200);
    assert_eq!(bench.other.get("bucket/granted").await.unwrap().status, 200);
    for (header, code) in [
        ("id=\"nobody\"", "InvalidArgument"),
        ("emailAddress=\"nobody@example.com\"", "UnresolvableGrantByEmailAddress"),
        ("uri=\"http://example.com\"", "InvalidArgument"),
    ] {
        let put = Call::new(Method::PUT, "bucket/granted").query("acl", "").header("x-amz-grant-read", header);
        let answer = bench.owner.send(put).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, code), "{header}");
    }
}

#[tokio::test]
async fn ownership_controls_disable_lists() {
    let bench = Bench::start().await;
    bench.policy(json!([allow(json!({ "AWS": OTHER }), "s3:PutObject", "arn:aws:s3:::bucket/*")])).await;
    let controls = |name: &str| {
        format!("<OwnershipControls><Rule><ObjectOwnership>{name}</ObjectOwnership></Rule></OwnershipControls>")
    };
    let full = |path: &str| Call::new(Method::PUT, path).header("x-amz-acl", "bucket-owner-full-control").body("x");
    assert_eq!(bench.configure("ownershipControls", &controls("BucketOwnerPreferred")).await.status, 200);
    assert_eq!(bench.other.send(full("bucket/given")).await.unwrap().status, 200);
    assert_eq!(bench.owner.get("bucket/given").await.unwrap().status, 200);
    assert_eq!(bench.other.put("bucket/kept", "x").await.unwrap().status, 200);
    assert_eq!(bench.owner.get("bucket/kept").await.unwrap().status, 403);

    assert_eq!(bench.configure("ownershipControls", &controls("BucketOwnerEnforced")).await.status, 200);
    assert_eq!(bench.owner.get("bucket/kept").await.unwrap().status, 200, "whoever wrote it");
    assert_eq!(bench.other.send(full("bucket/given")).await.unwrap().status, 200);
    let public = Call::new(Method::PUT, "bucket/key").header("x-amz-acl", "public-read").body("x");
    let refused = bench.owner.send(public).await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "AccessControlListNotSupported"));
}

#[tokio::test]
async fn a_public_access_block_beats_lists_and_policies() {
    let bench = Bench::start().await;
    let block =
        |name: &str| format!("<PublicAccessBlockConfiguration><{name}>true</{name}></PublicAccessBlockConfiguration>");
    let acl = || Call::new(Method::PUT, "bucket/key").query("acl", "").header("x-amz-acl", "public-read");
    let open =
        json!({ "Version": "2012-10-17", "Statement": [allow(json!("*"), "s3:GetObject", "arn:aws:s3:::bucket/*")] });
    assert_eq!(bench.configure("publicAccessBlock", &block("BlockPublicAcls")).await.status, 200);
    assert_eq!(bench.owner.send(acl()).await.unwrap().status, 403);
    assert_eq!(bench.configure("publicAccessBlock", &block("BlockPublicPolicy")).await.status, 200);
    assert_eq!(bench.configure("policy", &open.to_string()).await.status, 403);

    assert_eq!(bench.owner.send(acl()).await.unwrap().status, 200);
    assert_eq!(bench.anonymous(Method::GET, "bucket/key").await, 200);
    assert_eq!(bench.configure("publicAccessBlock", &block("IgnorePublicAcls")).await.status, 200);
    assert_eq!(bench.anonymous(Method::GET, "bucket/key").await, 403);
    assert_eq!(bench.configure("policy", &open.to_string()).await.status, 204);
    assert_eq!(bench.anonymous(Method::GET, "bucket/key").await, 200, "the policy opens it, not the list");
    assert_eq!(bench.configure("publicAccessBlock", &block("RestrictPublicBuckets")).await.status, 200);
    let private = Call::new(Method::PUT, "bucket/key").query("acl", "").header("x-amz-acl", "private");
    assert_eq!(bench.owner.send(private).await.unwrap().status, 200);
    assert_eq!(bench.anonymous(Method::GET, "bucket/key").await, 403);
    assert_eq!(bench.owner.get("bucket/key").await.unwrap().status, 200);
}
