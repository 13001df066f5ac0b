//! Notifications, from the configuration to what arrives.

mod delivery;
mod destinations;

use crate::forms;
use hyper::Method;
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::wait::until;
use sallyport_tests::webhook::Webhook;
use serde_json::{Value, json};

const CREATED: &[&str] = &["s3:ObjectCreated:*"];

/// A gateway that knows these webhooks by name.
async fn gateway(hooks: &[(&str, &Webhook)], change: impl FnOnce(Setup) -> Setup) -> (Gateway, Client) {
    let destinations: Vec<Value> = hooks
        .iter()
        .map(|(name, hook)| json!({ "resource": name, "type": "webhook", "url": hook.url("/events") }))
        .collect();
    let setup = Setup::with_locations(json!({})).config("bucketNotificationDestinations", json!(destinations));
    let gateway = change(setup).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    (gateway, client)
}

fn rule(name: &str, events: &[&str], filter: &str) -> String {
    let events: String = events.iter().map(|event| format!("<Event>{event}</Event>")).collect();
    format!(
        "<QueueConfiguration><Id>to-{name}</Id><Queue>arn:aws:sqs:us-east-1:123456789012:{name}</Queue>{events}{filter}\
         </QueueConfiguration>"
    )
}

fn filter(rules: &[(&str, &str)]) -> String {
    let rules: String = rules
        .iter()
        .map(|(name, value)| format!("<FilterRule><Name>{name}</Name><Value>{value}</Value></FilterRule>"))
        .collect();
    format!("<Filter><S3Key>{rules}</S3Key></Filter>")
}

async fn configure(client: &Client, rules: &str) -> Answer {
    let document = format!("<NotificationConfiguration>{rules}</NotificationConfiguration>");
    client.send(Call::new(Method::PUT, "bucket").query("notification", "").body(document)).await.unwrap()
}

async fn configured(client: &Client, rules: &str) {
    let answer = configure(client, rules).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Waits until so many events arrived.
async fn records(hook: &Webhook, count: usize) -> Vec<Value> {
    until(&format!("{count} events arrive"), async || hook.records().len() >= count).await;
    let records = hook.records();
    assert_eq!(records.len(), count, "{:?}", told(&records));
    records
}

/// The name and the key of each.
fn told(records: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    records.iter().map(|record| (text(&record["eventName"]), text(&record["s3"]["object"]["key"]))).collect()
}

fn names(records: &[Value]) -> Vec<String> {
    told(records).into_iter().map(|(name, _)| name).collect()
}

async fn enable_versioning(client: &Client) {
    let document = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let call = Call::new(Method::PUT, "bucket").query("versioning", "").body(document);
    assert_eq!(client.send(call).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_configuration_is_kept_and_its_destination_gets_a_test_event() {
    let hook = Webhook::start().await.unwrap();
    let (_gateway, client) = gateway(&[("hooks", &hook)], |setup| setup).await;
    let read = async || client.send(Call::new(Method::GET, "bucket").query("notification", "")).await.unwrap();
    assert!(read().await.text().ends_with("2006-03-01/\"></NotificationConfiguration>"));
    let answer = configure(&client, &rule("hooks", CREATED, &filter(&[("prefix", "a/"), ("suffix", ".png")]))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let test = hook.posted().remove(0).body;
    assert_eq!((&test["Service"], &test["Event"]), (&json!("Amazon S3"), &json!("s3:TestEvent")));
    assert_eq!((&test["Bucket"], &test["RequestId"]), (&json!("bucket"), &json!(answer.header("x-amz-request-id"))));
    assert_eq!(test["HostId"], json!(answer.header("x-amz-id-2")));
    let shown = read().await;
    assert_eq!((shown.elements("Id"), shown.elements("Event")), (vec!["to-hooks".into()], vec![CREATED[0].into()]));
    assert_eq!(shown.elements("Queue"), ["arn:aws:sqs:us-east-1:123456789012:hooks"]);
    assert_eq!(
        (shown.elements("Name"), shown.elements("Value")),
        (vec!["prefix".to_owned(), "suffix".into()], vec!["a/".to_owned(), ".png".into()])
    );
    configured(&client, "").await;
    assert!(read().await.elements("Id").is_empty());
    assert_eq!(hook.posted().len(), 1, "nobody is left to test");
}

#[tokio::test]
async fn what_cannot_be_delivered_is_refused() {
    let hook = Webhook::start().await.unwrap();
    let (gateway, client) = gateway(&[("hooks", &hook)], |setup| setup).await;
    let unknown = configure(&client, &rule("elsewhere", CREATED, "")).await;
    assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (400, "InvalidArgument"));
    assert!(unknown.text().contains("arn:aws:sqs:us-east-1:123456789012:elsewhere"), "{}", unknown.text());
    hook.answer("s3:TestEvent", 503);
    let deaf = configure(&client, &rule("hooks", CREATED, "")).await;
    assert_eq!((deaf.status.as_u16(), deaf.code().as_str()), (400, "InvalidArgument"));
    assert!(deaf.text().contains("503"), "{}", deaf.text());
    let document = format!("<NotificationConfiguration>{}</NotificationConfiguration>", rule("hooks", CREATED, ""));
    let untested = Call::new(Method::PUT, "bucket").query("notification", "").body(document);
    let untested = untested.header("x-amz-skip-destination-validation", "true");
    assert_eq!(client.send(untested).await.unwrap().status, 200);
    let overlapping = format!("{}{}", rule("hooks", CREATED, ""), rule("hooks", &["s3:ObjectCreated:Put"], ""));
    let wrong = [
        (rule("hooks", &["s3:Frob"], ""), "InvalidArgument"),
        (overlapping.replacen("to-hooks", "other", 1), "InvalidArgument"),
        (rule("hooks", CREATED, &filter(&[("infix", "a")])), "InvalidArgument"),
        (rule("hooks", &[], ""), "MalformedXML"),
        ("<Frob/>".to_owned(), "MalformedXML"),
        ("<EventBridgeConfiguration/>".to_owned(), "NotImplemented"),
    ];
    for (rules, code) in wrong {
        assert_eq!(configure(&client, &rules).await.code(), code, "{rules}");
    }
    let stranger = Client::new(gateway.endpoint(), "accessKey2", "verySecretKey2").unwrap();
    let read = Call::new(Method::GET, "bucket").query("notification", "");
    assert_eq!(stranger.send(read).await.unwrap().code(), "AccessDenied");
    assert_eq!(configure(&stranger, "").await.code(), "AccessDenied");
}

#[tokio::test]
async fn a_record_tells_what_happened_as_aws_tells_it() {
    let hook = Webhook::start().await.unwrap();
    let (_gateway, client) = gateway(&[("hooks", &hook)], |setup| setup).await;
    configured(&client, &rule("hooks", &["s3:ObjectCreated:*", "s3:ObjectRemoved:*"], "")).await;
    let put = client.put("bucket/a red/flower+.jpg", "bytes").await.unwrap();
    let record = records(&hook, 1).await.remove(0);
    assert_eq!((&record["eventVersion"], &record["eventSource"]), (&json!("2.1"), &json!("aws:s3")));
    assert_eq!((&record["awsRegion"], &record["eventName"]), (&json!("us-east-1"), &json!("ObjectCreated:Put")));
    let time = record["eventTime"].as_str().unwrap();
    assert!(time.len() == 24 && time.starts_with("20") && time.ends_with('Z'), "{time}");
    assert_eq!(record["requestParameters"]["sourceIPAddress"], json!("127.0.0.1"));
    assert_eq!(record["responseElements"]["x-amz-request-id"], json!(put.header("x-amz-request-id")));
    assert_eq!(record["responseElements"]["x-amz-id-2"], json!(put.header("x-amz-id-2")));
    let s3 = &record["s3"];
    assert_eq!((&s3["s3SchemaVersion"], &s3["configurationId"]), (&json!("1.0"), &json!("to-hooks")));
    assert_eq!(s3["bucket"]["name"], json!("bucket"));
    assert_eq!(s3["bucket"]["arn"], json!("arn:aws:s3:::bucket"));
    assert_eq!(s3["bucket"]["ownerIdentity"], record["userIdentity"], "the owner wrote it");
    assert!(!record["userIdentity"]["principalId"].as_str().unwrap().is_empty());
    let object = &s3["object"];
    assert_eq!((&object["key"], &object["size"]), (&json!("a+red/flower%2B.jpg"), &json!(5)));
    assert_eq!(json!(format!("\"{}\"", object["eTag"].as_str().unwrap())), json!(put.header("etag")));
    assert_eq!(object.get("versionId"), None);
    let first = object["sequencer"].as_str().unwrap().to_owned();
    let posted = hook.posted().remove(1);
    assert_eq!(
        (posted.path.as_str(), &posted.headers["content-type"]),
        ("/events", &"application/json".parse().unwrap())
    );
    client.delete("bucket/a red/flower+.jpg").await.unwrap();
    let removed = records(&hook, 2).await.remove(1);
    assert_eq!(removed["eventName"], json!("ObjectRemoved:Delete"));
    let object = &removed["s3"]["object"];
    assert_eq!((object.get("size"), object.get("eTag")), (None, None));
    assert!(object["sequencer"].as_str().unwrap() > first.as_str());
}

#[tokio::test]
async fn each_way_to_change_an_object_has_its_event() {
    let hook = Webhook::start().await.unwrap();
    let (_gateway, client) = gateway(&[("hooks", &hook)], |setup| setup.environment("MPU_TESTING", "yes")).await;
    let ownership =
        "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>";
    let call = Call::new(Method::PUT, "bucket").query("ownershipControls", "").body(ownership);
    assert_eq!(client.send(call).await.unwrap().status, 200);
    let kinds = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectAcl:Put"];
    configured(&client, &rule("hooks", &kinds, "")).await;
    let send = async |call: Call| {
        let answer = client.send(call).await.unwrap();
        assert!(answer.status.is_success(), "{}", answer.text());
        answer
    };
    enable_versioning(&client).await;
    client.put("bucket/k", "bytes").await.unwrap();
    let large = client.put("bucket/large", vec![7; 300_000]).await.unwrap();
    let mut fields = forms::signed(&[json!({ "bucket": "bucket" }), json!({ "key": "form" })]);
    fields.push(("key", "form".to_owned()));
    let posted = client.send_unsigned(forms::form("bucket", &fields, b"bytes")).await.unwrap();
    assert_eq!(posted.status, 204, "{}", posted.text());
    send(Call::new(Method::PUT, "bucket/copy").header("x-amz-copy-source", "bucket/k")).await;
    let upload =
        send(Call::new(Method::POST, "bucket/parts").query("uploads", "")).await.elements("UploadId").remove(0);
    let part = Call::new(Method::PUT, "bucket/parts").query("partNumber", "1").query("uploadId", &upload).body("part");
    let etag = send(part).await.header("etag").replace('"', "&quot;");
    let parts = format!("<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>");
    let parts = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    send(Call::new(Method::POST, "bucket/parts").query("uploadId", &upload).body(parts)).await;
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    send(Call::new(Method::PUT, "bucket/k").query("tagging", "").body(tags)).await;
    send(Call::new(Method::DELETE, "bucket/k").query("tagging", "")).await;
    send(Call::new(Method::PUT, "bucket/k").query("acl", "").header("x-amz-acl", "public-read")).await;
    let marker = client.delete("bucket/k").await.unwrap().header("x-amz-version-id").to_owned();
    send(Call::new(Method::DELETE, "bucket/k").query("versionId", &marker)).await;
    let several = "<Delete><Object><Key>copy</Key></Object><Object><Key>form</Key></Object></Delete>";
    send(Call::new(Method::POST, "bucket").query("delete", "").body(several).header("content-md5", &md5(several)))
        .await;
    let mut expected = vec![
        ("ObjectCreated:Put", "k"),
        ("ObjectCreated:Put", "large"),
        ("ObjectCreated:Post", "form"),
        ("ObjectCreated:Copy", "copy"),
        ("ObjectCreated:CompleteMultipartUpload", "parts"),
        ("ObjectTagging:Put", "k"),
        ("ObjectTagging:Delete", "k"),
        ("ObjectAcl:Put", "k"),
        ("ObjectRemoved:DeleteMarkerCreated", "k"),
        ("ObjectRemoved:Delete", "k"),
        ("ObjectRemoved:DeleteMarkerCreated", "copy"),
        ("ObjectRemoved:DeleteMarkerCreated", "form"),
    ];
    let records = records(&hook, expected.len()).await;
    let of_k = records.iter().filter(|record| record["s3"]["object"]["key"] == json!("k"));
    let of_k = names(&of_k.cloned().collect::<Vec<_>>());
    let in_order: Vec<_> = expected.iter().filter(|(_, key)| *key == "k").map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(of_k, in_order, "the changes of one key arrive in order");
    let by = |name: &str, key: &str| {
        let found =
            records.iter().find(|one| one["eventName"] == json!(name) && one["s3"]["object"]["key"] == json!(key));
        found.unwrap().clone()
    };
    let put = by("ObjectCreated:Put", "large");
    assert_eq!(put["s3"]["object"]["versionId"], json!(large.header("x-amz-version-id")));
    assert_eq!(put["s3"]["object"]["size"], json!(300_000));
    let marked = by("ObjectRemoved:DeleteMarkerCreated", "k");
    assert_eq!(marked["s3"]["object"]["versionId"], json!(marker));
    assert_eq!(by("ObjectAcl:Put", "k")["eventVersion"], json!("2.3"));
    let mut told = told(&records);
    told.sort();
    expected.sort_unstable();
    let expected: Vec<_> = expected.into_iter().map(|(name, key)| (name.to_owned(), key.to_owned())).collect();
    assert_eq!(told, expected);
}

fn md5(text: &str) -> String {
    use base64::Engine;
    use md5::Digest;
    base64::prelude::BASE64_STANDARD.encode(md5::Md5::digest(text))
}

#[tokio::test]
async fn only_keys_and_events_that_rules_name_are_told() {
    let (images, rest) = (Webhook::start().await.unwrap(), Webhook::start().await.unwrap());
    let (_gateway, client) = gateway(&[("images", &images), ("rest", &rest)], |setup| setup).await;
    let pictures = filter(&[("prefix", "images/"), ("suffix", ".png")]);
    let removed = ["s3:ObjectRemoved:Delete"];
    configured(&client, &format!("{}{}", rule("images", CREATED, &pictures), rule("rest", &removed, ""))).await;
    for key in ["images/a.png", "images/a.jpg", "other/a.png", "images/b.png"] {
        client.put(&format!("bucket/{key}"), "bytes").await.unwrap();
    }
    client.delete("bucket/other/a.png").await.unwrap();
    client.delete("bucket/never-there").await.unwrap();
    let pictures = told(&records(&images, 2).await);
    let keys: Vec<&str> = pictures.iter().map(|(_, key)| key.as_str()).collect();
    assert!(keys.contains(&"images/a.png") && keys.contains(&"images/b.png"), "{keys:?}");
    assert_eq!(told(&records(&rest, 1).await), [("ObjectRemoved:Delete".to_owned(), "other/a.png".to_owned())]);
}

#[tokio::test]
async fn what_lifecycle_rules_do_is_told_as_theirs() {
    let hook = Webhook::start().await.unwrap();
    let change = |setup: Setup| {
        let cold = json!({ "type": "local", "legacyAwsBehavior": false, "details": {} });
        let setup = setup.location("cold", cold).environment("SALLYPORT_LIFECYCLE_DAY_SECONDS", "1");
        setup.environment("SALLYPORT_SWEEP_INTERVAL_MS", "100")
    };
    let (_gateway, client) = gateway(&[("hooks", &hook)], change).await;
    enable_versioning(&client).await;
    client.put("bucket/old/a", "bytes").await.unwrap();
    // Smaller objects do not move.
    client.put("bucket/moved/a", vec![7; 200_000]).await.unwrap();
    let kinds = ["s3:LifecycleExpiration:*", "s3:LifecycleTransition", "s3:ObjectRemoved:*"];
    configured(&client, &rule("hooks", &kinds, "")).await;
    let document = "<LifecycleConfiguration><Rule><Filter><Prefix>old/</Prefix></Filter><Status>Enabled</Status>\
        <Expiration><Days>1</Days></Expiration><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>\
        </NoncurrentVersionExpiration></Rule><Rule><Filter><Prefix>moved/</Prefix></Filter><Status>Enabled</Status>\
        <Transition><Days>1</Days><StorageClass>cold</StorageClass></Transition></Rule></LifecycleConfiguration>";
    let call = Call::new(Method::PUT, "bucket").query("lifecycle", "").body(document);
    let answer = client.send(call).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    // The version, and the marker once it hides nothing any more.
    let records = records(&hook, 4).await;
    let mut told = told(&records);
    told.sort();
    let pair = |name: &str, key: &str| (name.to_owned(), key.to_owned());
    assert_eq!(
        told,
        [
            pair("LifecycleExpiration:Delete", "old/a"),
            pair("LifecycleExpiration:Delete", "old/a"),
            pair("LifecycleExpiration:DeleteMarkerCreated", "old/a"),
            pair("LifecycleTransition", "moved/a"),
        ]
    );
    let moved = records.iter().find(|record| record["eventName"] == json!("LifecycleTransition")).unwrap();
    let class = &moved["lifecycleEventData"]["transitionEventData"]["destinationStorageClass"];
    assert_eq!((class, &moved["eventVersion"]), (&json!("cold"), &json!("2.3")));
    assert_eq!(moved["userIdentity"]["principalId"], json!("s3.amazonaws.com"));
}
