//! Disks that are full: clear errors, nothing acknowledged lost, and work again once there is space.

use super::{LARGE, content, create_upload, files_below, part_call, setup, until};
use hyper::Method;
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::wrapped::Wrapped;
use serde_json::json;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the small disk holds; compiled plugins lie beside the database.
const DISK: &str = "size=48m";
/// What is left free while the database's disk is almost full, in pages.
const PAGES: std::ops::RangeInclusive<usize> = 0..=24;
const PAGE: usize = 4096;

/// Whether this machine lets anybody mount something for himself alone.
fn can_mount() -> bool {
    let ran = Command::new("unshare").args(["-rm", "true"]).output();
    let can = ran.is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("skipped: user namespaces are not allowed here; the limit on file sizes stands in for a full disk");
    }
    can
}

/// A server whose folder `name` is a small disk of its own.
async fn on_a_small_disk(name: &str) -> Wrapped {
    let setup = setup(json!({}));
    let start = |folder: &Path| {
        let disk = folder.join(name);
        std::fs::create_dir_all(&disk).unwrap();
        let script = format!("mount -t tmpfs -o {DISK} none \"$0\" && exec \"$@\"");
        let words = ["unshare", "-rm", "sh", "-c", &script].map(OsString::from);
        words.into_iter().chain([disk.into_os_string()]).collect()
    };
    Wrapped::start(&setup, start).await.unwrap()
}

/// A file that takes up all but some pages of a disk.
struct Filler(PathBuf);

impl Filler {
    fn fill(disk: &Path, but_pages: usize) -> Self {
        let path = disk.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        for step in [1 << 20, PAGE] {
            while file.write_all(&vec![1; step]).is_ok() {}
        }
        // What was written of a step that failed stays, so the end is not on a page.
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub((but_pages * PAGE) as u64)).unwrap();
        Self(path)
    }

    fn remove(self) {
        std::fs::remove_file(self.0).unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_of_a_location_is_told_and_got_over() {
    if !can_mount() {
        return;
    }
    let gateway = on_a_small_disk("data").await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("full", "").await.unwrap().status, 200);
    for (key, size) in [("small", 1_000), ("large", LARGE), ("doomed", 10)] {
        assert_eq!(client.put(&format!("full/{key}"), content(1, size)).await.unwrap().status, 200);
    }
    let upload = create_upload(&client, "full/parts").await;
    let disk = gateway.seen(&gateway.folder().join("data")).unwrap();
    let stored = || files_below(&disk).into_iter().filter(|path| !path.ends_with("filler")).count();
    let filler = Filler::fill(&disk, 0);
    for call in [
        Call::new(Method::PUT, "full/new").body(content(2, 1_000)),
        Call::new(Method::PUT, "full/new").body(content(2, LARGE)),
        Call::new(Method::PUT, "full/small").body(content(2, LARGE)),
        Call::new(Method::PUT, "full/large").body(content(2, 1_000)),
        part_call("full/parts", &upload, 1, content(2, LARGE)),
    ] {
        let answer = client.send(call).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "ServiceUnavailable"), "{}", answer.text());
        assert!(answer.text().contains("full"), "{}", answer.text());
    }
    holds(&client, &[("small", 1, 1_000), ("large", 1, LARGE)]).await;
    assert_eq!(client.get("full/new").await.unwrap().status, 404);
    // What needs no space goes on, and makes some.
    let copy = Call::new(Method::PUT, "full/copy").header("x-amz-copy-source", "full/small");
    assert!(client.send(copy).await.unwrap().text().contains("<CopyObjectResult"));
    assert_eq!(client.delete("full/doomed").await.unwrap().status, 204);
    until("nothing but the live files is left", async || stored() == 2).await;
    filler.remove();
    writes_again(&client).await;
    assert_eq!(client.send(part_call("full/parts", &upload, 1, content(3, LARGE))).await.unwrap().status, 200);
    holds(&client, &[("small", 1, 1_000), ("large", 1, LARGE), ("copy", 1, 1_000)]).await;
    until("nothing but the live files is left", async || stored() == 5).await;
}

#[tokio::test]
async fn a_full_disk_of_the_database_is_told_and_got_over() {
    if !can_mount() {
        return;
    }
    let gateway = on_a_small_disk("metadata").await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("full", "").await.unwrap().status, 200);
    for (key, size) in [("small", 1_000), ("large", LARGE), ("doomed", 10)] {
        assert_eq!(client.put(&format!("full/{key}"), content(1, size)).await.unwrap().status, 200);
    }
    let disk = gateway.seen(&gateway.folder().join("metadata")).unwrap();
    let mut states = vec![("small".to_owned(), 1, 1_000), ("large".to_owned(), 1, LARGE)];
    let mut refused = 0;
    // From no space at all to enough: what is refused may end in any step of a write.
    for pages in PAGES {
        let filler = Filler::fill(&disk, pages);
        for (name, size) in [("new", 1_000), ("new-large", LARGE)] {
            let key = format!("{name}-{pages}");
            let answer = client.put(&format!("full/{key}"), content(2, size)).await.unwrap();
            if answer.status == 200 {
                states.push((key, 2, size));
            } else {
                is_refused(&answer);
                refused += 1;
            }
        }
        let states: Vec<_> = states.iter().map(|(key, seed, size)| (key.as_str(), *seed, *size)).collect();
        holds(&client, &states).await;
        if pages == 0 {
            is_refused(&client.delete("full/doomed").await.unwrap());
            assert_eq!(client.get("full/doomed").await.unwrap().status, 200);
            is_refused(&client.create_bucket("another", "").await.unwrap());
        }
        filler.remove();
        writes_again(&client).await;
    }
    assert!(refused >= 2, "the disk was never full");
    assert_eq!(client.delete("full/doomed").await.unwrap().status, 204);
    let live: Vec<_> = states.iter().map(|(key, seed, size)| (key.as_str(), *seed, *size)).collect();
    holds(&client, &live).await;
    // The two that show that it writes again, and no orphan of those that were refused. A
    // write whose commit failed may have been rolled forward: then it is listed.
    let data = gateway.folder().join("data");
    until("each file is an object's", async || client.keys("full").await.unwrap().len() == files_below(&data).len())
        .await;
    for key in client.keys("full").await.unwrap() {
        let size = if key.contains("large") { LARGE } else { 1_000 };
        let known = live.iter().find(|(name, ..)| *name == key).map(|(_, seed, size)| (*seed, *size));
        let (seed, size) = known.unwrap_or_else(|| (if key.starts_with("again") { 3 } else { 2 }, size));
        holds(&client, &[(&key, seed, size)]).await;
    }
}

/// The same without a mount: no file may grow, the database's among them.
#[tokio::test]
async fn files_that_may_not_grow_are_told_and_got_over() {
    let setup = setup(json!({}));
    let wrapper = |_: &Path| ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"].map(OsString::from).to_vec();
    let gateway = Wrapped::start(&setup, wrapper).await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("full", "").await.unwrap().status, 200);
    for (key, size) in [("small", 1_000), ("large", LARGE)] {
        assert_eq!(client.put(&format!("full/{key}"), content(1, size)).await.unwrap().status, 200);
    }
    let limit = |soft: &str| {
        let process = gateway.process_id().unwrap().to_string();
        let status = Command::new("prlimit").args(["--pid", &process, &format!("--fsize={soft}:unlimited")]).status();
        assert!(status.unwrap().success(), "prlimit");
    };
    limit("0");
    for (key, size) in [("new", 1_000), ("new", LARGE), ("small", LARGE), ("large", 1_000)] {
        let answer = client.put(&format!("full/{key}"), content(2, size)).await.unwrap();
        assert!(answer.status.is_server_error() && !answer.code().is_empty(), "{} {}", answer.status, answer.text());
    }
    assert!(client.delete("full/small").await.unwrap().status.is_server_error());
    holds(&client, &[("small", 1, 1_000), ("large", 1, LARGE)]).await;
    limit("unlimited");
    writes_again(&client).await;
    holds(&client, &[("small", 1, 1_000), ("large", 1, LARGE)]).await;
    let data = gateway.folder().join("data");
    until("each file is an object's", async || client.keys("full").await.unwrap().len() == files_below(&data).len())
        .await;
}

fn is_refused(answer: &Answer) {
    let told = (answer.status.as_u16(), answer.code());
    assert_eq!(told, (503, "ServiceUnavailable".to_owned()), "{}", answer.text());
}

async fn holds(client: &Client, objects: &[(&str, u64, usize)]) {
    for (key, seed, size) in objects {
        let answer = client.get(&format!("full/{key}")).await.unwrap();
        assert!(answer.body == content(*seed, *size), "{key}: {} {}", answer.status, answer.code());
    }
}

/// The location may have been found unwell meanwhile.
async fn writes_again(client: &Client) {
    for (key, size) in [("again", 1_000), ("again-large", LARGE)] {
        until("it writes again", async || {
            client.put(&format!("full/{key}"), content(3, size)).await.unwrap().status == 200
        })
        .await;
        holds(client, &[(key, 3, size)]).await;
    }
}
