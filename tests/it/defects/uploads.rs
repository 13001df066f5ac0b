//! Multipart uploads: what they keep, what they hinder, how they end.

use super::{LARGE, LOCATIONS, World, complete, create_upload, part};
use hyper::Method;
use sallyport_tests::client::{Answer, Call};
use sallyport_tests::commands::boto3;
use sallyport_tests::gateway::Setup;
use sallyport_tests::stage::Stage;
use serde_json::json;
use std::time::Duration;

/// I: aborting an upload with a copied part hung until the client's timeout.
#[tokio::test]
async fn an_upload_with_a_copied_part_is_aborted_at_once_and_frees_all() {
    let world = World::start().await;
    for location in LOCATIONS {
        let (source, path) = (format!("{location}/source"), format!("{location}/parts"));
        world.put(&source, vec![7; LARGE]).await;
        let upload = create_upload(&world, Call::new(Method::POST, &path)).await;
        for (number, range) in [(1, None), (2, Some("bytes=10-99999"))] {
            let mut call = part(&path, &upload, number).header("x-amz-copy-source", &source);
            if let Some(range) = range {
                call = call.header("x-amz-copy-source-range", range);
            }
            let copied = world.send(call).await;
            assert!(copied.text().contains("<CopyPartResult"), "{location}: {}", copied.text());
        }
        let abort = Call::new(Method::DELETE, &path).query("uploadId", &upload);
        let aborted = tokio::time::timeout(Duration::from_secs(20), world.send(abort)).await.expect("it hangs");
        assert_eq!(aborted.status, 204, "{location}");
        let parts = world.send(Call::new(Method::GET, &path).query("uploadId", &upload)).await;
        assert_eq!(parts.code(), "NoSuchUpload", "{location}");
        world.keeps(location, 1, "after an abort").await;
    }
}

/// J: ListParts had dates that no SDK could read.
#[tokio::test]
async fn parts_are_listed_with_dates_that_sdks_read() {
    let world = World::start().await;
    for location in LOCATIONS {
        let path = format!("{location}/parts");
        let upload = create_upload(&world, Call::new(Method::POST, &path)).await;
        assert_eq!(world.send(part(&path, &upload, 1).body("bytes")).await.status, 200);
        let script = format!(
            "import datetime\n\
             page = s3.list_parts(Bucket='{location}', Key='parts', UploadId='{upload}')\n\
             part = page['Parts'][0]\n\
             age = datetime.datetime.now(datetime.timezone.utc) - part['LastModified']\n\
             print(part['PartNumber'], part['Size'], abs(age.total_seconds()) < 300)\n"
        );
        assert_eq!(boto3(&world.gateway, &script).await.unwrap().trim(), "1 5 True", "{location}");
    }
}

/// K: uploads in parts lost metadata, tags and type on Azure, and content headers reached no
/// backend at all.
#[tokio::test]
async fn an_upload_in_parts_shows_on_its_backend_what_a_single_write_shows() {
    let world = World::start().await;
    for location in ["aws", "plain-aws", "azure"] {
        let describe = |call: Call| {
            call.header("content-type", "text/x-kept")
                .header("cache-control", "max-age=7")
                .header("content-disposition", "attachment; filename=\"a.txt\"")
                .header("content-language", "eo")
                .header("x-amz-meta-colour", "green")
                .header("x-amz-tagging", "team=red")
        };
        let path = |key: &str| format!("{location}/{key}");
        let put = describe(Call::new(Method::PUT, &path("single"))).body("bytes");
        assert_eq!(world.send(put).await.status, 200);
        let upload = create_upload(&world, describe(Call::new(Method::POST, &path("parts")))).await;
        let stored = world.send(part(&path("parts"), &upload, 1).body("bytes")).await;
        complete(&world, &path("parts"), &upload, &[stored.header("etag").to_owned()]).await;
        for key in ["single", "parts"] {
            let colour = if location == "azure" { "x-ms-meta-colour" } else { "x-amz-meta-colour" };
            // Where overwriting loses, an upload has a place of its own, not the plain one.
            let single = format!("{location}/single");
            let kept = world.kept(location).await;
            let name = kept.into_iter().find(|name| (*name == single) == (key == "single")).expect("it has a name");
            let shown = world.shown(location, &name).await;
            assert_eq!(shown.text(), "bytes", "{location} {key}");
            for (name, value) in [
                ("content-type", "text/x-kept"),
                ("cache-control", "max-age=7"),
                ("content-disposition", "attachment; filename=\"a.txt\""),
                ("content-language", "eo"),
                (colour, "green"),
            ] {
                assert_eq!(shown.header(name), value, "{location} {key} {name}");
            }
            let ours = world.client.head(&path(key)).await.unwrap();
            assert_eq!((ours.header("content-type"), ours.header("x-amz-meta-colour")), ("text/x-kept", "green"));
            assert_eq!(ours.header("x-amz-tagging-count"), "1", "{location} {key}");
        }
    }
}

/// L: an encrypted bucket's parts lay on the backend in the clear and were reported as
/// encrypted.
#[tokio::test]
async fn parts_of_an_encrypted_bucket_are_encrypted_as_its_whole_objects_are() {
    let world = World::start().await;
    let rule = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256\
                </SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
    let secret = "nobody may find these plain bytes";
    let reported = |answer: &Answer| answer.header("x-amz-server-side-encryption").to_owned();
    for location in LOCATIONS {
        let configured = world.send(Call::new(Method::PUT, location).query("encryption", "").body(rule)).await;
        assert_eq!(configured.status, 200, "{location}");
        let (whole, path) = (format!("{location}/whole"), format!("{location}/parts"));
        assert_eq!(reported(&world.put(&whole, secret).await), "AES256", "{location}");
        let upload = create_upload(&world, Call::new(Method::POST, &path)).await;
        let mut etags = Vec::new();
        for number in [1, 2] {
            let stored = world.send(part(&path, &upload, number).body(secret)).await;
            assert_eq!(reported(&stored), "AES256", "{location} {number}");
            etags.push(stored.header("etag").to_owned());
        }
        assert_eq!(reported(&complete(&world, &path, &upload, &etags).await), "AES256", "{location}");
        let kept = world.kept(location).await;
        assert!(kept.len() >= 2, "{location}: {kept:?}");
        for name in kept {
            let bytes = match location {
                "us-east-1" => std::fs::read(&name).unwrap(),
                _ => world.shown(location, &name).await.body.to_vec(),
            };
            assert!(!bytes.is_empty() && !String::from_utf8_lossy(&bytes).contains("plain bytes"), "{location} {name}");
        }
        assert_eq!(world.text(&whole).await, secret, "{location}");
        assert_eq!(world.text(&path).await, secret.repeat(2), "{location}");
    }
}

/// L: a location's `serverSideEncryption` reached single writes and no uploads in parts.
#[tokio::test]
async fn a_location_that_encrypts_does_so_for_uploads_in_parts_too() {
    let stage = Stage::start().await.unwrap();
    let mut encrypted = stage.locations()["aws"].clone();
    encrypted["details"]["serverSideEncryption"] = true.into();
    let gateway = Setup::with_locations(json!({ "encrypted": encrypted }))
        .environment("MPU_TESTING", "yes")
        .start()
        .await
        .unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("encrypted", "encrypted").await.unwrap().status, 200);
    assert_eq!(client.put("encrypted/single", "bytes").await.unwrap().status, 200);
    let world = World { stage, gateway, client };
    let upload = create_upload(&world, Call::new(Method::POST, "encrypted/parts")).await;
    let stored = world.send(part("encrypted/parts", &upload, 1).body("bytes")).await;
    complete(&world, "encrypted/parts", &upload, &[stored.header("etag").to_owned()]).await;
    for key in ["single", "parts"] {
        let shown = world.shown("aws", &format!("encrypted/{key}")).await;
        assert_eq!((shown.text().as_str(), shown.header("x-amz-server-side-encryption")), ("bytes", "AES256"), "{key}");
    }
}

/// N: an open upload hindered writes of every key that its own began with.
#[tokio::test]
async fn an_open_upload_hinders_no_write_of_its_key_or_of_its_beginnings() {
    let world = World::start().await;
    for location in LOCATIONS {
        let path = |key: &str| format!("{location}/{key}");
        let first = create_upload(&world, Call::new(Method::POST, &path("a/b/c"))).await;
        let second = create_upload(&world, Call::new(Method::POST, &path("a/b/c"))).await;
        let stored = world.send(part(&path("a/b/c"), &first, 1).body("first")).await;
        for key in ["a", "a/b", "a/b/", "a/b/c", "a/b/c/d"] {
            world.put(&path(key), key).await;
            world.put(&path(key), key).await;
            assert_eq!(world.text(&path(key)).await, key, "{location}");
            assert_eq!(world.client.delete(&path(key)).await.unwrap().status, 204, "{location} {key}");
        }
        let other = world.send(part(&path("a/b/c"), &second, 1).body("second")).await;
        for (upload, stored, bytes) in [(first, stored, "first"), (second, other, "second")] {
            complete(&world, &path("a/b/c"), &upload, &[stored.header("etag").to_owned()]).await;
            assert_eq!(world.text(&path("a/b/c")).await, bytes, "{location}");
        }
        world.keeps(location, 1, "after two uploads of one key").await;
    }
}
