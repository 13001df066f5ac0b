//! Objects that share a container: of another bucket, of another location, of somebody else.

use hyper::Method;
use sallyport_tests::client::{Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::upstream::{AZURITE_ACCOUNT, AZURITE_KEY, Azurite, Moto, Rclone};
use sallyport_tests::wait::until;
use serde_json::{Value, json};
use std::time::Duration;

/// Past what is verified before it is sent on.
const LARGE: usize = 200_000;

fn aws(port: u16, keys: [&str; 2], versions: bool) -> Value {
    json!({ "type": "aws_s3", "legacyAwsBehavior": false, "details": {
        "awsEndpoint": format!("127.0.0.1:{port}"), "bucketName": "cloud", "bucketMatch": true,
        "credentials": { "accessKey": keys[0], "secretKey": keys[1] }, "https": false, "pathStyle": true,
        "supportsVersioning": versions
    } })
}

fn azure(azurite: &Azurite) -> Value {
    json!({ "type": "azure", "legacyAwsBehavior": false, "details": {
        "azureStorageEndpoint": azurite.endpoint(), "bucketMatch": true, "azureContainerName": "cloud",
        "azureStorageAccountName": AZURITE_ACCOUNT, "azureStorageAccessKey": AZURITE_KEY
    } })
}

fn adopting(mut location: Value) -> Value {
    location["adoptExisting"] = json!(true);
    location
}

/// Frees at once, so that a test sees what is deleted and what is not.
fn eager(locations: Value) -> Setup {
    Setup::with_locations(locations)
        .environment("SALLYPORT_DELETION_DELAY_MS", "0")
        .environment("SALLYPORT_SWEEP_INTERVAL_MS", "100")
}

async fn moto() -> (Moto, Client) {
    let moto = Moto::start().await.unwrap();
    let backend = moto.client().unwrap();
    assert_eq!(backend.create_bucket("cloud", "").await.unwrap().status, 200);
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let versioning = Call::new(Method::PUT, "cloud").query("versioning", "").body(enabled);
    assert_eq!(backend.send(versioning).await.unwrap().status, 200);
    (moto, backend)
}

#[tokio::test]
async fn two_locations_on_one_container_never_touch_each_others_bytes() {
    let (moto, _backend) = moto().await;
    let azurite = Azurite::start().await.unwrap();
    let on_moto = aws(moto.port(), ["testing", "testing"], true);
    let mut gateway = eager(json!({
        "aws-one": on_moto, "aws-two": on_moto, "azure-one": azure(&azurite), "azure-two": azure(&azurite)
    }))
    .start()
    .await
    .unwrap();
    let client = gateway.client().unwrap();
    for kind in ["aws", "azure"] {
        let (one, two) = (format!("{kind}-one"), format!("{kind}-two"));
        let created = client.create_bucket(&one, &one).await.unwrap();
        assert_eq!((created.status.as_u16(), created.header("x-sallyport-warning")), (200, ""), "{kind}");
        let created = client.create_bucket(&two, &two).await.unwrap();
        assert_eq!(created.status, 200);
        let warning = created.header("x-sallyport-warning").to_owned();
        assert!(warning.contains(&format!("{one} in {one}")), "{kind}: {warning:?}");
        assert!(gateway.log().contains(&warning), "the log does not warn of {kind}");

        let put = async |bucket: &str, key: &str, body: Vec<u8>| {
            let answer = client.put(&format!("{bucket}/{key}"), body).await.unwrap();
            assert_eq!(answer.status, 200, "{bucket}/{key}: {}", answer.text());
        };
        let reads = async |bucket: &str, key: &str, body: Vec<u8>| {
            let answer = client.get(&format!("{bucket}/{key}")).await.unwrap();
            assert!(answer.status == 200 && answer.body == body, "{bucket}/{key}: {}", answer.status);
        };
        for (key, length) in [("small", 9), ("large", LARGE)] {
            // The second bucket writes first, last, and in between.
            put(&two, key, vec![2; length]).await;
            put(&one, key, vec![1; length]).await;
            put(&two, key, vec![3; length]).await;
            reads(&one, key, vec![1; length]).await;
            reads(&two, key, vec![3; length]).await;
            assert_eq!(client.delete(&format!("{two}/{key}")).await.unwrap().status, 204);
            assert_eq!(client.get(&format!("{two}/{key}")).await.unwrap().status, 404);
            reads(&one, key, vec![1; length]).await;
            put(&two, key, vec![4; length]).await;
            assert_eq!(client.delete(&format!("{one}/{key}")).await.unwrap().status, 204);
            reads(&two, key, vec![4; length]).await;
            assert_eq!(client.get(&format!("{one}/{key}")).await.unwrap().status, 404);
        }
        assert_eq!(client.keys(&one).await.unwrap().len(), 0);
        assert_eq!(client.keys(&two).await.unwrap(), ["large", "small"]);
    }
}

#[tokio::test]
async fn what_was_in_a_container_before_is_not_listed_and_stays() {
    let azurite = Azurite::start().await.unwrap();
    let reader = azurite.reader().unwrap();
    assert_eq!(reader.create("cloud").await.unwrap().status, 201);
    for name in ["small", "large"] {
        assert_eq!(reader.put("cloud", name, "theirs").await.unwrap().status, 201);
    }
    let gateway = eager(json!({ "cloud": azure(&azurite) })).start().await.unwrap();
    let names = async || reader.names("cloud").await.unwrap().len();
    stays(&gateway, names, async |name| reader.get("cloud", name).await.unwrap().text()).await;

    // What somebody puts over ours is theirs as well.
    let client = gateway.client().unwrap();
    for key in ["replaced", "witness"] {
        assert_eq!(client.put(&format!("mine/{key}"), "ours").await.unwrap().status, 200);
    }
    assert_eq!(reader.put("cloud", "replaced", "theirs").await.unwrap().status, 201);
    assert_eq!(client.get("mine/replaced").await.unwrap().status, 424);
    for key in ["replaced", "witness"] {
        assert_eq!(client.delete(&format!("mine/{key}")).await.unwrap().status, 204);
    }
    until("the witness goes", async || reader.get("cloud", "witness").await.unwrap().status == 404).await;
    assert_eq!(reader.get("cloud", "replaced").await.unwrap().text(), "theirs");
}

#[tokio::test]
async fn what_was_in_a_bucket_without_versions_before_stays() {
    let rclone = Rclone::start().await.unwrap();
    let backend = rclone.client().unwrap();
    assert_eq!(backend.create_bucket("cloud", "").await.unwrap().status, 200);
    for name in ["small", "large"] {
        assert_eq!(backend.put(&format!("cloud/{name}"), "theirs").await.unwrap().status, 200);
    }
    let location = aws(rclone.port(), ["rcloneKey", "rcloneSecret"], false);
    let gateway = eager(json!({ "cloud": location })).start().await.unwrap();
    let names = async || backend.keys("cloud").await.unwrap().len();
    stays(&gateway, names, async |name| backend.get(&format!("cloud/{name}")).await.unwrap().text()).await;
}

#[tokio::test]
async fn what_was_in_a_versioned_bucket_before_stays_as_a_version() {
    let (moto, backend) = moto().await;
    let before = backend.put("cloud/key", "theirs").await.unwrap().header("x-amz-version-id").to_owned();
    let gateway = eager(json!({ "cloud": aws(moto.port(), ["testing", "testing"], true) })).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("mine", "cloud").await.unwrap().status, 200);
    assert!(client.keys("mine").await.unwrap().is_empty());
    assert_eq!(client.put("mine/key", "ours").await.unwrap().status, 200);
    let ours = backend.get("cloud/key").await.unwrap();
    let version = ours.header("x-amz-version-id").to_owned();
    assert_eq!(ours.text(), "ours");
    let by_version = |version: &str| Call::new(Method::GET, "cloud/key").query("versionId", version);
    assert_eq!(client.delete("mine/key").await.unwrap().status, 204);
    until("ours goes", async || backend.send(by_version(&version)).await.unwrap().status == 404).await;
    assert_eq!(backend.send(by_version(&before)).await.unwrap().text(), "theirs");
}

#[tokio::test]
async fn an_operator_may_let_a_location_replace_what_was_there() {
    let (azurite, rclone) = (Azurite::start().await.unwrap(), Rclone::start().await.unwrap());
    let (reader, backend) = (azurite.reader().unwrap(), rclone.client().unwrap());
    assert_eq!(reader.create("cloud").await.unwrap().status, 201);
    assert_eq!(backend.create_bucket("cloud", "").await.unwrap().status, 200);
    for name in ["small", "large"] {
        assert_eq!(reader.put("cloud", name, "theirs").await.unwrap().status, 201);
        assert_eq!(backend.put(&format!("cloud/{name}"), "theirs").await.unwrap().status, 200);
    }
    let on_rclone = aws(rclone.port(), ["rcloneKey", "rcloneSecret"], false);
    let locations = json!({ "blobs": adopting(azure(&azurite)), "objects": adopting(on_rclone) });
    let gateway = eager(locations).start().await.unwrap();
    let client = gateway.client().unwrap();
    for location in ["blobs", "objects"] {
        let there = async |name: &str| {
            // rclone breaks off an answer whose file is replaced or removed meanwhile.
            for _ in 0..20 {
                let answer = if location == "blobs" {
                    reader.get("cloud", name).await
                } else {
                    backend.get(&format!("cloud/{name}")).await
                };
                if let Ok(answer) = answer {
                    return (answer.status.as_u16(), answer.body.len());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("{name} cannot be read");
        };
        assert_eq!(client.create_bucket(location, location).await.unwrap().status, 200);
        assert!(client.keys(location).await.unwrap().is_empty(), "replacing is not listing");
        for (key, length) in [("small", 4), ("large", LARGE)] {
            let name = format!("{location}/{key}");
            // The second replaces what is ours by then; nothing that is freed later takes it along.
            for round in [1_u8, 2] {
                assert_eq!(client.put(&name, vec![round; length]).await.unwrap().status, 200, "{name}");
                assert_eq!(there(key).await, (200, length), "{name} is not at its plain name");
            }
            assert_eq!(client.put(&format!("{location}/witness"), "w").await.unwrap().status, 200);
            assert_eq!(client.delete(&format!("{location}/witness")).await.unwrap().status, 204);
            until("the queue is worked off", async || there("witness").await.0 == 404).await;
            assert_eq!(client.get(&name).await.unwrap().body, vec![2; length]);
            assert_eq!(client.delete(&name).await.unwrap().status, 204);
            until(&name, async || there(key).await.0 == 404).await;
        }
    }
}

/// `small` and `large` are there before and belong to somebody else; ours of the same keys
/// come and go beside them.
async fn stays(gateway: &Gateway, names: impl AsyncFn() -> usize, read: impl AsyncFn(&str) -> String) {
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("mine", "cloud").await.unwrap().status, 200);
    assert!(client.keys("mine").await.unwrap().is_empty(), "what was there before is listed");
    assert_eq!(client.get("mine/small").await.unwrap().status, 404);
    assert_eq!(client.delete("mine/small").await.unwrap().status, 204);
    let before = names().await;
    for (key, length) in [("small", 4), ("large", LARGE)] {
        let name = format!("mine/{key}");
        for round in [1_u8, 2] {
            assert_eq!(client.put(&name, vec![round; length]).await.unwrap().status, 200, "{name}");
            assert_eq!(client.get(&name).await.unwrap().body, vec![round; length], "{name}");
            assert_eq!(read(key).await, "theirs", "{key} was overwritten");
        }
        assert_eq!(client.delete(&name).await.unwrap().status, 204);
    }
    until("ours are freed", async || names().await == before).await;
    for key in ["small", "large"] {
        assert_eq!(read(key).await, "theirs", "{key} was deleted");
    }
}
