//! `sallyport key`: the keys of SSE-S3 and SSE-KMS.

use super::{configuration, report, say};
use crate::app::{App, key_store};
use crate::arguments::KeyCommand;
use crate::config::{Overrides, ProcessEnvironment};
use sallyport_core::RewrapReport;
use std::io::Write;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Does what is asked; answers whether all of it could be done.
///
/// # Errors
/// The files' and the database's.
pub async fn key(overrides: &Overrides, command: KeyCommand) -> anyhow::Result<bool> {
    if let KeyCommand::Rewrap { .. } = command {
        return rewrap(overrides).await;
    }
    let store = key_store(&configuration(overrides).await?, &ProcessEnvironment)?;
    match command {
        KeyCommand::Create { name, .. } => {
            let fate = if store.create(&name)? { "was made" } else { "is there already" };
            say(format_args!("{name} {fate}"))?;
        }
        KeyCommand::List { .. } => {
            for key in store.list()? {
                let state = if key.is_disabled { "disabled" } else { "enabled" };
                let created = OffsetDateTime::from_unix_timestamp(key.created / 1000)?.format(&Rfc3339)?;
                say(format_args!("{}\tversion {}\tof {created}\t{state}", key.name, key.version))?;
            }
        }
        KeyCommand::Rotate { name, .. } => {
            let version = store.rotate(&name)?;
            say(format_args!("{name} has version {version}: it wraps the keys of new objects from now on"))?;
        }
        KeyCommand::Disable { name, .. } => {
            store.disable(&name, true)?;
            say(format_args!("{name} is disabled: its objects can be neither read nor written"))?;
        }
        KeyCommand::Enable { name, .. } => {
            store.disable(&name, false)?;
            say(format_args!("{name} is enabled"))?;
        }
        KeyCommand::Reseal { new, .. } => {
            let count = store.reseal(new)?;
            say(format_args!("{count} versions of keys are sealed by the master key. Keep a copy of it elsewhere"))?;
        }
        KeyCommand::Rewrap { .. } => {}
    }
    Ok(true)
}

async fn rewrap(overrides: &Overrides) -> anyhow::Result<bool> {
    let configuration = configuration(overrides).await?;
    let app = App::build(&configuration, Box::new(ProcessEnvironment)).await?;
    report(app.problems.iter());
    let progress = |report: &RewrapReport| {
        let _ = write!(std::io::stderr(), "\r{} wrapped anew, {} as they were", report.rewrapped, report.kept);
    };
    let found = app.gateway.rewrap(progress).await.map_err(|error| anyhow::anyhow!("{error}"))?;
    let _ = writeln!(std::io::stderr());
    for failed in &found.failed {
        say(format_args!("not wrapped anew: {failed}"))?;
    }
    let (anew, kept, failed) = (found.rewrapped, found.kept, found.failed.len());
    say(format_args!("{anew} data keys wrapped anew, {kept} as they were, {failed} failed"))?;
    Ok(found.failed.is_empty())
}
