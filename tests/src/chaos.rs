//! A TCP proxy that misbehaves on command.

use anyhow::Result;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens to connections that are made from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// Passes everything on.
    Honest,
    /// Waits before it passes on the first byte of an answer.
    Slow(Duration),
    /// Cuts the connection after so many bytes of the request.
    CutRequest(usize),
    /// Cuts the connection after so many bytes of the answer.
    CutAnswer(usize),
    /// Answers every request itself with this text, head and body.
    Say(String),
    /// Closes at once.
    Refuse,
    /// Takes everything and says nothing.
    Silent,
}

impl Mood {
    /// An HTTP answer with a status and an empty body.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self::Say(format!("HTTP/1.1 {code} Chaos\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"))
    }
}

/// The proxy, which ends when dropped.
#[derive(Debug)]
pub struct Chaos {
    port: u16,
    mood: Arc<Mutex<Mood>>,
    task: JoinHandle<()>,
}

impl Chaos {
    /// Stands in front of a local port.
    ///
    /// # Errors
    /// When nothing can be bound.
    pub async fn before(upstream: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let mood = Arc::new(Mutex::new(Mood::Honest));
        let shared = Arc::clone(&mood);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let mood = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                connections.spawn(serve(client, upstream, mood, Arc::clone(&shared)));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { port, mood, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what happens. Connections that are open and of another mood are cut when they
    /// next carry a byte, so that a pooled connection does not outlive the change.
    pub fn turn(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }
}

impl Drop for Chaos {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, upstream: u16, mood: Mood, shared: Arc<Mutex<Mood>>) {
    match &mood {
        Mood::Refuse => {}
        Mood::Silent => {
            let mut sink = [0; 4096];
            while matches!(client.read(&mut sink).await, Ok(read) if read > 0) {}
        }
        Mood::Say(answer) => {
            let mut head = [0; 4096];
            if client.read(&mut head).await.is_ok_and(|read| read > 0)
                && client.write_all(answer.as_bytes()).await.is_ok()
            {
                // The rest of a body is taken, or the client sees a reset before the answer.
                let _ = tokio::time::timeout(Duration::from_secs(1), drain(&mut client)).await;
            }
        }
        Mood::Honest | Mood::Slow(_) | Mood::CutRequest(_) | Mood::CutAnswer(_) => {
            let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await else { return };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (request, answer, delay) = match mood {
                Mood::CutRequest(after) => (after, usize::MAX, Duration::ZERO),
                Mood::CutAnswer(after) => (usize::MAX, after, Duration::ZERO),
                Mood::Slow(delay) => (usize::MAX, usize::MAX, delay),
                _ => (usize::MAX, usize::MAX, Duration::ZERO),
            };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let is_current = || *shared.lock().unwrap_or_else(PoisonError::into_inner) == mood;
            tokio::select! {
                () = pass(from_client, to_server, request, Duration::ZERO, &is_current) => {}
                () = pass(from_server, to_client, answer, delay, &is_current) => {}
            }
        }
    }
}

async fn drain(client: &mut TcpStream) {
    let mut sink = [0; 16_384];
    while matches!(client.read(&mut sink).await, Ok(read) if read > 0) {}
}

/// Copies until an end, the limit, or a change of mood.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    limit: usize,
    delay: Duration,
    is_current: &impl Fn() -> bool,
) {
    let mut left = limit;
    let mut buffer = vec![0; 65_536];
    while left > 0 {
        let Ok(read) = from.read(&mut buffer).await else { return };
        if read == 0 || !is_current() {
            return;
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let passed = read.min(left);
        let Some(bytes) = buffer.get(..passed) else { return };
        if to.write_all(bytes).await.is_err() {
            return;
        }
        left -= passed;
    }
}
