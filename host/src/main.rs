//! The `sallyport` command.

use anyhow::Context;
use clap::Parser;
use sallyport::arguments::{Arguments, Command};
use sallyport::commands;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// How long threads are waited for that still block when all is done.
const LAST: Duration = Duration::from_secs(5);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    if let Command::CompilePlugin { memory, seconds } = command {
        return compile(memory, seconds);
    }
    let outcome = tokio::runtime::Runtime::new().context("no threads to run on").and_then(|runtime| {
        let outcome = runtime.block_on(run(command));
        // A disk that does not answer, say, does not keep a process that has come to its end.
        runtime.shutdown_timeout(LAST);
        outcome
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(commands::FOUND_PROBLEMS),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The child's part of [`sallyport_plugin::Compiler`], without any thread but its own.
fn compile(memory: u64, seconds: u64) -> ExitCode {
    match sallyport_plugin::compile_alone(memory, seconds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "{why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Serve(settings) => commands::serve(&settings.into()).await.map(|()| true),
        Command::Check(settings) => commands::check(&settings.into()).await,
        Command::Backup { to, settings } => commands::backup(&settings.into(), &to).await.map(|()| true),
        Command::Restore { from, settings } => commands::restore(&settings.into(), &from).await.map(|()| true),
        Command::Fsck { repair, settings } => commands::fsck(&settings.into(), repair).await,
        Command::Key { command } => {
            let settings = command.settings().clone();
            commands::key(&settings.into(), command).await
        }
        Command::Plugin { command } => commands::plugin(command).await,
        Command::Import { location, bucket, dry_run, settings } => {
            commands::import(&settings.into(), &location, &bucket, dry_run).await
        }
        Command::CompilePlugin { .. } => anyhow::bail!("it is run before anything else"),
        Command::Rebind { location, settings } => commands::rebind(&settings.into(), &location).await.map(|()| true),
    }
}
