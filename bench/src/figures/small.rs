//! (b) Requests for 4 KiB through to an upstream, against the upstream itself and native proxies before it.

use super::{Effort, Objects, measure};
use crate::load::Until;
use crate::report::{Report, median};
use crate::servers;
use anyhow::Result;
use std::collections::BTreeMap;

const SIZE: u64 = 4096;
const KEYS: usize = 256;
/// What the sandbox may cost beyond native code, in microseconds of CPU per request.
const ALLOWED: f64 = 60.0;

/// Measures it.
///
/// # Errors
/// When a server does not start or answers with an error.
pub(crate) async fn run(report: &mut Report, effort: Effort) -> Result<()> {
    let upstream = servers::upstream().await?;
    let mut contenders = vec![servers::sallyport(&upstream).await?, servers::native(&upstream).await?];
    contenders.push(servers::pipe(&upstream).await?);
    contenders.push(servers::rclone_proxy(&upstream).await?);
    for peer in [servers::nginx(&upstream).await, servers::s3s_proxy(&upstream).await] {
        match peer {
            Ok(peer) => contenders.push(peer),
            Err(error) => report.note(format!("b  left out: {error:#}")),
        }
    }
    contenders.push(upstream);
    let mut objects = Vec::new();
    for server in &contenders {
        objects.push(Objects::store(server, KEYS, SIZE).await?);
    }
    for case in ["GET", "PUT"] {
        for connections in [1, 16, 64] {
            let mut runs: BTreeMap<&str, Vec<[f64; 4]>> = BTreeMap::new();
            let mut failed: BTreeMap<&str, u64> = BTreeMap::new();
            for _ in 0..effort.rounds.min(3) {
                for (server, objects) in contenders.iter().zip(&objects) {
                    let requests = if case == "GET" { &objects.gets } else { &objects.puts };
                    let measured = measure(server, requests, connections, Until::Elapsed(effort.load)).await?;
                    let outcome = &measured.outcome;
                    *failed.entry(server.name).or_default() += outcome.failed;
                    let latency = |share| outcome.latency(share).as_secs_f64() * 1e6;
                    let values = [outcome.rate(), latency(0.5), latency(0.99), measured.microseconds_per_request()];
                    runs.entry(server.name).or_default().push(values);
                }
            }
            let of = |name: &str, pick: fn(&[f64; 4]) -> f64| {
                median(runs.get(name).map(|runs| runs.iter().map(pick).collect()).unwrap_or_default())
            };
            let title = format!("{case} 4 KiB, {connections} connections");
            for server in &contenders {
                let mut values = vec![
                    ("req/s", of(server.name, |run| run[0])),
                    ("p50_us", of(server.name, |run| run[1])),
                    ("p99_us", of(server.name, |run| run[2])),
                ];
                if server.process.is_some() {
                    values.push(("cpu_us/req", of(server.name, |run| run[3])));
                }
                let failed = failed.get(server.name).copied().unwrap_or_default();
                if failed > 0 {
                    values.push(("failed", failed as f64));
                }
                report.row("b", &title, server.name, &values);
            }
            let overhead = of("sallyport", |run| run[3]) - of("native", |run| run[3]);
            let promise = format!("{title}: the plugin adds at most {ALLOWED} us of CPU");
            report.verdict("b", &promise, format!("{overhead:.0} us"), overhead <= ALLOWED);
        }
    }
    Ok(())
}
