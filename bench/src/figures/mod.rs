//! The figures, a file each.

pub(crate) mod bodies;
mod files_alone;
mod hosted;
pub(crate) mod instances;
pub(crate) mod limits;
pub(crate) mod list;
pub(crate) mod local;
pub(crate) mod memory;
pub(crate) mod neighbours;
pub(crate) mod small;
pub(crate) mod start;
pub(crate) mod webstore;

use crate::load::{self, Content, Outcome, Prepared, Until};
use crate::servers::{BUCKET, Server};
use crate::usage;
use anyhow::{Context, Result};
use bytes::Bytes;
use http::Method;
use sallyport_tests::client::Call;
use std::sync::Arc;
use std::time::Duration;

/// How thorough a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// How often everything is repeated; the median counts.
    pub(crate) rounds: usize,
    /// How long one load lasts.
    pub(crate) load: Duration,
    /// Bytes of a large body.
    pub(crate) large: u64,
    /// Keys of the largest bucket.
    pub(crate) keys: u64,
}

/// More than any load takes, so that a server that hangs ends its figure, and nothing else.
const LONGEST: Duration = Duration::from_secs(300);

/// What one load cost the server.
#[derive(Debug, Clone)]
struct Measured {
    outcome: Outcome,
    /// Zero where the server's processes cannot be told.
    processor: Duration,
}

impl Measured {
    fn microseconds_per_request(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.outcome.requests.max(1) as f64
    }
}

async fn measure(server: &Server, requests: &Arc<Vec<Prepared>>, connections: usize, until: Until) -> Result<Measured> {
    let used = |server: &Server| server.process.map_or(Ok(Duration::ZERO), usage::processor_time);
    let before = used(server)?;
    let outcome = tokio::time::timeout(LONGEST, load::run(server.address, Arc::clone(requests), connections, until))
        .await
        .with_context(|| format!("{} hangs", server.name))?
        .with_context(|| server.name.to_owned())?;
    Ok(Measured { outcome, processor: used(server)?.saturating_sub(before) })
}

/// PUTs and GETs of the same keys.
struct Objects {
    puts: Arc<Vec<Prepared>>,
    gets: Arc<Vec<Prepared>>,
}

impl Objects {
    /// Requests for `count` objects of `size` bytes, which are stored once.
    async fn store(server: &Server, count: usize, size: u64) -> Result<Self> {
        let keys: Vec<String> = (0..count).map(|index| format!("{BUCKET}/{size}-{index:05}")).collect();
        let content = if size > 1 << 20 { Content::Made(size) } else { Content::Whole(Bytes::from(pattern(size))) };
        let prepare = |method: Method, content: Content| {
            let prepared =
                keys.iter().map(|key| server.prepare(&Call::new(method.clone(), key), method.clone(), content.clone()));
            Arc::new(prepared.collect::<Vec<_>>())
        };
        let puts = prepare(Method::PUT, content);
        let gets = prepare(Method::GET, Content::Whole(Bytes::new()));
        let stored = load::run(server.address, Arc::clone(&puts), 1, Until::Sent(count as u64)).await;
        stored.with_context(|| format!("{}: storing what is read", server.name))?;
        Ok(Self { puts, gets })
    }
}

fn pattern(size: u64) -> Vec<u8> {
    (0..size).map(|index| (index * 31 % 251) as u8).collect()
}

/// Bytes per second as MB/s.
fn megabytes_per_second(bytes: u64, elapsed: Duration) -> f64 {
    bytes as f64 / 1e6 / elapsed.as_secs_f64()
}
