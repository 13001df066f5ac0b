//! Azurite: the Azure blob service, which checks shared keys and SAS.

use crate::azure::BlobReader;
use crate::process::{Process, accepting, free_port};
use crate::tools;
use anyhow::Result;
use tempfile::TempDir;
use tokio::process::Command;

/// Azurite's published account.
pub const AZURITE_ACCOUNT: &str = "devstoreaccount1";
/// Its published key.
pub const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running Azurite.
#[derive(Debug)]
pub struct Azurite {
    port: u16,
    account: String,
    _folder: TempDir,
    _process: Process,
}

impl Azurite {
    /// Starts one with nothing in it.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start() -> Result<Self> {
        Self::with_account(AZURITE_ACCOUNT).await
    }

    /// Starts one whose account has another name, with the published key.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn with_account(account: &str) -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let mut command = Command::new(tools::node_program("azurite-blob")?);
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
        command.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location"]).arg(folder.path());
        command.env("AZURITE_ACCOUNTS", format!("{account}:{AZURITE_KEY}"));
        let mut process = Process::start(&mut command)?;
        accepting(&mut process, port).await?;
        Ok(Self { port, account: account.to_owned(), _folder: folder, _process: process })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:port/account`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{}", self.port, self.account)
    }

    /// A reader of the account.
    ///
    /// # Errors
    /// Never with the published key.
    pub fn reader(&self) -> Result<BlobReader> {
        BlobReader::new(&self.endpoint(), &self.account, AZURITE_KEY)
    }
}
