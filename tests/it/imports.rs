//! `sallyport import` takes in what backends held before, and never what is known.

use hyper::Method;
use sallyport_tests::client::{Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::upstream::{AZURITE_ACCOUNT, AZURITE_KEY, Azurite, Moto};
use sallyport_tests::wait::until;
use serde_json::{Value, json};
use tokio::process::Command;

async fn on_s3(moto: &Moto, bucket_match: bool, versioning: bool) -> (Client, Value) {
    let (backend, location) = moto.location(bucket_match, versioning).await.unwrap();
    (backend, json!({ "cloud": location }))
}

async fn gateway(locations: Value) -> Gateway {
    let setup = Setup::with_locations(locations).environment("SALLYPORT_DELETION_DELAY_MS", "0");
    setup.environment("SALLYPORT_SWEEP_INTERVAL_MS", "100").start().await.unwrap()
}

/// Runs an import with the server stopped, and starts that again.
async fn import(gateway: &mut Gateway, bucket: &str, more: &[&str]) -> (Option<i32>, String) {
    gateway.stop().await.unwrap();
    let arguments = [&["import", "--location", "cloud", "--bucket", bucket], more].concat();
    let ran = gateway.run(&arguments).await.unwrap();
    gateway.restart().await.unwrap();
    (ran.code, ran.output + &ran.errors)
}

#[tokio::test]
async fn objects_of_an_s3_bucket_are_taken_in_where_they_are() {
    let moto = Moto::start().await.unwrap();
    let (backend, locations) = on_s3(&moto, true, false).await;
    let mut gateway = gateway(locations).await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("taken", "cloud").await.unwrap().status, 200);
    assert_eq!(client.put("taken/mine", "through the gateway").await.unwrap().status, 200);
    let large = vec![b'x'; 200_000];
    let keys = ["a key", "deep/er/ü", "empty", "large"];
    for (key, body) in keys.iter().zip([b"1".to_vec(), b"2".to_vec(), Vec::new(), large.clone()]) {
        assert_eq!(backend.put(&format!("cloud/{key}"), body).await.unwrap().status, 200);
    }
    let before = backend.head("cloud/large").await.unwrap();

    let (status, said) = import(&mut gateway, "taken", &["--dry-run"]).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("5 objects listed: 4 would be taken in (200002 bytes), 1 known before, 0 skipped"), "{said}");
    assert_eq!(gateway.client().unwrap().keys("taken").await.unwrap(), ["mine"]);

    let (status, said) = import(&mut gateway, "taken", &[]).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("4 taken in"), "{said}");
    let client = gateway.client().unwrap();
    assert_eq!(client.keys("taken").await.unwrap(), ["a key", "deep/er/ü", "empty", "large", "mine"]);
    let after = client.get("taken/large").await.unwrap();
    assert_eq!(after.body, large);
    assert_eq!(after.header("etag"), before.header("etag"));
    assert_eq!(after.header("last-modified"), before.header("last-modified"));
    assert_eq!(client.get("taken/empty").await.unwrap().text(), "");
    assert_eq!(client.get("taken/mine").await.unwrap().text(), "through the gateway");
    let ranged = Call::new(Method::GET, "taken/large").header("range", "bytes=10-19");
    assert_eq!(client.send(ranged).await.unwrap().text(), "x".repeat(10));

    let (status, said) = import(&mut gateway, "taken", &[]).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("0 taken in (0 bytes), 5 known before"), "{said}");

    // What is deleted goes there too, and stays away.
    let client = gateway.client().unwrap();
    assert_eq!(client.delete("taken/a key").await.unwrap().status, 204);
    assert_eq!(client.put("taken/large", "new").await.unwrap().status, 200);
    until("the backend loses it", async || !backend.keys("cloud").await.unwrap().contains(&"a key".to_owned())).await;
    assert_eq!(client.get("taken/large").await.unwrap().text(), "new");
    assert_eq!(backend.get("cloud/deep/er/ü").await.unwrap().text(), "2");
}

#[tokio::test]
async fn what_an_s3_bucket_shows_of_objects_is_shown_here_too() {
    let moto = Moto::start().await.unwrap();
    let (backend, locations) = on_s3(&moto, true, false).await;
    let digest = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
    let stored = Call::new(Method::PUT, "cloud/k").header("content-type", "text/x").header("cache-control", "no-store");
    let stored = stored.header("x-amz-meta-colour", "deep blue").header("x-amz-tagging", "team=a%20b&empty=");
    let stored = stored.header("x-amz-checksum-sha256", digest).header("x-amz-sdk-checksum-algorithm", "SHA256");
    assert_eq!(backend.send(stored.body("hello")).await.unwrap().status, 200);
    // What another gateway could not store as it was.
    let fitted = Call::new(Method::PUT, "cloud/fitted").header("x-amz-meta-sallyport-name-612062", "=?UTF-8?B?w6k=?=");
    let fitted = fitted.header("x-amz-tagging", "sallyport%3Aa%3D26b=1").body("x");
    assert_eq!(backend.send(fitted).await.unwrap().status, 200);
    let mut gateway = gateway(locations).await;
    assert_eq!(gateway.client().unwrap().create_bucket("taken", "cloud").await.unwrap().status, 200);
    let (status, said) = import(&mut gateway, "taken", &[]).await;
    assert_eq!(status, Some(0), "{said}");

    let client = gateway.client().unwrap();
    let head = Call::new(Method::HEAD, "taken/k").header("x-amz-checksum-mode", "ENABLED");
    let head = client.send(head).await.unwrap();
    for (name, value) in [
        ("content-type", "text/x"),
        ("cache-control", "no-store"),
        ("x-amz-meta-colour", "deep blue"),
        ("x-amz-checksum-sha256", digest),
        ("x-amz-tagging-count", "2"),
    ] {
        assert_eq!(head.header(name), value, "{name} of {:?}", head.headers);
    }
    let tags = async |key: &str| {
        let answer = client.send(Call::new(Method::GET, &format!("taken/{key}")).query("tagging", "")).await.unwrap();
        let mut tags: Vec<_> = answer.elements("Key").into_iter().zip(answer.elements("Value")).collect();
        tags.sort();
        tags
    };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(tags("k").await, [pair("empty", ""), pair("team", "a b")]);
    assert_eq!(tags("fitted").await, [pair("a&amp;b", "1")]);
}

#[tokio::test]
async fn an_import_that_was_cut_off_goes_on_and_keeps_to_its_bucket() {
    let moto = Moto::start().await.unwrap();
    let (backend, locations) = on_s3(&moto, false, true).await;
    for key in ["taken/a", "taken/b", "taken/c", "taken/d", "other/e"] {
        assert_eq!(backend.put(&format!("cloud/{key}"), key).await.unwrap().status, 200);
    }
    let mut gateway = gateway(locations).await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("taken", "cloud").await.unwrap().status, 200);
    // As an import leaves it that is killed behind its first page.
    let sql = "import sqlite3, sys\n\
               base = sqlite3.connect(sys.argv[1] + '/metadata.sqlite')\n\
               base.execute('INSERT INTO meta VALUES (?, ?)', ('progress of import of cloud into taken', '[\"taken/b\",null]'))\n\
               base.commit()";
    gateway.stop().await.unwrap();
    let metadata = gateway.folder().join("metadata");
    let ran = Command::new("python3").arg("-c").arg(sql).arg(&metadata).output().await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    gateway.restart().await.unwrap();
    let (status, said) = import(&mut gateway, "taken", &[]).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("went on") && said.contains("2 taken in"), "{said}");
    let (_, said) = import(&mut gateway, "taken", &[]).await;
    assert!(!said.contains("went on") && said.contains("2 taken in (14 bytes), 2 known before"), "{said}");
    let client = gateway.client().unwrap();
    assert_eq!(client.keys("taken").await.unwrap(), ["a", "b", "c", "d"]);
    assert_eq!(client.get("taken/c").await.unwrap().text(), "taken/c");
    let (status, said) = import(&mut gateway, "absent", &[]).await;
    assert_eq!(status, Some(2), "{said}");
}

#[tokio::test]
async fn objects_of_an_azure_container_are_taken_in_by_a_new_database() {
    let azurite = Azurite::start().await.unwrap();
    let locations = || {
        json!({ "cloud": { "type": "azure", "legacyAwsBehavior": true, "details": {
            "azureStorageEndpoint": azurite.endpoint(), "azureContainerName": "cloud", "bucketMatch": true,
            "azureStorageAccountName": AZURITE_ACCOUNT, "azureStorageAccessKey": AZURITE_KEY
        } } })
    };
    {
        let first = gateway(locations()).await;
        let client = first.client().unwrap();
        assert_eq!(client.create_bucket("taken", "cloud").await.unwrap().status, 200);
        for key in ["one", "two/three"] {
            let put = Call::new(Method::PUT, &format!("taken/{key}")).header("content-type", "text/x");
            let put = put.header("x-amz-meta-a-b", "ours").header("x-amz-tagging", "tag=1").body(key);
            assert_eq!(client.send(put).await.unwrap().status, 200);
        }
    }
    let headers = [("x-ms-blob-content-type", "text/y"), ("x-ms-meta-a_b", "theirs"), ("x-ms-tags", "tag=2")];
    let stored = azurite.reader().unwrap().put_with("cloud", "theirs", "theirs", &headers).await.unwrap();
    assert_eq!(stored.status, 201, "{}", stored.text());
    let mut second = gateway(locations()).await;
    let client = second.client().unwrap();
    assert_eq!(client.create_bucket("taken", "cloud").await.unwrap().status, 200);
    let (status, said) = import(&mut second, "taken", &[]).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("3 taken in"), "{said}");
    let client = second.client().unwrap();
    for (key, kind, name, whose, tag) in [
        ("one", "text/x", "x-amz-meta-a-b", "ours", "1"),
        ("two/three", "text/x", "x-amz-meta-a-b", "ours", "1"),
        ("theirs", "text/y", "x-amz-meta-a_b", "theirs", "2"),
    ] {
        let got = client.get(&format!("taken/{key}")).await.unwrap();
        assert_eq!((got.text().as_str(), got.header("content-type"), got.header(name)), (key, kind, whose));
        let tags = client.send(Call::new(Method::GET, &format!("taken/{key}")).query("tagging", "")).await.unwrap();
        assert_eq!((tags.elements("Key"), tags.elements("Value")), (vec!["tag".to_owned()], vec![tag.to_owned()]));
    }
}

#[tokio::test]
async fn what_local_files_hold_has_no_keys_to_be_taken_in_under() {
    let mut gateway = gateway(json!({ "cloud": { "type": "local", "legacyAwsBehavior": true, "details": {} } })).await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("taken", "cloud").await.unwrap().status, 200);
    assert_eq!(client.put("taken/k", "body").await.unwrap().status, 200);
    // Its files are named by their writes: no name says which bucket or key it belongs to.
    let (status, said) = import(&mut gateway, "taken", &[]).await;
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("not implemented"), "{said}");
    assert_eq!(gateway.client().unwrap().get("taken/k").await.unwrap().text(), "body");
}
