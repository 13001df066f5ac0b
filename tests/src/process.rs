//! A child process that ends with its owner.

use anyhow::{Context, Result, bail};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// How long a server may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// A running server. Dropping it kills it; [`Process::stop`] ends it politely.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    seen: Vec<String>,
}

impl Process {
    /// Starts a program, reading standard output and error line by line.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.as_std().get_program()))?;
        let (sender, lines) = mpsc::unbounded_channel();
        if let Some(output) = child.stdout.take() {
            forward(output, sender.clone());
        }
        if let Some(output) = child.stderr.take() {
            forward(output, sender);
        }
        Ok(Self { child, lines, seen: Vec::new() })
    }

    /// The process id, until it ended.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for the first line that `wanted` accepts, and returns what it made of it.
    ///
    /// # Errors
    /// When the process ends or two minutes pass first; the message has its output.
    pub async fn line<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> Result<T> {
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        loop {
            match tokio::time::timeout_at(deadline, self.lines.recv()).await {
                Ok(Some(line)) => {
                    let answer = wanted(&line);
                    self.seen.push(line);
                    if let Some(answer) = answer {
                        return Ok(answer);
                    }
                }
                Ok(None) => bail!("the process ended early:\n{}", self.seen.join("\n")),
                Err(_) => bail!("nothing ready in {READY_WITHIN:?}:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Everything printed so far.
    pub fn output(&mut self) -> String {
        while let Ok(line) = self.lines.try_recv() {
            self.seen.push(line);
        }
        self.seen.join("\n")
    }

    /// Ends it with SIGTERM and waits.
    ///
    /// # Errors
    /// When the signal cannot be sent or the process does not end.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.signal("TERM").await?;
        self.ended().await
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it runs on for a minute.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        Ok(ended.context("it did not end within a minute of SIGTERM")??)
    }

    /// Ends it as a power cut would (SIGKILL) and waits.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Sends a signal (`TERM`, `HUP`).
    ///
    /// # Errors
    /// When the process has ended.
    pub async fn signal(&self, name: &str) -> Result<()> {
        let id = self.id().context("the process has ended")?;
        let status = Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).status().await?;
        if !status.success() {
            bail!("kill -{name} {id} failed");
        }
        Ok(())
    }
}

/// A port that is free now. For servers that cannot take port 0 and say which one they got,
/// and for addresses where nobody answers.
///
/// It lies below those that the system gives to whoever asks for any, so that nobody else
/// has it a moment later.
///
/// # Errors
/// When nothing can be bound.
pub fn free_port() -> Result<u16> {
    for _ in 0..100 {
        let port = 10_000 + (RandomState::new().hash_one(std::process::id()) % 10_000) as u16;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port among a hundred")
}

/// Waits until something accepts connections on a local port.
///
/// # Errors
/// When the process ends or two minutes pass first.
pub async fn accepting(process: &mut Process, port: u16) -> Result<()> {
    let deadline = tokio::time::Instant::now() + READY_WITHIN;
    let mut pause = tokio::time::interval(Duration::from_millis(50));
    loop {
        pause.tick().await;
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Ok(());
        }
        if process.child.try_wait()?.is_some() || tokio::time::Instant::now() > deadline {
            bail!("nothing listens on port {port}:\n{}", process.output());
        }
    }
}

/// Writes a file below a folder, with its parents.
///
/// # Errors
/// When it cannot be written.
pub fn write(folder: &Path, name: &str, content: &str) -> Result<std::path::PathBuf> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&path, content)?;
    Ok(path)
}

fn forward(output: impl AsyncRead + Unpin + Send + 'static, sender: mpsc::UnboundedSender<String>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
}
