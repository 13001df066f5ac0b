//! (f) From the start of the process to its first answer, with plugins compiled before.

use super::Effort;
use crate::report::{Report, median};
use crate::servers::{self, BUCKET};
use anyhow::{Context, Result, ensure};
use sallyport_tests::gateway::Setup;
use serde_json::json;
use std::time::Instant;

const ALLOWED_MS: f64 = 300.0;

/// Measures it.
///
/// # Errors
/// When a server does not start or answers with an error.
pub(crate) async fn run(report: &mut Report, effort: Effort) -> Result<()> {
    let upstream = servers::upstream().await?;
    let mut locations = json!({ "up": servers::aws_s3_location(&upstream) });
    let all = locations.as_object_mut().context("an object")?;
    for index in 1..16 {
        all.insert(format!("folder-{index}"), json!({ "type": "local", "legacyAwsBehavior": true, "details": {} }));
    }
    let cold = Instant::now();
    let mut gateway = Setup::with_locations(locations).start().await?;
    let cold = cold.elapsed().as_secs_f64() * 1e3;
    let client = gateway.client()?;
    for (bucket, location) in [(BUCKET, "up"), ("folder", "folder-1")] {
        ensure!(client.create_bucket(bucket, location).await?.status.is_success(), "{bucket} was not created");
        ensure!(
            client.put(&format!("{bucket}/key"), "content").await?.status.is_success(),
            "{bucket}/key was not stored"
        );
    }
    let (mut to_listening, mut to_answer) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        gateway.stop().await?;
        let started = Instant::now();
        gateway.restart().await?;
        to_listening.push(started.elapsed().as_secs_f64() * 1e3);
        let answer = gateway.client()?.get(&format!("{BUCKET}/key")).await?;
        ensure!(answer.body == "content", "the object is not what was stored: {}", answer.text());
        to_answer.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let (listening, answered) = (median(to_listening), median(to_answer));
    let values = [("compiling_ms", cold), ("listening_ms", listening), ("first_answer_ms", answered)];
    report.row("f", "17 locations, 2 plugins", "sallyport", &values);
    let promise = format!("start to first answer under {ALLOWED_MS} ms");
    report.verdict("f", &promise, format!("{answered:.0} ms"), answered < ALLOWED_MS);
    Ok(())
}
