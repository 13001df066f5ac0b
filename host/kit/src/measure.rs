//! What operations cost: time, the plugin's share of it, and bytes that it read.

use crate::case::Stop;
use crate::content::pattern;
use crate::detour::Detour;
use crate::report::OperationReport;
use crate::subject::{Opened, Spent};
use crate::trial::{Trial, said};
use sallyport_core::backend::Locator;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Size of the objects, and how many of each.
const SIZES: [(usize, usize); 3] = [(4 << 10, 50), (1 << 20, 10), (8 << 20, 4)];

/// Measures each operation on warm instances.
pub(crate) async fn measure(opened: Opened, detour: Arc<Detour>) -> Result<Vec<OperationReport>, Stop> {
    let trial = Trial::new(opened, detour)?;
    let measured = sizes(&trial).await;
    trial.clean().await;
    measured
}

async fn sizes(trial: &Trial) -> Result<Vec<OperationReport>, Stop> {
    let mut reports = Vec::new();
    for (size, calls) in SIZES.into_iter().filter(|(size, _)| trial.fitting(*size) == *size) {
        let bytes = pattern(size as u64, size);
        let name = trial.plain(&format!("measured/{size}"))?;
        // Instances are made and connections opened before anything counts.
        trial.put(&name, &bytes).await?;
        let mut locators: Vec<Locator> = Vec::with_capacity(calls);
        let mut put = Meter::new("put", size);
        for _ in 0..calls {
            let place = trial.derived("measured")?;
            let started = put.start(trial);
            locators.push(trial.put(&place, &bytes).await?.locator);
            put.stop(trial, started);
        }
        let mut get = Meter::new("get", size);
        for locator in &locators {
            let started = get.start(trial);
            said("get", trial.get(locator, size as u64, None).await)?;
            get.stop(trial, started);
        }
        reports.extend([put.report(), get.report()]);
        if size == SIZES.first().map_or(0, |(size, _)| *size) {
            reports.extend(without_bodies(trial, size, &locators).await?);
        }
    }
    Ok(reports)
}

async fn without_bodies(trial: &Trial, size: usize, locators: &[Locator]) -> Result<[OperationReport; 3], Stop> {
    let mut head = Meter::new("head", size);
    for locator in locators {
        let started = head.start(trial);
        said("head", trial.backend().head(locator).await)?;
        head.stop(trial, started);
    }
    let (name, write_id) = (trial.plain("absent")?, sallyport_core::names::WriteId::random());
    let mut find = Meter::new("find", size);
    for _ in locators {
        let started = find.start(trial);
        trial.find(&name, &write_id).await?;
        find.stop(trial, started);
    }
    let mut delete = Meter::new("delete", size);
    for locator in locators {
        let started = delete.start(trial);
        said("delete", trial.backend().delete(locator).await)?;
        delete.stop(trial, started);
    }
    Ok([head.report(), find.report(), delete.report()])
}

struct Meter {
    operation: &'static str,
    size: usize,
    took: Vec<Duration>,
    busy: Duration,
    bytes_read: u64,
}

impl Meter {
    fn new(operation: &'static str, size: usize) -> Self {
        Self { operation, size, took: Vec::new(), busy: Duration::ZERO, bytes_read: 0 }
    }

    fn start(&self, trial: &Trial) -> (Instant, Spent) {
        (Instant::now(), trial.spent())
    }

    fn stop(&mut self, trial: &Trial, (started, before): (Instant, Spent)) {
        self.took.push(started.elapsed());
        let after = trial.spent();
        self.busy += after.busy.saturating_sub(before.busy);
        self.bytes_read += after.bytes_read.saturating_sub(before.bytes_read);
    }

    fn report(mut self) -> OperationReport {
        self.took.sort_unstable();
        let calls = self.took.len();
        let microseconds = |time: Option<&Duration>| time.map_or(0, |time| time.as_micros() as u64);
        let average = |sum: u64| sum.checked_div(calls as u64).unwrap_or_default();
        OperationReport {
            operation: self.operation,
            size: self.size as u64,
            calls,
            median_microseconds: microseconds(self.took.get(calls / 2)),
            slowest_microseconds: microseconds(self.took.last()),
            busy_microseconds: average(self.busy.as_micros() as u64),
            bytes_through_plugin: average(self.bytes_read),
        }
    }
}
