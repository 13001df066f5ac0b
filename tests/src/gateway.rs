//! A Sallyport of its own for one test.

use crate::process::{Process, write};
use crate::{client::Client, tools};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
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
    accounts: Option<Value>,
    files: Vec<(String, String)>,
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
        Self { locations, config, environment: Vec::new(), plugins: Vec::new(), accounts: None, files: Vec::new() }
    }

    /// Sets a key of config.json.
    #[must_use]
    pub fn config(mut self, key: &str, value: Value) -> Self {
        if let Some(config) = self.config.as_object_mut() {
            config.insert(key.to_owned(), value);
        }
        self
    }

    /// Replaces or adds a location.
    #[must_use]
    pub fn location(mut self, name: &str, value: Value) -> Self {
        if let Some(locations) = self.locations.as_object_mut() {
            locations.insert(name.to_owned(), value);
        }
        self
    }

    /// Puts a file below the server's folder, which is also its home, before it starts.
    #[must_use]
    pub fn file(mut self, name: &str, content: &str) -> Self {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }

    /// Sets a variable of the server's environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has these accounts, in `authdata.json` of the server's folder, instead of the shipped ones.
    #[must_use]
    pub fn accounts(mut self, accounts: Value) -> Self {
        self.accounts = Some(accounts);
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
        for (name, content) in &self.files {
            write(folder.path(), name, content)?;
        }
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
        self.subcommand(folder, &["serve", "--listen", "127.0.0.1:0"])
    }

    /// The same for any command, with the settings behind its own arguments.
    ///
    /// # Errors
    /// As [`Setup::command`].
    pub fn subcommand(&self, folder: &Path, arguments: &[&str]) -> Result<Command> {
        let locations = write(folder, "locationConfig.json", &self.locations.to_string())?;
        let config = write(folder, "config.json", &self.config.to_string())?;
        let mut command = Command::new(tools::sallyport()?);
        command.args(arguments).arg("--config").arg(config).arg("--locations").arg(locations);
        command.arg("--data-dir").arg(folder.join("data")).arg("--metadata-dir").arg(folder.join("metadata"));
        let accounts = match &self.accounts {
            Some(accounts) => write(folder, "authdata.json", &accounts.to_string())?,
            None => tools::root().join("conf/authdata.json"),
        };
        command.arg("--auth").arg(accounts);
        command.arg("--plugins").arg(tools::plugins()?);
        for plugins in &self.plugins {
            command.arg("--plugins").arg(plugins);
        }
        // Nothing of the developer's own environment or profiles may leak in.
        command.env_clear().env("HOME", folder).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("SALLYPORT_CACHE_DIR", compiled_plugins()).env("SALLYPORT_RECHECK_AFTER_MS", "100");
        command.envs(self.environment.iter().cloned()).current_dir(folder);
        Ok(command)
    }
}

/// Compiling a plugin takes seconds: it is done once for all tests, here.
#[must_use]
pub fn compiled_plugins() -> PathBuf {
    let user = std::env::var("USER").unwrap_or_default();
    std::env::temp_dir().join(format!("sallyport-tests-compiled-{user}"))
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
        self.process.stop().await?;
        self.restart().await
    }

    /// SIGTERM; answers how it ended.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.process.stop().await
    }

    /// Sends a signal (`HUP`).
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn signal(&self, name: &str) -> Result<()> {
        self.process.signal(name).await
    }

    /// SIGTERM, and nothing more.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn terminate(&self) -> Result<()> {
        self.process.signal("TERM").await
    }

    /// Waits for its end after [`Gateway::terminate`].
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        self.process.ended().await
    }

    /// Changes what the next start is made with.
    pub fn change(&mut self, change: impl FnOnce(Setup) -> Setup) {
        self.setup = change(self.setup.clone());
    }

    /// Starts it again on the same folders after it ended.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        let (process, endpoint) = self.setup.launch(self.folder.path()).await.context("restart")?;
        self.process = process;
        self.endpoint = endpoint;
        Ok(())
    }

    /// Runs another of the program's commands with this gateway's settings and folders.
    ///
    /// # Errors
    /// When it cannot be started; how it ended is in the answer.
    pub async fn run(&self, arguments: &[&str]) -> Result<Ran> {
        let mut command = self.setup.subcommand(self.folder.path(), arguments)?;
        Ran::of(&mut command).await
    }

    /// Where health and metrics are, as its log says.
    ///
    /// # Errors
    /// When the log does not say it.
    pub fn admin(&mut self) -> Result<String> {
        let log = self.log();
        let line = log.lines().rev().find_map(|line| line.split_once("health and metrics on "));
        let (_, rest) = line.context("no line about health and metrics")?;
        Ok(rest.split(['"', ' ']).next().unwrap_or_default().to_owned())
    }

    /// Bytes of all files below the data folder.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn bytes_below_data(&self) -> Result<u64> {
        bytes_below(&self.folder.path().join("data"))
    }
}

/// A command that came to its end.
#[derive(Debug)]
pub struct Ran {
    /// Its exit status; absent when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
}

impl Ran {
    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn of(command: &mut Command) -> Result<Self> {
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Self { code: output.status.code(), output: text(&output.stdout), errors: text(&output.stderr) })
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
