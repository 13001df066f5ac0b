//! (g) What an instance of a plugin costs: time to make one, how many are made in a second, and memory while it is kept
//! warm.

use super::Effort;
use super::hosted::{Hosted, name};
use crate::report::{Report, median};
use crate::servers;
use crate::usage;
use anyhow::Result;
use futures::future::try_join_all;
use sallyport_core::names::BucketName;
use sallyport_plugin::Limits;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CALLS: u32 = 300;
/// Calls at a time when as many instances are made as can be.
const AT_A_TIME: u32 = 8;
const WARM: usize = 64;
/// Long enough for all calls to wait for the upstream, and shorter than it takes.
const UNDER_WAY: Duration = Duration::from_millis(350);

/// Measures it.
///
/// # Errors
/// When a plugin cannot be opened or answers with an error.
pub(crate) async fn run(report: &mut Report, effort: Effort) -> Result<()> {
    let upstream = servers::upstream().await?;
    let cache = tempfile::tempdir()?;
    // The rate that is allowed by default is lower than what can be made.
    let open = |limits: Limits| {
        let limits = Limits { instances_per_second: 100_000, ..limits };
        Hosted::aws_s3(&upstream, cache.path(), limits)
    };
    let warm = open(Limits::default()).await?;
    let fresh = open(Limits { reuse: 1, ..Limits::default() }).await?;
    let bucket = BucketName::parse("bench")?;
    let (mut reused, mut made, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        for (hosted, times) in [(&warm, &mut reused), (&fresh, &mut made)] {
            let started = Instant::now();
            for _ in 0..CALLS {
                hosted.backend.namespace(&bucket).await?;
            }
            times.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS));
        }
        let started = Instant::now();
        let many = (0..AT_A_TIME).map(|_| {
            let (backend, bucket) = (Arc::clone(&fresh.backend), bucket.clone());
            tokio::spawn(async move {
                for _ in 0..CALLS {
                    backend.namespace(&bucket).await?;
                }
                anyhow::Ok(())
            })
        });
        for worked in try_join_all(many).await? {
            worked?;
        }
        rates.push(f64::from(AT_A_TIME * CALLS) / started.elapsed().as_secs_f64());
    }
    let (reused, made) = (median(reused), median(made));
    let values = [("warm_call_us", reused), ("fresh_call_us", made), ("instance_us", made - reused)];
    report.row("g", "aws_s3: a call without I/O", "sallyport", &values);
    let title = format!("aws_s3: {AT_A_TIME} calls at a time");
    report.row("g", &title, "sallyport", &[("instances/s", median(rates))]);

    let many = open(Limits { warm: WARM, ..Limits::default() }).await?.backend;
    many.namespace(&bucket).await?;
    let (before, _) = usage::memory(std::process::id())?;
    // The upstream answers late, so that all of them are under way at once.
    let name = name("slow")?;
    let ask = || {
        let (many, name) = (Arc::clone(&many), name.clone());
        tokio::spawn(async move { many.find(&name, None).await })
    };
    let calls: Vec<_> = (0..WARM).map(|_| ask()).collect();
    tokio::time::sleep(UNDER_WAY).await;
    let (after, _) = usage::memory(std::process::id())?;
    for found in try_join_all(calls).await? {
        found?;
    }
    let each = after.saturating_sub(before) as f64 / (WARM - 1) as f64 / 1024.0;
    report.row("g", &format!("aws_s3: {WARM} instances at work"), "sallyport", &[("KiB_each", each)]);
    Ok(())
}
