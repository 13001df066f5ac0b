//! A Sallyport that another program starts: a tracer, or a shell that takes something away.

use crate::client::Client;
use crate::gateway::{ACCESS_KEY, SECRET_KEY, Setup};
use crate::process::Process;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::process::Command;

/// A running gateway. The wrapper has become it (by `exec`), so that its process is its own.
#[derive(Debug)]
pub struct Wrapped {
    folder: TempDir,
    process: Process,
    endpoint: String,
}

impl Wrapped {
    /// Starts what `wrapper` says, with the server's command line behind it.
    ///
    /// # Errors
    /// When it does not come up; the message has its output.
    pub async fn start(setup: &Setup, wrapper: impl FnOnce(&Path) -> Vec<OsString>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let inner = setup.command(folder.path())?;
        let inner = inner.as_std();
        let wrapper = wrapper(folder.path());
        let (program, arguments) = wrapper.split_first().context("no wrapper")?;
        let mut command = Command::new(program);
        command.args(arguments).arg(inner.get_program()).args(inner.get_args());
        command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(current) = inner.get_current_dir() {
            command.current_dir(current);
        }
        let mut process = Process::start(&mut command)?;
        let endpoint = process
            .line(|line| line.split_once("sallyport listening on ").map(|(_, rest)| rest.trim().to_owned()))
            .await?;
        Ok(Self { folder, process, endpoint })
    }

    /// A client of the first account.
    ///
    /// # Errors
    /// When the endpoint is not a URL.
    pub fn client(&self) -> Result<Client> {
        Client::new(&self.endpoint, ACCESS_KEY, SECRET_KEY)
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path as the server sees it, which may have file systems that nobody else has.
    ///
    /// # Errors
    /// When the server has ended.
    pub fn seen(&self, path: &Path) -> Result<PathBuf> {
        let id = self.process_id()?;
        Ok(PathBuf::from(format!("/proc/{id}/root")).join(path.strip_prefix("/").unwrap_or(path)))
    }

    /// The process id.
    ///
    /// # Errors
    /// When it has ended.
    pub fn process_id(&self) -> Result<u32> {
        self.process.id().context("the server has ended")
    }

    /// Everything that it printed.
    pub fn log(&mut self) -> String {
        self.process.output()
    }

    /// SIGTERM, and its end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop().await.map(|_| ())
    }
}
