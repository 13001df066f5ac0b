//! `sallyport backup`, `restore`, `fsck` and `rebind`: care for the metadata.

use super::{configuration, report, say};
use crate::app::{App, key_problems, key_store};
use crate::config::{Overrides, ProcessEnvironment};
use anyhow::Context;
use sallyport_core::CheckReport;
use sallyport_core::names::LocationName;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Copies the metadata into a file, also while a server runs.
///
/// # Errors
/// The database's and the file's.
pub async fn backup(overrides: &Overrides, to: &Path) -> anyhow::Result<()> {
    let configuration = configuration(overrides).await?;
    sallyport_metadata::backup(&configuration.metadata_dir, to).await?;
    say(format_args!("{} holds the metadata of {}", to.display(), configuration.metadata_dir.display()))?;
    // After the database: every key that a row refers to is there then.
    let keys = beside(to);
    if key_store(&configuration, &ProcessEnvironment)?.copy_to(&keys)? {
        say(format_args!(
            "{} holds its keys, sealed by the master key, which is in neither: keep a copy of it elsewhere, or encrypted objects are lost with it",
            keys.display()
        ))?;
    }
    Ok(())
}

/// Puts a backup in the metadata's place.
///
/// # Errors
/// The database's and the file's; a running server's; keys that are others than the backup's.
pub async fn restore(overrides: &Overrides, from: &Path) -> anyhow::Result<()> {
    let configuration = configuration(overrides).await?;
    let keys = key_store(&configuration, &ProcessEnvironment)?;
    // Before anything changes: rows without their keys are objects that nobody can read.
    keys.check_merge(&beside(from))?;
    sallyport_metadata::restore(from, &configuration.metadata_dir).await?;
    if keys.merge_from(&beside(from))? {
        say("the backup's keys are back; the master key is not part of a backup")?;
        report(key_problems(&configuration, &ProcessEnvironment)?.iter());
    }
    say("restored: nothing is deleted on any backend until `sallyport fsck` has run")
}

/// The file of a backup's keys.
fn beside(backup: &Path) -> PathBuf {
    let mut name = backup.as_os_str().to_owned();
    name.push(".keys.json");
    name.into()
}

/// Compares rows with bytes, both ways; answers whether nothing is lost.
///
/// # Errors
/// The database's.
pub async fn fsck(overrides: &Overrides, repair: bool) -> anyhow::Result<bool> {
    let configuration = configuration(overrides).await?;
    let app = App::build(&configuration, Box::new(ProcessEnvironment)).await?;
    report(app.problems.iter());
    let progress = |report: &CheckReport| {
        let _ = write!(std::io::stderr(), "\r{} segments, {} stored objects", report.segments, report.stored);
    };
    let found = app.gateway.check(repair, progress).await.map_err(|error| anyhow::anyhow!("{error}"))?;
    let _ = writeln!(std::io::stderr());
    for problem in &found.problems {
        say(format_args!("lost: {problem}"))?;
    }
    let more = found.lost.saturating_sub(found.problems.len() as u64);
    if more > 0 {
        say(format_args!("lost: {more} more"))?;
    }
    for (place, cause) in &found.unchecked {
        say(format_args!("not checked: {place}: {cause}"))?;
    }
    let fate = if repair { "queued for deletion" } else { "left alone; --repair deletes them" };
    say(format_args!(
        "{} segments, {} lost; {} stored objects, {} orphans ({fate}), {} foreign",
        found.segments, found.lost, found.stored, found.orphans, found.foreign
    ))?;
    Ok(found.lost == 0 && found.is_complete())
}

/// Accepts that a location's objects are where it points now.
///
/// # Errors
/// The location's and the database's.
pub async fn rebind(overrides: &Overrides, name: &str) -> anyhow::Result<()> {
    let configuration = configuration(overrides).await?;
    let app = App::build(&configuration, Box::new(ProcessEnvironment)).await?;
    let name = LocationName::parse(name)?;
    let target = app.locations.target(&name).with_context(|| format!("the location {name} cannot be opened"))?;
    app.gateway.metadata().bind_location(&name, &target, true).await?;
    say(format_args!("the objects of {name} are taken to be in {target} from now on"))
}
