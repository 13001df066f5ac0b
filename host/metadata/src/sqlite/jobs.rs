//! The queue of what is to be done on backends.

use super::error::{failed, unreadable};
use super::rows::{Columns, bucket_name, from_json, get, key, limit, location_name, number, write_id};
use super::statement::Query;
use super::writer::{Operation, Transaction, now};
use sallyport_core::backend::{Locator, Token};
use sallyport_core::metadata::{Job, JobKind, MetadataResult};
use sallyport_core::names::{LocationName, VersionId};
use sqlx::SqlitePool;

/// Takes due jobs.
pub(super) struct Claim {
    pub(super) now: i64,
    pub(super) limit: usize,
}

// What a restored database wants freed may belong to what was written after the backup.
const CLAIM: &str = "UPDATE job SET owner = $1, attempts = attempts + 1 WHERE id IN (
        SELECT j.id FROM job j WHERE j.owner = 0 AND j.due <= $2
        AND (j.kind = 2 OR NOT EXISTS (SELECT 1 FROM meta WHERE name = 'restored'))
        AND (j.kind <> 0 OR NOT (
            EXISTS (SELECT 1 FROM segment s WHERE s.location = j.location AND s.locator = j.locator)
            OR EXISTS (SELECT 1 FROM part p WHERE p.locator IS NOT NULL AND p.location = j.location
                AND p.locator = j.locator)
            OR (j.is_plain = 1 AND EXISTS (SELECT 1 FROM write_intent w JOIN bucket b ON b.id = w.bucket
                WHERE b.name = j.bucket AND w.key = j.key AND w.location = j.location AND w.holds = 1))))
        ORDER BY j.due LIMIT $3)
    RETURNING *";

// Bytes that were shared are wanted freed more than once. From here on nobody may share them again.
const TOUCH: &str = "UPDATE job SET attempts = 1 WHERE id IN (
        SELECT other.id FROM job claimed CROSS JOIN job other ON other.kind = 0
            AND other.location = claimed.location AND other.locator = claimed.locator
        WHERE claimed.owner = $1 AND claimed.kind = 0 AND other.owner = 0 AND other.attempts = 0)";

impl Operation for Claim {
    type Answer = Vec<Job>;

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<Vec<Job>> {
        let query = Query::of(CLAIM).bind(transaction.owner()).bind(self.now).bind(limit(self.limit));
        let jobs: Vec<Job> = transaction.rows(query)?.iter().map(job).collect::<MetadataResult<_>>()?;
        if !jobs.is_empty() {
            transaction.execute(Query::of(TOUCH).bind(transaction.owner()))?;
        }
        Ok(jobs)
    }
}

fn job(row: &impl Columns) -> MetadataResult<Job> {
    let kind = match number(row, "kind")? {
        0 => JobKind::Delete { locator: Locator(get(row, "locator")?) },
        1 => JobKind::Abort { upload: Token(get(row, "locator")?) },
        2 => JobKind::Tags {
            bucket: bucket_name(get(row, "bucket")?)?,
            key: key(row, "key")?,
            version: VersionId::from_client(get(row, "version_id")?),
        },
        3 => JobKind::Hide {
            bucket: bucket_name(get(row, "bucket")?)?,
            key: key(row, "key")?,
            marker: VersionId::from_client(get(row, "version_id")?),
        },
        4 => JobKind::Recheck { name: from_json(row, "name")?, write: write_id(get(row, "write_id")?)? },
        _ => return Err(unreadable("a job")),
    };
    let tried = number(row, "attempts")?.saturating_sub(1);
    Ok(Job {
        id: number(row, "id")?,
        location: location_name(get(row, "location")?)?,
        kind,
        attempts: u32::try_from(tried).unwrap_or(u32::MAX),
        created: number(row, "created")?,
    })
}

/// Removes a job that is done.
pub(super) struct Finish(pub(super) i64);

impl Operation for Finish {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        transaction.execute(Query::of("DELETE FROM job WHERE id = $1").bind(self.0)).map(drop)
    }
}

/// Puts a job back.
pub(super) struct Retry {
    pub(super) id: i64,
    pub(super) at: i64,
    pub(super) error: String,
}

impl Operation for Retry {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        let sql = "UPDATE job SET owner = 0, due = $2, error = $3 WHERE id = $1";
        transaction.execute(Query::of(sql).bind(self.id).bind(self.at).bind(self.error)).map(drop)
    }
}

/// How many jobs wait, and since when. Looking for late writes is nothing that piles up.
pub(super) async fn depth(readers: &SqlitePool) -> MetadataResult<(u64, Option<i64>)> {
    let sql = "SELECT count(*) AS waiting, min(created) AS since FROM job WHERE kind <> 4";
    let row = sqlx::query(sql).fetch_one(readers).await.map_err(failed)?;
    let waiting = u64::try_from(number(&row, "waiting")?).unwrap_or(0);
    Ok((waiting, get(&row, "since")?))
}

/// Queues bytes that nothing refers to.
pub(super) struct QueueDeletion {
    pub(super) location: LocationName,
    pub(super) locator: Locator,
}

impl Operation for QueueDeletion {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        let sql = "INSERT INTO job (kind, location, locator, created, due) SELECT 0, $1, $2, $3, $4
            WHERE NOT EXISTS (SELECT 1 FROM job WHERE kind = 0 AND location = $1 AND locator = $2)";
        let query = Query::of(sql)
            .bind(self.location.as_str().to_owned())
            .bind(self.locator.0)
            .bind(now())
            .bind(transaction.due());
        transaction.execute(query).map(drop)
    }
}
