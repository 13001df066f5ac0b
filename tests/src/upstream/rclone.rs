//! `rclone serve s3` over a folder: checks signatures, has no versions.

use crate::process::{Process, accepting, free_port};
use crate::{client::Client, tools};
use anyhow::Result;
use tempfile::TempDir;
use tokio::process::Command;

/// A running rclone.
#[derive(Debug)]
pub struct Rclone {
    port: u16,
    folder: TempDir,
    _process: Process,
}

impl Rclone {
    /// Starts one over an empty folder.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start() -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let mut command = Command::new(tools::python_program("rclone")?);
        command.args(["serve", "s3", "--addr", &format!("127.0.0.1:{port}"), "--auth-key", "rcloneKey,rcloneSecret"]);
        command.args(["--vfs-cache-mode", "off"]).arg(folder.path()).env("RCLONE_CONFIG", "/dev/null");
        let mut process = Process::start(&mut command)?;
        accepting(&mut process, port).await?;
        Ok(Self { port, folder, _process: process })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder that it serves: a bucket is a folder, an object a file.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A client that reads it directly.
    ///
    /// # Errors
    /// Never for a local endpoint.
    pub fn client(&self) -> Result<Client> {
        Client::new(&format!("http://127.0.0.1:{}", self.port), "rcloneKey", "rcloneSecret")
    }
}
