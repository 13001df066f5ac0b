//! Locations on plugins in this process, for figures of the host alone.

use crate::servers;
use anyhow::Result;
use sallyport_core::backend::{Backend, Expectation, Get, Name, Place, Projection, Put, Stored};
use sallyport_core::body;
use sallyport_core::names::{BucketName, LocationName, ObjectKey, WriteId};
use sallyport_plugin::{HostOptions, Limits, LocationGrants, LocationSpec, PluginHost, Trust};
use sallyport_tests::tools;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A location with its host, without which no clock limits it.
pub(super) struct Hosted {
    pub(super) backend: Arc<dyn Backend>,
    _host: PluginHost,
}

/// What a location is opened with.
pub(super) struct Opening<'a> {
    pub(super) folders: Vec<PathBuf>,
    /// Where compiled plugins are kept.
    pub(super) cache: &'a Path,
    /// Of `locationConfig.json`.
    pub(super) entry: &'a Value,
    pub(super) limits: Limits,
}

impl Hosted {
    pub(super) async fn open(opening: Opening<'_>) -> Result<Self> {
        let host = PluginHost::new(HostOptions {
            plugin_folders: opening.folders,
            cache_folder: opening.cache.to_owned(),
            data_folder: opening.cache.to_owned(),
            limits: opening.limits,
            ..HostOptions::default()
        })?;
        let field = |name: &str| opening.entry.get(name).cloned().unwrap_or_default();
        let spec = LocationSpec {
            name: LocationName::parse("here")?,
            kind: field("type").as_str().unwrap_or_default().to_owned(),
            tenant: "bench".to_owned(),
            is_trusted: true,
            details: field("details"),
            grants: LocationGrants::default(),
            limits: std::collections::BTreeMap::new(),
            trust: Trust::default(),
        };
        let backend = host.open(spec).await?.backend;
        Ok(Self { backend, _host: host })
    }

    /// Through `aws_s3`, to an upstream.
    pub(super) async fn aws_s3(upstream: &servers::Server, cache: &Path, limits: Limits) -> Result<Self> {
        let (folders, entry) = (vec![tools::plugins()?], servers::aws_s3_location(upstream));
        Self::open(Opening { folders, cache, entry: &entry, limits }).await
    }

    /// Stores so many bytes that cost nothing to make.
    pub(super) async fn put(&self, key: &str, size: u64) -> Result<Stored> {
        let put = Put {
            name: name(key)?,
            write_id: WriteId::random(),
            size,
            expect: Expectation::Anything,
            object: Projection::default(),
            checksums: Vec::new(),
        };
        Ok(self.backend.put(put, body::from_stream(frames(size))).await?)
    }

    /// Reads what was stored, to its end; answers how many bytes came.
    pub(super) async fn get(&self, stored: &Stored, size: u64) -> Result<u64> {
        let mut body = self.backend.get(Get { locator: stored.locator.clone(), size, span: None }).await?;
        let mut received = 0;
        while let Some(frame) = http_body_util::BodyExt::frame(&mut body).await {
            received += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok(received)
    }
}

pub(super) fn name(key: &str) -> Result<Name> {
    Ok(Name { bucket: BucketName::parse("bench")?, key: ObjectKey::parse(key)?, place: Place::Plain })
}

fn frames(size: u64) -> impl futures::Stream<Item = Result<bytes::Bytes, body::BodyError>> + Send + 'static {
    const FRAME: u64 = 64 << 10;
    let pattern = bytes::Bytes::from(super::pattern(FRAME));
    futures::stream::unfold(size, move |left| {
        let length = left.min(FRAME);
        let frame = pattern.slice(..length as usize);
        async move { (length > 0).then(|| (Ok(frame), left - length)) }
    })
}
