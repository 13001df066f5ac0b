//! (d) Memory while sixteen large objects are uploaded at once.

use super::{Effort, Objects};
use crate::load::{self, Until};
use crate::report::Report;
use crate::servers;
use crate::usage;
use anyhow::{Context, Result};
use std::sync::Arc;

const UPLOADS: usize = 16;
const ALLOWED_MIB: f64 = 150.0;
const MIB: f64 = 1_048_576.0;

/// Measures it.
///
/// # Errors
/// When a server does not start or answers with an error.
pub(crate) async fn run(report: &mut Report, effort: Effort) -> Result<()> {
    let upstream = servers::upstream().await?;
    let server = servers::sallyport(&upstream).await?;
    let process = server.process.context("a server of one process")?;
    let (idle, _) = usage::memory(process)?;
    let requests = Objects::store(&server, 1, effort.large).await?.puts;
    load::run(server.address, Arc::clone(&requests), UPLOADS, Until::Sent(1)).await?;
    let (after, most) = usage::memory(process)?;
    let mib = |bytes: u64| bytes as f64 / MIB;
    let title = format!("{UPLOADS} uploads of {:.0} MiB", mib(effort.large));
    let values = [("idle_MiB", mib(idle)), ("most_MiB", mib(most)), ("after_MiB", mib(after))];
    report.row("d", &title, server.name, &values);
    let promise = format!("{title}: under {ALLOWED_MIB} MiB resident");
    report.verdict("d", &promise, format!("{:.0} MiB", mib(most)), mib(most) < ALLOWED_MIB);
    Ok(())
}
