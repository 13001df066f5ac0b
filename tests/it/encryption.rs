//! Server-side encryption, end to end: what backends hold, what readers get, what keys open.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use md5::{Digest, Md5};
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::stage::{CLOUD, PLAIN, Stage};
use sallyport_tests::wait::until;
use serde_json::json;
use std::path::Path;

/// What no file and no backend may hold.
const MARK: &[u8] = b"plain bytes that nobody may find";
/// Plain bytes of a chunk.
const CHUNK: usize = 64 << 10;
/// How a request asks for encryption.
const S3: &[(&str, &str)] = &[("x-amz-server-side-encryption", "AES256")];
const KMS: &[(&str, &str)] =
    &[("x-amz-server-side-encryption", "aws:kms"), ("x-amz-server-side-encryption-aws-kms-key-id", "one")];

type Headers = Vec<(String, String)>;

fn owned(headers: &[(&str, &str)]) -> Headers {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A client's own key, under `prefix` (`x-amz-` or `x-amz-copy-source-`).
fn customer(prefix: &str, byte: u8) -> Headers {
    let key = [byte; 32];
    let name = |name: &str| format!("{prefix}server-side-encryption-customer-{name}");
    vec![
        (name("algorithm"), "AES256".to_owned()),
        (name("key"), STANDARD.encode(key)),
        (name("key-md5"), STANDARD.encode(Md5::digest(key))),
    ]
}

fn own(byte: u8) -> Headers {
    customer("x-amz-", byte)
}

fn call(method: Method, path: &str, headers: &Headers) -> Call {
    headers.iter().fold(Call::new(method, path), |call, (name, value)| call.header(name, value))
}

async fn put(client: &Client, path: &str, body: &[u8], headers: &Headers) -> Answer {
    let mut call = call(Method::PUT, path, headers).body(body.to_vec());
    if body.is_empty() {
        call = call.header("content-length", "0");
    }
    let answer = client.send(call).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer
}

async fn get(client: &Client, path: &str, headers: &Headers) -> Answer {
    client.send(call(Method::GET, path, headers)).await.unwrap()
}

async fn range(client: &Client, path: &str, headers: &Headers, first: usize, last: usize) -> Answer {
    let call = call(Method::GET, path, headers).header("range", &format!("bytes={first}-{last}"));
    client.send(call).await.unwrap()
}

/// Bytes of which every chunk differs and the mark is everywhere.
fn marked(size: usize) -> Vec<u8> {
    let line = |index: usize| [MARK, format!(" {index} ").as_bytes()].concat();
    (0..).flat_map(line).take(size).collect()
}

fn holds(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).any(|window| window == MARK)
}

fn files_hold(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().map(Result::unwrap).any(|entry| match entry.file_type().unwrap().is_dir() {
        true => files_hold(&entry.path()),
        false => holds(&std::fs::read(entry.path()).unwrap()),
    })
}

async fn started(setup: Setup) -> (Gateway, Client) {
    let gateway = setup.environment("SALLYPORT_KMS_CREATE_KEYS", "true").start().await.unwrap();
    let client = gateway.client().unwrap();
    (gateway, client)
}

/// Stores `body` in parts of this size.
async fn upload(client: &Client, path: &str, body: &[u8], part: usize, headers: &Headers) -> Answer {
    let create = client.send(call(Method::POST, path, headers).query("uploads", "")).await.unwrap();
    assert_eq!(create.status, 200, "{}", create.text());
    let id = create.elements("UploadId").remove(0);
    // Of SSE-C, parts come with the key; of the others, only the upload asks.
    let on_parts: Headers = headers.iter().filter(|(name, _)| name.contains("customer")).cloned().collect();
    let mut listed = String::new();
    for (index, bytes) in body.chunks(part).enumerate() {
        let number = (index + 1).to_string();
        let call = call(Method::PUT, path, &on_parts).query("uploadId", &id).query("partNumber", &number);
        let stored = client.send(call.body(bytes.to_vec())).await.unwrap();
        assert_eq!(stored.status, 200, "{}", stored.text());
        let etag = stored.header("etag");
        listed.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"));
    }
    let document = format!("<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>");
    let complete = call(Method::POST, path, &on_parts).query("uploadId", &id).body(document);
    let completed = client.send(complete).await.unwrap();
    assert_eq!(completed.status, 200, "{}", completed.text());
    completed
}

/// Small and large bodies, ranges over the borders of chunks and parts, under each method.
async fn every_method_stores_and_reads(client: &Client, bucket: &str) {
    let part = (5 << 20) + 17;
    let (large, parts) = (marked(3 * CHUNK + 5), marked(part + 2 * CHUNK + 1));
    for (name, asked, on_reads) in
        [("s3", owned(S3), Headers::new()), ("kms", owned(KMS), Headers::new()), ("own", own(1), own(1))]
    {
        for (size, body) in [("empty", &[][..]), ("small", MARK), ("large", &large)] {
            let path = format!("{bucket}/{name}/{size}");
            let stored = put(client, &path, body, &asked).await;
            let plain_etag = stored.header("etag").trim_matches('"') == hex::encode(Md5::digest(body));
            assert_eq!(plain_etag, name == "s3", "{path}");
            let read = get(client, &path, &on_reads).await;
            assert!(read.body == body, "{path}: {}", read.status);
            assert_eq!(read.header("etag"), stored.header("etag"), "{path}");
            assert_eq!(read.header("content-length"), body.len().to_string(), "{path}");
            shows(name, &stored);
            shows(name, &read);
        }
        let path = format!("{bucket}/{name}/large");
        for (first, last) in [(0, 0), (CHUNK - 1, CHUNK), (1, 3 * CHUNK), (3 * CHUNK, 3 * CHUNK + 4), (7, 70_000)] {
            let read = range(client, &path, &on_reads, first, last).await;
            assert!(read.status == 206 && read.body == large[first..=last], "{path} {first}-{last}");
        }
        let path = format!("{bucket}/{name}/parts");
        shows(name, &upload(client, &path, &parts, part, &asked).await);
        let read = get(client, &path, &on_reads).await;
        assert!(read.body == parts, "{path}: {} {}", read.status, read.body.len());
        for (first, last) in [(part - 1, part), (part, part), (part + CHUNK - 1, part + CHUNK), (100, part + 100)] {
            let read = range(client, &path, &on_reads, first, last).await;
            assert!(read.status == 206 && read.body == parts[first..=last], "{path} {first}-{last}");
        }
    }
}

fn shows(name: &str, answer: &Answer) {
    let shown = |name: &str| answer.header(&format!("x-amz-server-side-encryption{name}")).to_owned();
    match name {
        "s3" => assert_eq!(shown(""), "AES256"),
        "kms" => assert_eq!((shown(""), shown("-aws-kms-key-id")), ("aws:kms".to_owned(), "one".to_owned())),
        _ => assert_eq!(
            (shown("-customer-algorithm"), shown("-customer-key-md5")),
            ("AES256".to_owned(), STANDARD.encode(Md5::digest([1; 32])))
        ),
    }
}

#[tokio::test]
async fn a_folder_holds_no_plain_byte_and_everything_reads_back_after_a_restart() {
    let (mut gateway, client) = started(Setup::with_locations(json!({}))).await;
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    every_method_stores_and_reads(&client, "bucket").await;
    assert!(!files_hold(&gateway.folder().join("data")), "a file has plain bytes");
    assert!(!files_hold(&gateway.folder().join("metadata")), "the database has plain bytes");
    let keys = [[1_u8; 32].to_vec(), STANDARD.encode([1; 32]).into_bytes()];
    let database = std::fs::read(gateway.folder().join("metadata/metadata.sqlite")).unwrap();
    assert!(keys.iter().all(|key| !database.windows(key.len()).any(|window| window == key)), "a client's key is kept");
    assert!(!gateway.log().contains(&STANDARD.encode([1; 32])), "a client's key is logged");
    gateway.stop_and_restart().await.unwrap();
    let client = gateway.client().unwrap();
    for (name, on_reads) in [("s3", Headers::new()), ("kms", Headers::new()), ("own", own(1))] {
        assert!(get(&client, &format!("bucket/{name}/large"), &on_reads).await.body == marked(3 * CHUNK + 5), "{name}");
    }
    gateway.stop().await.unwrap();
    let checked = gateway.run(&["fsck"]).await.unwrap();
    assert_eq!(checked.code, Some(0), "{}", checked.output);
    assert!(checked.output.contains(" 0 lost;") && checked.output.contains(" 0 orphans"), "{}", checked.output);
}

#[tokio::test]
async fn clouds_hold_no_plain_byte_either() {
    let stage = Stage::start().await.unwrap();
    let (gateway, client) = started(Setup::with_locations(stage.locations())).await;
    for location in ["aws", "plain-aws", "azure"] {
        let bucket = format!("in-{location}");
        assert_eq!(client.create_bucket(&bucket, location).await.unwrap().status, 200);
        every_method_stores_and_reads(&client, &bucket).await;
    }
    let moto = stage.moto.client().unwrap();
    let keys = moto.keys(CLOUD).await.unwrap();
    assert!(keys.len() >= 12, "{keys:?}");
    for key in keys {
        let stored = moto.get(&format!("{CLOUD}/{key}")).await.unwrap();
        assert!(stored.status == 200 && !holds(&stored.body), "{key}");
    }
    for name in ["small", "large"] {
        let stored = stage.azurite.reader().unwrap().get(CLOUD, &format!("in-azure/s3/{name}")).await.unwrap();
        assert!(stored.status == 200 && !holds(&stored.body), "{name}: {}", stored.status);
        assert!(stored.body.len() % CHUNK != 0);
    }
    drop(gateway);
}

#[tokio::test]
async fn wrong_and_missing_keys_are_refused_as_s3_does() {
    let (_gateway, client) = started(Setup::with_locations(json!({}))).await;
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    put(&client, "bucket/own", MARK, &own(1)).await;
    put(&client, "bucket/s3", MARK, &owned(S3)).await;
    for (path, headers, code) in [
        ("bucket/own", Headers::new(), "InvalidRequest"),
        ("bucket/own", own(2), "InvalidRequest"),
        ("bucket/s3", own(1), "InvalidRequest"),
        ("bucket/s3", owned(S3), "InvalidArgument"),
    ] {
        let read = get(&client, path, &headers).await;
        assert_eq!((read.status.as_u16(), read.code().as_str()), (400, code), "{path}");
        assert_eq!(client.send(call(Method::HEAD, path, &headers)).await.unwrap().status, 400, "{path}");
    }
    let with = |index: usize, value: &str| {
        let mut headers = own(1);
        headers[index].1 = value.to_owned();
        headers
    };
    for (headers, code) in [
        ([own(1), owned(S3)].concat(), "InvalidArgument"),
        (with(0, "AES192"), "InvalidEncryptionAlgorithmError"),
        (with(1, "c2hvcnQ="), "InvalidArgument"),
        (with(2, "AAAAAAAAAAAAAAAAAAAAAA=="), "InvalidArgument"),
        (owned(&[("x-amz-server-side-encryption", "aws:kms:dsse")]), "NotImplemented"),
    ] {
        let refused = client.send(call(Method::PUT, "bucket/refused", &headers).body("x")).await.unwrap();
        assert_eq!(refused.code(), code, "{headers:?}");
    }
    assert_eq!(client.get("bucket/refused").await.unwrap().status, 404);
}

#[tokio::test]
async fn keys_of_clients_stay_at_home_without_tls_when_the_operator_says_so() {
    let setup = Setup::with_locations(json!({})).environment("SALLYPORT_SSE_C_OVER_HTTP", "false");
    let (_gateway, client) = started(setup).await;
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    let refused = client.send(call(Method::PUT, "bucket/key", &own(1)).body("x")).await.unwrap();
    assert!(refused.code() == "InvalidRequest" && refused.text().contains("secure connection"), "{}", refused.text());
    put(&client, "bucket/key", b"x", &owned(S3)).await;
}

#[tokio::test]
async fn copies_go_between_all_methods() {
    let stage = Stage::start().await.unwrap();
    let (_gateway, client) = started(Setup::with_locations(stage.locations())).await;
    let body = marked(2 * CHUNK + 3);
    let methods = [("plain", Headers::new()), ("s3", owned(S3)), ("kms", owned(KMS)), ("own", own(1))];
    for location in ["us-east-1", "aws"] {
        let bucket = format!("copies-{location}");
        assert_eq!(client.create_bucket(&bucket, location).await.unwrap().status, 200);
        for (from, asked) in &methods {
            put(&client, &format!("{bucket}/{from}"), &body, asked).await;
            for (to, wanted) in &methods {
                let source = if *from == "own" { customer("x-amz-copy-source-", 1) } else { Headers::new() };
                let path = format!("{bucket}/{from}-to-{to}");
                let copy = call(Method::PUT, &path, &[wanted.clone(), source].concat())
                    .header("x-amz-copy-source", &format!("/{bucket}/{from}"));
                let copied = client.send(copy).await.unwrap();
                assert_eq!(copied.status, 200, "{path}: {}", copied.text());
                let on_reads = if *to == "own" { own(1) } else { Headers::new() };
                let read = get(&client, &path, &on_reads).await;
                assert!(read.body == body, "{path}: {}", read.status);
                if *to != "plain" {
                    shows(to, &read);
                }
                let is_plain = matches!(*to, "plain" | "s3");
                let etag = read.header("etag").trim_matches('"').to_owned();
                assert_eq!(etag == hex::encode(Md5::digest(&body)), is_plain, "{path}");
            }
            // The source lives on when its copies go, and the other way round.
            assert_eq!(client.delete(&format!("{bucket}/{from}-to-{from}")).await.unwrap().status, 204);
        }
    }
}

#[tokio::test]
async fn encrypted_versions_move_to_another_location_as_they_are_stored() {
    let stage = Stage::start().await.unwrap();
    let setup = Setup::with_locations(stage.locations()).environment("SALLYPORT_LIFECYCLE_DAY_SECONDS", "1");
    let (_gateway, client) = started(setup.environment("SALLYPORT_SWEEP_INTERVAL_MS", "100")).await;
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    let (body, part) = (marked(3 * CHUNK + 5), 5 << 20);
    let parts = marked(part + CHUNK);
    put(&client, "bucket/own", &body, &own(1)).await;
    put(&client, "bucket/s3", MARK, &owned(S3)).await;
    upload(&client, "bucket/parts", &parts, part, &own(1)).await;
    let rule = "<LifecycleConfiguration><Rule><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>\
                <Transition><Days>0</Days><StorageClass>plain-aws</StorageClass></Transition></Rule>\
                </LifecycleConfiguration>";
    let configured = Call::new(Method::PUT, "bucket").query("lifecycle", "").body(rule);
    assert_eq!(client.send(configured).await.unwrap().status, 200);
    for (key, body, on_reads) in [("own", &body[..], own(1)), ("s3", MARK, Headers::new()), ("parts", &parts, own(1))] {
        let path = format!("bucket/{key}");
        until("it moves", async || {
            let shown = client.send(call(Method::HEAD, &path, &on_reads)).await.unwrap();
            shown.header("x-amz-storage-class") == "plain-aws"
        })
        .await;
        assert!(get(&client, &path, &on_reads).await.body == body, "{key}");
    }
    let read = range(&client, "bucket/parts", &own(1), part - 1, part).await;
    assert!(read.body == parts[part - 1..=part]);
    let moto = stage.moto.client().unwrap();
    for key in moto.keys(PLAIN).await.unwrap() {
        assert!(!holds(&moto.get(&format!("{PLAIN}/{key}")).await.unwrap().body), "{key}");
    }
}

#[tokio::test]
async fn a_buckets_default_counts_for_what_asks_for_nothing() {
    let (gateway, client) = started(Setup::with_locations(json!({}))).await;
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    let configuration = |method: Method| Call::new(method, "bucket").query("encryption", "");
    let absent = client.send(configuration(Method::GET)).await.unwrap();
    assert_eq!(absent.code(), "ServerSideEncryptionConfigurationNotFoundError");
    put(&client, "bucket/plain", b"not secret", &Headers::new()).await;
    let document = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
                    <SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>one</KMSMasterKeyID>\
                    </ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule>\
                    </ServerSideEncryptionConfiguration>";
    let configured = client.send(configuration(Method::PUT).body(document)).await.unwrap();
    assert_eq!(configured.status, 200, "{}", configured.text());
    assert!(
        client.send(configuration(Method::GET)).await.unwrap().text().contains("<KMSMasterKeyID>one</KMSMasterKeyID>")
    );
    let stored = put(&client, "bucket/by-default", MARK, &Headers::new()).await;
    shows("kms", &stored);
    assert_eq!(stored.header("x-amz-server-side-encryption-bucket-key-enabled"), "true");
    shows("s3", &put(&client, "bucket/as-asked", MARK, &owned(S3)).await);
    assert!(!files_hold(&gateway.folder().join("data")));
    assert_eq!(client.get("bucket/plain").await.unwrap().header("x-amz-server-side-encryption"), "");
    assert_eq!(client.send(configuration(Method::DELETE)).await.unwrap().status, 204);
    put(&client, "bucket/plain-again", MARK, &Headers::new()).await;
    assert!(files_hold(&gateway.folder().join("data")), "the search itself finds plain bytes");
    assert_eq!(get(&client, "bucket/by-default", &Headers::new()).await.body, MARK);
}

#[tokio::test]
async fn keys_are_rotated_disabled_wrapped_anew_and_backed_up() {
    let mut gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    let unknown = client.send(call(Method::PUT, "bucket/kms", &owned(KMS)).body("x")).await.unwrap();
    assert_eq!(unknown.code(), "KMS.NotFoundException");
    let run = async |gateway: &Gateway, arguments: &[&str]| {
        let ran = gateway.run(arguments).await.unwrap();
        assert_eq!(ran.code, Some(0), "{arguments:?}: {} {}", ran.output, ran.errors);
        ran.output
    };
    run(&gateway, &["key", "create", "one"]).await;
    put(&client, "bucket/kms", MARK, &owned(KMS)).await;
    put(&client, "bucket/s3", MARK, &owned(S3)).await;
    upload(&client, "bucket/parts", &marked(300_000), 300_000, &owned(KMS)).await;
    for name in ["one", "sallyport/s3"] {
        assert!(run(&gateway, &["key", "rotate", name]).await.contains("version 2"));
    }
    let listed = run(&gateway, &["key", "list"]).await;
    assert!(listed.contains("one\tversion 2") && listed.contains("sallyport/s3\tversion 2"), "{listed}");
    let backed_up = run(&gateway, &["backup", "saved.db"]).await;
    assert!(backed_up.contains("saved.db.keys.json") && backed_up.contains("master key"), "{backed_up}");
    run(&gateway, &["key", "disable", "one"]).await;
    gateway.stop_and_restart().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(get(&client, "bucket/kms", &Headers::new()).await.code(), "KMS.DisabledException");
    assert_eq!(client.head("bucket/kms").await.unwrap().status, 200);
    run(&gateway, &["key", "enable", "one"]).await;
    gateway.stop().await.unwrap();
    assert!(run(&gateway, &["key", "rewrap"]).await.contains("3 data keys wrapped anew, 0 as they were, 0 failed"));
    assert!(run(&gateway, &["key", "rewrap"]).await.contains("0 data keys wrapped anew, 3 as they were, 0 failed"));
    let old = std::fs::read(gateway.folder().join("metadata/master.key")).unwrap();
    run(&gateway, &["key", "reseal", "--new"]).await;
    gateway.restart().await.unwrap();
    let client = gateway.client().unwrap();
    for key in ["bucket/kms", "bucket/s3"] {
        assert_eq!(get(&client, key, &Headers::new()).await.body, MARK, "{key}");
    }
    assert!(get(&client, "bucket/parts", &Headers::new()).await.body == marked(300_000));
    gateway.stop().await.unwrap();

    // All is lost but the backup, the master keys that were kept elsewhere, and the bytes.
    let folder = gateway.folder().join("metadata");
    let new = std::fs::read(folder.join("master.key")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let restored = run(&gateway, &["restore", "saved.db"]).await;
    assert!(restored.contains("keys are back"), "{restored}");
    // The backup is older than the new master key, which does not open what it sealed.
    std::fs::write(folder.join("master.key"), new).unwrap();
    gateway.restart().await.unwrap();
    assert_eq!(get(&gateway.client().unwrap(), "bucket/kms", &Headers::new()).await.status, 500);
    assert!(gateway.log().contains("does not open"), "{}", gateway.log());
    gateway.stop().await.unwrap();
    let checked = gateway.run(&["fsck"]).await.unwrap();
    assert_eq!(checked.code, Some(1), "{}", checked.output);
    assert!(checked.output.contains("lost: bucket/kms version null: it is encrypted, and"), "{}", checked.output);
    // Without any, nobody can say what is lost.
    std::fs::remove_file(folder.join("master.key")).unwrap();
    let unchecked = gateway.run(&["fsck"]).await.unwrap();
    assert_eq!(unchecked.code, Some(1), "{}", unchecked.output);
    assert!(unchecked.output.contains("not checked: the key service: "), "{}", unchecked.output);
    assert!(unchecked.output.contains("3 segments, 0 lost"), "{}", unchecked.output);
    std::fs::write(folder.join("master.key"), old).unwrap();
    assert!(run(&gateway, &["fsck"]).await.contains("3 segments, 0 lost"));
    gateway.restart().await.unwrap();
    for key in ["bucket/kms", "bucket/s3"] {
        assert_eq!(get(&gateway.client().unwrap(), key, &Headers::new()).await.body, MARK, "{key}");
    }
}
