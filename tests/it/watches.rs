//! Locations that are watched: what others store there appears, changes and vanishes.

use hyper::Method;
use sallyport_tests::client::{Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::upstream::{AZURITE_ACCOUNT, AZURITE_KEY, Azurite, Moto};
use sallyport_tests::wait::until;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::process::Command;

/// A bucket of moto that a location shows as the bucket `seen`, watched as `watch` says.
async fn on_s3(moto: &Moto, versioning: bool, watch: Value) -> (Client, Value) {
    let (backend, mut location) = moto.location(true, versioning).await.unwrap();
    location["watch"] = json!([watch]);
    (backend, json!({ "cloud": location }))
}

/// A gateway that has the bucket `seen`, and frees bytes at once.
async fn gateway(locations: Value) -> (Gateway, Client) {
    let setup = Setup::with_locations(locations).environment("SALLYPORT_DELETION_DELAY_MS", "0");
    let gateway = setup.environment("SALLYPORT_SWEEP_INTERVAL_MS", "100").start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("seen", "cloud").await.unwrap().status, 200);
    (gateway, client)
}

async fn shows(client: &Client, key: &str, body: &str) {
    until(&format!("{key} is {body}"), async || client.get(&format!("seen/{key}")).await.unwrap().text() == body).await;
}

/// Waits until so many rounds began and ended: what appears after another is seen after it.
async fn rounds(client: &Client, backend: &Client, names: &[&str]) {
    for name in names {
        assert_eq!(backend.put(&format!("cloud/{name}"), (*name).to_owned()).await.unwrap().status, 200);
        shows(client, name, name).await;
    }
}

async fn versions(backend: &Client, key: &str) -> usize {
    let call = Call::new(Method::GET, "cloud").query("versions", "").query("prefix", key);
    backend.send(call).await.unwrap().elements("VersionId").len()
}

#[tokio::test]
async fn objects_of_others_appear_change_and_vanish() {
    let moto = Moto::start().await.unwrap();
    let watch = json!({ "bucket": "seen", "everySeconds": 1, "vanished": "forget" });
    let (backend, locations) = on_s3(&moto, false, watch).await;
    let (_gateway, client) = gateway(locations).await;
    let put =
        Call::new(Method::PUT, "cloud/a key").header("content-type", "text/x").header("x-amz-meta-colour", "blue");
    assert_eq!(backend.send(put.body("first")).await.unwrap().status, 200);
    assert_eq!(backend.put("cloud/b", "stays").await.unwrap().status, 200);
    shows(&client, "a key", "first").await;
    let head = client.head("seen/a key").await.unwrap();
    assert_eq!((head.header("content-type"), head.header("x-amz-meta-colour")), ("text/x", "blue"));

    assert_eq!(backend.put("cloud/a key", "second, and longer").await.unwrap().status, 200);
    shows(&client, "a key", "second, and longer").await;
    let head = client.head("seen/a key").await.unwrap();
    assert_eq!((head.header("content-length"), head.header("x-amz-meta-colour")), ("18", ""));
    assert_eq!(client.keys("seen").await.unwrap(), ["a key", "b"]);

    assert_eq!(backend.delete("cloud/a key").await.unwrap().status, 204);
    until("it is forgotten", async || client.keys("seen").await.unwrap() == ["b"]).await;
    // The same bytes again are somebody's own, and nothing that was queued removes them.
    assert_eq!(backend.put("cloud/a key", "second, and longer").await.unwrap().status, 200);
    shows(&client, "a key", "second, and longer").await;
    rounds(&client, &backend, &["one", "two"]).await;
    assert_eq!(backend.get("cloud/a key").await.unwrap().text(), "second, and longer");

    // What is deleted here is gone for good.
    assert_eq!(client.delete("seen/b").await.unwrap().status, 204);
    until("the backend loses it", async || backend.get("cloud/b").await.unwrap().status == 404).await;
    rounds(&client, &backend, &["three", "four"]).await;
    assert_eq!(client.keys("seen").await.unwrap(), ["a key", "four", "one", "three", "two"]);
}

#[tokio::test]
async fn what_the_gateway_wrote_is_never_touched() {
    let moto = Moto::start().await.unwrap();
    let watch = json!({ "bucket": "seen", "everySeconds": 1, "vanished": "forget" });
    let (backend, locations) = on_s3(&moto, false, watch).await;
    let (_gateway, client) = gateway(locations).await;
    let put = Call::new(Method::PUT, "seen/over").header("x-amz-meta-mine", "yes").body("mine");
    assert_eq!(client.send(put).await.unwrap().status, 200);
    assert_eq!(client.put("seen/lost", "mine").await.unwrap().status, 200);
    assert_eq!(client.put("seen/kept", "mine").await.unwrap().status, 200);
    let large = vec![b'l'; 300_000];
    assert_eq!(client.put("seen/large", large.clone()).await.unwrap().status, 200);
    assert_eq!(backend.put("cloud/over", "theirs").await.unwrap().status, 200);
    assert_eq!(backend.delete("cloud/lost").await.unwrap().status, 204);
    rounds(&client, &backend, &["one", "two"]).await;
    // Rows of ours say what was written here, whatever became of the bytes.
    assert_eq!(client.keys("seen").await.unwrap(), ["kept", "large", "lost", "one", "over", "two"]);
    assert_eq!(client.head("seen/over").await.unwrap().header("x-amz-meta-mine"), "yes");
    assert_ne!(client.get("seen/over").await.unwrap().status, 200);
    assert_eq!(client.get("seen/kept").await.unwrap().text(), "mine");
    assert_eq!(client.get("seen/large").await.unwrap().body, large);
    // An object that was taken in is the gateway's own once it was written here.
    assert_eq!(client.put("seen/one", "mine now").await.unwrap().status, 200);
    assert_eq!(backend.get("cloud/one").await.unwrap().text(), "mine now");
    rounds(&client, &backend, &["three", "two more"]).await;
    assert_eq!(client.get("seen/one").await.unwrap().text(), "mine now");
    assert_eq!(backend.get("cloud/over").await.unwrap().text(), "theirs");
}

#[tokio::test]
async fn versions_of_others_stay_on_a_backend_that_keeps_them() {
    let moto = Moto::start().await.unwrap();
    let (backend, locations) = on_s3(&moto, true, json!({ "bucket": "seen", "everySeconds": 1 })).await;
    let (mut gateway, client) = gateway(locations).await;
    assert_eq!(backend.put("cloud/k", "first").await.unwrap().status, 200);
    shows(&client, "k", "first").await;
    rounds(&client, &backend, &["one", "two"]).await;
    assert_eq!(backend.put("cloud/k", "second").await.unwrap().status, 200);
    shows(&client, "k", "second").await;
    rounds(&client, &backend, &["three"]).await;
    assert_eq!(versions(&backend, "k").await, 2, "what others overwrote is theirs");

    // Removing the newer one here uncovers the older one there, which nobody put there since.
    assert_eq!(client.delete("seen/k").await.unwrap().status, 204);
    until("the first version is uncovered", async || backend.get("cloud/k").await.unwrap().text() == "first").await;
    rounds(&client, &backend, &["four", "five"]).await;
    assert_eq!(client.get("seen/k").await.unwrap().code(), "NoSuchKey");
    assert_eq!(backend.put("cloud/k", "third").await.unwrap().status, 200);
    shows(&client, "k", "third").await;

    // What vanishes stays listed where nothing else is said, and the log says so.
    assert_eq!(backend.delete("cloud/one").await.unwrap().status, 204);
    rounds(&client, &backend, &["six", "seven"]).await;
    assert!(client.keys("seen").await.unwrap().contains(&"one".to_owned()));
    let warning = "objects that were taken in are not in the location any more and stay listed: 1";
    assert!(gateway.log().contains(warning), "{}", gateway.log());
    assert_eq!(versions(&backend, "one").await, 2, "the version and the marker over it");
}

#[tokio::test]
async fn a_round_goes_on_where_it_was_cut_off() {
    let moto = Moto::start().await.unwrap();
    let (backend, locations) = on_s3(&moto, true, json!({ "bucket": "seen", "everySeconds": 3600 })).await;
    let (mut gateway, client) = gateway(locations).await;
    assert!(client.keys("seen").await.unwrap().is_empty());
    gateway.stop().await.unwrap();
    for key in ["a", "b", "c", "d"] {
        assert_eq!(backend.put(&format!("cloud/{key}"), key).await.unwrap().status, 200);
    }
    // As a round leaves it that is killed behind its first page.
    let sql = "import json, sqlite3, sys\n\
               base = sqlite3.connect(sys.argv[1] + '/metadata.sqlite')\n\
               created = base.execute(\"SELECT created FROM bucket WHERE name = 'seen'\").fetchone()[0]\n\
               round = { 'bucket_created': created, 'cursor': '[\"b\",null]', 'after': 'b', 'has_entries': True }\n\
               base.execute('INSERT OR REPLACE INTO meta VALUES (?, ?)', ('progress of watch of cloud in seen', json.dumps(round)))\n\
               base.commit()";
    let metadata = gateway.folder().join("metadata");
    let ran = Command::new("python3").arg("-c").arg(sql).arg(&metadata).output().await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    gateway.restart().await.unwrap();
    let client = gateway.client().unwrap();
    until("the rest is taken in", async || client.keys("seen").await.unwrap() == ["c", "d"]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    gateway.crash_and_restart().await.unwrap();
    let client = gateway.client().unwrap();
    until("the next round sees all", async || client.keys("seen").await.unwrap() == ["a", "b", "c", "d"]).await;
}

#[tokio::test]
async fn blobs_of_others_appear_change_and_vanish() {
    let azurite = Azurite::start().await.unwrap();
    let watch = json!([{ "bucket": "seen", "everySeconds": 1, "vanished": "forget" }]);
    let (_gateway, client) = gateway(json!({ "cloud": {
        "type": "azure", "legacyAwsBehavior": true, "watch": watch, "details": {
            "azureStorageEndpoint": azurite.endpoint(), "azureContainerName": "cloud", "bucketMatch": true,
            "azureStorageAccountName": AZURITE_ACCOUNT, "azureStorageAccessKey": AZURITE_KEY
        } } }))
    .await;
    let others = azurite.reader().unwrap();
    assert_eq!(client.put("seen/mine", "mine").await.unwrap().status, 200);
    let stored = others.put_with("cloud", "k", "first", &[("x-ms-meta-colour", "blue")]).await.unwrap();
    assert_eq!(stored.status, 201, "{}", stored.text());
    shows(&client, "k", "first").await;
    assert_eq!(client.head("seen/k").await.unwrap().header("x-amz-meta-colour"), "blue");
    // Tags that are set here are written there, which is no change by others.
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>";
    let tagged = client.send(Call::new(Method::PUT, "seen/k").query("tagging", "").body(tags)).await.unwrap();
    assert_eq!(tagged.status, 200);
    until("the blob is tagged", async || others.tags("cloud", "k").await.unwrap().elements("Key") == ["a"]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(client.get("seen/k").await.unwrap().text(), "first");
    assert_eq!(client.head("seen/k").await.unwrap().header("x-amz-tagging-count"), "1");

    assert_eq!(others.put("cloud", "k", "second").await.unwrap().status, 201);
    shows(&client, "k", "second").await;
    assert_eq!(client.head("seen/k").await.unwrap().header("x-amz-meta-colour"), "");
    assert_eq!(others.delete("cloud", "k").await.unwrap().status, 202);
    until("it is forgotten", async || client.keys("seen").await.unwrap() == ["mine"]).await;
    assert_eq!(client.get("seen/mine").await.unwrap().text(), "mine");
}
