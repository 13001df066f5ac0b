//! Corner cases of the S3 surface that clients rely on.

use hyper::Method;
use sallyport_tests::chaos::{Chaos, Mood};
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::upstream::Moto;
use serde_json::{Value, json};
use std::time::Duration;

const LOCATION: &str = "x-amz-meta-scal-location-constraint";

/// A versioned bucket of a backend, as a location.
async fn location(backend: &Client, port: u16) -> Value {
    assert_eq!(backend.create_bucket("cloud", "").await.unwrap().status, 200);
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let versioning = Call::new(Method::PUT, "cloud").query("versioning", "").body(enabled);
    assert_eq!(backend.send(versioning).await.unwrap().status, 200);
    json!({ "cloud": { "type": "aws_s3", "legacyAwsBehavior": true, "details": {
        "awsEndpoint": format!("127.0.0.1:{port}"), "bucketName": "cloud", "bucketMatch": true,
        "credentials": { "accessKey": "testing", "secretKey": "testing" }, "https": false, "pathStyle": true
    } } })
}

async fn gateway(locations: Value) -> Gateway {
    let setup = Setup::with_locations(locations).environment("MPU_TESTING", "yes");
    let setup = setup.environment("SALLYPORT_SWEEP_INTERVAL_MS", "100").environment("SALLYPORT_PATIENCE_MS", "200");
    setup.environment("SALLYPORT_DELETION_DELAY_MS", "0").start().await.unwrap()
}

/// An upload of two parts: its id and the ETags.
async fn upload(client: &Client, path: &str) -> (String, Vec<String>) {
    let created = client.send(Call::new(Method::POST, path).query("uploads", "")).await.unwrap();
    let id = created.elements("UploadId").remove(0);
    let mut etags = Vec::new();
    // The least that S3 takes of a part but the last.
    for (number, bytes) in [("1", vec![b'1'; 5 << 20]), ("2", b"second".to_vec())] {
        let part = Call::new(Method::PUT, path).query("partNumber", number).query("uploadId", &id).body(bytes);
        etags.push(client.send(part).await.unwrap().header("etag").to_owned());
    }
    (id, etags)
}

async fn complete(client: &Client, path: &str, id: &str, etags: &[String]) -> Answer {
    let parts = etags.iter().enumerate().map(|(index, etag)| {
        format!("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", index + 1, etag.replace('"', "&quot;"))
    });
    let document = parts.collect::<String>();
    let document = format!("<CompleteMultipartUpload>{document}</CompleteMultipartUpload>");
    client.send(Call::new(Method::POST, path).query("uploadId", id).body(document)).await.unwrap()
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_is_answered_again() {
    let moto = Moto::start().await.unwrap();
    let gateway = gateway(location(&moto.client().unwrap(), moto.port()).await).await;
    let client = gateway.client().unwrap();
    for (bucket, location) in [("on-files", ""), ("on-s3", "cloud")] {
        assert_eq!(client.create_bucket(bucket, location).await.unwrap().status, 200);
        let path = format!("{bucket}/a key");
        let (id, etags) = upload(&client, &path).await;
        let first = complete(&client, &path, &id, &etags).await;
        assert_eq!(first.status, 200, "{}", first.text());
        assert_eq!(first.elements("Location"), [format!("{}/{bucket}/a%20key", gateway.endpoint())]);
        let again = complete(&client, &path, &id, &etags).await;
        assert_eq!(again.status, 200, "{bucket}: {}", again.text());
        assert_eq!(again.text(), first.text());
        let other = complete(&client, &path, &id, &etags[..1]).await;
        assert_eq!((other.status.as_u16(), other.code().as_str()), (404, "NoSuchUpload"), "other parts");
        assert_eq!(client.get(&path).await.unwrap().body.len(), (5 << 20) + 6);
        client.put(&path, "overwritten").await.unwrap();
        let gone = complete(&client, &path, &id, &etags).await;
        assert_eq!((gone.status.as_u16(), gone.code().as_str()), (404, "NoSuchUpload"), "it is another object now");
    }
}

#[tokio::test]
async fn a_long_completion_keeps_its_connection_alive() {
    let moto = Moto::start().await.unwrap();
    let backend = moto.client().unwrap();
    let chaos = Chaos::before(moto.port()).await.unwrap();
    let gateway = gateway(location(&backend, chaos.port()).await).await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("slow", "cloud").await.unwrap().status, 200);
    let (id, etags) = upload(&client, "slow/good").await;
    let (lost, lost_etags) = upload(&client, "slow/lost").await;
    let quick = complete(&client, "slow/good", &id, &[String::from("\"0\"")]).await;
    assert_eq!((quick.status.as_u16(), quick.code().as_str()), (400, "InvalidPart"), "a quick error has its status");

    chaos.turn(Mood::Slow(Duration::from_millis(700)));
    let answer = complete(&client, "slow/good", &id, &etags).await;
    assert_eq!(answer.status, 200);
    let text = answer.text();
    let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    let rest = text.strip_prefix(declaration).unwrap_or_else(|| panic!("no declaration first: {text}"));
    assert!(rest.starts_with(' ') && rest.trim_start().starts_with("<CompleteMultipartUploadResult"), "{text}");
    assert!(answer.elements("ETag").remove(0).contains("-2"));

    // The backend lost the upload: the status is out by the time that it says so.
    let open = backend.send(Call::new(Method::GET, "cloud").query("uploads", "")).await.unwrap();
    let theirs = open.elements("UploadId").remove(0);
    let abort = Call::new(Method::DELETE, "cloud/lost").query("uploadId", &theirs);
    assert_eq!(backend.send(abort).await.unwrap().status, 204);
    let answer = complete(&client, "slow/lost", &lost, &lost_etags).await;
    assert_eq!((answer.status.as_u16(), answer.code().is_empty()), (200, false), "{}", answer.text());
    assert!(answer.text().starts_with(declaration) && !answer.elements("RequestId").remove(0).is_empty());
    chaos.turn(Mood::Honest);
    assert_eq!(client.get("slow/good").await.unwrap().body.len(), (5 << 20) + 6);
    assert_eq!(client.get("slow/lost").await.unwrap().status, 404);
}

#[tokio::test]
async fn headers_that_name_places_and_owners_mean_what_they_say() {
    let moto = Moto::start().await.unwrap();
    let backend = moto.client().unwrap();
    let gateway = gateway(location(&backend, moto.port()).await).await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);

    // The header is shown to clients, and not to the backend, where it would choose again.
    let put = Call::new(Method::PUT, "bucket/placed").header(LOCATION, "cloud").header("x-amz-meta-a", "b");
    assert_eq!(client.send(put.body("bytes")).await.unwrap().status, 200);
    let theirs = backend.head("cloud/placed").await.unwrap();
    assert_eq!((theirs.header("x-amz-meta-a"), theirs.header(LOCATION)), ("b", ""));
    for answer in [client.head("bucket/placed").await.unwrap(), client.get("bucket/placed").await.unwrap()] {
        assert_eq!((answer.header("x-amz-meta-a"), answer.header(LOCATION)), ("b", "cloud"));
    }
    let copy = Call::new(Method::PUT, "bucket/copy").header("x-amz-copy-source", "bucket/placed");
    assert_eq!(client.send(copy).await.unwrap().status, 200);
    assert_eq!(client.head("bucket/copy").await.unwrap().header(LOCATION), "us-east-1", "where the copy is");
    assert_eq!(backend.head("cloud/copy").await.unwrap().status, 404);

    for (name, owner, status) in [
        ("x-amz-expected-bucket-owner", "123456789012", 200),
        ("x-amz-expected-bucket-owner", "123456789013", 403),
        ("x-amz-expected-bucket-owner", "somebody", 403),
    ] {
        let head = Call::new(Method::HEAD, "bucket/placed").header(name, owner);
        assert_eq!(client.send(head).await.unwrap().status, status, "{name}: {owner}");
    }

    let (id, _) = upload(&client, "bucket/target").await;
    for (range, status, code) in [
        ("bytes=0-4", 200, ""),
        ("bytes=0-21", 416, "InvalidRange"),
        ("bytes=5-5", 416, "InvalidRange"),
        ("bytes=hello-world", 400, "InvalidArgument"),
        ("0-2", 400, "InvalidArgument"),
        ("bytes=0-2,3-5", 400, "InvalidArgument"),
    ] {
        let part = Call::new(Method::PUT, "bucket/target").query("partNumber", "3").query("uploadId", &id);
        let part = part.header("x-amz-copy-source", "bucket/placed").header("x-amz-copy-source-range", range);
        let answer = client.send(part).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{range}: {}", answer.text());
    }
}

#[tokio::test]
async fn attributes_of_parts_that_are_not_there_are_none() {
    let gateway = Setup::with_locations(json!({})).environment("MPU_TESTING", "yes").start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    let (id, etags) = upload(&client, "bucket/parts").await;
    assert_eq!(complete(&client, "bucket/parts", &id, &etags).await.status, 200);
    let listed = async |marker: &str| {
        let call = Call::new(Method::GET, "bucket/parts").query("attributes", "");
        let call = call.header("x-amz-object-attributes", "ObjectParts").header("x-amz-part-number-marker", marker);
        let answer = client.send(call).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.elements("IsTruncated")), (200, vec!["false".to_owned()]));
        answer.elements("Part").len()
    };
    assert_eq!(listed("0").await, etags.len());
    assert_eq!(listed("18446744073709551615").await, 0);
}

#[tokio::test]
async fn who_reads_the_backend_sees_what_s3_clients_see() {
    let moto = Moto::start().await.unwrap();
    let backend = moto.client().unwrap();
    let gateway = gateway(location(&backend, moto.port()).await).await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "cloud").await.unwrap().status, 200);
    client.put("bucket/null", "from before").await.unwrap();
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    client.send(Call::new(Method::PUT, "bucket").query("versioning", "").body(enabled)).await.unwrap();

    client.put("bucket/key", "bytes").await.unwrap();
    let mut markers = Vec::new();
    for key in ["key", "null"] {
        let deleted = client.delete(&format!("bucket/{key}")).await.unwrap();
        assert_eq!((deleted.status.as_u16(), deleted.header("x-amz-delete-marker")), (204, "true"));
        markers.push(deleted.header("x-amz-version-id").to_owned());
        becomes(&backend, &format!("cloud/{key}"), 404).await;
    }
    for (key, marker) in ["key", "null"].into_iter().zip(markers) {
        let path = format!("bucket/{key}");
        let gone = client.send(Call::new(Method::DELETE, &path).query("versionId", &marker)).await.unwrap();
        assert_eq!(gone.status, 204);
        assert_eq!(client.get(&path).await.unwrap().status, 200);
        becomes(&backend, &format!("cloud/{key}"), 200).await;
    }
    assert_eq!(backend.get("cloud/key").await.unwrap().text(), "bytes");

    // What comes back at once is never hidden, and what was never there leaves nothing.
    client.delete("bucket/key").await.unwrap();
    client.put("bucket/key", "again").await.unwrap();
    client.delete("bucket/absent").await.unwrap();
    client.delete("bucket/null").await.unwrap();
    becomes(&backend, "cloud/null", 404).await;
    assert_eq!(backend.get("cloud/key").await.unwrap().text(), "again");
    let listed = backend.send(Call::new(Method::GET, "cloud").query("versions", "")).await.unwrap();
    assert!(!listed.elements("Key").contains(&"absent".to_owned()), "{}", listed.text());
}

/// Waits until a key has this status.
async fn becomes(backend: &Client, path: &str, status: u16) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let answer = backend.get(path).await.unwrap();
        if answer.status == status {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{path} is still {}", answer.status);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
