//! A TCP proxy that misbehaves on command.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
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
    /// Nobody listens: connections are refused.
    Down,
    /// Takes everything and says nothing.
    Silent,
}

/// What ends the head of a request; counted to know how many there were.
const REQUEST: &[u8] = b" HTTP/1.1\r\n";
/// How often a port that was given up is asked for again.
const PAUSE: Duration = Duration::from_millis(5);

impl Mood {
    /// An HTTP answer with a status and an empty body.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self::Say(format!("HTTP/1.1 {code} Chaos\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"))
    }

    /// An HTTP answer with further header lines, each with its end, and a body.
    #[must_use]
    pub fn answer(code: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Say(format!(
            "HTTP/1.1 {code} Chaos\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n{body}"
        ))
    }
}

/// The proxy, which ends when dropped.
#[derive(Debug)]
pub struct Chaos {
    address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    requests: Arc<AtomicUsize>,
    cuts: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Chaos {
    /// Stands in front of a local port. To be called within a runtime.
    ///
    /// # Errors
    /// When nothing can be bound.
    pub async fn before(upstream: u16) -> io::Result<Self> {
        Self::before_address((Ipv4Addr::LOCALHOST, upstream).into())
    }

    /// Stands in front of any address. To be called within a runtime.
    ///
    /// # Errors
    /// When nothing can be bound.
    pub fn before_address(upstream: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let mood = Arc::new(Mutex::new(Mood::Honest));
        let requests = Arc::new(AtomicUsize::new(0));
        let (cuts, cut) = watch::channel(0);
        let shared = Shared { upstream, mood: Arc::clone(&mood), requests: Arc::clone(&requests), cut };
        let task = tokio::spawn(listen(listener, address, shared));
        Ok(Self { address, mood, requests, cuts, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes what happens. Connections that are open and of another mood are cut when they
    /// next carry a byte, so that a pooled connection does not outlive the change.
    pub fn turn(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// Cuts all connections that are open, at once.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many requests were passed on so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Chaos {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Shared {
    upstream: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    requests: Arc<AtomicUsize>,
    cut: watch::Receiver<u64>,
}

impl Shared {
    fn mood(&self) -> Mood {
        self.mood.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn listen(listener: TcpListener, address: SocketAddr, shared: Shared) {
    let mut listener = Some(listener);
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let mood = shared.mood();
        if mood == Mood::Down {
            listener = None;
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let Some(open) = &listener else {
            listener = TcpListener::bind(address).await.ok();
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // Now and then it looks whether it is still to listen.
        if let Ok(Ok((client, _))) = tokio::time::timeout(PAUSE, open.accept()).await {
            let mood = shared.mood();
            let (mut cut, shared) = (shared.cut.clone(), shared.clone());
            cut.mark_unchanged();
            connections.spawn(async move {
                tokio::select! {
                    () = serve(client, mood, shared) => {}
                    // When nobody can cut any more the proxy is gone, too.
                    _ = cut.changed() => {}
                }
            });
            while connections.try_join_next().is_some() {}
        }
    }
}

async fn serve(mut client: TcpStream, mood: Mood, shared: Shared) {
    match &mood {
        Mood::Refuse | Mood::Down => {}
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
            let Ok(server) = TcpStream::connect(shared.upstream).await else { return };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (request, answer, delay) = match mood {
                Mood::CutRequest(after) => (after, usize::MAX, Duration::ZERO),
                Mood::CutAnswer(after) => (usize::MAX, after, Duration::ZERO),
                Mood::Slow(delay) => (usize::MAX, usize::MAX, delay),
                _ => (usize::MAX, usize::MAX, Duration::ZERO),
            };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let goes_on = |_: &[u8]| shared.mood() == mood;
            let counts = |bytes: &[u8]| {
                let heads = bytes.windows(REQUEST.len()).filter(|window| *window == REQUEST).count();
                shared.requests.fetch_add(heads, Ordering::SeqCst);
                goes_on(bytes)
            };
            tokio::select! {
                () = pass(from_client, to_server, request, Duration::ZERO, &counts) => {}
                () = pass(from_server, to_client, answer, delay, &goes_on) => {}
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
    goes_on: &impl Fn(&[u8]) -> bool,
) {
    let mut left = limit;
    let mut buffer = vec![0; 65_536];
    while left > 0 {
        let Ok(read) = from.read(&mut buffer).await else { return };
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty() && goes_on(bytes)) else { return };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let passed = read.min(left);
        if to.write_all(bytes.get(..passed).unwrap_or(bytes)).await.is_err() {
            return;
        }
        left -= passed;
    }
}
