//! What changes of a version after its commit: tags, and where its bytes are.

use super::events::{Happened, announce};
use super::known::Change;
use super::rows::{bytes, to_json};
use super::statement::Query;
use super::versions::read_in;
use super::writer::{Operation, Transaction, now};
use sallyport_core::backend::Locator;
use sallyport_core::metadata::{MetadataError, MetadataResult, Selector, Version};
use sallyport_core::names::{BucketName, LocationName, ObjectKey};
use sallyport_core::notification::Announcement;

/// Replaces a version's tags.
pub(super) struct SetTags {
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) selector: Selector,
    pub(super) tags: Vec<(String, String)>,
    pub(super) announcement: Option<Box<Announcement>>,
}

impl Operation for SetTags {
    type Answer = Version;

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<Version> {
        transaction.changes(Change::Key(self.bucket.clone(), self.key.clone()));
        let found = read_in(transaction, &self.bucket, &self.key, &self.selector)?;
        let mut version = found.ok_or(MetadataError::Gone("the version"))?;
        version.object.tags = self.tags;
        let sql = "UPDATE version SET object = $1
                WHERE bucket = (SELECT id FROM bucket WHERE name = $2) AND key = $3 AND id = $4;
            INSERT INTO job (kind, location, bucket, key, version_id, created, due)
                SELECT 2, $5, $2, $3, $4, $6, $6 WHERE $5 IS NOT NULL";
        let location = version.segments.first().map(|segment| segment.location.as_str().to_owned());
        let query = Query::of(sql)
            .bind(to_json(&version.object)?)
            .bind(self.bucket.as_str().to_owned())
            .bind(bytes(self.key.as_str()))
            .bind(version.id.as_str().to_owned())
            .bind(location)
            .bind(now());
        transaction.execute(query)?;
        if let Some(announcement) = &self.announcement {
            announce(transaction, announcement, Happened::to(&version))?;
        }
        Ok(version)
    }
}

/// Replaces a live segment's locator.
pub(super) struct ReplaceLocator {
    pub(super) location: LocationName,
    pub(super) old: Locator,
    pub(super) new: Locator,
}

impl Operation for ReplaceLocator {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        transaction.changes(Change::Keys);
        let sql = "UPDATE segment SET locator = $3 WHERE location = $1 AND locator = $2";
        let query = Query::of(sql).bind(self.location.as_str().to_owned()).bind(self.old.0).bind(self.new.0);
        transaction.execute(query).map(drop)
    }
}
