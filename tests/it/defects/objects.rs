//! Single objects: copies, refused writes, ranges, versions, what is left behind.

use super::{LARGE, LOCATIONS, World, copy, copy_of_version, version};
use hyper::Method;
use sallyport_tests::client::Call;
use sallyport_tests::stage::set_versioning;

/// A, O: CloudServer copied the newest bytes under the old version's size, and dropped the
/// backend's version id of an empty copy.
#[tokio::test]
async fn a_copy_has_the_bytes_of_the_version_it_names() {
    let world = World::start().await;
    for location in LOCATIONS {
        assert_eq!(set_versioning(&world.client, location, "Enabled").await.unwrap(), 200);
        let path = |key: &str| format!("{location}/{key}");
        let old = world.put(&path("key"), "the old bytes").await.header("x-amz-version-id").to_owned();
        world.put(&path("key"), "newer").await;
        let answer = world.send(copy_of_version(&path("copy"), &path("key"), &old)).await;
        assert!(answer.text().contains("<CopyObjectResult"), "{location}: {}", answer.text());
        assert_eq!(answer.header("x-amz-copy-source-version-id"), old, "{location}");
        assert_eq!(world.text(&path("copy")).await, "the old bytes", "{location}");
        let head = world.client.head(&path("copy")).await.unwrap();
        assert_eq!(head.header("content-length"), "13", "{location}");
        // Into another location, and back from there.
        for other in LOCATIONS.into_iter().filter(|other| *other != location) {
            let to = format!("{other}/from-{location}");
            let answer = world.send(copy_of_version(&to, &path("key"), &old)).await;
            assert!(answer.text().contains("<CopyObjectResult"), "{to}: {}", answer.text());
            assert_eq!(world.text(&to).await, "the old bytes", "{to}");
        }
        // An empty object's versions are told apart, and each goes for good.
        world.put(&path("empty"), "").await;
        let copied = world.send(copy(&path("empty-copy"), &path("empty"))).await;
        let id = copied.header("x-amz-version-id").to_owned();
        assert!(!id.is_empty(), "{location}");
        let gone = world.send(version(Call::new(Method::DELETE, &path("empty-copy")), &id)).await;
        assert_eq!((gone.status.as_u16(), gone.header("x-amz-delete-marker")), (204, ""), "{location}");
        let get = world.send(version(Call::new(Method::GET, &path("empty-copy")), &id)).await;
        assert_eq!((get.status.as_u16(), get.code().as_str()), (404, "NoSuchVersion"), "{location}");
    }
}

/// B: keys with `?`, `+`, `%` or beyond ASCII could not be copied.
#[tokio::test]
async fn keys_with_special_characters_are_copied_within_and_between_locations() {
    let world = World::start().await;
    let keys = ["a?b", "a+b c", "ä/ö€", "50%/%2F", "a&b=c", "quote'\"", "#hash;semi", "~tilde!*()"];
    for location in LOCATIONS {
        for key in keys {
            let source = format!("{location}/{key}");
            world.put(&source, key).await;
            for to in [format!("{location}/copies/{key}"), format!("us-east-1/{location}/{key}")] {
                let answer = world.send(copy(&to, &source)).await;
                assert!(answer.text().contains("<CopyObjectResult"), "{source} to {to}: {}", answer.text());
                assert_eq!(world.text(&to).await, key, "{to}");
            }
        }
    }
}

/// C: the range `bytes=0-0` streamed the whole blob under a length of one.
#[tokio::test]
async fn every_range_answers_exactly_its_bytes() {
    let world = World::start().await;
    for location in LOCATIONS {
        let path = format!("{location}/key");
        world.put(&path, "0123456789").await;
        for (range, bytes, shown) in [
            ("bytes=0-0", "0", "bytes 0-0/10"),
            ("bytes=0-", "0123456789", "bytes 0-9/10"),
            ("bytes=9-9", "9", "bytes 9-9/10"),
            ("bytes=-1", "9", "bytes 9-9/10"),
            ("bytes=3-100", "3456789", "bytes 3-9/10"),
        ] {
            let answer = world.send(Call::new(Method::GET, &path).header("range", range)).await;
            assert_eq!((answer.status.as_u16(), answer.text().as_str()), (206, bytes), "{location} {range}");
            assert_eq!(answer.header("content-range"), shown, "{location} {range}");
            assert_eq!(answer.header("content-length"), bytes.len().to_string(), "{location} {range}");
        }
    }
}

/// D, S: a wrong Content-MD5 destroyed the object that was there before, a wrong checksum
/// and `If-None-Match` were ignored.
#[tokio::test]
async fn a_write_that_is_refused_leaves_the_object_before_it() {
    let world = World::start().await;
    for location in LOCATIONS {
        for size in [10, LARGE] {
            let path = format!("{location}/key-{size}");
            world.put(&path, "before").await;
            for (name, value, status, code) in [
                ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==", 400, "BadDigest"),
                ("x-amz-checksum-crc32", "AAAAAA==", 400, "BadDigest"),
                ("if-none-match", "*", 412, "PreconditionFailed"),
                ("if-match", "\"0123456789abcdef0123456789abcdef\"", 412, "PreconditionFailed"),
            ] {
                let call = Call::new(Method::PUT, &path).header(name, value).body(vec![7; size]);
                let answer = world.send(call).await;
                let told = (answer.status.as_u16(), answer.code());
                assert_eq!(told, (status, code.to_owned()), "{location} {name} {size}");
                assert_eq!(world.text(&path).await, "before", "{location} {name} {size}");
            }
        }
        // H: nothing of what was refused stays.
        world.keeps(location, 2, "after refused writes").await;
    }
}

/// H: what was overwritten, deleted or refused stayed on the backend for ever.
#[tokio::test]
async fn overwrites_and_deletes_free_the_backend() {
    let world = World::start().await;
    for location in LOCATIONS {
        let path = format!("{location}/key");
        for size in [10, LARGE, 0, 20] {
            world.put(&path, vec![7; size]).await;
        }
        world.keeps(location, 1, "after overwrites").await;
        // Also when another location takes over.
        let elsewhere = if location == "us-east-1" { "azure" } else { "us-east-1" };
        let call = Call::new(Method::PUT, &path).header("x-amz-meta-scal-location-constraint", elsewhere);
        assert_eq!(world.send(call.body("moved")).await.status, 200, "{location}");
        world.keeps(location, 0, "after an overwrite elsewhere").await;
        assert_eq!(world.text(&path).await, "moved");
        world.put(&path, "back").await;
        world.keeps(elsewhere, 0, "after an overwrite back").await;
        assert_eq!(world.client.delete(&path).await.unwrap().status, 204);
        world.keeps(location, 0, "after a delete").await;
    }
}

/// H, with versions: each is freed with its own deletion, and no delete marker of the
/// backend's outlives them.
#[tokio::test]
async fn deleting_versions_frees_each_of_them() {
    let world = World::start().await;
    for location in LOCATIONS {
        assert_eq!(set_versioning(&world.client, location, "Enabled").await.unwrap(), 200);
        let path = format!("{location}/key");
        let mut ids = Vec::new();
        for body in ["one", "two", "three"] {
            ids.push(world.put(&path, body).await.header("x-amz-version-id").to_owned());
        }
        let marker = world.client.delete(&path).await.unwrap();
        ids.push(marker.header("x-amz-version-id").to_owned());
        for id in ids {
            assert_eq!(world.send(version(Call::new(Method::DELETE, &path), &id)).await.status, 204, "{location}");
        }
        world.keeps(location, 0, "after all versions were deleted").await;
    }
}

/// P: a delete marker in a suspended bucket overwrote the blob with an empty one.
#[tokio::test]
async fn a_delete_marker_overwrites_no_bytes() {
    let world = World::start().await;
    for location in LOCATIONS {
        let path = format!("{location}/key");
        assert_eq!(set_versioning(&world.client, location, "Enabled").await.unwrap(), 200);
        let kept = world.put(&path, "a version").await.header("x-amz-version-id").to_owned();
        assert_eq!(set_versioning(&world.client, location, "Suspended").await.unwrap(), 200);
        let marker = world.client.delete(&path).await.unwrap();
        assert_eq!(marker.header("x-amz-delete-marker"), "true", "{location}");
        assert_eq!(world.client.get(&path).await.unwrap().status, 404, "{location}");
        let get = world.send(version(Call::new(Method::GET, &path), &kept)).await;
        assert_eq!(get.text(), "a version", "{location}");
        // A backend with versions shows a marker of its own beside them.
        let kept = if location == "aws" { 2 } else { 1 };
        world.keeps(location, kept, "under a delete marker").await;
    }
}

/// Q: each read asked the backend twice.
#[tokio::test]
async fn a_read_asks_the_backend_once_and_a_look_at_metadata_not_at_all() {
    let world = World::start().await;
    for (location, chaos) in [
        ("aws", &world.stage.before_moto),
        ("plain-aws", &world.stage.before_moto),
        ("azure", &world.stage.before_azurite),
    ] {
        let path = format!("{location}/key");
        world.put(&path, "bytes").await;
        for (what, call, asked) in [
            ("GET", Call::new(Method::GET, &path), 1),
            ("a range", Call::new(Method::GET, &path).header("range", "bytes=1-2"), 1),
            ("HEAD", Call::new(Method::HEAD, &path), 0),
            ("tags", Call::new(Method::GET, &path).query("tagging", ""), 0),
            ("a listing", Call::new(Method::GET, location).query("list-type", "2"), 0),
            ("a miss", Call::new(Method::GET, &format!("{location}/absent")), 0),
            ("not modified", Call::new(Method::GET, &path).header("if-none-match", "*"), 0),
        ] {
            // The health check or the sweeper may have asked something meanwhile.
            let mut seen = Vec::new();
            for _ in 0..5 {
                let before = chaos.requests();
                world.send(call.clone()).await;
                seen.push(chaos.requests() - before);
                if seen.last() == Some(&asked) {
                    break;
                }
            }
            assert_eq!(seen.last(), Some(&asked), "{what} on {location} asked {seen:?} times");
        }
    }
}

/// R: the header that chooses a location leaked to the backend.
#[tokio::test]
async fn the_header_that_chooses_a_location_does_not_reach_the_backend() {
    let world = World::start().await;
    for location in ["aws", "plain-aws", "azure"] {
        let path = format!("us-east-1/{location}");
        let call = Call::new(Method::PUT, &path).header("x-amz-meta-scal-location-constraint", location);
        assert_eq!(world.send(call.header("x-amz-meta-mine", "kept").body("bytes")).await.status, 200);
        let shown = world.shown(location, &path).await;
        assert_eq!(shown.text(), "bytes", "{location}");
        let told = format!("{:?}", shown.headers);
        assert!(told.contains("mine") && !told.contains("scal"), "{location}: {told}");
    }
}

/// S: boto3's DeleteObjects, which has a checksum and no Content-MD5, was refused.
#[tokio::test]
async fn many_objects_are_deleted_with_any_digest_and_a_wrong_one_deletes_none() {
    let world = World::start().await;
    let body = "<Delete><Object><Key>key</Key></Object></Delete>";
    for location in LOCATIONS {
        let path = format!("{location}/key");
        world.put(&path, "bytes").await;
        let call = || Call::new(Method::POST, location).query("delete", "").body(body);
        for (name, value) in [("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="), ("x-amz-checksum-crc32", "AAAAAA==")] {
            let answer = world.send(call().header(name, value)).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "BadDigest"), "{location} {name}");
        }
        assert_eq!(world.text(&path).await, "bytes");
        let answer = world.send(call().header("x-amz-checksum-sha256", &sha256(body))).await;
        assert!(answer.text().contains("<Deleted><Key>key</Key>"), "{location}: {}", answer.text());
        world.keeps(location, 0, "after DeleteObjects").await;
    }
}

fn sha256(text: &str) -> String {
    use base64::Engine;
    let digest = hex::decode(sallyport_tests::signing::sha256(text.as_bytes())).unwrap();
    base64::engine::general_purpose::STANDARD.encode(digest)
}
