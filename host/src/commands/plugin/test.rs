//! `sallyport plugin test`.

use super::progress::Shown;
use super::say;
use super::subject::Installed;
use crate::arguments::Test;
use crate::config::{LogFormat, LogLevel, LogSettings};
use crate::telemetry;
use anyhow::{Context, bail};
use sallyport_kit::{Options, Report};
use sallyport_plugin::Description;
use serde_json::json;

/// Answers whether the plugin keeps the contract.
pub(super) async fn test(request: &Test) -> anyhow::Result<bool> {
    if let Some(id) = request.only.iter().find(|id| !sallyport_kit::cases().iter().any(|case| case.id.starts_with(*id)))
    {
        bail!("no case begins with `{id}`; `put.` and `fault.down`, for example, do");
    }
    // A plugin's own words are what its author wants to read next to a case that fails.
    telemetry::log(LogSettings { level: LogLevel::Warn, format: LogFormat::Text });
    let (subject, description) = Installed::new(request).await?;
    let options = Options { only: request.only.clone(), measure: !request.no_measure };
    let progress = Shown::new();
    let ran = sallyport_kit::run(&subject, &options, &progress).await;
    progress.end();
    let report = ran.map_err(|why| anyhow::anyhow!("the location cannot be opened: {why}"))?;
    show(&description, &report)?;
    if let Some(path) = &request.json {
        let written = json!({
            "plugin": {
                "name": description.name, "version": description.version, "sha256": description.digest,
            },
            "host": env!("CARGO_PKG_VERSION"),
            "conformant": report.is_conformant(),
            "summary": report.summary,
            "cases": report.cases,
            "operations": report.operations,
        });
        let text = serde_json::to_string_pretty(&written)?;
        tokio::fs::write(path, text).await.with_context(|| path.display().to_string())?;
    }
    Ok(report.is_conformant())
}

fn show(description: &Description, report: &Report) -> anyhow::Result<()> {
    if !report.operations.is_empty() {
        say("")?;
        say("operation       bytes  calls   median µs  slowest µs     busy µs  bytes through the plugin")?;
        for one in &report.operations {
            say(format_args!(
                "{:9} {:11} {:6} {:11} {:11} {:11} {:25}",
                one.operation,
                one.size,
                one.calls,
                one.median_microseconds,
                one.slowest_microseconds,
                one.busy_microseconds,
                one.bytes_through_plugin
            ))?;
        }
        say("busy: the plugin at work, or the host on its behalf. Bytes that are handed on do not pass the plugin.")?;
    }
    let summary = &report.summary;
    say("")?;
    say(format_args!(
        "{} {} (sha256 {}): {} passed, {} failed, {} skipped",
        description.name, description.version, description.digest, summary.passed, summary.failed, summary.skipped
    ))
}
