//! (c) Objects in a folder, synced before the answer, against servers that keep theirs in one too.

use super::{Effort, Objects, files_alone, measure, megabytes_per_second};
use crate::load::Until;
use crate::report::{Report, median};
use crate::servers;
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use tokio::process::Command;

/// Size in bytes, objects, connections, and how many times as fast as the fastest peer it has to be.
const CASES: [(u64, usize, usize, Option<f64>); 3] =
    [(4096, 256, 16, Some(2.0)), (1 << 20, 64, 16, Some(1.2)), (64 << 20, 4, 4, None)];

/// Measures it.
///
/// # Errors
/// When a server does not start or answers with an error.
pub(crate) async fn run(report: &mut Report, effort: Effort) -> Result<()> {
    let mut contenders = vec![servers::sallyport_local().await?, servers::rclone_local().await?];
    match servers::s3s_fs().await {
        Ok(peer) => contenders.push(peer),
        Err(error) => report.note(format!("c  left out: {error:#}")),
    }
    match servers::ceph().await? {
        Some(ceph) => contenders.push(ceph),
        None => report.note("c  Ceph RGW is not installed here, and is left out".to_owned()),
    }
    for (size, count, connections, wanted) in CASES {
        let mut objects = Vec::new();
        for server in &contenders {
            objects.push(Objects::store(server, count, size).await?);
        }
        for case in ["GET", "PUT"] {
            let mut rates: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
            let mut costs: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
            let mut failed: BTreeMap<&str, u64> = BTreeMap::new();
            for _ in 0..effort.rounds.min(3) {
                for (server, objects) in contenders.iter().zip(&objects) {
                    let requests = if case == "GET" { &objects.gets } else { &objects.puts };
                    settle().await?;
                    let measured = measure(server, requests, connections, Until::Elapsed(effort.load)).await?;
                    rates.entry(server.name).or_default().push(measured.outcome.rate());
                    *failed.entry(server.name).or_default() += measured.outcome.failed;
                    costs.entry(server.name).or_default().push(measured.microseconds_per_request());
                }
            }
            let of = |name: &str, all: &BTreeMap<&str, Vec<f64>>| median(all.get(name).cloned().unwrap_or_default());
            let title = format!("{case} {}", sized(size));
            for server in &contenders {
                let rate = of(server.name, &rates);
                let bytes = (rate * size as f64) as u64;
                let speed = megabytes_per_second(bytes, std::time::Duration::from_secs(1));
                let mut values = vec![("req/s", rate), ("MB/s", speed)];
                if server.process.is_some() {
                    values.push(("cpu_us/req", of(server.name, &costs)));
                }
                let failed = failed.get(server.name).copied().unwrap_or_default();
                if failed > 0 {
                    values.push(("failed", failed as f64));
                }
                report.row("c", &title, server.name, &values);
            }
            let fastest = contenders.iter().filter(|server| server.name != "sallyport");
            let fastest = fastest.map(|server| of(server.name, &rates)).fold(0.0, f64::max);
            let ratio = of("sallyport", &rates) / fastest;
            if let Some(wanted) = wanted {
                let promise = format!("{title}: at least {wanted}x the fastest peer");
                report.verdict("c", &promise, format!("{ratio:.2}x"), ratio >= wanted);
            }
        }
    }
    for server in contenders {
        server.stop().await?;
    }
    // Last, since a file system is slow for a while after so many files were removed.
    for (size, _, connections, _) in CASES.iter().rev().filter(|(_, _, _, wanted)| wanted.is_some()) {
        let (rate, cost) = files_alone::run(*size, *connections, effort.load)?;
        report.row("c", &format!("PUT {}", sized(*size)), "files alone", &[("req/s", rate), ("cpu_us/req", cost)]);
    }
    Ok(())
}

/// Puts on the disk what the servers before have not: it would be written while the next one is measured.
async fn settle() -> Result<()> {
    let synced = Command::new("sync").status().await?;
    ensure!(synced.success(), "sync: {synced}");
    Ok(())
}

fn sized(size: u64) -> String {
    if size < 1 << 20 { format!("{} KiB", size >> 10) } else { format!("{} MiB", size >> 20) }
}
