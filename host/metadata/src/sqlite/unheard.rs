//! Writes that their backend never answered, and that it may carry out late.

use super::error::failed;
use super::rows::{bytes, get, number};
use super::statement::Query;
use super::writer::{Operation, Transaction, now};
use sallyport_core::backend::{Locator, Token};
use sallyport_core::metadata::MetadataResult;
use sallyport_core::names::{BucketName, ObjectKey, WriteId};
use sqlx::SqlitePool;

/// Keeps an intent of which its backend has nothing yet.
pub(super) struct Postpone {
    pub(super) write: WriteId,
    pub(super) now: i64,
    pub(super) due: i64,
}

impl Operation for Postpone {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        let sql = "UPDATE write_intent SET unheard = coalesce(unheard, $2), due = $3 WHERE id = $1";
        let query = Query::of(sql).bind(self.write.as_str().to_owned()).bind(self.now).bind(self.due);
        transaction.execute(query).map(drop)
    }
}

/// Removes an intent, has its bytes looked for, and aborts the upload that was noted.
pub(super) struct Rollback {
    pub(super) write: WriteId,
    pub(super) due: i64,
}

impl Operation for Rollback {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        let sql = "INSERT INTO job (kind, location, name, write_id, bucket, key, is_plain, created, due)
                SELECT 4, w.location, w.name, w.id, b.name, w.key, w.holds, $2, $3
                FROM write_intent w JOIN bucket b ON b.id = w.bucket WHERE w.id = $1;
            INSERT INTO job (kind, location, locator, created, due)
                SELECT 1, location, upload, $2, $2 FROM write_intent WHERE id = $1 AND upload IS NOT NULL;
            DELETE FROM write_intent WHERE id = $1";
        let query = Query::of(sql).bind(self.write.as_str().to_owned()).bind(now()).bind(self.due);
        transaction.execute(query).map(drop)
    }
}

/// Makes the search for a write's bytes their deletion.
pub(super) struct FoundLate {
    pub(super) job: i64,
    pub(super) locator: Locator,
}

impl Operation for FoundLate {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        let sql = "UPDATE job SET kind = 0, locator = $2, owner = 0, due = $3, error = NULL WHERE id = $1 AND kind = 4";
        let query = Query::of(sql).bind(self.job).bind(self.locator.0).bind(now());
        transaction.execute(query).map(drop)
    }
}

/// What is known of a key's uploads on its backend, and whether a write may be about to note one.
pub(super) async fn known_uploads(
    readers: &SqlitePool,
    owner: i64,
    bucket: &BucketName,
    key: &ObjectKey,
    write: &WriteId,
) -> MetadataResult<(Vec<Token>, bool)> {
    let sql = "SELECT u.token AS token, 0 AS is_pending FROM upload u JOIN bucket b ON b.id = u.bucket
            WHERE b.name = $1 AND u.key = $2 AND u.token IS NOT NULL
        UNION ALL SELECT w.upload, w.upload IS NULL FROM write_intent w JOIN bucket b ON b.id = w.bucket
            WHERE b.name = $1 AND w.key = $2 AND (w.upload IS NOT NULL OR (w.owner = $3 AND w.id <> $4))";
    let query = sqlx::query(sql).bind(bucket.as_str()).bind(bytes(key.as_str())).bind(owner).bind(write.as_str());
    let (mut known, mut is_one_pending) = (Vec::new(), false);
    for row in query.fetch_all(readers).await.map_err(failed)? {
        if number(&row, "is_pending")? != 0 {
            is_one_pending = true;
        } else {
            known.push(Token(get(&row, "token")?));
        }
    }
    Ok((known, is_one_pending))
}
