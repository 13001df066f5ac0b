//! What the command line asks for.

mod care;
mod check;
mod import;
mod key;
mod plugin;
mod running;
mod serve;
mod startup;

pub use care::{backup, fsck, rebind, restore};
pub use check::check;
pub use import::import;
pub use key::key;
pub use plugin::plugin;
pub use serve::serve;

use crate::app::inspect;
use crate::config::{Configuration, Overrides, Problem, Problems, ProcessEnvironment, Severity, draft};
use anyhow::Context;
use std::io::Write;

/// Exit status of a command that did its work and found something wrong.
pub const FOUND_PROBLEMS: u8 = 1;

/// Reads the configuration; mistakes go to standard error, all of them. After a fatal one
/// the plugins are still asked about the locations, since who corrects one mistake wants to
/// know the others.
///
/// # Errors
/// When one of them is fatal.
async fn configuration(overrides: &Overrides) -> anyhow::Result<Configuration> {
    let (configuration, problems) = drafted(overrides)?;
    accepted(configuration, &problems).await
}

/// As [`configuration`], where all that a server needs to start has to be in order.
///
/// # Errors
/// When anything is not.
async fn configuration_to_serve(overrides: &Overrides) -> anyhow::Result<Configuration> {
    let (configuration, mut problems) = drafted(overrides)?;
    problems.extend(startup::problems(&configuration, &ProcessEnvironment).await);
    accepted(configuration, &problems).await
}

fn drafted(overrides: &Overrides) -> anyhow::Result<(Configuration, Problems)> {
    let root = std::env::current_dir().context("the working folder")?;
    Ok(draft(&root, overrides, &ProcessEnvironment))
}

async fn accepted(configuration: Configuration, problems: &Problems) -> anyhow::Result<Configuration> {
    report(problems.iter());
    if !problems.is_fatal() {
        return Ok(configuration);
    }
    // Where nothing is to be asked, nothing is compiled, and no folder is made for it.
    if !configuration.locations.is_empty()
        && let Ok(found) = inspect(&configuration, Box::new(ProcessEnvironment)).await
    {
        report(found.iter());
    }
    anyhow::bail!("the configuration has mistakes that could misplace data: nothing was started")
}

/// Writes problems to standard error, a line each.
fn report<'a>(problems: impl Iterator<Item = &'a Problem>) {
    for problem in problems {
        let severity = match problem.severity {
            Severity::Warning => "warning",
            Severity::Location => "location",
            Severity::Fatal => "error",
        };
        // Nobody reads it when standard error is closed.
        let _ = writeln!(std::io::stderr(), "{severity}: {problem}");
    }
}

/// Writes a line to standard output.
fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("standard output")
}
