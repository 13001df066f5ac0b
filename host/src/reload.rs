//! Takes over changed files while the server runs: locations, accounts and plugins.

use crate::accounts::Accounts;
use crate::app::{App, size_limits};
use crate::config::{Configuration, Overrides, Problem, ProcessEnvironment, Severity, load};
use crate::locations::{Health, LocationTable};
use sallyport_core::metadata::MetadataStore;
use serde::Serialize;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How often the files are looked at.
const WATCH: Duration = Duration::from_secs(2);
/// How long a file that changed has to stand still: an editor may be at it.
const SETTLED: Duration = Duration::from_millis(300);
/// Looks at a file that goes on changing before it is read as it is.
const LOOKS: u32 = 10;

/// Reads the files again when it is told to, and when they changed.
pub struct Reloader {
    root: PathBuf,
    overrides: Overrides,
    locations: Arc<LocationTable>,
    accounts: Arc<Accounts>,
    metadata: Arc<dyn MetadataStore>,
    /// The files as they were last read; held by the one reload that is under way.
    files: Mutex<Files>,
}

/// What a reload came to.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether the files are in force; otherwise everything is as it was.
    pub applied: bool,
    /// Every problem, as the start would tell it.
    pub problems: Vec<String>,
    /// How the locations are now.
    pub locations: Vec<Health>,
}

/// The files of a configuration, as they were when it was read.
pub struct Files {
    paths: Vec<PathBuf>,
    stamps: Vec<Stamp>,
}

/// Absent when the file is.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

impl Reloader {
    /// For an app that was built from the configuration of these files.
    pub fn new(root: PathBuf, overrides: Overrides, files: Files, app: &App) -> Arc<Self> {
        Arc::new(Self {
            root,
            overrides,
            locations: Arc::clone(&app.locations),
            accounts: Arc::clone(&app.accounts),
            metadata: Arc::clone(app.gateway.metadata()),
            files: Mutex::new(files),
        })
    }

    /// Reads all files and takes over what is right in them. What works is replaced only by
    /// what works; a fatal mistake leaves everything as it is.
    pub async fn reload(&self) -> Report {
        let mut files = self.files.lock().await;
        files.settle().await;
        self.read(&mut files, true).await
    }

    /// How the locations are.
    pub fn status(&self) -> Vec<Health> {
        self.locations.report()
    }

    /// Follows the files for ever: at each interval, unless that is zero.
    pub async fn watch(&self, interval: Option<Duration>) {
        let interval = interval.unwrap_or(WATCH);
        if interval.is_zero() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(interval).await;
            let mut files = self.files.lock().await;
            if files.have_changed().await {
                files.settle().await;
                self.read(&mut files, false).await;
            }
            drop(files);
            self.locations.follow_plugins().await;
        }
    }

    async fn read(&self, files: &mut Files, anew: bool) -> Report {
        files.stamps = stamps(&files.paths).await;
        let (root, overrides) = (self.root.clone(), self.overrides.clone());
        let read = tokio::task::spawn_blocking(move || load(&root, &overrides, &ProcessEnvironment)).await;
        let Ok((configuration, found)) = read else {
            return self.report(false, &[Problem::fatal("configuration", "cannot be read", "see the log")]);
        };
        let mut problems: Vec<Problem> = found.into_iter().collect();
        let applied = match &configuration {
            Some(configuration) => {
                problems.extend(self.apply(configuration, anew).await);
                true
            }
            None => false,
        };
        self.report(applied, &problems)
    }

    async fn apply(&self, configuration: &Configuration, anew: bool) -> Vec<Problem> {
        // Backends may take their time to answer: what is revoked is so before.
        self.accounts.revoke(configuration);
        let mut problems = self.locations.change(configuration, anew).await;
        // New ones after it: locations may be theirs alone, or not be theirs.
        self.accounts.change(configuration);
        if let Err(error) = self.metadata.allow_locations(size_limits(configuration)).await {
            let what = format!("the size limits are as they were: {error}");
            problems.push(Problem::warning(&configuration.locations_file, what, "reload once the database answers"));
        }
        problems
    }

    fn report(&self, applied: bool, problems: &[Problem]) -> Report {
        for problem in problems {
            match problem.severity {
                Severity::Warning => tracing::warn!("reload: {problem}"),
                Severity::Location | Severity::Fatal => tracing::error!("reload: {problem}"),
            }
        }
        let outcome = if applied { "applied" } else { "refused" };
        metrics::counter!("sallyport_reloads_total", "outcome" => outcome).increment(1);
        if applied {
            tracing::info!("the configuration was read again and is in force");
        } else {
            tracing::error!(
                "the configuration was read again and has mistakes that could misplace data: all is as it was"
            );
        }
        let problems = problems.iter().map(ToString::to_string).collect();
        Report { applied, problems, locations: self.locations.report() }
    }
}

impl Files {
    /// To be asked as soon as the configuration is read: what changes from then on is noticed.
    pub async fn of(configuration: &Configuration) -> Self {
        let paths = configuration.files.clone();
        Self { stamps: stamps(&paths).await, paths }
    }

    async fn have_changed(&self) -> bool {
        stamps(&self.paths).await != self.stamps
    }

    /// Waits until nobody writes any more, at most for some seconds.
    async fn settle(&self) {
        let mut before = stamps(&self.paths).await;
        for _ in 0..LOOKS {
            tokio::time::sleep(SETTLED).await;
            let now = stamps(&self.paths).await;
            if now == before {
                break;
            }
            before = now;
        }
    }
}

async fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    let mut stamps = Vec::new();
    for path in paths {
        stamps.push(tokio::fs::metadata(path).await.ok().map(|metadata| {
            (metadata.dev(), metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec())
        }));
    }
    stamps
}
