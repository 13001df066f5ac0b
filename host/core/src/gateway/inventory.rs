//! Makes the reports that inventories ask for: walks a bucket page by page, and delivers data
//! files that each stand for themselves.

mod configure;
mod deliver;

use super::authorize::version_list;
use super::periodic::every;
use super::{Gateway, now};
use crate::error::{Error, Result};
use crate::inventory::{self, DataFile, Inventory, InventoryConfiguration, Report, ReportFile};
use crate::metadata::{Bucket, Listed, VersionQuery};
use crate::names::{BucketName, VersionId, WriteId};
use deliver::ReportObject;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Versions or buckets looked at a time.
const PAGE: usize = 1_000;

/// A report in the making, as the database keeps it: a process that starts anew goes on with
/// the next data file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Run {
    /// Names its data files.
    id: String,
    /// What it was begun with: when that changed since, it is begun anew.
    configuration: InventoryConfiguration,
    /// When its bucket was created: another bucket of that name has another report.
    bucket_created: i64,
    /// Milliseconds since 1970.
    started: i64,
    /// The last version in `files`.
    after: Option<(String, VersionId)>,
    /// What was delivered.
    files: Vec<ReportFile>,
    /// All versions are in `files`.
    is_complete: bool,
}

impl Gateway {
    /// Makes reports until `stop` resolves. Every step is safe to repeat and to be cut off.
    pub async fn make_inventories(self: Arc<Self>, stop: impl Future<Output = ()>) {
        every(self.options.inventory_interval, stop, || async {
            if let Err(error) = self.inventory_pass().await {
                tracing::error!("inventories are made later: {error}");
            }
        })
        .await;
    }

    /// Makes the reports that are due, one after the other, and answers how many were delivered.
    /// Two passes at a time are one.
    ///
    /// # Errors
    /// The database's. A report that fails is logged, and tried again by the next pass.
    pub async fn inventory_pass(self: &Arc<Self>) -> Result<usize> {
        let mut delivered = 0;
        let Ok(_alone) = self.inventory_running.try_lock() else { return Ok(delivered) };
        if self.metadata.is_restored().await? {
            return Ok(delivered);
        }
        let mut after = None;
        loop {
            let page = self.metadata.all_buckets(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.name.to_string());
            for bucket in &page {
                for inventory in &bucket.settings.inventories {
                    if inventory.is_due(self.options.inventory_clock, now()) {
                        delivered += usize::from(self.report(bucket, inventory).await?);
                    }
                }
            }
        }
        metrics::gauge!("sallyport_inventory_last_pass_seconds").set((now() / 1000) as f64);
        Ok(delivered)
    }

    /// Makes one report; answers whether it was delivered.
    async fn report(self: &Arc<Self>, bucket: &Bucket, inventory: &Inventory) -> Result<bool> {
        let id = &inventory.configuration.id;
        let mut run = self.open_run(bucket, inventory).await?;
        let outcome = self.carry_out_run(bucket, inventory, &mut run).await;
        let result = match &outcome {
            Ok(true) => "delivered",
            Ok(false) => "given_up",
            Err(_) => "failed",
        };
        metrics::counter!("sallyport_inventory_reports_total", "result" => result).increment(1);
        match outcome {
            Ok(delivered) => {
                self.metadata.note_progress(&work(&bucket.name, id), None).await?;
                Ok(delivered)
            }
            Err(error) => {
                tracing::warn!(
                    bucket.name = %bucket.name, inventory.id = %id,
                    "an inventory could not be delivered to {} and is tried again: {error}",
                    inventory.configuration.destination.bucket
                );
                // What could not be delivered before the next one is due is too old by then.
                let begun = Inventory { reported: Some(run.started), ..inventory.clone() };
                if begun.is_due(self.options.inventory_clock, now()) {
                    self.metadata.note_progress(&work(&bucket.name, id), None).await?;
                }
                Ok(false)
            }
        }
    }

    /// The run that was cut off, unless something was changed since; else a new one.
    async fn open_run(&self, bucket: &Bucket, inventory: &Inventory) -> Result<Run> {
        let text = self.metadata.progress(&work(&bucket.name, &inventory.configuration.id)).await?;
        // What cannot be read begins anew: nothing is lost but time.
        let left_off = text.and_then(|text| serde_json::from_str::<Run>(&text).ok());
        let is_current = |run: &Run| {
            run.configuration == inventory.configuration
                && run.bucket_created == bucket.created
                && inventory.reported.is_none_or(|last| run.started > last)
        };
        Ok(left_off.filter(is_current).unwrap_or_else(|| Run {
            id: WriteId::random().to_string(),
            configuration: inventory.configuration.clone(),
            bucket_created: bucket.created,
            started: now(),
            after: None,
            files: Vec::new(),
            is_complete: false,
        }))
    }

    /// Answers false when the report is not wanted any more.
    async fn carry_out_run(self: &Arc<Self>, bucket: &Bucket, inventory: &Inventory, run: &mut Run) -> Result<bool> {
        let configuration = &inventory.configuration;
        while !run.is_complete {
            let Some(bucket) = self.wants(bucket, configuration).await? else { return Ok(false) };
            let file = self.fill(&bucket, run).await?;
            if !file.is_empty() {
                let bytes = file.finish().map_err(|error| Error::Internal(error.to_string()))?;
                let report = Report { source: &bucket.name, configuration, started: run.started };
                let key = report.data_key(&run.id, run.files.len());
                run.files.push(ReportFile {
                    key: key.clone(),
                    size: bytes.len() as u64,
                    md5: hex::encode(Md5::digest(&bytes)),
                });
                self.deliver_object(&bucket, inventory, ReportObject { key, kind: "application/gzip", bytes }).await?;
            }
            let text = serde_json::to_string(run).map_err(|error| Error::Internal(error.to_string()))?;
            self.metadata.note_progress(&work(&bucket.name, &configuration.id), Some(text)).await?;
        }
        let Some(bucket) = self.wants(bucket, configuration).await? else { return Ok(false) };
        self.publish(&bucket, inventory, run).await?;
        self.note_reported(&bucket, &configuration.id, run.started).await?;
        Ok(true)
    }

    /// The bucket as it is now, when it still wants this report.
    async fn wants(&self, bucket: &Bucket, configuration: &InventoryConfiguration) -> Result<Option<Bucket>> {
        let now = self.metadata.bucket(&bucket.name).await?.filter(|now| now.created == bucket.created);
        Ok(now.filter(|now| now.settings.inventories.iter().any(|one| one.configuration == *configuration)))
    }

    /// Takes as many pages as make a data file.
    async fn fill(&self, bucket: &Bucket, run: &mut Run) -> Result<DataFile> {
        let mut file = DataFile::new();
        while !run.is_complete && file.size() < self.options.inventory_file {
            let (key_marker, version_marker) = run.after.clone().unzip();
            let query = VersionQuery {
                bucket: bucket.name.clone(),
                prefix: run.configuration.prefix.clone().unwrap_or_default(),
                delimiter: None,
                key_marker,
                version_marker,
                limit: PAGE,
            };
            let page = self.metadata.list_versions(&query).await?;
            for entry in &page.entries {
                let Listed::Object(version) = entry else { continue };
                let (list, lifecycle) = (version_list(version, bucket), bucket.settings.lifecycle.as_ref());
                if let Some(line) = inventory::row(&run.configuration, version, &list, lifecycle) {
                    file.add(&line).map_err(|error| Error::Internal(error.to_string()))?;
                }
                run.after = Some((version.key.to_string(), version.id.clone()));
            }
            run.is_complete = !page.is_truncated;
        }
        Ok(file)
    }

    /// The files that say which data files there are. The checksum comes last: who waits for
    /// it finds everything else.
    async fn publish(self: &Arc<Self>, bucket: &Bucket, inventory: &Inventory, run: &Run) -> Result<()> {
        let report = Report { source: &bucket.name, configuration: &run.configuration, started: run.started };
        let manifest = report.manifest(&run.files).map_err(|error| Error::Internal(error.to_string()))?;
        let checksum = hex::encode(Md5::digest(&manifest)).into_bytes();
        let symlink = report.symlink(&run.files).into_bytes();
        for (key, kind, bytes) in [
            (report.symlink_key(), "text/plain", symlink),
            (report.manifest_key("manifest.json"), "application/json", manifest),
            (report.manifest_key("manifest.checksum"), "text/plain", checksum),
        ] {
            self.deliver_object(bucket, inventory, ReportObject { key, kind, bytes }).await?;
        }
        Ok(())
    }

    /// Forgets the reports in the making of a bucket that was deleted. What cannot be forgotten
    /// is a row that nothing reads.
    pub(super) async fn forget_inventories(&self, bucket: &Bucket) {
        for inventory in &bucket.settings.inventories {
            let work = work(&bucket.name, &inventory.configuration.id);
            if let Err(error) = self.metadata.note_progress(&work, None).await {
                tracing::warn!(bucket.name = %bucket.name, "the progress of an inventory stays noted: {error}");
            }
        }
    }
}

/// Names a report's progress in the database.
fn work(bucket: &BucketName, id: &str) -> String {
    format!("inventory {id} of {bucket}")
}
