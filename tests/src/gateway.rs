//! A Sallyport of its own for one test.

use crate::process::{Process, write};
use crate::{client::Client, tools};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::process::Command;

/// The first account of the shipped authdata.json.
pub const ACCESS_KEY: &str = "accessKey1";
/// Its secret.
pub const SECRET_KEY: &str = "verySecretKey1";

/// What a gateway is started with.
#[derive(Debug, Clone)]
pub struct Setup {
    locations: Value,
    config: Value,
    environment: Vec<(String, String)>,
    plugins: Vec<PathBuf>,
}

impl Setup {
    /// Locations beside `us-east-1`, which is `local` as in the shipped file.
    #[must_use]
    pub fn with_locations(extra: Value) -> Self {
        let mut locations = json!({
            "us-east-1": { "type": "local", "objectId": "us-east-1", "legacyAwsBehavior": true, "details": {} }
        });
        if let (Some(all), Value::Object(extra)) = (locations.as_object_mut(), extra) {
            all.extend(extra);
        }
        let config = json!({
            "restEndpoints": { "localhost": "us-east-1", "127.0.0.1": "us-east-1" },
            "metricsListenOn": ["127.0.0.1:0"],
            "log": { "logLevel": "info", "dumpLevel": "error" }
        });
        Self { locations, config, environment: Vec::new(), plugins: Vec::new() }
    }

    /// Sets a key of config.json.
    #[must_use]
    pub fn config(mut self, key: &str, value: Value) -> Self {
        if let Some(config) = self.config.as_object_mut() {
            config.insert(key.to_owned(), value);
        }
        self
    }

    /// Sets a variable of the server's environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a folder of plugins.
    #[must_use]
    pub fn plugins(mut self, folder: &Path) -> Self {
        self.plugins.push(folder.to_path_buf());
        self
    }

    /// Starts it in a new folder.
    ///
    /// # Errors
    /// When it does not come up; the message has its output.
    pub async fn start(self) -> Result<Gateway> {
        let folder = tempfile::tempdir()?;
        let (process, endpoint) = self.launch(folder.path()).await?;
        Ok(Gateway { setup: self, folder, process, endpoint })
    }

    async fn launch(&self, folder: &Path) -> Result<(Process, String)> {
        let mut command = self.command(folder)?;
        let mut process = Process::start(&mut command)?;
        let endpoint = process
            .line(|line| line.split_once("sallyport listening on ").map(|(_, rest)| rest.trim().to_owned()))
            .await?;
        Ok((process, endpoint))
    }

    /// The command line, for tests that look at a start that fails.
    ///
    /// # Errors
    /// When the server is not built or the files cannot be written.
    pub fn command(&self, folder: &Path) -> Result<Command> {
        let locations = write(folder, "locationConfig.json", &self.locations.to_string())?;
        let config = write(folder, "config.json", &self.config.to_string())?;
        let mut command = Command::new(tools::sallyport()?);
        command
            .arg("serve")
            .args(["--listen", "127.0.0.1:0"])
            .arg("--config")
            .arg(config)
            .arg("--locations")
            .arg(locations);
        command.arg("--data-dir").arg(folder.join("data")).arg("--metadata-dir").arg(folder.join("metadata"));
        command.arg("--auth").arg(tools::root().join("conf/authdata.json"));
        command.arg("--plugins").arg(tools::plugins()?);
        for plugins in &self.plugins {
            command.arg("--plugins").arg(plugins);
        }
        // Nothing of the developer's own environment or profiles may leak in.
        command.env_clear().env("HOME", folder).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("XDG_CACHE_HOME", std::env::temp_dir().join("sallyport-tests-cache"));
        command.envs(self.environment.iter().cloned()).current_dir(folder);
        Ok(command)
    }
}

/// A running gateway with its folders, which go with it.
#[derive(Debug)]
pub struct Gateway {
    setup: Setup,
    folder: TempDir,
    process: Process,
    endpoint: String,
}

impl Gateway {
    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client of the first account.
    ///
    /// # Errors
    /// When the endpoint is not a URL.
    pub fn client(&self) -> Result<Client> {
        Client::new(&self.endpoint, ACCESS_KEY, SECRET_KEY)
    }

    /// The process id.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Everything that it printed.
    pub fn log(&mut self) -> String {
        self.process.output()
    }

    /// `kill -9`, then a new start on the same folders.
    ///
    /// # Errors
    /// When it does not come up again.
    pub async fn crash_and_restart(&mut self) -> Result<()> {
        self.process.kill().await?;
        self.restart().await
    }

    /// SIGTERM, then a new start on the same folders.
    ///
    /// # Errors
    /// When it does not end or come up again.
    pub async fn stop_and_restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.restart().await
    }

    /// SIGTERM, and nothing after it.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop().await.map(|_| ())
    }

    /// A new start on the same folders, after it was stopped.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        let (process, endpoint) = self.setup.launch(self.folder.path()).await.context("restart")?;
        self.process = process;
        self.endpoint = endpoint;
        Ok(())
    }

    /// Bytes of all files below the data folder.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn bytes_below_data(&self) -> Result<u64> {
        bytes_below(&self.folder.path().join("data"))
    }
}

fn bytes_below(folder: &Path) -> Result<u64> {
    if !folder.exists() {
        return Ok(0);
    }
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(sum)
}
