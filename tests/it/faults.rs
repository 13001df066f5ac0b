//! Whatever dies midway, nothing acknowledged is lost; nothing else is left.

mod backends;
mod clients;
mod digests;
mod disk;
mod kills;
mod trace;

use hyper::{Method, StatusCode};
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// What the names of unfinished files begin with.
const UNFINISHED: &str = ".sallyport-tmp-";
/// How long the sweeper may take over what a fault left behind.
const SWEPT_WITHIN: Duration = Duration::from_secs(90);
/// How often it is looked again.
const PAUSE: Duration = Duration::from_millis(50);
/// More than a gateway verifies before it sends the first byte on.
const LARGE: usize = 1_500_000;

/// A gateway that frees at once what it may free.
fn setup(locations: Value) -> Setup {
    Setup::with_locations(locations)
        .environment("SALLYPORT_SWEEP_INTERVAL_MS", "100")
        .environment("SALLYPORT_DELETION_DELAY_MS", "0")
        .environment("MPU_TESTING", "yes")
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + SWEPT_WITHIN;
    while !condition().await {
        assert!(Instant::now() < deadline, "it never came to that: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

fn files(gateway: &Gateway) -> Vec<PathBuf> {
    files_below(&gateway.folder().join("data"))
}

/// A folder that goes away meanwhile has none.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(UNFINISHED))
}

/// Bytes made from a seed, so that none of them have to be kept.
fn content(seed: u64, size: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Sends a call until its answer is another than to come back later, as clients do: on a busy
/// machine an honest backend takes longer than the patience that it gets here.
async fn persist(client: &Client, call: Call) -> Answer {
    let deadline = tokio::time::Instant::now() + SWEPT_WITHIN;
    loop {
        let sent = client.send(call.clone()).await;
        let later = sent.as_ref().map_or(true, |answer| answer.code() == "ServiceUnavailable");
        if !later || tokio::time::Instant::now() >= deadline {
            return sent.unwrap();
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Begins an upload.
async fn create_upload(client: &Client, path: &str) -> String {
    let answer = persist(client, Call::new(Method::POST, path).query("uploads", "")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.elements("UploadId").remove(0)
}

fn part_call(path: &str, upload: &str, number: usize, body: Vec<u8>) -> Call {
    let call = Call::new(Method::PUT, path).query("uploadId", upload);
    call.query("partNumber", &number.to_string()).body(body)
}

/// Completes an upload with the parts' ETags in the order of their numbers.
fn complete_call(path: &str, upload: &str, etags: &[String]) -> Call {
    let mut list = String::new();
    for (index, etag) in etags.iter().enumerate() {
        list.push_str(&format!("<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>", index + 1));
    }
    let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    Call::new(Method::POST, path).query("uploadId", upload).body(body)
}

/// A completion's status may go out before it ended; its body says how it ended.
fn is_completed(answer: &Answer) -> bool {
    answer.status == StatusCode::OK && answer.text().contains("<CompleteMultipartUploadResult")
}

async fn abort_open_uploads(client: &Client, bucket: &str) {
    let answer = client.send(Call::new(Method::GET, bucket).query("uploads", "")).await.unwrap();
    for (key, upload) in answer.elements("Key").iter().zip(answer.elements("UploadId")) {
        let call = Call::new(Method::DELETE, &format!("{bucket}/{key}")).query("uploadId", &upload);
        let status = client.send(call).await.unwrap().status;
        // The sweeper may have settled it between the two.
        assert!(status == StatusCode::NO_CONTENT || status == StatusCode::NOT_FOUND, "{status}");
    }
}

/// SplitMix64, for which nothing has to be installed.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Self(u64::from(now.subsec_nanos()) ^ now.as_secs())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
