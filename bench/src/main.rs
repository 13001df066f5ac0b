//! Measures Sallyport beside what people use today; `make bench` builds, installs and runs all of it.

#![allow(clippy::disallowed_methods, reason = "a benchmark waits in real time")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures to read"
)]

mod figures;
mod load;
mod report;
mod roles;
mod servers;
mod usage;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use figures::Effort;
use report::{Report, say};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Sallyport beside what people use today.
#[derive(Parser)]
struct Arguments {
    /// Which figures; all of them when none is named.
    figures: Vec<Figure>,
    /// Fewer and shorter runs, for a first look.
    #[arg(long)]
    quick: bool,
    /// Where the figures go as JSON.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
    #[command(subcommand)]
    role: Option<RoleCommand>,
}

#[derive(Subcommand)]
enum RoleCommand {
    /// One of the servers that are compared with; for the benchmark's own use.
    #[command(hide = true, subcommand)]
    Role(Role),
}

#[derive(Subcommand)]
enum Role {
    Upstream,
    Pipe { upstream: SocketAddr },
    Native { upstream: SocketAddr },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Figure {
    /// (a) CPU per GiB of large bodies.
    Bodies,
    /// (b) Requests for 4 KiB to an upstream.
    Small,
    /// (c) Objects in a folder.
    Local,
    /// (d) Memory under sixteen uploads.
    Memory,
    /// (e) Pages of listings.
    List,
    /// (f) Start to first answer.
    Start,
    /// (g) Instances of a plugin.
    Instances,
    /// (h) Beside a hostile tenant.
    Neighbours,
    /// (i) The cost of the limits.
    Limits,
    /// (j) Bodies through a plugin.
    Webstore,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.role {
        Some(RoleCommand::Role(Role::Upstream)) => roles::upstream::run().await,
        Some(RoleCommand::Role(Role::Pipe { upstream })) => roles::pipe::run(upstream).await,
        Some(RoleCommand::Role(Role::Native { upstream })) => {
            roles::native::run(upstream, &std::env::current_dir()?.join("metadata")).await
        }
        None => measure(arguments).await,
    }
}

async fn measure(arguments: Arguments) -> Result<()> {
    let effort = if arguments.quick {
        Effort { rounds: 3, load: Duration::from_secs(1), large: 256 << 20, keys: 200_000 }
    } else {
        Effort { rounds: 9, load: Duration::from_secs(4), large: 1 << 30, keys: 2_000_000 }
    };
    let mut report = Report::default();
    report.note(format!("measuring {}, {effort:?}", servers::measured_server()?.display()));
    let mut broken = Vec::new();
    let all = Figure::value_variants().iter().copied();
    for figure in all.filter(|figure| arguments.figures.is_empty() || arguments.figures.contains(figure)) {
        let measured = match figure {
            Figure::Bodies => figures::bodies::run(&mut report, effort).await,
            Figure::Small => figures::small::run(&mut report, effort).await,
            Figure::Local => figures::local::run(&mut report, effort).await,
            Figure::Memory => figures::memory::run(&mut report, effort).await,
            Figure::List => figures::list::run(&mut report, effort).await,
            Figure::Start => figures::start::run(&mut report, effort).await,
            Figure::Instances => figures::instances::run(&mut report, effort).await,
            Figure::Neighbours => figures::neighbours::run(&mut report, effort).await,
            Figure::Limits => figures::limits::run(&mut report, effort).await,
            Figure::Webstore => figures::webstore::run(&mut report, effort).await,
        };
        // What was measured before is worth keeping.
        if let Err(error) = measured {
            report.note(format!("{figure:?} was not measured to its end: {error:#}"));
            broken.push(figure);
        }
    }
    report.save(&arguments.json)?;
    say(&format!("saved as {}", arguments.json.display()));
    ensure!(broken.is_empty(), "not measured to their end: {broken:?}");
    Ok(())
}
