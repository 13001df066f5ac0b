//! (j) Bodies that a plugin reads itself, against bodies that it hands on, through the same plugin.

use super::{Effort, Objects, measure, megabytes_per_second};
use crate::load::Until;
use crate::report::{Report, median};
use crate::servers::{self, Server};
use anyhow::{Context, Result};
use sallyport_tests::guests;
use serde_json::{Value, json};
use tempfile::TempDir;

/// As much as the plugin takes in one piece.
const SIZE: u64 = 16 << 20;
const GIB: f64 = 1_073_741_824.0;

/// A folder with the plugin.
pub(super) async fn folder() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let component = guests::build("third-party", "webstore").await?;
    tokio::fs::copy(component, folder.path().join("webstore.wasm")).await?;
    Ok(folder)
}

/// A location of it; with `scramble` above 0 it changes every byte.
pub(super) fn entry(upstream: &Server, scramble: u8) -> Value {
    json!({
        "type": "webstore",
        "legacyAwsBehavior": true,
        "details": { "endpoint": format!("http://{}", upstream.address), "scramble": scramble },
    })
}

/// Measures it.
///
/// # Errors
/// When a server does not start or answers with an error.
pub(crate) async fn run(report: &mut Report, effort: Effort) -> Result<()> {
    let upstream = servers::upstream().await?;
    let folder = folder().await?;
    let mut contenders = Vec::new();
    for (name, scramble) in [("handed on", 0), ("through the plugin", 90)] {
        contenders.push(servers::on_plugin(name, folder.path(), entry(&upstream, scramble)).await?);
    }
    let mut objects = Vec::new();
    for server in &contenders {
        objects.push(Objects::store(server, 4, SIZE).await?);
    }
    for case in ["GET", "PUT"] {
        let mut speeds = vec![Vec::new(); contenders.len()];
        let mut costs = vec![Vec::new(); contenders.len()];
        for _ in 0..effort.rounds {
            for (index, (server, objects)) in contenders.iter().zip(&objects).enumerate() {
                let requests = if case == "GET" { &objects.gets } else { &objects.puts };
                let measured = measure(server, requests, 1, Until::Elapsed(effort.load)).await?;
                let bytes = measured.outcome.requests * SIZE;
                let speed = megabytes_per_second(bytes, measured.outcome.elapsed);
                speeds.get_mut(index).context("a contender")?.push(speed);
                let cost = measured.processor.as_secs_f64() / (bytes as f64 / GIB);
                costs.get_mut(index).context("a contender")?.push(cost);
            }
        }
        let title = format!("{case} 16 MiB, webstore");
        let mut medians = Vec::new();
        for ((server, speeds), costs) in contenders.iter().zip(speeds).zip(costs) {
            let (speed, cost) = (median(speeds), median(costs));
            report.row("j", &title, server.name, &[("MB/s", speed), ("cpu_s/GiB", cost)]);
            medians.push((speed, cost));
        }
        if let [(handed, handed_cost), (through, through_cost)] = *medians.as_slice() {
            let values = [("MB/s_ratio", through / handed), ("cpu_ratio", through_cost / handed_cost)];
            report.row("j", &title, "through / handed on", &values);
        }
    }
    Ok(())
}
