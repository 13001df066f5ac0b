//! What a server starts from: the shipped files, CloudServer's variables, whatever lies in the plugin folder.

use hyper::Method;
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::{ACCESS_KEY, SECRET_KEY, Setup, compiled_plugins};
use sallyport_tests::process::{Process, write};
use sallyport_tests::tools;
use sallyport_tests::wait::until;
use serde_json::{Value, json};
use std::path::Path;
use tokio::process::Command;

const ACCOUNTS: &str = r#"{ "accounts": [ { "name": "Own", "email": "own@example.com",
    "arn": "arn:aws:iam::123456789014:root", "canonicalID": "own", "keys": [ { "access": "own", "secret": "ownSecret" } ] } ] }"#;

/// `sallyport serve` in a folder, with these variables and nothing else.
fn serve(folder: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(tools::sallyport().unwrap());
    command.arg("serve").env_clear().env("HOME", folder).current_dir(folder);
    command.env("SALLYPORT_PLUGINS", tools::plugins().unwrap()).env("SALLYPORT_CACHE_DIR", compiled_plugins());
    command.envs(variables.iter().copied());
    command
}

async fn endpoint(process: &mut Process) -> String {
    let line = |line: &str| line.split_once("sallyport listening on ").map(|(_, rest)| rest.to_owned());
    process.line(line).await.unwrap_or_else(|error| panic!("{error:#}"))
}

fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let sizes = entries.map(Result::unwrap).map(|entry| match entry.metadata().unwrap() {
        metadata if metadata.is_dir() => bytes_below(&entry.path()),
        metadata => metadata.len(),
    });
    sizes.sum()
}

/// An upload of two parts of a byte.
async fn tiny_upload(client: &Client, path: &str) -> Answer {
    let created = client.send(Call::new(Method::POST, path).query("uploads", "")).await.unwrap();
    let id = created.elements("UploadId").remove(0);
    let mut parts = String::new();
    for number in ["1", "2"] {
        let part = Call::new(Method::PUT, path).query("partNumber", number).query("uploadId", &id).body("x");
        let etag = client.send(part).await.unwrap().header("etag").to_owned();
        parts += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    client.send(Call::new(Method::POST, path).query("uploadId", &id).body(body)).await.unwrap()
}

#[tokio::test]
async fn the_shipped_files_serve_every_region_from_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "locationConfig.json", "conf/authdata.json"] {
        write(folder.path(), file, &std::fs::read_to_string(tools::root().join(file)).unwrap()).unwrap();
    }
    let free =
        [("SALLYPORT_LISTEN", "127.0.0.1:0"), ("SALLYPORT_METRICS_LISTEN", "127.0.0.1:0"), ("S3DATA", "multiple")];
    let mut process = Process::start(&mut serve(folder.path(), &free)).unwrap();
    let client = Client::new(&endpoint(&mut process).await, ACCESS_KEY, SECRET_KEY).unwrap();
    let shipped: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("locationConfig.json")).unwrap()).unwrap();
    let regions: Vec<&String> = shipped.as_object().unwrap().keys().collect();
    assert_eq!(regions.len(), 16);
    for region in regions {
        let bucket = format!("in-{}", region.to_lowercase());
        assert_eq!(client.create_bucket(&bucket, region).await.unwrap().status, 200, "{region}");
        let key = format!("{bucket}/key");
        assert_eq!(client.put(&key, region.clone()).await.unwrap().status, 200, "{region}");
        assert_eq!(client.get(&key).await.unwrap().text(), *region);
        assert!(bytes_below(&folder.path().join("localData").join(region)) >= region.len() as u64, "{region}");
    }
    let warnings = process.output();
    assert!(!warnings.lines().any(|line| line.starts_with("warning:")), "{warnings}");
}

#[tokio::test]
async fn cloudservers_variables_decide_as_they_do_there() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    // A relative name is looked for in conf first.
    write(folder.path(), "conf/mine.json", &config().to_string()).unwrap();
    write(folder.path(), "mine.json", "not this one").unwrap();
    let cloud = json!({ "type": "aws_s3", "legacyAwsBehavior": false, "details": { "bucketName": "b" } });
    let locations = json!({ "us-east-1": { "type": "mem", "legacyAwsBehavior": true, "details": {} }, "cloud": cloud });
    let locations = write(elsewhere.path(), "places.json", &locations.to_string()).unwrap();
    write(folder.path(), "conf/own.json", ACCOUNTS).unwrap();
    let data = elsewhere.path().join("bytes");
    let shared = [
        ("S3_CONFIG_FILE", "mine.json"),
        ("S3_LOCATION_FILE", locations.to_str().unwrap()),
        ("S3DATAPATH", data.to_str().unwrap()),
        ("S3METADATAPATH", "rows"),
        ("S3DATA", "file"),
        ("LISTEN_ADDR", "127.0.0.1"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [&shared[..], more].concat();

    let first = with(&[("S3AUTH_CONFIG", "own.json"), ("LOG_LEVEL", "error")]);
    let mut process = Process::start(&mut serve(folder.path(), &first)).unwrap();
    let here = endpoint(&mut process).await;
    let client = Client::new(&here, "own", "ownSecret").unwrap();
    assert_eq!(client.create_bucket("bucket", "cloud").await.unwrap().status, 200);
    assert_eq!(client.put("bucket/key", "bytes of a cloud").await.unwrap().status, 200, "S3DATA=file ignores types");
    assert!(bytes_below(&data.join("cloud")) >= 16 && folder.path().join("rows").is_dir());
    assert_eq!(tiny_upload(&client, "bucket/tiny").await.code(), "EntityTooSmall");
    let strange = client.at_host("a.host").send(Call::new(Method::GET, "")).await.unwrap();
    assert_eq!(strange.code(), "InvalidURI");
    let shipped = Client::new(&here, ACCESS_KEY, SECRET_KEY).unwrap();
    assert_eq!(shipped.get("bucket/key").await.unwrap().code(), "InvalidAccessKeyId");
    assert!(process.stop().await.unwrap().success());
    assert!(!process.output().contains("\"INFO\""), "LOG_LEVEL=error:\n{}", process.output());

    let second = with(&[
        ("SCALITY_ACCESS_KEY_ID", "single"),
        ("SCALITY_SECRET_ACCESS_KEY", "singleSecret"),
        ("ENDPOINT", "http://a.host:8000,b.host"),
        ("MPU_TESTING", "yes"),
    ]);
    let mut process = Process::start(&mut serve(folder.path(), &second)).unwrap();
    let here = endpoint(&mut process).await;
    let client = Client::new(&here, "single", "singleSecret").unwrap();
    for host in ["a.host", "b.host"] {
        assert_eq!(client.at_host(host).create_bucket(host, "").await.unwrap().status, 200, "{host}");
    }
    assert_eq!(tiny_upload(&client, "a.host/tiny").await.status, 200);
    let own = Client::new(&here, "own", "ownSecret").unwrap();
    assert_eq!(own.get("bucket/key").await.unwrap().code(), "InvalidAccessKeyId");
    assert!(!process.output().contains("singleSecret"));
}

#[tokio::test]
async fn each_request_has_an_id_and_one_line_in_the_log() {
    let mut gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("logged", "").await.unwrap().status, 200);
    let put = client.put("logged/a key", "five!").await.unwrap();
    let absent = client.get("logged/absent").await.unwrap();
    let presigned = client.send_presigned(Call::new(Method::GET, "logged/a key"), 60).await.unwrap();
    assert_eq!(presigned.text(), "five!");
    assert_eq!(absent.elements("RequestId"), [absent.header("x-amz-request-id")]);
    let expected = [
        (&put, json!({ "operation": "PutObject", "status": 200, "bytes_in": 5, "object.key": "a key" })),
        (&absent, json!({ "operation": "GetObject", "status": 404, "code": "NoSuchKey", "object.key": "absent" })),
        (&presigned, json!({ "operation": "GetObject", "status": 200, "bytes_out": 5, "complete": true })),
    ];
    let mut seen = Vec::new();
    for (answer, fields) in expected {
        let id = answer.header("x-amz-request-id").to_owned();
        assert!(!id.is_empty() && !seen.contains(&id), "{id:?}");
        let log = std::sync::Mutex::new(&mut gateway);
        until("the line is written", async || log.lock().unwrap().log().contains(&format!("\"{id}\""))).await;
        let log = gateway.log();
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let lines: Vec<&Value> = lines.iter().filter(|line| line["request.id"] == *id).collect();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert_eq!((&lines[0]["target"], &lines[0]["bucket.name"]), (&json!("access"), &json!("logged")));
        for (field, value) in fields.as_object().unwrap() {
            assert_eq!(lines[0][field], *value, "{field} of {}", lines[0]);
        }
        seen.push(id);
    }
    let log = gateway.log();
    assert!(!log.contains("X-Amz-Signature") && !log.contains(SECRET_KEY), "{log}");
}

#[tokio::test]
async fn a_file_that_is_no_plugin_stops_its_locations_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("garbage.wasm"), "not WebAssembly at all").unwrap();
    std::fs::write(folder.path().join("module.wasm"), b"\0asm\x01\0\0\0").unwrap();
    std::fs::write(folder.path().join("empty.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    std::fs::copy(tools::plugins().unwrap().join("local.wasm"), folder.path().join("renamed.wasm")).unwrap();
    let kinds = ["garbage", "module", "empty", "renamed"];
    let location = |kind: &str| json!({ "type": kind, "legacyAwsBehavior": false, "details": {} });
    let locations: serde_json::Map<String, Value> =
        kinds.iter().map(|kind| (format!("a-{kind}"), location(kind))).collect();
    let setup = Setup::with_locations(locations.into()).plugins(folder.path());
    let gateway = setup.start().await.unwrap();
    let report = gateway.run(&["check"]).await.unwrap();
    assert_eq!(report.code, Some(1));
    let client = gateway.client().unwrap();
    for kind in kinds {
        let said = report
            .errors
            .lines()
            .find(|line| line.starts_with("location:") && line.contains(&format!("location a-{kind}")));
        assert!(said.is_some_and(|line| line.contains(&format!("{kind}.wasm"))), "{kind}: {}", report.errors);
        let bucket = format!("b-{kind}");
        assert_eq!(client.create_bucket(&bucket, &format!("a-{kind}")).await.unwrap().status, 200);
        let answer = client.put(&format!("{bucket}/key"), "x").await.unwrap();
        assert!(answer.status == 503 && answer.text().contains(&format!("a-{kind}")), "{}", answer.text());
    }
    assert_eq!(client.create_bucket("fine", "").await.unwrap().status, 200);
    assert_eq!(client.put("fine/key", "x").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_cold_location_takes_no_buckets() {
    let cold = json!({ "type": "local", "isCold": true, "legacyAwsBehavior": false, "details": {} });
    let gateway = Setup::with_locations(json!({ "cold": cold })).start().await.unwrap();
    let client = gateway.client().unwrap();
    let refused = client.create_bucket("frozen", "cold").await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "InvalidLocationConstraint"));
    assert!(refused.text().contains("cold is cold, and takes no new buckets"), "{}", refused.text());
    assert_eq!(client.head("frozen").await.unwrap().status, 404);
}

/// A config.json whose ports are free ones.
fn config() -> Value {
    json!({ "port": 0, "metricsPort": 0, "restEndpoints": { "localhost": "us-east-1" } })
}
