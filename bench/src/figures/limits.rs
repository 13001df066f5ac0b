//! (i) What the limits cost: the same calls on a host that has them and on one that has none.

use super::hosted::{Hosted, Opening};
use super::{Effort, webstore};
use crate::report::{Report, median};
use crate::servers;
use crate::usage;
use anyhow::{Context, Result, ensure};
use sallyport_core::backend::Stored;
use sallyport_core::names::BucketName;
use sallyport_plugin::Limits;
use std::path::Path;
use std::time::{Duration, Instant};

/// How much dearer the limits may make a call.
const ALLOWED: f64 = 1.03;
const SMALL: u64 = 4096;
const LARGE: u64 = 8 << 20;

/// What is asked again and again.
#[derive(Clone, Copy)]
enum Case {
    /// Nothing leaves the plugin.
    Bare,
    /// A request to an upstream, whose body the plugin does not see.
    Small,
    /// A body that the plugin reads and changes.
    Through,
}

const CASES: [(Case, &str); 3] = [
    (Case::Bare, "aws_s3: a call without I/O"),
    (Case::Small, "aws_s3: GET 4 KiB"),
    (Case::Through, "webstore: GET 8 MiB through the plugin"),
];

/// A host with limits, or without.
struct Side {
    aws_s3: Hosted,
    small: Stored,
    webstore: Hosted,
    large: Stored,
}

/// Measures it.
///
/// # Errors
/// When a plugin cannot be opened or answers with an error.
pub(crate) async fn run(report: &mut Report, effort: Effort) -> Result<()> {
    let upstream = servers::upstream().await?;
    let folder = webstore::folder().await?;
    let sides = [Side::open(&upstream, folder.path(), true).await?, Side::open(&upstream, folder.path(), false).await?];
    for (case, title) in CASES {
        let (mut with, mut without, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..effort.rounds * 2 {
            // Whoever is first finds colder caches.
            let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
            let mut costs = [f64::NAN; 2];
            for index in order {
                let (side, cost) = (sides.get(index).context("a side")?, costs.get_mut(index).context("a side")?);
                *cost = side.cost(case, effort.load / 2).await?;
            }
            with.push(costs[0]);
            without.push(costs[1]);
            ratios.push(costs[0] / costs[1]);
        }
        let ratio = median(ratios);
        report.row("i", title, "with limits", &[("cpu_us/call", median(with))]);
        report.row("i", title, "without", &[("cpu_us/call", median(without))]);
        if matches!(case, Case::Bare) {
            report.row("i", title, "ratio", &[("with/without", ratio)]);
        } else {
            let promise = format!("{title}: the limits cost less than 3 %");
            report.verdict("i", &promise, format!("{ratio:.3}x the CPU"), ratio < ALLOWED);
        }
    }
    Ok(())
}

impl Side {
    async fn open(upstream: &servers::Server, folder: &Path, metered: bool) -> Result<Self> {
        // What is made anew is another figure.
        let limits = || Limits { reuse: u32::MAX, metered, ..Limits::default() };
        let aws_s3 = Hosted::aws_s3(upstream, folder, limits()).await?;
        let entry = webstore::entry(upstream, 90);
        let folders = vec![folder.to_owned()];
        let webstore = Hosted::open(Opening { folders, cache: folder, entry: &entry, limits: limits() }).await?;
        let (small, large) = (aws_s3.put("small", SMALL).await?, webstore.put("large", LARGE).await?);
        Ok(Self { aws_s3, small, webstore, large })
    }

    /// Microseconds of this process for one call, over calls for some time.
    async fn cost(&self, case: Case, time: Duration) -> Result<f64> {
        let bucket = BucketName::parse("bench")?;
        let (before, started, mut calls) = (usage::processor_time_of_this_process()?, Instant::now(), 0_u32);
        while started.elapsed() < time {
            match case {
                Case::Bare => {
                    self.aws_s3.backend.namespace(&bucket).await?;
                }
                Case::Small => ensure!(self.aws_s3.get(&self.small, SMALL).await? == SMALL, "an object is short"),
                Case::Through => ensure!(self.webstore.get(&self.large, LARGE).await? == LARGE, "an object is short"),
            }
            calls += 1;
        }
        let used = usage::processor_time_of_this_process()?.saturating_sub(before);
        Ok(used.as_secs_f64() * 1e6 / f64::from(calls.max(1)))
    }
}
