//! Hostile plugins: what each does is its own location's trouble, and nobody else's.
//!
//! `docs/plugins/hostile-cases.md` lists the cases; a test's name begins with the case's number.

mod burning;
mod egress;
mod hoarding;
mod lies;
mod lifecycle;
mod listings;
mod rebinding;
mod sandbox;
mod secrets;
mod streams;
mod upstream;

use bytes::Bytes;
use futures::{StreamExt, stream};
use sallyport_tests::client::{Answer, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::guests;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// How often each case is done: `SALLYPORT_HOSTILE_REPETITIONS`, 10,000 in the soak.
const REPETITIONS: usize = 200;
/// Attacks at a time.
const AT_A_TIME: usize = 4;
/// What a neighbour waits at most, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(10);

fn repetitions() -> usize {
    let asked = std::env::var("SALLYPORT_HOSTILE_REPETITIONS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(REPETITIONS)
}

/// A gateway with a hostile location of one account, and another account that goes on working.
struct Siege {
    gateway: Gateway,
    attacker: Client,
    metrics: Client,
    neighbour: Neighbour,
    _plugins: TempDir,
}

impl Siege {
    async fn of(details: Value, limits: Value) -> Self {
        let hostile = json!({
            "type": "hostile", "legacyAwsBehavior": false, "accounts": ["Bart"], "details": details, "limits": limits
        });
        Self::start(Setup::with_locations(json!({ "hostile": hostile }))).await
    }

    /// Whose locations have one called `hostile`.
    async fn start(setup: Setup) -> Self {
        let plugins = TempDir::new().unwrap();
        let component = guests::hostile().await.unwrap();
        std::fs::write(plugins.path().join("hostile.wasm"), component).unwrap();
        let quiet = json!({ "type": "local", "legacyAwsBehavior": false, "details": {}, "accounts": ["Lisa"] });
        let setup = setup.location("quiet", quiet).plugins(plugins.path());
        let mut gateway = setup
            .environment("SALLYPORT_SWEEP_INTERVAL_MS", "500")
            // Each attempt is to reach the plugin.
            .environment("SALLYPORT_BREAKER_CALLS", "0")
            .start()
            .await
            .unwrap();
        let attacker = gateway.client().unwrap();
        let admin = gateway.admin().unwrap();
        let metrics = Client::new(&admin, "nobody", "nothing").unwrap();
        let created = attacker.create_bucket("hostile", "hostile").await.unwrap();
        assert_eq!(created.status, 200, "{}", created.text());
        let neighbour = Neighbour::start(&gateway).await;
        Self { gateway, attacker, metrics, neighbour, _plugins: plugins }
    }

    async fn put(&self, key: &str, body: impl Into<Bytes>) -> Answer {
        self.attacker.put(&format!("hostile/{key}"), body).await.unwrap()
    }

    async fn get(&self, key: &str) -> anyhow::Result<Answer> {
        self.attacker.get(&format!("hostile/{key}")).await
    }

    /// What the plugin tells of itself through an error.
    async fn says(&self, key: &str) -> String {
        self.put(key, "x").await.elements("Message").concat()
    }

    /// Does the same often; answers the codes that came, each once, and looks that nothing grew.
    async fn repeat(&self, key: &str, times: usize) -> Vec<String> {
        self.repeat_with(times, async |index| self.put(&format!("{key}/{index}"), "x").await.code()).await
    }

    async fn repeat_with(&self, times: usize, attack: impl AsyncFn(usize) -> String) -> Vec<String> {
        // The first ones fill pools and caches.
        let warm = (times / 10).max(8);
        let attack = |index| attack(index);
        let mut codes: Vec<String> = stream::iter(0..warm).map(attack).buffer_unordered(AT_A_TIME).collect().await;
        let before = self.footprint();
        codes
            .extend(stream::iter(warm..times + warm).map(attack).buffer_unordered(AT_A_TIME).collect::<Vec<_>>().await);
        self.has_not_grown_since(&before);
        codes.sort();
        codes.dedup();
        codes
    }

    fn has_not_grown_since(&self, before: &Footprint) {
        let after = self.footprint();
        assert!(after.descriptors <= before.descriptors + 24, "{before:?} {after:?}");
        assert!(after.resident <= before.resident + (96 << 20), "{before:?} {after:?}");
    }

    fn footprint(&self) -> Footprint {
        let process = format!("/proc/{}", self.gateway.process_id().unwrap());
        let pages = std::fs::read_to_string(format!("{process}/statm")).unwrap();
        let resident: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
        let descriptors = std::fs::read_dir(format!("{process}/fd")).unwrap().count();
        Footprint { descriptors, resident: resident * 4096 }
    }

    /// How often a limit of the hostile location was met.
    async fn hits(&self, limit: &str) -> u64 {
        self.counted("sallyport_plugin_limit_hits_total", &format!("limit=\"{limit}\"")).await
    }

    /// A counter of the hostile location, summed over what has the label.
    async fn counted(&self, name: &str, label: &str) -> u64 {
        let text = self.metrics.get("metrics").await.unwrap().text();
        let lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        let ours = lines.filter(|line| line.contains("location=\"hostile\"") && line.contains(label));
        ours.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
    }

    /// The gateway is up, the neighbour noticed nothing, and the hostile location itself works
    /// again for what is in order.
    async fn ends_well(mut self) -> String {
        let put = self.put("fine", "bytes").await;
        assert_eq!(put.status, 200, "{}\n{}", put.text(), self.gateway.log());
        let got = self.get("fine").await.unwrap();
        assert_eq!(got.text(), ".....");
        self.leaves_the_neighbour_alone().await
    }

    /// The same where the hostile location itself cannot work.
    async fn leaves_the_neighbour_alone(mut self) -> String {
        let log = self.gateway.log();
        self.neighbour.stop(&log).await;
        // The plugin's own panics are lines like any other.
        let ours = log.lines().filter(|line| line.contains("panicked") && !line.contains("sallyport_plugin::log"));
        assert_eq!(ours.collect::<Vec<_>>(), Vec::<&str>::new());
        log
    }
}

#[derive(Debug)]
struct Footprint {
    descriptors: usize,
    /// In bytes.
    resident: u64,
}

/// Another account at work on a location of its own.
struct Neighbour {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<(usize, Duration), String>>,
}

impl Neighbour {
    async fn start(gateway: &Gateway) -> Self {
        let client = Client::new(gateway.endpoint(), "accessKey2", "verySecretKey2").unwrap();
        assert_eq!(client.create_bucket("quiet", "quiet").await.unwrap().status, 200);
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let (mut count, mut longest) = (0, Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) || count == 0 {
                let began = Instant::now();
                let put = client.put("quiet/key", "quiet bytes").await.map_err(|error| error.to_string())?;
                let got = client.get("quiet/key").await.map_err(|error| error.to_string())?;
                if (put.status.as_u16(), got.text().as_str()) != (200, "quiet bytes") {
                    return Err(format!("{} {}", put.text(), got.text()));
                }
                (count, longest) = (count + 1, longest.max(began.elapsed()));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok((count, longest))
        });
        Self { stop, task }
    }

    async fn stop(&mut self, log: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let outcome = (&mut self.task).await.unwrap();
        let (count, longest) = outcome.unwrap_or_else(|error| panic!("the neighbour was disturbed: {error}\n{log}"));
        assert!(count > 0 && longest < PATIENCE, "{count} requests, the longest took {longest:?}");
    }
}
