//! Buckets: made, found, changed, removed.

use super::error::{failed, unreadable};
use super::known::Change;
use super::rows::{bucket, limit, number, to_json, versioning_number};
use super::statement::Query;
use super::uploads::abort_all;
use super::writer::{Operation, Transaction};
use sallyport_core::metadata::{
    Bucket, BucketCreation, BucketDeletion, MetadataError, MetadataResult, NewBucket, Versioning,
};
use sallyport_core::names::{AccountId, BucketName};
use sqlx::SqlitePool;
use std::sync::Arc;

pub(super) const BY_NAME: &str = "SELECT * FROM bucket WHERE name = $1";

/// A bucket by name.
pub(super) async fn by_name(readers: &SqlitePool, name: &BucketName) -> MetadataResult<Option<Bucket>> {
    let query = sqlx::query(BY_NAME).bind(name.as_str());
    query.fetch_optional(readers).await.map_err(failed)?.as_ref().map(bucket).transpose()
}

/// An account's buckets, a page by name.
pub(super) async fn of_owner(
    readers: &SqlitePool,
    owner: &AccountId,
    after: Option<&str>,
    most: usize,
) -> MetadataResult<Vec<Bucket>> {
    let sql = "SELECT * FROM bucket WHERE owner = $1 AND name > $2 ORDER BY name LIMIT $3";
    let query = sqlx::query(sql).bind(owner.as_str()).bind(after.unwrap_or("")).bind(limit(most));
    query.fetch_all(readers).await.map_err(failed)?.iter().map(bucket).collect()
}

/// Everybody's buckets, a page by name.
pub(super) async fn all(readers: &SqlitePool, after: Option<&str>, most: usize) -> MetadataResult<Vec<Bucket>> {
    let sql = "SELECT * FROM bucket WHERE name > $1 ORDER BY name LIMIT $2";
    let query = sqlx::query(sql).bind(after.unwrap_or("")).bind(limit(most));
    query.fetch_all(readers).await.map_err(failed)?.iter().map(bucket).collect()
}

/// Makes a bucket.
pub(super) struct Create(pub(super) NewBucket);

impl Operation for Create {
    type Answer = BucketCreation;

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<BucketCreation> {
        let new = self.0;
        transaction.changes(Change::Bucket(new.name.clone()));
        if let Some(row) = transaction.row(Query::of(BY_NAME).bind(new.name.as_str().to_owned()))? {
            return Ok(BucketCreation::Exists(bucket(&row)?));
        }
        let sql = "INSERT INTO bucket (name, owner, location, created, settings, versioning)
            VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
        let query = Query::of(sql)
            .bind(new.name.as_str().to_owned())
            .bind(new.owner.as_str().to_owned())
            .bind(new.location.as_str().to_owned())
            .bind(new.created)
            .bind(to_json(&new.settings)?)
            .bind(versioning_number(new.versioning));
        let row = transaction.row(query)?.ok_or_else(|| unreadable("a bucket that was made"))?;
        Ok(BucketCreation::Created(Bucket {
            number: number(&row, "id")?,
            name: new.name,
            owner: new.owner,
            location: new.location,
            versioning: new.versioning,
            created: new.created,
            settings: Arc::new(new.settings),
        }))
    }
}

/// Removes an empty bucket.
pub(super) struct Delete(pub(super) BucketName);

impl Operation for Delete {
    type Answer = BucketDeletion;

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<BucketDeletion> {
        transaction.changes(Change::Bucket(self.0.clone()));
        let sql = "SELECT id, EXISTS (SELECT 1 FROM version WHERE bucket = b.id)
            OR EXISTS (SELECT 1 FROM write_intent WHERE bucket = b.id) AS is_used
            FROM bucket b WHERE name = $1";
        let Some(row) = transaction.row(Query::of(sql).bind(self.0.as_str().to_owned()))? else {
            return Ok(BucketDeletion::Absent);
        };
        if number(&row, "is_used")? != 0 {
            return Ok(BucketDeletion::NotEmpty);
        }
        let id = number(&row, "id")?;
        abort_all(transaction, id)?;
        transaction.execute(Query::of("DELETE FROM bucket WHERE id = $1").bind(id))?;
        Ok(BucketDeletion::Deleted)
    }
}

/// Sets the versioning state.
pub(super) struct SetVersioning(pub(super) BucketName, pub(super) Versioning);

impl Operation for SetVersioning {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        transaction.changes(Change::Bucket(self.0.clone()));
        let sql = "UPDATE bucket SET versioning = $2 WHERE name = $1";
        let query = Query::of(sql).bind(self.0.as_str().to_owned()).bind(versioning_number(self.1));
        match transaction.execute(query)? {
            0 => Err(MetadataError::Gone("the bucket")),
            _ => Ok(()),
        }
    }
}
