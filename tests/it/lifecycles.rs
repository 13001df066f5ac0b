//! Lifecycle rules on a running gateway, with days of seconds.

use hyper::Method;
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::upstream::Moto;
use sallyport_tests::wait::until;
use serde_json::{Value, json};
use tokio::process::Command;

const PAST: &str = "<Expiration><Date>2015-01-01T00:00:00Z</Date></Expiration>";

fn setup(locations: Value, day: &str) -> Setup {
    let setup = Setup::with_locations(locations).environment("SALLYPORT_LIFECYCLE_DAY_SECONDS", day);
    let setup = setup.environment("SALLYPORT_SWEEP_INTERVAL_MS", "100").environment("SALLYPORT_DELETION_DELAY_MS", "0");
    setup.environment("MPU_TESTING", "yes")
}

async fn gateway(locations: Value, day: &str) -> Gateway {
    setup(locations, day).start().await.unwrap()
}

async fn configure(client: &Client, bucket: &str, subresource: &str, document: String) {
    let answer = client.send(Call::new(Method::PUT, bucket).query(subresource, "").body(document)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn rules(client: &Client, bucket: &str, rules: &[(&str, &str)]) {
    let rules = rules.iter().map(|(prefix, actions)| {
        format!("<Rule><Filter><Prefix>{prefix}</Prefix></Filter><Status>Enabled</Status>{actions}</Rule>")
    });
    let document = format!("<LifecycleConfiguration>{}</LifecycleConfiguration>", rules.collect::<String>());
    configure(client, bucket, "lifecycle", document).await;
}

async fn enable_versioning(client: &Client, bucket: &str) {
    let document = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    configure(client, bucket, "versioning", document.to_owned()).await;
}

async fn versions(client: &Client, bucket: &str) -> Answer {
    client.send(Call::new(Method::GET, bucket).query("versions", "")).await.unwrap()
}

/// A bucket of moto as a location whose name is a storage class.
async fn cold(moto: &Moto) -> (Client, Value) {
    let backend = moto.client().unwrap();
    assert_eq!(backend.create_bucket("cloud", "").await.unwrap().status, 200);
    let details = json!({
        "awsEndpoint": format!("127.0.0.1:{}", moto.port()), "bucketName": "cloud", "supportsVersioning": false,
        "credentials": { "accessKey": "testing", "secretKey": "testing" }, "https": false, "pathStyle": true
    });
    (backend, json!({ "cold": { "type": "aws_s3", "legacyAwsBehavior": true, "details": details } }))
}

#[tokio::test]
async fn rules_remove_what_is_due_and_nothing_else() {
    let gateway = gateway(json!({}), "1").await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("plain", "").await.unwrap().status, 200);
    for key in ["old/a", "old/b", "kept/a"] {
        client.put(&format!("plain/{key}"), key).await.unwrap();
    }
    let upload = client.send(Call::new(Method::POST, "plain/old/u").query("uploads", "")).await.unwrap();
    assert_eq!(upload.status, 200);
    let abort = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>\
                 </AbortIncompleteMultipartUpload>";
    let soon = format!("<Expiration><Days>1</Days></Expiration>{abort}");
    rules(&client, "plain", &[("old/", &soon), ("kept/", "<Expiration><Days>3000</Days></Expiration>")]).await;
    let kept = client.head("plain/kept/a").await.unwrap();
    assert!(kept.header("x-amz-expiration").starts_with("expiry-date=\""), "{:?}", kept.headers);
    until("old objects expire", async || client.keys("plain").await.unwrap() == ["kept/a"]).await;
    until("the upload is aborted", async || {
        let uploads = client.send(Call::new(Method::GET, "plain").query("uploads", "")).await.unwrap();
        uploads.elements("UploadId").is_empty()
    })
    .await;
    let removed = client.send(Call::new(Method::DELETE, "plain").query("lifecycle", "")).await.unwrap();
    assert_eq!(removed.status, 204);
    let absent = client.send(Call::new(Method::GET, "plain").query("lifecycle", "")).await.unwrap();
    assert_eq!(absent.code(), "NoSuchLifecycleConfiguration");
}

#[tokio::test]
async fn noncurrent_versions_go_unless_they_are_locked_or_kept() {
    let gateway = gateway(json!({}), "1").await;
    let client = gateway.client().unwrap();
    let create = Call::new(Method::PUT, "locked").header("x-amz-bucket-object-lock-enabled", "true");
    assert_eq!(client.send(create).await.unwrap().status, 200);
    let held = Call::new(Method::PUT, "locked/k").header("x-amz-object-lock-legal-hold", "ON").body("1");
    let held = client.send(held).await.unwrap().header("x-amz-version-id").to_owned();
    let mut ids = Vec::new();
    for body in ["2", "3", "4", "5"] {
        ids.push(client.put("locked/k", body).await.unwrap().header("x-amz-version-id").to_owned());
    }
    // A marker that hides nothing any more.
    let gone = client.put("locked/gone", "x").await.unwrap().header("x-amz-version-id").to_owned();
    client.delete("locked/gone").await.unwrap();
    client.send(Call::new(Method::DELETE, "locked/gone").query("versionId", &gone)).await.unwrap();
    let marker = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
    let noncurrent = "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>\
                      <NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>";
    rules(&client, "locked", &[("", &format!("{marker}{noncurrent}"))]).await;
    let expected = vec![ids[3].clone(), ids[2].clone(), held];
    until("only what has to stay stays", async || versions(&client, "locked").await.elements("VersionId") == expected)
        .await;
    assert_eq!(client.get("locked/k").await.unwrap().text(), "5");
}

#[tokio::test]
async fn a_version_moves_to_another_location_and_stays_what_it_is() {
    let moto = Moto::start().await.unwrap();
    let (backend, locations) = cold(&moto).await;
    let gateway = gateway(locations, "1").await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("moving", "").await.unwrap().status, 200);
    enable_versioning(&client, "moving").await;
    let large = vec![b'l'; 300_000];
    for (key, body) in [("small", b"few bytes".to_vec()), ("large", large.clone())] {
        let put = Call::new(Method::PUT, &format!("moving/{key}")).header("x-amz-meta-colour", "blue");
        let put = put.header("x-amz-tagging", "a=1").header("content-type", "text/x").body(body);
        assert_eq!(client.send(put).await.unwrap().status, 200);
    }
    let before = [client.head("moving/small").await.unwrap(), client.head("moving/large").await.unwrap()];
    let transition = "<Transition><Days>0</Days><StorageClass>cold</StorageClass></Transition>";
    rules(&client, "moving", &[("", transition)]).await;
    for (old, (key, body)) in before.iter().zip([("small", b"few bytes".to_vec()), ("large", large)]) {
        let path = format!("moving/{key}");
        until("it moves", async || {
            // It can be read all the time.
            assert_eq!(client.get(&path).await.unwrap().body, body);
            client.head(&path).await.unwrap().header("x-amz-storage-class") == "cold"
        })
        .await;
        let now = client.get(&path).await.unwrap();
        for name in
            ["etag", "last-modified", "x-amz-version-id", "x-amz-meta-colour", "x-amz-tagging-count", "content-type"]
        {
            assert_eq!(now.header(name), old.header(name), "{name}");
        }
        assert_eq!(now.body, body);
    }
    assert_eq!(backend.keys("cloud").await.unwrap().len(), 2);
    assert_eq!(versions(&client, "moving").await.elements("StorageClass"), ["cold", "cold"]);
    let files = gateway.folder().join("data");
    until("the old bytes go", async || sizes(&files).iter().all(|size| ![9, 300_000].contains(size))).await;
    // And they go from there with their versions.
    for id in versions(&client, "moving").await.elements("VersionId") {
        for key in ["small", "large"] {
            let delete = Call::new(Method::DELETE, &format!("moving/{key}")).query("versionId", &id);
            assert_eq!(client.send(delete).await.unwrap().status, 204);
        }
    }
    until("the backend is empty", async || backend.keys("cloud").await.unwrap().is_empty()).await;
}

#[tokio::test]
async fn what_a_rule_could_not_move_moves_when_the_location_is_back() {
    let moto = Moto::start().await.unwrap();
    let (backend, locations) = cold(&moto).await;
    let mut gateway = gateway(locations.clone(), "1").await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("waiting", "").await.unwrap().status, 200);
    let transition = "<Transition><Days>0</Days><StorageClass>cold</StorageClass></Transition>";
    rules(&client, "waiting", &[("moving/", transition)]).await;
    gateway.stop().await.unwrap();
    gateway.change(|_| setup(json!({}), "1"));
    gateway.restart().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.put("waiting/moving/k", "body").await.unwrap().status, 200);
    let log = std::cell::RefCell::new(&mut gateway);
    until("a pass fails", async || log.borrow_mut().log().contains("a lifecycle rule could not be followed")).await;
    assert_eq!(client.head("waiting/moving/k").await.unwrap().header("x-amz-storage-class"), "");
    gateway.stop().await.unwrap();
    gateway.change(|_| setup(locations, "1"));
    gateway.restart().await.unwrap();
    let client = gateway.client().unwrap();
    until("it moves", async || backend.keys("cloud").await.unwrap().len() == 1).await;
    // A class that the bytes are not in is made true.
    let apart = Call::new(Method::PUT, "waiting/moving/apart").header("x-amz-storage-class", "cold").body("apart");
    let apart = apart.header("x-amz-meta-scal-location-constraint", "us-east-1");
    assert_eq!(client.send(apart).await.unwrap().status, 200);
    until("the other one moves", async || backend.keys("cloud").await.unwrap().len() == 2).await;
    for (key, body) in [("k", "body"), ("apart", "apart")] {
        let path = format!("waiting/moving/{key}");
        until("it is shown there", async || client.head(&path).await.unwrap().header("x-amz-storage-class") == "cold")
            .await;
        assert_eq!(client.get(&path).await.unwrap().text(), body);
    }
}

/// Sizes of all files below a folder.
fn sizes(folder: &std::path::Path) -> Vec<u64> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let sizes = entries.flatten().flat_map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => sizes(&entry.path()),
        Ok(metadata) => vec![metadata.len()],
        Err(_) => Vec::new(),
    });
    sizes.collect()
}

#[tokio::test]
async fn an_object_may_be_written_to_a_location_by_its_storage_class() {
    let moto = Moto::start().await.unwrap();
    let (backend, locations) = cold(&moto).await;
    let gateway = gateway(locations, "1000").await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("classes", "").await.unwrap().status, 200);
    let put = |key: &str, class: &str| {
        Call::new(Method::PUT, &format!("classes/{key}")).header("x-amz-storage-class", class).body("body")
    };
    assert_eq!(client.send(put("there", "cold")).await.unwrap().status, 200);
    assert_eq!(client.send(put("here", "GLACIER")).await.unwrap().status, 200);
    assert_eq!(client.send(put("nowhere", "TAPE")).await.unwrap().code(), "InvalidStorageClass");
    assert_eq!(backend.keys("cloud").await.unwrap(), ["classes/there"]);
    for (key, class) in [("there", "cold"), ("here", "GLACIER")] {
        let got = client.get(&format!("classes/{key}")).await.unwrap();
        assert_eq!((got.text().as_str(), got.header("x-amz-storage-class")), ("body", class));
    }
}

#[tokio::test]
async fn a_pass_goes_on_where_the_last_one_was_cut_off() {
    // A day of 1,200 seconds has a pass every 50, so what is seen soon is the first one's.
    let mut gateway = gateway(json!({}), "1200").await;
    let client = gateway.client().unwrap();
    for bucket in ["before", "middle", "within"] {
        assert_eq!(client.create_bucket(bucket, "").await.unwrap().status, 200);
        for key in ["a", "b", "c", "d"] {
            client.put(&format!("{bucket}/{key}"), key).await.unwrap();
        }
    }
    for bucket in ["before", "middle", "within"] {
        rules(&client, bucket, &[("", PAST)]).await;
    }
    gateway.stop().await.unwrap();
    // As a pass leaves it that is killed behind the key b of the second bucket.
    let sql = "import sqlite3, sys\n\
               base = sqlite3.connect(sys.argv[1] + '/metadata.sqlite')\n\
               base.execute('INSERT INTO meta VALUES (?, ?)', ('progress of lifecycle', '{\"bucket\":\"middle\",\"key\":\"b\"}'))\n\
               base.commit()";
    let metadata = gateway.folder().join("metadata");
    let ran = Command::new("python3").arg("-c").arg(sql).arg(&metadata).output().await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    gateway.restart().await.unwrap();
    let client = gateway.client().unwrap();
    until("the last bucket is done", async || client.keys("within").await.unwrap().is_empty()).await;
    assert_eq!(client.keys("middle").await.unwrap(), ["a", "b"]);
    assert_eq!(client.keys("before").await.unwrap().len(), 4);
}
