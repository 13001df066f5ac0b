//! (g) What an instance of a plugin costs: time to make one, and memory while it is kept warm.

use super::Effort;
use crate::report::{Report, median};
use crate::servers;
use crate::usage;
use anyhow::{Context, Result};
use futures::future::try_join_all;
use sallyport_core::backend::{Backend, Name, Place};
use sallyport_core::names::{BucketName, LocationName, ObjectKey};
use sallyport_plugin::{HostOptions, Limits, LocationSpec, PluginHost};
use sallyport_tests::tools;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CALLS: u32 = 300;
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
    let open = async |limits: Limits| -> Result<Arc<dyn Backend>> {
        let options = HostOptions {
            plugin_folders: vec![tools::plugins()?],
            cache_folder: cache.path().to_owned(),
            data_folder: cache.path().to_owned(),
            limits,
            ..HostOptions::default()
        };
        let configuration = servers::aws_s3_location(&upstream);
        let spec = LocationSpec {
            name: LocationName::parse("up")?,
            kind: "aws_s3".to_owned(),
            tenant: "bench".to_owned(),
            details: configuration.get("details").context("details")?.clone(),
            grants: Vec::new(),
            trust: sallyport_plugin::Trust::default(),
        };
        Ok(PluginHost::new(options)?.open(spec).await?.backend)
    };
    let warm = open(Limits::default()).await?;
    let fresh = open(Limits { reuse: 1, ..Limits::default() }).await?;
    let bucket = BucketName::parse("bench")?;
    let (mut reused, mut made) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        for (backend, times) in [(&warm, &mut reused), (&fresh, &mut made)] {
            let started = Instant::now();
            for _ in 0..CALLS {
                backend.namespace(&bucket).await?;
            }
            times.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS));
        }
    }
    let (reused, made) = (median(reused), median(made));
    let values = [("warm_call_us", reused), ("fresh_call_us", made), ("instance_us", made - reused)];
    report.row("g", "aws_s3: a call without I/O", "sallyport", &values);

    let many = open(Limits { warm: WARM, ..Limits::default() }).await?;
    many.namespace(&bucket).await?;
    let (before, _) = usage::memory(std::process::id())?;
    // The upstream answers late, so that all of them are under way at once.
    let name = Name { bucket, key: ObjectKey::parse("slow")?, place: Place::Plain };
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
