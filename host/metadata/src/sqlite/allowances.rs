//! What buckets and locations may hold.

use super::error::failed;
use super::rows::{bytes, number, signed, size};
use super::statement::Query;
use super::writer::{Operation, Transaction};
use sallyport_core::metadata::{Allowance, ConditionFailure, MetadataError, MetadataResult};
use sallyport_core::names::{BucketName, LocationName, ObjectKey, VersionId};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

/// Sets what a bucket may hold, or that there is no limit.
pub(super) struct AllowBucket {
    pub(super) bucket: BucketName,
    pub(super) most: Option<u64>,
}

impl Operation for AllowBucket {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        let sql = "SELECT id FROM bucket WHERE name = $1";
        let row = transaction.row(Query::of(sql).bind(self.bucket.as_str().to_owned()))?;
        let bucket = number(&row.ok_or(MetadataError::Gone("the bucket"))?, "id")?;
        let query = match self.most {
            Some(most) => Query::of(
                "INSERT OR REPLACE INTO bucket_allowance (bucket, most, used)
                SELECT $1, $2, coalesce(sum(size), 0) FROM version WHERE bucket = $1",
            )
            .bind(bucket)
            .bind(signed(most)),
            None => Query::of("DELETE FROM bucket_allowance WHERE bucket = $1").bind(bucket),
        };
        transaction.execute(query).map(drop)
    }
}

/// A bucket's limit, and what it holds.
pub(super) async fn of_bucket(readers: &SqlitePool, bucket: &BucketName) -> MetadataResult<Option<Allowance>> {
    let sql = "SELECT most, used FROM bucket_allowance WHERE bucket = (SELECT id FROM bucket WHERE name = $1)";
    let row = sqlx::query(sql).bind(bucket.as_str()).fetch_optional(readers).await.map_err(failed)?;
    row.as_ref().map(allowance).transpose()
}

/// A location's limit, and what it holds.
pub(super) async fn of_location(readers: &SqlitePool, location: &LocationName) -> MetadataResult<Option<Allowance>> {
    let sql = "SELECT most, used FROM location_allowance WHERE location = $1";
    let row = sqlx::query(sql).bind(location.as_str()).fetch_optional(readers).await.map_err(failed)?;
    row.as_ref().map(allowance).transpose()
}

fn allowance(row: &SqliteRow) -> MetadataResult<Allowance> {
    Ok(Allowance { most: size(row, "most")?, used: size(row, "used")? })
}

/// Sets what locations may hold; the others have no limit.
pub(super) struct AllowLocations(pub(super) Vec<(LocationName, u64)>);

impl Operation for AllowLocations {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        // A limit that was there keeps its sum: counting is for new ones.
        let names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        let sql = "DELETE FROM location_allowance WHERE location NOT IN (SELECT value FROM json_each($1))";
        transaction.execute(Query::of(sql).bind(super::rows::to_json(&names)?))?;
        for (location, most) in self.0 {
            let sql = "INSERT INTO location_allowance (location, most, used)
                    SELECT $1, $2, coalesce(sum(length), 0) FROM segment WHERE location = $1
                        AND NOT EXISTS (SELECT 1 FROM location_allowance WHERE location = $1)
                ON CONFLICT (location) DO NOTHING;
                UPDATE location_allowance SET most = $2 WHERE location = $1";
            let query = Query::of(sql).bind(location.as_str().to_owned()).bind(signed(most));
            transaction.execute(query)?;
        }
        Ok(())
    }
}

/// A version that is about to be.
pub(super) struct Coming<'a> {
    pub(super) bucket: i64,
    pub(super) key: &'a ObjectKey,
    pub(super) location: &'a str,
    pub(super) write: &'a str,
    pub(super) size: u64,
    /// The version of the key that goes when it comes.
    pub(super) replaces: Option<&'a VersionId>,
}

// What is prepared counts, so that no two writes share what is left.
const EXCEEDS_BUCKET: &str = "SELECT 1 FROM bucket_allowance a WHERE a.bucket = $1 AND a.most < a.used + $4
    + (SELECT coalesce(sum(w.prepared ->> '$.size'), 0) FROM write_intent w
        WHERE w.bucket = $1 AND w.prepared IS NOT NULL AND w.unheard IS NULL AND w.id <> $3)
    - (SELECT coalesce(sum(v.size), 0) FROM version v WHERE v.bucket = $1 AND v.key = $2 AND v.id = $5)";
const EXCEEDS_LOCATION: &str = "SELECT 1 FROM location_allowance a WHERE a.location = $6 AND a.most < a.used + $4
    + (SELECT coalesce(sum(w.prepared ->> '$.size'), 0) FROM write_intent w
        WHERE w.location = $6 AND w.prepared IS NOT NULL AND w.unheard IS NULL AND w.id <> $3)
    - (SELECT coalesce(sum(s.length), 0) FROM version v
        JOIN segment s ON s.id >= v.first_segment AND s.id < v.first_segment + v.segments
        WHERE v.bucket = $1 AND v.key = $2 AND v.id = $5 AND s.location = $6)";

impl Coming<'_> {
    fn asked(&self, sql: &'static str) -> Query {
        Query::of(sql)
            .bind(self.bucket)
            .bind(bytes(self.key.as_str()))
            .bind(self.write.to_owned())
            .bind(signed(self.size))
            .bind(self.replaces.map(|version| version.as_str().to_owned()))
    }
}

/// Whether there is no room for a version.
pub(super) fn exceeds(
    transaction: &mut Transaction<'_>,
    coming: &Coming<'_>,
) -> MetadataResult<Option<ConditionFailure>> {
    if transaction.row(coming.asked(EXCEEDS_BUCKET))?.is_some() {
        return Ok(Some(ConditionFailure::BucketFull));
    }
    Ok(exceeds_location(transaction, coming)?.then_some(ConditionFailure::LocationFull))
}

/// Whether there is no room in its location for a version, whatever its bucket may hold.
pub(super) fn exceeds_location(transaction: &mut Transaction<'_>, coming: &Coming<'_>) -> MetadataResult<bool> {
    let query = coming.asked(EXCEEDS_LOCATION).bind(coming.location.to_owned());
    Ok(transaction.row(query)?.is_some())
}
