//! A NATS server with JetStream, and what its streams hold.

use crate::process::{Process, free_port};
use crate::tools;
use anyhow::{Context, Result};
use async_nats::jetstream::{self, stream};
use serde_json::Value;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// Who may log in.
pub const NATS_USER: &str = "sallyport";
/// The password.
pub const NATS_PASSWORD: &str = "nats-secret";

/// A running server.
#[derive(Debug)]
pub struct Nats {
    port: u16,
    folder: TempDir,
    process: Process,
}

impl Nats {
    /// Starts one without streams.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start() -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let process = launch(&folder, port).await?;
        Ok(Self { port, folder, process })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes a stream that keeps a subject.
    ///
    /// # Errors
    /// When the server does not want it.
    pub async fn make_stream(&self, name: &str, subject: &str) -> Result<()> {
        let wanted =
            stream::Config { name: name.to_owned(), subjects: vec![subject.to_owned()], ..stream::Config::default() };
        self.context().await?.create_stream(wanted).await?;
        Ok(())
    }

    /// The messages of a stream, in order.
    ///
    /// # Errors
    /// When there is no such stream.
    pub async fn messages(&self, name: &str) -> Result<Vec<Value>> {
        let stream = self.context().await?.get_stream(name).await?;
        let count = stream.cached_info().state.last_sequence;
        let mut messages = Vec::new();
        for sequence in 1..=count {
            let message = stream.get_raw_message(sequence).await?;
            messages.push(serde_json::from_slice(&message.payload)?);
        }
        Ok(messages)
    }

    /// Ends it; its streams stay.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop().await.map(drop)
    }

    /// Starts it again on the same port.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = launch(&self.folder, self.port).await?;
        Ok(())
    }

    async fn context(&self) -> Result<jetstream::Context> {
        let options =
            async_nats::ConnectOptions::with_user_and_password(NATS_USER.to_owned(), NATS_PASSWORD.to_owned());
        let options = options.connection_timeout(Duration::from_secs(10));
        let client = options.connect(format!("nats://127.0.0.1:{}", self.port)).await;
        Ok(jetstream::new(client.context("connecting to NATS")?))
    }
}

async fn launch(folder: &TempDir, port: u16) -> Result<Process> {
    let mut command = Command::new(tools::nats_server()?);
    command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "--user", NATS_USER, "--pass", NATS_PASSWORD]);
    command.arg("-sd").arg(folder.path());
    let mut process = Process::start(&mut command)?;
    process.line(|line| line.contains("Server is ready").then_some(())).await?;
    Ok(process)
}
