//! Ceph RADOS Gateway: checks signatures, has real versions.

use crate::process::{Process, free_port};
use crate::{client::Client, tools};
use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::process::Command;

/// The one user's access key.
pub const CEPH_ACCESS_KEY: &str = "AKIDCEPH000000000000";
/// Its secret.
pub const CEPH_SECRET_KEY: &str = "ceph/secret+0000000000000000000000000000";

/// A running one-node cluster, in memory.
#[derive(Debug)]
pub struct Ceph {
    port: u16,
    folder: TempDir,
    process: Process,
}

impl Ceph {
    /// Whether its packages are installed: they come from Debian, and not every machine is one.
    #[must_use]
    pub fn is_installed() -> bool {
        tools::ceph().is_some()
    }

    /// Starts one with nothing in it (about 15 s).
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start() -> Result<Self> {
        let installed = tools::ceph().context("Ceph is not installed: run make tools")?;
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let mut command = Command::new(tools::root().join("tests/tools/ceph.sh"));
        command.arg("run").arg(installed).arg(folder.path().join("ceph")).arg(port.to_string());
        command.env("CEPH_ACCESS_KEY", CEPH_ACCESS_KEY).env("CEPH_SECRET_KEY", CEPH_SECRET_KEY);
        let mut process = Process::start(&mut command)?;
        process.line(|line| (line == "ready").then_some(())).await?;
        Ok(Self { port, folder, process })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its logs are.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A client that reads it directly.
    ///
    /// # Errors
    /// Never for a local endpoint.
    pub fn client(&self) -> Result<Client> {
        Client::new(&format!("http://127.0.0.1:{}", self.port), CEPH_ACCESS_KEY, CEPH_SECRET_KEY)
    }

    /// Ends its daemons. A dropped cluster is killed without them: call this at a test's end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(mut self) -> Result<()> {
        self.process.stop().await.map(|_| ())
    }
}
