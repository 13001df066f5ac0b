//! (a) What a large body costs on its way through, against the same host without a sandbox and a bare pipe.

use super::{Effort, Objects, measure, megabytes_per_second};
use crate::load::Until;
use crate::report::{Report, median};
use crate::servers::{self, BUCKET, Server};
use crate::usage;
use anyhow::{Context, Result, ensure};
use sallyport_tests::gateway::{ACCESS_KEY, SECRET_KEY};
use sallyport_tests::tools;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const GIB: f64 = 1_073_741_824.0;
/// How often a round sends the object: the kernel counts processor time in hundredths of a second.
const TIMES: u64 = 4;
/// How much dearer than native the sandbox may be.
const ALLOWED: f64 = 1.05;

/// Measures it.
///
/// # Errors
/// When a server does not start or answers with an error.
pub(crate) async fn run(report: &mut Report, effort: Effort) -> Result<()> {
    let upstream = servers::upstream().await?;
    let contenders =
        [servers::pipe(&upstream).await?, servers::native(&upstream).await?, servers::sallyport(&upstream).await?];
    let mut objects = Vec::new();
    for server in &contenders {
        objects.push(Objects::store(server, 1, effort.large).await?);
    }
    for case in ["GET", "PUT"] {
        // Per contender: seconds per GiB and MB/s of each round.
        let mut costs = vec![Vec::new(); contenders.len()];
        let mut speeds = vec![Vec::new(); contenders.len()];
        for _ in 0..effort.rounds {
            for (index, (server, objects)) in contenders.iter().zip(&objects).enumerate() {
                let requests = if case == "GET" { &objects.gets } else { &objects.puts };
                let measured = measure(server, requests, 1, Until::Sent(TIMES)).await?;
                let sent = effort.large * TIMES;
                let cost = measured.processor.as_secs_f64() / (sent as f64 / GIB);
                let speed = megabytes_per_second(sent, measured.outcome.elapsed);
                costs.get_mut(index).context("a contender")?.push(cost);
                speeds.get_mut(index).context("a contender")?.push(speed);
            }
        }
        let of = |name: &str, all: &[Vec<f64>]| {
            let index = contenders.iter().position(|server| server.name == name).unwrap_or_default();
            all.get(index).cloned().unwrap_or_default()
        };
        for server in &contenders {
            let (cost, speed) = (median(of(server.name, &costs)), median(of(server.name, &speeds)));
            report.row("a", &format!("{case} one large object"), server.name, &[("cpu_s/GiB", cost), ("MB/s", speed)]);
        }
        let ratios = |all: &[Vec<f64>]| {
            let pairs = of("sallyport", all).into_iter().zip(of("native", all));
            median(pairs.map(|(ours, native)| ours / native).collect())
        };
        let (cost, speed) = (ratios(&costs), ratios(&speeds));
        let promise = format!("{case} through the sandbox within 5 % of native");
        report.verdict("a", &promise, format!("{cost:.3}x the CPU, {speed:.3}x the MB/s"), cost <= ALLOWED);
    }
    for server in contenders.iter().filter(|server| server.name != "bare pipe") {
        signed_put(report, server, effort).await?;
    }
    Ok(())
}

/// A PUT of aws-cli, which signs the payload: SHA-256 over all of it, at both ends.
async fn signed_put(report: &mut Report, server: &Server, effort: Effort) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("large");
    let mut file = tokio::fs::File::create(&path).await?;
    let block = super::pattern(1 << 20);
    for _ in 0..effort.large.div_ceil(1 << 20) {
        file.write_all(&block).await?;
    }
    file.flush().await?;
    let process = server.process.context("a server of one process")?;
    let (used, started) = (usage::processor_time(process)?, Instant::now());
    let mut command = Command::new(tools::python_program("aws")?);
    command.args(["--endpoint-url", &format!("http://{}", server.address), "s3api", "put-object"]);
    command.args(["--bucket", BUCKET, "--key", "signed", "--body"]).arg(&path);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command.env("AWS_DEFAULT_REGION", "us-east-1").env("AWS_CONFIG_FILE", "/dev/null");
    let output = command.output().await?;
    ensure!(output.status.success(), "aws: {}", String::from_utf8_lossy(&output.stderr));
    let cost = usage::processor_time(process)?.saturating_sub(used).as_secs_f64() / (effort.large as f64 / GIB);
    let speed = megabytes_per_second(effort.large, started.elapsed());
    report.row("a", "PUT of aws-cli, signed", server.name, &[("cpu_s/GiB", cost), ("MB/s", speed)]);
    Ok(())
}
