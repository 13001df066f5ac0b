//! A closed loop of requests over kept connections, cheap enough to leave the processor to the server.

mod connection;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use connection::Connection;
use futures::future::try_join_all;
use futures::stream;
use http::Method;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Threads that send: one would not keep up with the largest bodies.
const THREADS: usize = 2;
/// One frame of a streamed body, in bytes.
const FRAME: usize = 64 << 10;

/// A request that can be sent again and again.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// The method.
    pub(crate) method: Method,
    /// Path and query, as they are sent.
    pub(crate) target: String,
    /// What is sent.
    pub(crate) content: Content,
}

/// A request's body.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// In memory.
    Whole(Bytes),
    /// So many bytes, made as they are sent.
    Made(u64),
}

/// What a run showed.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// Answers that were successes.
    pub(crate) requests: u64,
    /// Answers that were none: some peers fail under load, and that is told.
    pub(crate) failed: u64,
    /// Bytes of all answers' bodies.
    pub(crate) received: u64,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// Of each request, sorted.
    latencies: Vec<Duration>,
}

impl Outcome {
    /// Answers per second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that a share of the requests (0 to 1) did not exceed.
    pub(crate) fn latency(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }
}

/// When a run ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// After this time.
    Elapsed(Duration),
    /// After each connection sent so many.
    Sent(u64),
}

/// Sends prepared requests over `connections` connections, each going through all of them in its own order.
///
/// # Errors
/// A connection that breaks, or nothing but failures.
pub(crate) async fn run(
    address: SocketAddr,
    requests: Arc<Vec<Prepared>>,
    connections: usize,
    until: Until,
) -> Result<Outcome> {
    ensure!(!requests.is_empty(), "nothing to send");
    let stride = requests.len() / connections.max(1);
    let started = Instant::now();
    // Threads of their own: what is measured beside a load takes no turns with it. They end by themselves.
    let (mut running, stopping) = (Vec::new(), Stopping::default());
    for thread in 0..THREADS.min(connections) {
        let (requests, (report, reported)) = (Arc::clone(&requests), oneshot::channel());
        let mine = (thread..connections).step_by(THREADS);
        let stop = Arc::clone(&stopping.0);
        let send = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            let all = mine.map(|index| work(address, &requests, index * stride, (started, until, &stop)));
            runtime.block_on(try_join_all(all))
        };
        std::thread::Builder::new().name("load".to_owned()).spawn(move || drop(report.send(send())))?;
        running.push(reported);
    }
    let mut outcome = Outcome { requests: 0, failed: 0, received: 0, elapsed: Duration::ZERO, latencies: Vec::new() };
    let mut refusal = None;
    for reported in running {
        for worked in reported.await.context("a thread that sends broke")?? {
            outcome.requests += worked.latencies.len() as u64;
            outcome.failed += worked.failed;
            outcome.received += worked.received;
            outcome.latencies.extend(worked.latencies);
            refusal = refusal.or(worked.refusal);
        }
    }
    if let Some(refusal) = refusal.filter(|_| outcome.failed >= outcome.requests) {
        bail!("{} of {} failed, the first: {refusal}", outcome.failed, outcome.failed + outcome.requests);
    }
    outcome.elapsed = started.elapsed();
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

/// Ends a load whose figure has failed or takes too long, before the next one begins.
#[derive(Default)]
struct Stopping(Arc<AtomicBool>);

impl Drop for Stopping {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What one connection saw.
#[derive(Debug, Default)]
struct Worked {
    latencies: Vec<Duration>,
    failed: u64,
    received: u64,
    refusal: Option<String>,
}

async fn work(
    address: SocketAddr,
    requests: &[Prepared],
    first: usize,
    (started, until, stop): (Instant, Until, &AtomicBool),
) -> Result<Worked> {
    let mut connection = Connection::open(address).await?;
    let heads: Vec<String> = requests.iter().map(|prepared| prepared.head(address)).collect();
    let mut worked = Worked::default();
    for (prepared, head) in requests.iter().zip(&heads).cycle().skip(first) {
        let is_over = match until {
            Until::Elapsed(limit) => started.elapsed() >= limit,
            Until::Sent(limit) => worked.latencies.len() as u64 + worked.failed >= limit,
        };
        if is_over || stop.load(Ordering::Relaxed) {
            break;
        }
        let sent = Instant::now();
        let answer = connection.exchange(head.as_bytes(), prepared.content.frames()).await?;
        if (200..300).contains(&answer.status) {
            worked.received += answer.received;
            worked.latencies.push(sent.elapsed());
        } else {
            let text = String::from_utf8_lossy(&answer.text).into_owned();
            worked.failed += 1;
            worked.refusal.get_or_insert_with(|| format!("{}: {text}", answer.status));
        }
        if !answer.is_kept {
            connection = Connection::open(address).await?;
        }
    }
    Ok(worked)
}

impl Prepared {
    fn head(&self, address: SocketAddr) -> String {
        let length = match (&self.content, &self.method) {
            (Content::Whole(bytes), method) if bytes.is_empty() && method == Method::GET => String::new(),
            (Content::Whole(bytes), _) => format!("content-length: {}\r\n", bytes.len()),
            (Content::Made(size), _) => format!("content-length: {size}\r\n"),
        };
        format!("{} {} HTTP/1.1\r\nhost: {address}\r\n{length}\r\n", self.method, self.target)
    }
}

impl Content {
    fn frames(&self) -> impl Iterator<Item = Bytes> + use<> {
        let (whole, size) = match self {
            Self::Whole(bytes) => (Some(bytes.clone()), 0),
            Self::Made(size) => (None, *size),
        };
        whole.into_iter().chain(frames(size))
    }
}

/// So many bytes that cost next to nothing to make.
fn frames(size: u64) -> impl Iterator<Item = Bytes> {
    let pattern: Vec<u8> = if size == 0 { Vec::new() } else { (0..FRAME).map(|at| (at * 31 % 251) as u8).collect() };
    let (pattern, mut left) = (Bytes::from(pattern), size);
    std::iter::from_fn(move || {
        let length = left.min(FRAME as u64);
        left -= length;
        (length > 0).then(|| pattern.slice(..length as usize))
    })
}

/// The same as a body.
pub(crate) fn made(size: u64) -> BoxBody<Bytes, Infallible> {
    BodyExt::boxed(StreamBody::new(stream::iter(frames(size).map(|bytes| Ok(Frame::data(bytes))))))
}
