//! `rclone serve webdav` over a folder: a WebDAV server of the strict kind.

use crate::process::{Process, accepting, free_port};
use crate::tools;
use anyhow::Result;
use tempfile::TempDir;
use tokio::process::Command;

/// A running WebDAV server.
#[derive(Debug)]
pub struct Dav {
    port: u16,
    folder: TempDir,
    _process: Process,
}

impl Dav {
    /// Starts one over an empty folder.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start() -> Result<Self> {
        Self::with_arguments(&[]).await
    }

    /// Starts one that lets nobody in but with a name and a password.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn with_password(name: &str, password: &str) -> Result<Self> {
        Self::with_arguments(&["--user", name, "--pass", password]).await
    }

    async fn with_arguments(arguments: &[&str]) -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let mut command = Command::new(tools::python_program("rclone")?);
        command.args(["serve", "webdav", "--addr", &format!("127.0.0.1:{port}"), "--vfs-cache-mode", "off"]);
        command.args(arguments).arg(folder.path()).env("RCLONE_CONFIG", "/dev/null");
        let mut process = Process::start(&mut command)?;
        accepting(&mut process, port).await?;
        Ok(Self { port, folder, _process: process })
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The folder that it serves.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}
