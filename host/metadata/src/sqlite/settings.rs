//! What is configured of buckets, and the attributes of versions.

use super::buckets::BY_NAME;
use super::events::{Happened, announce};
use super::known::Change;
use super::rows::{bucket, bytes, to_json};
use super::statement::Query;
use super::versions::read_in;
use super::writer::{Operation, Transaction};
use sallyport_core::metadata::{
    AttributesChange, Bucket, MetadataError, MetadataResult, Selector, SettingsChange, Version,
};
use sallyport_core::names::{BucketName, ObjectKey};
use sallyport_core::notification::Announcement;
use std::sync::Arc;

/// Changes a bucket's settings.
pub(super) struct ChangeSettings {
    pub(super) bucket: BucketName,
    pub(super) change: SettingsChange,
}

impl Operation for ChangeSettings {
    type Answer = Bucket;

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<Bucket> {
        transaction.changes(Change::Bucket(self.bucket.clone()));
        let row = transaction.row(Query::of(BY_NAME).bind(self.bucket.as_str().to_owned()))?;
        let mut bucket = bucket(&row.ok_or(MetadataError::Gone("the bucket"))?)?;
        (self.change)(Arc::make_mut(&mut bucket.settings));
        let sql = "UPDATE bucket SET settings = $2 WHERE name = $1";
        let query = Query::of(sql).bind(self.bucket.as_str().to_owned()).bind(to_json(&*bucket.settings)?);
        transaction.execute(query)?;
        Ok(bucket)
    }
}

/// Changes a version's attributes.
pub(super) struct ChangeAttributes {
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) selector: Selector,
    pub(super) change: AttributesChange,
    pub(super) announcement: Option<Box<Announcement>>,
}

impl Operation for ChangeAttributes {
    type Answer = Version;

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<Version> {
        transaction.changes(Change::Key(self.bucket.clone(), self.key.clone()));
        let found = read_in(transaction, &self.bucket, &self.key, &self.selector)?;
        let mut version = found.ok_or(MetadataError::Gone("the version"))?;
        (self.change)(&mut version.attributes);
        let sql = "UPDATE version SET attributes = $4
            WHERE bucket = (SELECT id FROM bucket WHERE name = $1) AND key = $2 AND id = $3";
        let query = Query::of(sql)
            .bind(self.bucket.as_str().to_owned())
            .bind(bytes(self.key.as_str()))
            .bind(version.id.as_str().to_owned())
            .bind(to_json(&version.attributes)?);
        transaction.execute(query)?;
        if let Some(announcement) = &self.announcement {
            announce(transaction, announcement, Happened::to(&version))?;
        }
        Ok(version)
    }
}
