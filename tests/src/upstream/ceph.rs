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

/// How long one start may take, on a machine that is busy with other tests.
const START: std::time::Duration = std::time::Duration::from_secs(60);
/// Starts before giving up: its daemons take their ports seconds after they were chosen.
const STARTS: usize = 3;

/// A free port whose successor is free too: the monitor and the gateway take one each. It
/// lies below those that the system gives to whoever connects meanwhile.
fn free_port_pair() -> Result<u16> {
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    for _ in 0..100 {
        let port = 20_000 + free_port()? % 6_000 * 2;
        if is_free(port) && is_free(port + 1) {
            return Ok(port);
        }
    }
    anyhow::bail!("no two free ports in a row")
}

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
        Self::with_host("localhost").await
    }

    /// Starts one that takes the names below `host` for its buckets.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn with_host(host: &str) -> Result<Self> {
        let installed = tools::ceph().context("Ceph is not installed: run make tools")?;
        for _ in 1..STARTS {
            if let Ok(started) = tokio::time::timeout(START, Self::start_once(installed.clone(), host)).await {
                return started;
            }
        }
        Self::start_once(installed, host).await
    }

    async fn start_once(installed: std::path::PathBuf, host: &str) -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port_pair()?);
        let mut command = Command::new(tools::root().join("tests/tools/ceph.sh"));
        command.arg("run").arg(installed).arg(folder.path().join("ceph")).arg(port.to_string());
        command.env("CEPH_ACCESS_KEY", CEPH_ACCESS_KEY).env("CEPH_SECRET_KEY", CEPH_SECRET_KEY);
        command.env("CEPH_HOST", host);
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
