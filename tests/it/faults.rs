//! Whatever dies midway, nothing acknowledged is lost; nothing else is left.

use hyper::{Method, StatusCode};
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Kills by default; `SALLYPORT_KILLS` asks for more.
const KILLS: u32 = 5;
/// What the names of unfinished files begin with.
const UNFINISHED: &str = ".sallyport-tmp-";
/// How long the sweeper may take over what a kill left behind.
const SWEPT_WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked again.
const PAUSE: Duration = Duration::from_millis(50);
const PARTS: usize = 3;
const LARGE: usize = 1_500_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kills_and_nothing_else_does() {
    let kills = std::env::var("SALLYPORT_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let mut random = Random::new();
    eprintln!("{kills} kills, seed {}", random.0);
    let mut gateway = start().await;
    assert_eq!(gateway.client().unwrap().create_bucket("load", "").await.unwrap().status, 200);
    let model = Model::default();
    let mut acknowledged = 0;
    for kill in 1..=kills {
        let load = Load::start(&gateway, &model, &mut random);
        tokio::time::sleep(Duration::from_millis(50 + random.below(400))).await;
        load.dying.store(true, Ordering::SeqCst);
        let killed = Instant::now();
        gateway.crash_and_restart().await.unwrap();
        let restarted = killed.elapsed();
        acknowledged += load.end().await;
        audit(&mut gateway, &model, kill).await;
        eprintln!("kill {kill}: up after {restarted:.1?}, audited after {:.1?}", killed.elapsed());
    }
    // A start removes what dead processes left unfinished, once that is old enough.
    for path in files(&gateway).into_iter().filter(|path| is_unfinished(path)) {
        std::fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    gateway.stop_and_restart().await.unwrap();
    let live: usize = model.all().values().filter_map(|expected| expected.acknowledged).map(|it| it.files).sum();
    until(|| files(&gateway).len() == live).await;
    assert!(acknowledged > u64::from(kills), "only {acknowledged} requests were answered");
    eprintln!("{acknowledged} writes were acknowledged");
}

#[tokio::test]
async fn a_client_that_goes_away_midway_leaves_nothing() {
    let gateway = start().await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("load", "").await.unwrap().status, 200);
    assert_eq!(client.put("load/kept", "before").await.unwrap().status, 200);
    for key in ["load/kept", "load/new"] {
        let mut socket = TcpStream::connect(gateway.endpoint().trim_start_matches("http://")).await.unwrap();
        let url = client.presign(&Call::new(Method::PUT, key), 60);
        let target = url.strip_prefix(gateway.endpoint()).unwrap();
        let host = gateway.endpoint().trim_start_matches("http://");
        let head = format!("PUT {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {LARGE}\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&vec![7; LARGE / 2]).await.unwrap();
        // Gone only once its bytes began to be written, or there would be nothing to clean up.
        until(|| files(&gateway).len() == 2).await;
        drop(socket);
        until(|| files(&gateway).len() == 1).await;
    }
    assert_eq!(client.get("load/kept").await.unwrap().text(), "before");
    assert_eq!(client.get("load/new").await.unwrap().status, 404);
    assert_eq!(client.keys("load").await.unwrap(), ["kept"]);
}

#[tokio::test]
async fn wrong_digests_store_nothing() {
    let gateway = start().await;
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("load", "").await.unwrap().status, 200);
    assert_eq!(client.put("load/kept", "before").await.unwrap().status, 200);
    for (key, size) in [("load/kept", 10), ("load/new", 10), ("load/kept", LARGE), ("load/new", LARGE)] {
        let put = || Call::new(Method::PUT, key).body(vec![7; size]);
        let answer = client.send(put().header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "BadDigest"), "{size}");
        let answer = client.send(put().digest(&"0".repeat(64))).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "XAmzContentSHA256Mismatch"), "{size}");
    }
    assert_eq!(client.get("load/kept").await.unwrap().text(), "before");
    assert_eq!(client.get("load/new").await.unwrap().status, 404);
    until(|| files(&gateway).len() == 1).await;
}

async fn start() -> Gateway {
    let setup = Setup::with_locations(json!({}))
        .environment("SALLYPORT_SWEEP_INTERVAL_MS", "100")
        .environment("SALLYPORT_DELETION_DELAY_MS", "0")
        .environment("MPU_TESTING", "yes");
    setup.start().await.unwrap()
}

/// What an object holds, made from a seed so that none of it has to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    seed: u64,
    size: usize,
    /// How many files hold it.
    files: usize,
}

impl Content {
    fn bytes(&self) -> Vec<u8> {
        let mut random = Random(self.seed);
        let mut bytes = Vec::with_capacity(self.size + 8);
        while bytes.len() < self.size {
            bytes.extend_from_slice(&random.next().to_le_bytes());
        }
        bytes.truncate(self.size);
        bytes
    }
}

/// What a key has to answer.
#[derive(Debug, Default, Clone, Copy)]
struct Expected {
    /// The last acknowledged write; `None` for a DELETE, or nothing yet.
    acknowledged: Option<Content>,
    /// The write that nobody heard the end of.
    in_flight: Option<Option<Content>>,
}

#[derive(Debug, Default, Clone)]
struct Model(Arc<Mutex<BTreeMap<String, Expected>>>);

impl Model {
    fn begin(&self, key: &str, write: Option<Content>) {
        self.0.lock().unwrap().entry(key.to_owned()).or_default().in_flight = Some(write);
    }

    fn acknowledge(&self, key: &str, write: Option<Content>) {
        self.0.lock().unwrap().insert(key.to_owned(), Expected { acknowledged: write, in_flight: None });
    }

    fn all(&self) -> BTreeMap<String, Expected> {
        self.0.lock().unwrap().clone()
    }
}

/// What one writer does; each has keys of its own, so that the order of its writes is known.
#[derive(Debug, Clone, Copy)]
enum Habit {
    Small,
    Large,
    Multipart,
}

/// Writers that go on until the server dies.
struct Load {
    dying: Arc<AtomicBool>,
    writers: JoinSet<u64>,
}

impl Load {
    fn start(gateway: &Gateway, model: &Model, random: &mut Random) -> Self {
        let dying = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        let habits = [Habit::Small, Habit::Small, Habit::Small, Habit::Small, Habit::Large, Habit::Multipart];
        for (number, habit) in habits.into_iter().enumerate() {
            let writer = Writer {
                client: gateway.client().unwrap(),
                model: model.clone(),
                dying: Arc::clone(&dying),
                random: Random(random.next()),
                number,
                habit,
            };
            writers.spawn(writer.write());
        }
        Self { dying, writers }
    }

    /// How many writes were acknowledged.
    async fn end(self) -> u64 {
        let ended = tokio::time::timeout(Duration::from_secs(30), self.writers.join_all()).await;
        ended.expect("a request to a dead server ends").into_iter().sum()
    }
}

struct Writer {
    client: Client,
    model: Model,
    dying: Arc<AtomicBool>,
    random: Random,
    number: usize,
    habit: Habit,
}

impl Writer {
    async fn write(mut self) -> u64 {
        let mut acknowledged = 0;
        while !self.is_dying() {
            let key = format!("{:?}/{}/{}", self.habit, self.number, self.random.below(5));
            let is_delete = self.random.below(4) == 0;
            let (least, files) = match self.habit {
                Habit::Small => (1, 1),
                Habit::Large => (LARGE / 2, 1),
                Habit::Multipart => (LARGE / 10, PARTS),
            };
            let size = least + usize::try_from(self.random.below(least as u64 + 60_000)).unwrap();
            let content = (!is_delete).then(|| Content { seed: self.random.next(), size, files });
            let done = match (content, self.habit) {
                (None, _) => self.delete(&key).await,
                (Some(content), Habit::Small | Habit::Large) => self.put(&key, content).await,
                (Some(content), Habit::Multipart) => self.upload(&key, content).await,
            };
            if done.is_none() {
                break;
            }
            self.model.acknowledge(&key, content);
            acknowledged += 1;
        }
        acknowledged
    }

    async fn put(&self, key: &str, content: Content) -> Option<()> {
        self.model.begin(key, Some(content));
        self.send(Call::new(Method::PUT, &path(key)).body(content.bytes())).await.map(drop)
    }

    async fn delete(&self, key: &str) -> Option<()> {
        self.model.begin(key, None);
        self.send(Call::new(Method::DELETE, &path(key))).await.map(drop)
    }

    async fn upload(&self, key: &str, content: Content) -> Option<()> {
        let created = self.send(Call::new(Method::POST, &path(key)).query("uploads", "")).await?;
        let upload = created.elements("UploadId").remove(0);
        let bytes = content.bytes();
        let mut list = String::new();
        for (index, part) in bytes.chunks(bytes.len().div_ceil(PARTS)).enumerate() {
            let number = (index + 1).to_string();
            let call = Call::new(Method::PUT, &path(key)).query("uploadId", &upload).query("partNumber", &number);
            let stored = self.send(call.body(part.to_vec())).await?;
            let etag = stored.header("etag");
            list.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"));
        }
        self.model.begin(key, Some(content));
        let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
        let call = Call::new(Method::POST, &path(key)).query("uploadId", &upload).body(body);
        let answer = self.send(call).await?;
        // A completion's status may go out before it ended.
        let is_complete = answer.text().contains("<CompleteMultipartUploadResult");
        assert!(is_complete || self.is_dying(), "{}", answer.text());
        is_complete.then_some(())
    }

    /// The answer of a server that lives.
    async fn send(&self, call: Call) -> Option<Answer> {
        match self.client.send(call).await {
            Ok(answer) if answer.status.is_success() => Some(answer),
            Ok(answer) => {
                assert!(self.is_dying(), "{} {}", answer.status, answer.text());
                None
            }
            Err(error) => {
                assert!(self.is_dying(), "{error:#}");
                None
            }
        }
    }

    fn is_dying(&self) -> bool {
        self.dying.load(Ordering::SeqCst)
    }
}

/// Reads every object again and again until the files are just those of the live objects.
async fn audit(gateway: &mut Gateway, model: &Model, kill: u32) {
    let client = gateway.client().unwrap();
    let deadline = Instant::now() + SWEPT_WITHIN;
    let found = loop {
        abort_open_uploads(&client).await;
        let mut found = BTreeMap::new();
        for (key, expected) in model.all() {
            found.insert(key.clone(), verify(&client, &key, expected, kill).await);
        }
        let live: usize = found.values().flatten().map(|content| content.files).sum();
        let there = files(gateway).iter().filter(|path| !is_unfinished(path)).count();
        if there == live {
            break found;
        }
        assert!(
            Instant::now() < deadline,
            "kill {kill}: {there} files for objects that need {live}:\n{}",
            gateway.log()
        );
        tokio::time::sleep(PAUSE).await;
    };
    let listed: BTreeSet<String> = client.keys("load").await.unwrap().into_iter().collect();
    let live = found.iter().filter(|(_, content)| content.is_some()).map(|(key, _)| key.clone());
    assert_eq!(listed, live.collect(), "kill {kill}");
    for (key, content) in found {
        model.acknowledge(&key, content);
    }
}

/// What the key holds, which is what was acknowledged or what was in flight.
async fn verify(client: &Client, key: &str, expected: Expected, kill: u32) -> Option<Content> {
    let answer = client.get(&path(key)).await.unwrap();
    let candidates = [Some(expected.acknowledged), expected.in_flight];
    let found = candidates.into_iter().flatten().find(|candidate| match candidate {
        None => answer.status == StatusCode::NOT_FOUND,
        Some(content) => answer.status == StatusCode::OK && answer.body == content.bytes(),
    });
    let Some(found) = found else {
        panic!("kill {kill}: {key} is {} with {} bytes, expected {expected:?}", answer.status, answer.body.len());
    };
    found
}

async fn abort_open_uploads(client: &Client) {
    let answer = client.send(Call::new(Method::GET, "load").query("uploads", "")).await.unwrap();
    for (key, upload) in answer.elements("Key").iter().zip(answer.elements("UploadId")) {
        let call = Call::new(Method::DELETE, &path(key)).query("uploadId", &upload);
        let status = client.send(call).await.unwrap().status;
        // The sweeper may have settled it between the two.
        assert!(status == StatusCode::NO_CONTENT || status == StatusCode::NOT_FOUND, "{status}");
    }
}

async fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + SWEPT_WITHIN;
    while !condition() {
        assert!(Instant::now() < deadline, "it never came to that");
        tokio::time::sleep(PAUSE).await;
    }
}

fn path(key: &str) -> String {
    format!("load/{key}")
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
