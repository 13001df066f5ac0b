//! A closed loop of requests over kept connections, cheap enough to leave the processor to the server.

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use futures::stream;
use http::{Method, Request, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

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
    let mut senders = Vec::new();
    for _ in 0..connections {
        senders.push(connect(address).await?);
    }
    let started = Instant::now();
    let stride = requests.len() / connections.max(1);
    let workers = senders.into_iter().enumerate().map(|(index, sender)| {
        tokio::spawn(work(sender, address, Arc::clone(&requests), index * stride, started, until))
    });
    let mut outcome = Outcome { requests: 0, failed: 0, received: 0, elapsed: Duration::ZERO, latencies: Vec::new() };
    let mut refusal = None;
    for worked in try_join_all(workers).await? {
        let worked = worked?;
        outcome.requests += worked.latencies.len() as u64;
        outcome.failed += worked.failed;
        outcome.received += worked.received;
        outcome.latencies.extend(worked.latencies);
        refusal = refusal.or(worked.refusal);
    }
    if let Some(refusal) = refusal.filter(|_| outcome.failed >= outcome.requests) {
        bail!("{} of {} failed, the first: {refusal}", outcome.failed, outcome.failed + outcome.requests);
    }
    outcome.elapsed = started.elapsed();
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

async fn connect(address: SocketAddr) -> Result<SendRequest<BoxBody<Bytes, Infallible>>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
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
    mut sender: SendRequest<BoxBody<Bytes, Infallible>>,
    address: SocketAddr,
    requests: Arc<Vec<Prepared>>,
    first: usize,
    started: Instant,
    until: Until,
) -> Result<Worked> {
    let host = address.to_string();
    let mut worked = Worked::default();
    for prepared in requests.iter().cycle().skip(first) {
        let is_over = match until {
            Until::Elapsed(limit) => started.elapsed() >= limit,
            Until::Sent(limit) => worked.latencies.len() as u64 + worked.failed >= limit,
        };
        if is_over {
            break;
        }
        let sent = Instant::now();
        sender.ready().await?;
        let response = sender.send_request(prepared.request(&host)?).await?;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            let text = body.collect().await?.to_bytes();
            worked.failed += 1;
            worked.refusal.get_or_insert_with(|| format!("{status}: {}", String::from_utf8_lossy(&text)));
            continue;
        }
        while let Some(frame) = body.frame().await {
            worked.received += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        worked.latencies.push(sent.elapsed());
    }
    Ok(worked)
}

impl Prepared {
    fn request(&self, host: &str) -> Result<Request<BoxBody<Bytes, Infallible>>> {
        let builder = Request::builder().method(self.method.clone()).uri(&self.target).header(header::HOST, host);
        Ok(match &self.content {
            Content::Whole(bytes) => builder.body(Full::new(bytes.clone()).boxed())?,
            Content::Made(size) => builder.header(header::CONTENT_LENGTH, *size).body(made(*size))?,
        })
    }
}

/// A body of so many bytes that costs next to nothing to make.
pub(crate) fn made(size: u64) -> BoxBody<Bytes, Infallible> {
    let pattern: Vec<u8> = (0..FRAME).map(|index| (index * 31 % 251) as u8).collect();
    let pattern = Bytes::from(pattern);
    let frames = stream::unfold(size, move |left| {
        let pattern = pattern.clone();
        async move {
            let length = left.min(FRAME as u64);
            (length > 0).then(|| (Ok(Frame::data(pattern.slice(..length as usize))), left - length))
        }
    });
    BodyExt::boxed(StreamBody::new(frames))
}
