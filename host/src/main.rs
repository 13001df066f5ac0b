//! The `sallyport` command.

use clap::Parser;
use sallyport::arguments::{Arguments, Command};
use sallyport::commands;
use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = run(Arguments::parse().command).await;
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(commands::FOUND_PROBLEMS),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
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
        Command::Rebind { location, settings } => commands::rebind(&settings.into(), &location).await.map(|()| true),
    }
}
