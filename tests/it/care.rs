//! Care for the metadata, end to end: backup, restore, fsck, rebind.

use sallyport_tests::client::Client;
use sallyport_tests::gateway::{Gateway, Ran, Setup};
use sallyport_tests::upstream::Moto;
use sallyport_tests::wait::until;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn eager() -> Setup {
    Setup::with_locations(json!({}))
        .environment("SALLYPORT_DELETION_DELAY_MS", "0")
        .environment("SALLYPORT_SWEEP_INTERVAL_MS", "100")
}

fn local(path: &Path) -> Value {
    json!({ "type": "local", "legacyAwsBehavior": false, "details": { "path": path } })
}

/// Files of the data folder that hold exactly these bytes.
fn files_with(gateway: &Gateway, body: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, body: &[u8], found: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.map(Result::unwrap) {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => walk(&entry.path(), body, found),
                Ok(_) if std::fs::read(entry.path()).is_ok_and(|bytes| bytes == body) => found.push(entry.path()),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(&gateway.folder().join("data"), body.as_bytes(), &mut found);
    found
}

async fn put(client: &Client, path: &str, body: &str) {
    let answer = client.put(path, body.to_owned()).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
}

#[tokio::test]
async fn a_backup_taken_while_writes_go_on_holds_all_that_was_acknowledged_before() {
    let mut gateway = eager().start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    let (acknowledged, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let writes = async {
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            put(&client, &format!("bucket/{number:05}"), &format!("body {number}")).await;
            number += 1;
            acknowledged.store(number, Ordering::Relaxed);
        }
    };
    let backup = async {
        until("writes go on", async || acknowledged.load(Ordering::Relaxed) >= 20).await;
        let before = acknowledged.load(Ordering::Relaxed);
        let ran = gateway.run(&["backup", "saved.db"]).await.unwrap();
        let during = acknowledged.load(Ordering::Relaxed) - before;
        stop.store(true, Ordering::Relaxed);
        assert_eq!(ran.code, Some(0), "{}", ran.errors);
        assert!(ran.output.contains("saved.db holds the metadata"), "{}", ran.output);
        assert!(during > 0, "no write happened during the backup");
        before
    };
    let ((), before) = tokio::join!(writes, backup);
    let again = gateway.run(&["backup", "saved.db"]).await.unwrap();
    assert_eq!(again.code, Some(2), "a backup is not overwritten");
    assert!(again.errors.contains("saved.db"), "{}", again.errors);

    let restore = gateway.run(&["restore", "saved.db"]).await.unwrap();
    assert_eq!(restore.code, Some(2), "not below a running server: {}", restore.output);
    assert!(gateway.stop().await.unwrap().success());
    let restore = gateway.run(&["restore", "saved.db"]).await.unwrap();
    assert_eq!(restore.code, Some(2), "not over metadata: {}", restore.output);
    std::fs::rename(gateway.folder().join("metadata"), gateway.folder().join("lost")).unwrap();
    let restore = gateway.run(&["restore", "saved.db"]).await.unwrap();
    assert_eq!(restore.code, Some(0), "{}", restore.errors);
    assert!(restore.output.contains("until `sallyport fsck` has run"), "{}", restore.output);
    gateway.restart().await.unwrap();
    let client = gateway.client().unwrap();
    for number in 0..before {
        let answer = client.get(&format!("bucket/{number:05}")).await.unwrap();
        assert_eq!(answer.text(), format!("body {number}"), "of {before}");
    }
}

#[tokio::test]
async fn what_is_no_backup_is_refused_by_name_and_leaves_no_database() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("garbage"), "no database").unwrap();
    std::fs::write(folder.path().join("empty"), "").unwrap();
    for (arguments, hint) in [
        (["restore", "absent"], "there is no database at absent"),
        (["restore", "garbage"], "garbage is not sound"),
        (["restore", "empty"], "not a backup of this program's"),
        (["backup", "copy"], "there is no database at"),
    ] {
        let mut command = eager().subcommand(folder.path(), &arguments).unwrap();
        let ran = Ran::of(&mut command).await.unwrap();
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.output);
        assert!(ran.errors.contains(hint), "{arguments:?}: {}", ran.errors);
        assert!(!folder.path().join("metadata/metadata.sqlite").exists(), "{arguments:?}");
        assert!(!folder.path().join("copy").exists());
    }
}

#[tokio::test]
async fn a_restored_database_sweeps_nothing_until_fsck_has_run_and_repair_frees_orphans() {
    let mut gateway = eager().start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    for key in ["kept", "deleted", "lost"] {
        put(&client, &format!("bucket/{key}"), &format!("the bytes of {key}")).await;
    }
    assert_eq!(gateway.run(&["backup", "saved.db"]).await.unwrap().code, Some(0));
    put(&client, "bucket/orphan", "the bytes of orphan").await;
    gateway.stop().await.unwrap();
    std::fs::remove_dir_all(gateway.folder().join("metadata")).unwrap();
    assert_eq!(gateway.run(&["restore", "saved.db"]).await.unwrap().code, Some(0));

    gateway.restart().await.unwrap();
    let client = gateway.client().unwrap();
    assert!(gateway.log().contains("nothing is deleted on any backend until"), "{}", gateway.log());
    assert_eq!(client.keys("bucket").await.unwrap(), ["deleted", "kept", "lost"]);
    assert_eq!(client.delete("bucket/deleted").await.unwrap().status, 204);
    // Ten rounds of the sweeper, in which it does nothing.
    let rounds = tokio::time::Instant::now() + std::time::Duration::from_secs(1);
    until("rounds pass", async || tokio::time::Instant::now() > rounds).await;
    assert_eq!(files_with(&gateway, "the bytes of deleted").len(), 1, "swept before fsck had run");
    let busy = gateway.run(&["fsck"]).await.unwrap();
    assert_eq!(busy.code, Some(2), "not beside a running server: {}", busy.output);
    gateway.stop().await.unwrap();

    for file in files_with(&gateway, "the bytes of lost") {
        std::fs::remove_file(file).unwrap();
    }
    let found = gateway.run(&["fsck"]).await.unwrap();
    assert_eq!(found.code, Some(1), "{}", found.errors);
    assert!(found.output.contains("lost: bucket/lost version null in us-east-1"), "{}", found.output);
    assert!(found.output.contains("1 lost"), "{}", found.output);
    assert!(found.output.contains("1 orphans (left alone; --repair deletes them), 0 foreign"), "{}", found.output);
    assert!(found.errors.contains("segments"), "no progress: {}", found.errors);

    gateway.restart().await.unwrap();
    until("the deletion is made up for", async || files_with(&gateway, "the bytes of deleted").is_empty()).await;
    assert_eq!(files_with(&gateway, "the bytes of orphan").len(), 1, "an orphan goes only when asked for");
    let client = gateway.client().unwrap();
    assert_eq!(client.get("bucket/kept").await.unwrap().text(), "the bytes of kept");
    assert_eq!(client.get("bucket/lost").await.unwrap().status, 424);
    gateway.stop().await.unwrap();

    let repaired = gateway.run(&["fsck", "--repair"]).await.unwrap();
    assert!(repaired.output.contains("1 orphans (queued for deletion)"), "{}", repaired.output);
    gateway.restart().await.unwrap();
    until("the orphan is freed", async || files_with(&gateway, "the bytes of orphan").is_empty()).await;
    let client = gateway.client().unwrap();
    assert_eq!(client.get("bucket/kept").await.unwrap().text(), "the bytes of kept");
    // Who deletes what is lost has a clean house again.
    assert_eq!(client.delete("bucket/lost").await.unwrap().status, 204);
    gateway.stop().await.unwrap();
    let clean = gateway.run(&["fsck"]).await.unwrap();
    assert_eq!(clean.code, Some(0), "{}", clean.output);
    assert!(clean.output.contains("1 segments, 0 lost; 1 stored objects, 0 orphans"), "{}", clean.output);
}

#[tokio::test]
async fn a_location_that_may_be_asked_one_thing_at_a_time_is_checked_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut narrow = local(folder.path());
    narrow["limits"] = json!({ "reads": 1, "waiting": 0 });
    let mut gateway = Setup::with_locations(json!({ "narrow": narrow })).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "narrow").await.unwrap().status, 200);
    for number in 0..100 {
        put(&client, &format!("bucket/{number}"), "bytes").await;
    }
    gateway.stop().await.unwrap();
    let checked = gateway.run(&["fsck"]).await.unwrap();
    assert_eq!(checked.code, Some(0), "{}{}", checked.output, checked.errors);
    assert!(checked.output.contains("100 segments, 0 lost; 100 stored objects, 0 orphans"), "{}", checked.output);
}

#[tokio::test]
async fn an_orphan_is_found_where_the_listing_does_not_show_whose_bytes_are() {
    let moto = Moto::start().await.unwrap();
    let backend = moto.client().unwrap();
    assert_eq!(backend.create_bucket("cloud", "").await.unwrap().status, 200);
    let details = json!({
        "awsEndpoint": format!("127.0.0.1:{}", moto.port()), "bucketName": "cloud", "supportsVersioning": false,
        "credentials": { "accessKey": "testing", "secretKey": "testing" }, "https": false, "pathStyle": true
    });
    let cloud = json!({ "type": "aws_s3", "legacyAwsBehavior": true, "details": details });
    // The same container by another name, of which nobody knows that it is the same.
    let mut twin = cloud.clone();
    twin["details"]["awsEndpoint"] = json!(format!("localhost:{}", moto.port()));
    let mut gateway = eager().location("cloud", cloud).location("twin", twin).start().await.unwrap();
    let client = gateway.client().unwrap();
    for (bucket, location) in [("bucket", "cloud"), ("twins", "twin")] {
        assert_eq!(client.create_bucket(bucket, location).await.unwrap().status, 200);
        put(&client, &format!("{bucket}/kept"), "the bytes of kept").await;
    }
    assert_eq!(gateway.run(&["backup", "saved.db"]).await.unwrap().code, Some(0));
    put(&client, "bucket/orphan", "the bytes of orphan").await;
    put(&backend, "cloud/foreign", "the bytes of others").await;
    gateway.stop().await.unwrap();
    std::fs::remove_dir_all(gateway.folder().join("metadata")).unwrap();
    assert_eq!(gateway.run(&["restore", "saved.db"]).await.unwrap().code, Some(0));

    let repaired = gateway.run(&["fsck", "--repair"]).await.unwrap();
    assert_eq!(repaired.code, Some(0), "{} {}", repaired.output, repaired.errors);
    // Each is listed twice, and what the other location has is foreign.
    let expected = "2 segments, 0 lost; 8 stored objects, 2 orphans (queued for deletion), 4 foreign";
    assert!(repaired.output.contains(expected), "{}", repaired.output);
    gateway.restart().await.unwrap();
    let left = ["bucket/kept", "foreign", "twins/kept"];
    until("the orphan is freed", async || backend.keys("cloud").await.unwrap() == left).await;
    for bucket in ["bucket", "twins"] {
        let kept = gateway.client().unwrap().get(&format!("{bucket}/kept")).await.unwrap();
        assert_eq!(kept.text(), "the bytes of kept");
    }
}

#[tokio::test]
async fn a_location_that_points_elsewhere_stops_until_it_is_rebound() {
    let places = tempfile::tempdir().unwrap();
    let (old, new) = (places.path().join("old"), places.path().join("new"));
    std::fs::create_dir(&old).unwrap();
    let mut gateway = eager().location("moved", local(&old)).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "moved").await.unwrap().status, 200);
    put(&client, "bucket/key", "bytes").await;
    gateway.stop().await.unwrap();
    std::fs::rename(&old, &new).unwrap();
    gateway.change(|setup| setup.location("moved", local(&new)));
    gateway.restart().await.unwrap();
    let answer = gateway.client().unwrap().get("bucket/key").await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    for text in [answer.text(), gateway.log()] {
        assert!(text.contains("moved") && text.contains("its objects are in") && text.contains("/old"), "{text}");
    }
    assert!(gateway.log().contains("sallyport rebind moved"), "{}", gateway.log());
    gateway.stop().await.unwrap();

    assert_eq!(gateway.run(&["rebind", "nowhere"]).await.unwrap().code, Some(2));
    let rebound = gateway.run(&["rebind", "moved"]).await.unwrap();
    assert_eq!(rebound.code, Some(0), "{}", rebound.errors);
    assert!(rebound.output.contains("/new"), "{}", rebound.output);
    gateway.restart().await.unwrap();
    assert_eq!(gateway.client().unwrap().get("bucket/key").await.unwrap().text(), "bytes");
}

#[tokio::test]
async fn a_location_that_was_removed_answers_by_name_and_others_go_on() {
    let places = tempfile::tempdir().unwrap();
    let mut gateway = eager().location("gone", local(&places.path().join("x"))).start().await.unwrap();
    let client = gateway.client().unwrap();
    for (bucket, location) in [("here", ""), ("away", "gone")] {
        assert_eq!(client.create_bucket(bucket, location).await.unwrap().status, 200);
        put(&client, &format!("{bucket}/key"), "bytes").await;
    }
    gateway.stop().await.unwrap();
    gateway.change(|_| eager());
    gateway.restart().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.get("here/key").await.unwrap().text(), "bytes");
    let answer = client.get("away/key").await.unwrap();
    assert_eq!(answer.status, 503);
    assert!(
        answer.text().contains("gone") && answer.text().contains("not in locationConfig.json"),
        "{}",
        answer.text()
    );
    assert_eq!(client.keys("away").await.unwrap(), ["key"], "listing needs no backend");
}
