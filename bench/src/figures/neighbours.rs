//! (h) What a tenant notices of another whose plugin is hostile.

use super::{Effort, Objects};
use crate::load::{self, Outcome, Until};
use crate::report::{Report, median};
use crate::servers::{self, Siege};
use anyhow::{Result, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the hostile plugin does, by the key that makes it do so, and how often at a time.
const ATTACKS: [(&str, &str, usize); 4] = [
    ("CPU spinner", "spin", 8),
    ("memory bomb", "grow", 8),
    ("connection flood", "flood/100", 8),
    ("slow bodies", "stall", 32),
];
const SIZE: u64 = 4096;
const KEYS: usize = 64;
/// How much longer the median may take.
const ALLOWED: f64 = 1.25;
/// For an attack to be under way, or over.
const BEGIN: Duration = Duration::from_millis(500);

/// Measures it.
///
/// # Errors
/// When a server does not start, or an attack does not take place.
pub(crate) async fn run(report: &mut Report, effort: Effort) -> Result<()> {
    let (upstream, theirs) = (servers::upstream().await?, servers::distant_upstream().await?);
    let siege = servers::besieged(&upstream, &theirs).await?;
    let objects = Objects::store(&siege.quiet, KEYS, SIZE).await?;
    for case in ["GET", "PUT"] {
        let requests = if case == "GET" { &objects.gets } else { &objects.puts };
        for (title, key, at_a_time) in ATTACKS {
            let (mut alone, mut beside, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..effort.rounds {
                let run = || load::run(siege.quiet.address, Arc::clone(requests), 1, Until::Elapsed(effort.load));
                // What the attack before left behind comes to its end.
                tokio::time::sleep(BEGIN).await;
                let before = seen(&run().await?);
                let attack = Attack::start(&siege, key, at_a_time);
                tokio::time::sleep(BEGIN).await;
                let during = run().await;
                attack.stop().await?;
                let during = seen(&during?);
                ratios.push(during[0] / before[0]);
                alone.push(before);
                beside.push(during);
            }
            let of = |all: &[[f64; 3]], pick: fn(&[f64; 3]) -> f64| median(all.iter().map(pick).collect());
            let case = format!("{case} 4 KiB, {title}");
            for (name, runs) in [("alone", &alone), ("beside it", &beside)] {
                let values = [
                    ("p50_us", of(runs, |run| run[0])),
                    ("p99_us", of(runs, |run| run[1])),
                    ("failed", of(runs, |run| run[2])),
                ];
                report.row("h", &case, name, &values);
            }
            let ratio = median(ratios);
            let promise = format!("{case}: the median within {ALLOWED}x");
            report.verdict("h", &promise, format!("{ratio:.2}x"), ratio <= ALLOWED);
        }
    }
    Ok(())
}

fn seen(outcome: &Outcome) -> [f64; 3] {
    let latency = |share| outcome.latency(share).as_secs_f64() * 1e6;
    [latency(0.5), latency(0.99), outcome.failed as f64]
}

/// Requests of the attacker's, so many at a time, until it is stopped.
struct Attack {
    tasks: tokio::task::JoinSet<()>,
    begun: Arc<AtomicU64>,
}

impl Attack {
    fn start(siege: &Siege, key: &'static str, at_a_time: usize) -> Self {
        let mut tasks = tokio::task::JoinSet::new();
        let begun = Arc::<AtomicU64>::default();
        for index in 0..at_a_time {
            let (client, begun) = (siege.attacker.clone(), Arc::clone(&begun));
            tasks.spawn(async move {
                loop {
                    begun.fetch_add(1, Ordering::Relaxed);
                    let path = format!("{}/{key}/{index}", servers::HOSTILE);
                    // It is refused or fails, as it should be.
                    if client.put(&path, "x").await.is_err() {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
            });
        }
        Self { tasks, begun }
    }

    async fn stop(mut self) -> Result<()> {
        ensure!(self.begun.load(Ordering::Relaxed) > 0, "the attack did not begin");
        ensure!(self.tasks.try_join_next().is_none(), "the attack ended by itself");
        self.tasks.shutdown().await;
        Ok(())
    }
}
