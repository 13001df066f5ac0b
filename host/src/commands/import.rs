//! `sallyport import`: makes objects of a backend visible that were there before.

use super::{configuration, report, say};
use crate::app::App;
use crate::config::{Overrides, ProcessEnvironment};
use sallyport_core::names::{BucketName, LocationName};
use sallyport_core::{Import, ImportReport};
use std::io::Write;

/// Takes the objects of a location into a bucket; answers whether all could be.
///
/// # Errors
/// The bucket's, the location's and the database's.
pub async fn import(overrides: &Overrides, location: &str, bucket: &str, dry_run: bool) -> anyhow::Result<bool> {
    let import = Import { location: LocationName::parse(location)?, bucket: BucketName::parse(bucket)?, dry_run };
    let configuration = configuration(overrides).await?;
    let app = App::build(&configuration, Box::new(ProcessEnvironment)).await?;
    report(app.problems.iter());
    let progress = |report: &ImportReport| {
        let _ = write!(std::io::stderr(), "\r{} objects listed, {} taken in", report.listed, report.imported);
    };
    let outcome = app.gateway.import(&import, progress).await;
    let _ = writeln!(std::io::stderr());
    let found = outcome.map_err(|error| anyhow::anyhow!("{error}"))?;
    if found.resumed {
        say(format_args!("went on where an earlier import was cut off"))?;
    }
    for problem in &found.problems {
        say(format_args!("skipped: {problem}"))?;
    }
    let done = if dry_run { "would be taken in" } else { "taken in" };
    say(format_args!(
        "{} objects listed: {} {done} ({} bytes), {} known before, {} skipped",
        found.listed, found.imported, found.bytes, found.known, found.skipped
    ))?;
    Ok(found.skipped == 0)
}
