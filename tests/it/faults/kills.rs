//! `kill -9` under a mixed load on three kinds of locations, then a full audit.

use super::{
    Random, abort_open_uploads, complete_call, content, create_upload, files, is_completed, is_unfinished, part_call,
    setup, until,
};
use hyper::{Method, StatusCode};
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::Gateway;
use sallyport_tests::stage::Stage;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Kills by default; `SALLYPORT_KILLS` asks for another number.
const KILLS: u32 = 200;
/// So many kills between two audits.
const AUDIT: u32 = 50;
const PARTS: usize = 3;
/// How often a client asks again that is told 503.
const TRIES: u32 = 20;
/// More than a gateway verifies before it sends the first byte on, and soon sent.
const LARGE: usize = 300_000;
/// Where buckets are, and who writes there.
const LOCATIONS: [(&str, &[Habit]); 3] = [
    ("us-east-1", &[Habit::Small, Habit::Small, Habit::Small, Habit::Large, Habit::Multipart, Habit::Copy]),
    ("aws", &[Habit::Small, Habit::Large, Habit::Multipart]),
    ("azure", &[Habit::Small, Habit::Multipart]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kills_and_nothing_else_does() {
    let kills = std::env::var("SALLYPORT_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let mut random = Random::new();
    eprintln!("{kills} kills, seed {}", random.0);
    let stage = Stage::start().await.unwrap();
    let mut gateway = setup(stage.locations()).start().await.unwrap();
    for (location, _) in LOCATIONS {
        let created = gateway.client().unwrap().create_bucket(&bucket(location), location).await.unwrap();
        assert_eq!(created.status, 200, "{}", created.text());
    }
    let model = Model::default();
    let (mut acknowledged, mut starting) = (0, Duration::ZERO);
    for kill in 1..=kills {
        let load = Load::start(&gateway, &model, &mut random);
        tokio::time::sleep(Duration::from_millis(40 + random.below(300))).await;
        load.dying.store(true, Ordering::SeqCst);
        let killed = Instant::now();
        gateway.crash_and_restart().await.unwrap();
        starting += killed.elapsed();
        acknowledged += load.end().await;
        if kill % AUDIT == 0 || kill == kills {
            audit(&mut gateway, &stage, &model, kill).await;
            let start = starting / kill;
            eprintln!("{kill} kills, {acknowledged} acknowledged writes, a start takes {start:.0?}: all is well");
        }
    }
    // A start removes what dead processes left unfinished, once that is old enough.
    for path in files(&gateway).into_iter().filter(|path| is_unfinished(path)) {
        std::fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    gateway.stop_and_restart().await.unwrap();
    until("unfinished files go", async || !files(&gateway).iter().any(|path| is_unfinished(path))).await;
    audit(&mut gateway, &stage, &model, kills).await;
    assert!(acknowledged > u64::from(kills), "only {acknowledged} requests were answered");
}

fn bucket(location: &str) -> String {
    format!("load-{location}")
}

/// What an object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    seed: u64,
    size: usize,
    /// How many files hold it where parts stay apart.
    files: usize,
}

/// What a key has to answer.
#[derive(Debug, Default, Clone)]
struct Expected {
    /// The last acknowledged write; `None` for a DELETE, or nothing yet.
    acknowledged: Option<Content>,
    /// Later writes that nobody heard the end of: one of them may have come last.
    unheard: Vec<Option<Content>>,
}

#[derive(Debug, Default, Clone)]
struct Model(Arc<Mutex<BTreeMap<String, Expected>>>);

impl Model {
    fn begin(&self, path: &str, write: Option<Content>) {
        self.0.lock().unwrap().entry(path.to_owned()).or_default().unheard.push(write);
    }

    /// Whoever wrote earlier without an answer comes too late now.
    fn acknowledge(&self, path: &str, write: Option<Content>) {
        self.0.lock().unwrap().insert(path.to_owned(), Expected { acknowledged: write, unheard: Vec::new() });
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
    /// Small objects, every other one a copy of the one before.
    Copy,
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
        for (location, habits) in LOCATIONS {
            for (number, habit) in habits.iter().enumerate() {
                let writer = Writer {
                    client: gateway.client().unwrap(),
                    model: model.clone(),
                    dying: Arc::clone(&dying),
                    random: Random(random.next()),
                    prefix: format!("{}/{habit:?}/{number}", bucket(location)),
                    habit: *habit,
                };
                writers.spawn(writer.write());
            }
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
    prefix: String,
    habit: Habit,
}

impl Writer {
    async fn write(mut self) -> u64 {
        let mut acknowledged = 0;
        let mut before: Option<(String, Content)> = None;
        while !self.is_dying() {
            let path = format!("{}/{}", self.prefix, self.random.below(4));
            let (least, files) = match self.habit {
                Habit::Small | Habit::Copy => (1, 1),
                Habit::Large => (LARGE / 2, 1),
                Habit::Multipart => (LARGE / 4, PARTS),
            };
            let size = least + usize::try_from(self.random.below(least as u64 + 60_000)).unwrap();
            let new = Content { seed: self.random.next(), size, files };
            let source = before.take().filter(|(source, _)| matches!(self.habit, Habit::Copy) && *source != path);
            let deletes = self.random.below(4) == 0;
            let (content, done) = match (&source, self.habit) {
                (Some((source, content)), _) => (Some(*content), self.copy(&path, source, *content).await),
                (None, _) if deletes => (None, self.delete(&path).await),
                (None, Habit::Multipart) => (Some(new), self.upload(&path, new).await),
                (None, _) => (Some(new), self.put(&path, new).await),
            };
            if done.is_none() {
                break;
            }
            self.model.acknowledge(&path, content);
            before = content.filter(|_| source.is_none()).map(|content| (path, content));
            acknowledged += 1;
        }
        acknowledged
    }

    async fn put(&self, path: &str, content: Content) -> Option<()> {
        self.model.begin(path, Some(content));
        let call = described(Call::new(Method::PUT, path), content);
        self.send(call.body(super::content(content.seed, content.size))).await.map(drop)
    }

    async fn copy(&self, path: &str, source: &str, content: Content) -> Option<()> {
        self.model.begin(path, Some(content));
        let answer = self.send(Call::new(Method::PUT, path).header("x-amz-copy-source", source)).await?;
        // Its status, too, may go out before it ended.
        let is_copied = answer.text().contains("<CopyObjectResult");
        assert!(is_copied || self.is_dying(), "{}", answer.text());
        is_copied.then_some(())
    }

    async fn delete(&self, path: &str) -> Option<()> {
        self.model.begin(path, None);
        self.send(Call::new(Method::DELETE, path)).await.map(drop)
    }

    async fn upload(&self, path: &str, content: Content) -> Option<()> {
        let created = self.send(described(Call::new(Method::POST, path).query("uploads", ""), content)).await?;
        let upload = created.elements("UploadId").remove(0);
        let bytes = super::content(content.seed, content.size);
        let mut etags = Vec::new();
        for (index, part) in bytes.chunks(bytes.len().div_ceil(PARTS)).enumerate() {
            let stored = self.send(part_call(path, &upload, index + 1, part.to_vec())).await?;
            etags.push(stored.header("etag").to_owned());
        }
        self.model.begin(path, Some(content));
        let answer = self.send(complete_call(path, &upload, &etags)).await?;
        assert!(is_completed(&answer) || self.is_dying(), "{}", answer.text());
        is_completed(&answer).then_some(())
    }

    /// The answer of a server that lives, which asks again when a location is not available: moto answers 500 now and
    /// then when several requests change one bucket.
    async fn send(&self, call: Call) -> Option<Answer> {
        let mut unavailable = 0;
        loop {
            match self.client.send(call.clone()).await {
                Ok(answer) if answer.status.is_success() => return Some(answer),
                Ok(_) | Err(_) if self.is_dying() => return None,
                Ok(answer) if answer.status == 503 && unavailable < TRIES => {
                    unavailable += 1;
                    tokio::time::sleep(super::PAUSE).await;
                }
                Ok(answer) => panic!("{} {}", answer.status, answer.text()),
                Err(error) => panic!("{error:#}"),
            }
        }
    }

    fn is_dying(&self) -> bool {
        self.dying.load(Ordering::SeqCst)
    }
}

/// An object that says in its metadata what it is, so that both can be compared.
fn described(call: Call, content: Content) -> Call {
    call.header("x-amz-meta-seed", &content.seed.to_string()).header("content-type", "text/x-load")
}

/// Reads every object again and again until the backends keep just what the live ones need.
async fn audit(gateway: &mut Gateway, stage: &Stage, model: &Model, kill: u32) {
    let client = gateway.client().unwrap();
    let mut found = BTreeMap::new();
    let mut unmet = String::new();
    let deadline = Instant::now() + super::SWEPT_WITHIN;
    loop {
        found.clear();
        for (path, expected) in model.all() {
            let content =
                verify(&client, &path, &expected, kill).await.unwrap_or_else(|why| panic!("{why}\n{}", gateway.log()));
            found.insert(path, content);
        }
        unmet.clear();
        for (location, _) in LOCATIONS {
            abort_open_uploads(&client, &bucket(location)).await;
            let prefix = format!("{}/", bucket(location));
            let live = found.iter().filter(|(path, _)| path.starts_with(&prefix)).filter_map(|(_, content)| *content);
            let (needed, there) = if location == "us-east-1" {
                // Copies share the files of what they copy.
                let files: BTreeMap<u64, usize> = live.map(|content| (content.seed, content.files)).collect();
                let there = files_of(gateway);
                (files.values().sum(), there)
            } else {
                (live.count(), stage.kept(location).await.unwrap())
            };
            if there.len() != needed {
                unmet.push_str(&format!("{location} keeps {} where {needed} are needed: {there:?}\n", there.len()));
            }
        }
        if unmet.is_empty() {
            break;
        }
        if Instant::now() > deadline {
            panic!("kill {kill}: {unmet}{}", gateway.log());
        }
        tokio::time::sleep(super::PAUSE).await;
    }
    for (location, _) in LOCATIONS {
        let prefix = format!("{}/", bucket(location));
        let live = found.iter().filter(|(_, content)| content.is_some());
        let live = live.filter_map(|(path, _)| path.strip_prefix(&prefix)).map(ToOwned::to_owned).collect();
        let listed: BTreeSet<String> = client.keys(&bucket(location)).await.unwrap().into_iter().collect();
        assert_eq!(listed, live, "kill {kill}");
    }
    for (path, content) in found {
        model.acknowledge(&path, content);
    }
}

fn files_of(gateway: &Gateway) -> Vec<String> {
    let files = files(gateway).into_iter().filter(|path| !is_unfinished(path));
    files.map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect()
}

/// What the key holds, which is what was acknowledged or what nobody heard the end of.
async fn verify(client: &Client, path: &str, expected: &Expected, kill: u32) -> Result<Option<Content>, String> {
    let answer = client.get(path).await.unwrap();
    let candidates = std::iter::once(expected.acknowledged).chain(expected.unheard.iter().copied());
    let found = candidates.into_iter().find(|candidate| match candidate {
        None => answer.status == StatusCode::NOT_FOUND,
        Some(it) => answer.status == StatusCode::OK && answer.body == content(it.seed, it.size),
    });
    let Some(found) = found else {
        let text = if answer.status == 200 { String::new() } else { answer.text() };
        return Err(format!(
            "kill {kill}: {path} is {} with {} bytes of seed {:?}, expected {expected:?} {text}",
            answer.status,
            answer.body.len(),
            answer.header("x-amz-meta-seed"),
        ));
    };
    if let Some(content) = found {
        assert_eq!(answer.header("x-amz-meta-seed"), content.seed.to_string(), "kill {kill}: {path}");
        assert_eq!(answer.header("content-type"), "text/x-load", "kill {kill}: {path}");
    }
    Ok(found)
}

/// Without kills the model would prove little: an upload that is never completed has to go too.
#[tokio::test]
async fn an_abandoned_upload_is_freed_on_every_backend() {
    let stage = Stage::start().await.unwrap();
    let mut gateway = setup(stage.locations()).start().await.unwrap();
    for location in ["aws", "azure", "plain-aws"] {
        let client = gateway.client().unwrap();
        assert_eq!(client.create_bucket(&bucket(location), location).await.unwrap().status, 200);
        let path = format!("{}/key", bucket(location));
        let upload = create_upload(&client, &path).await;
        assert_eq!(client.send(part_call(&path, &upload, 1, vec![7; 100_000])).await.unwrap().status, 200);
        assert!(!stage.kept(location).await.unwrap().is_empty(), "{location}");
    }
    gateway.crash_and_restart().await.unwrap();
    for location in ["aws", "azure", "plain-aws"] {
        abort_open_uploads(&gateway.client().unwrap(), &bucket(location)).await;
        until(location, async || stage.kept(location).await.unwrap().is_empty()).await;
    }
}
