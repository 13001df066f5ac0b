//! Wraps data keys anew after a key was rotated.

use super::Gateway;
use crate::error::Result;
use crate::metadata::{MetadataError, Selector, Version};

/// Rows looked at in one go.
const PAGE: usize = 500;

/// What wrapping anew came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RewrapReport {
    /// Versions whose data key is wrapped by its key's current version now.
    pub rewrapped: u64,
    /// Versions that were so already, or have a client's key.
    pub kept: u64,
    /// Versions whose data key could not be wrapped anew, and why.
    pub failed: Vec<String>,
}

impl Gateway {
    /// Wraps the data key of every version anew that an older version of its key wrapped.
    /// The bytes stay as they are. Safe to repeat and to be cut off.
    ///
    /// # Errors
    /// The database's. A key that cannot be used is part of the report.
    pub async fn rewrap(&self, mut progress: impl FnMut(&RewrapReport) + Send) -> Result<RewrapReport> {
        let mut report = RewrapReport::default();
        let mut cursor = 0;
        let mut last_seen: Option<i64> = None;
        loop {
            let page = self.metadata.segments(cursor, PAGE).await?;
            let Some((last, _, _)) = page.last() else { return Ok(report) };
            cursor = *last;
            for (_, version, _) in &page {
                // A version's segments follow each other.
                if last_seen.replace(version.sequence) != Some(version.sequence) {
                    self.rewrap_version(version, &mut report).await?;
                }
            }
            progress(&report);
        }
    }

    async fn rewrap_version(&self, version: &Version, report: &mut RewrapReport) -> Result<()> {
        let Some(encryption) = &version.attributes.encryption else { return Ok(()) };
        let wrapped = match self.rewrapped(encryption).await {
            Ok(Some(wrapped)) => wrapped,
            Ok(None) => {
                report.kept += 1;
                return Ok(());
            }
            Err(error) => {
                let what = format!("{}/{} version {}: {error}", version.bucket, version.key, version.id);
                report.failed.push(what);
                return Ok(());
            }
        };
        let old = encryption.key.clone();
        let selector = Selector::Id(version.id.clone());
        let change = Box::new(move |attributes: &mut crate::metadata::Attributes| {
            if let Some(encryption) = attributes.encryption.as_mut().filter(|encryption| encryption.key == old) {
                encryption.key = wrapped;
            }
        });
        match self.metadata.change_attributes(&version.bucket, &version.key, &selector, change, None).await {
            Ok(_) => report.rewrapped += 1,
            // Deleted meanwhile.
            Err(MetadataError::Gone(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
