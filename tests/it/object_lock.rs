//! Object lock through a client: defaults, refusals, bypass.

use hyper::Method;
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::Setup;
use serde_json::json;

async fn put(client: &Client, path: &str, subresource: &str, document: &str) -> Answer {
    client.send(Call::new(Method::PUT, path).query(subresource, "").body(document.to_owned())).await.unwrap()
}

async fn delete_all(client: &Client, key: &str, version: &str, bypass: bool) -> Answer {
    let document = format!("<Delete><Object><Key>{key}</Key><VersionId>{version}</VersionId></Object></Delete>");
    let call = Call::new(Method::POST, "locked").query("delete", "").body(document);
    let call = if bypass { call.header("x-amz-bypass-governance-retention", "true") } else { call };
    client.send(call).await.unwrap()
}

#[tokio::test]
async fn a_default_retention_protects_what_is_written_after_it() {
    let mut gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    let create = Call::new(Method::PUT, "locked").header("x-amz-bucket-object-lock-enabled", "true");
    assert_eq!(client.send(create).await.unwrap().status, 200);
    let free = client.put("locked/free", "1").await.unwrap().header("x-amz-version-id").to_owned();
    let rule = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
                <Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
    assert_eq!(put(&client, "locked", "object-lock", rule).await.status, 200);
    let kept = client.put("locked/kept", "2").await.unwrap().header("x-amz-version-id").to_owned();
    let suspended = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    assert_eq!(put(&client, "locked", "versioning", suspended).await.code(), "InvalidBucketState");

    // The lock is in the database, not in the process.
    gateway.crash_and_restart().await.unwrap();
    let client = gateway.client().unwrap();
    let head = client.head("locked/kept").await.unwrap();
    assert_eq!(head.header("x-amz-object-lock-mode"), "GOVERNANCE");
    assert!(client.head("locked/free").await.unwrap().header("x-amz-object-lock-mode").is_empty());
    assert_eq!(delete_all(&client, "free", &free, false).await.elements("Deleted").len(), 1);
    assert_eq!(delete_all(&client, "kept", &kept, false).await.code(), "AccessDenied");
    // Hiding is no deletion.
    assert_eq!(client.delete("locked/kept").await.unwrap().header("x-amz-delete-marker"), "true");
    let by_id = Call::new(Method::GET, "locked/kept").query("versionId", &kept);
    assert_eq!(client.send(by_id).await.unwrap().text(), "2");
    assert_eq!(delete_all(&client, "kept", &kept, true).await.elements("Deleted").len(), 1);
}

#[tokio::test]
async fn compliance_gives_way_to_nobody() {
    let gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    let create = Call::new(Method::PUT, "locked").header("x-amz-bucket-object-lock-enabled", "true");
    assert_eq!(client.send(create).await.unwrap().status, 200);
    let until =
        |date: &str| format!("<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>{date}</RetainUntilDate></Retention>");
    let version = client.put("locked/k", "1").await.unwrap().header("x-amz-version-id").to_owned();
    assert_eq!(put(&client, "locked/k", "retention", &until("2099-01-01T00:00:00Z")).await.status, 200);
    let shorter = Call::new(Method::PUT, "locked/k").query("retention", "").body(until("2098-01-01T00:00:00Z"));
    let shorter = client.send(shorter.header("x-amz-bypass-governance-retention", "true")).await.unwrap();
    assert_eq!(shorter.code(), "AccessDenied");
    assert_eq!(put(&client, "locked/k", "retention", &until("2099-06-01T00:00:00Z")).await.status, 200);
    assert_eq!(delete_all(&client, "k", &version, true).await.code(), "AccessDenied");
    assert_eq!(client.send(Call::new(Method::DELETE, "locked")).await.unwrap().code(), "BucketNotEmpty");
    let past = put(&client, "locked/k", "retention", &until("2001-01-01T00:00:00Z")).await;
    assert_eq!(past.code(), "InvalidArgument");
}
