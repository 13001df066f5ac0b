//! Locations' targets, and the namespaces that buckets write in them.

use super::error::failed;
use super::rows::{bucket_name, get, location_name, number, text};
use super::statement::Query;
use super::writer::{Operation, Transaction};
use sallyport_core::metadata::{MetadataError, MetadataResult, NamespaceClaim};
use sallyport_core::names::{BucketName, LocationName};
use sqlx::SqlitePool;

/// Claims a namespace.
pub(super) struct Claim {
    pub(super) bucket: BucketName,
    pub(super) location: LocationName,
    pub(super) namespace: String,
}

impl Operation for Claim {
    type Answer = NamespaceClaim;

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<NamespaceClaim> {
        let known = "SELECT id FROM bucket WHERE name = $1";
        let bucket = self.bucket.as_str().to_owned();
        if transaction.row(Query::of(known).bind(bucket.clone()))?.is_none() {
            return Err(MetadataError::Gone("the bucket"));
        }
        // A bucket that is gone holds its places until the last of its bytes is.
        let sql = "DELETE FROM namespace WHERE NOT EXISTS (SELECT 1 FROM bucket b WHERE b.name = namespace.bucket)
                AND NOT EXISTS (SELECT 1 FROM job j WHERE j.bucket = namespace.bucket
                    AND j.location = namespace.location AND j.is_plain = 1);
            INSERT OR IGNORE INTO namespace (bucket, location, namespace) VALUES ($1, $2, $3)";
        let claim =
            Query::of(sql).bind(bucket.clone()).bind(self.location.as_str().to_owned()).bind(self.namespace.clone());
        transaction.execute(claim)?;
        let sql = "SELECT other.bucket, other.location FROM namespace mine, namespace other
            WHERE mine.bucket = $1 AND mine.location = $2 AND mine.namespace = $3 AND other.id < mine.id
            AND (other.bucket <> $1 OR other.location <> $2)
            AND (substr(other.namespace, 1, length($3)) = $3
                OR substr($3, 1, length(other.namespace)) = other.namespace)
            ORDER BY other.id";
        let query = Query::of(sql).bind(bucket).bind(self.location.as_str().to_owned()).bind(self.namespace);
        let mut others = Vec::new();
        for row in transaction.rows(query)? {
            others.push((bucket_name(get(&row, "bucket")?)?, location_name(get(&row, "location")?)?));
        }
        Ok(NamespaceClaim { plain: others.is_empty(), others })
    }
}

/// Remembers a location's target.
pub(super) struct Bind {
    pub(super) location: LocationName,
    pub(super) target: String,
    pub(super) rebind: bool,
}

impl Operation for Bind {
    type Answer = Option<String>;

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<Option<String>> {
        let sql = "SELECT target, EXISTS (SELECT 1 FROM segment WHERE location = $1)
            OR EXISTS (SELECT 1 FROM part WHERE location = $1 AND locator IS NOT NULL)
            OR EXISTS (SELECT 1 FROM upload WHERE location = $1) AS is_used
            FROM location WHERE name = $1";
        let name = self.location.as_str().to_owned();
        let before = transaction.row(Query::of(sql).bind(name.clone()))?;
        let mut other = None;
        if let Some(row) = before {
            let target = text(&row, "target")?;
            if target == self.target {
                return Ok(None);
            }
            let is_used = number(&row, "is_used")? != 0;
            if is_used && !self.rebind {
                return Ok(Some(target));
            }
            other = self.rebind.then_some(target);
        }
        let sql = "INSERT OR REPLACE INTO location (name, target) VALUES ($1, $2)";
        transaction.execute(Query::of(sql).bind(name).bind(self.target))?;
        Ok(other)
    }
}

/// Whether any row refers to a location.
pub(super) async fn is_used(readers: &SqlitePool, location: &LocationName) -> MetadataResult<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM bucket WHERE location = $1)
        OR EXISTS (SELECT 1 FROM segment WHERE location = $1)
        OR EXISTS (SELECT 1 FROM part WHERE location = $1 AND locator IS NOT NULL)
        OR EXISTS (SELECT 1 FROM upload WHERE location = $1)
        OR EXISTS (SELECT 1 FROM write_intent WHERE location = $1)
        OR EXISTS (SELECT 1 FROM job WHERE location = $1) AS is_used";
    let row = sqlx::query(sql).bind(location.as_str()).fetch_one(readers).await.map_err(failed)?;
    Ok(number(&row, "is_used")? != 0)
}

/// Locations with live bytes.
pub(super) async fn in_use(readers: &SqlitePool) -> MetadataResult<Vec<LocationName>> {
    // One seek for each name: there may be millions of segments behind it.
    let sql = "WITH RECURSIVE used(name) AS (
            SELECT min(location) FROM segment
            UNION ALL
            SELECT (SELECT min(location) FROM segment WHERE location > used.name) FROM used WHERE used.name IS NOT NULL
        )
        SELECT name FROM used WHERE name IS NOT NULL
        UNION SELECT location FROM part WHERE locator IS NOT NULL ORDER BY 1";
    let rows = sqlx::query(sql).fetch_all(readers).await.map_err(failed)?;
    rows.iter().map(|row| location_name(get(row, "name")?)).collect()
}
