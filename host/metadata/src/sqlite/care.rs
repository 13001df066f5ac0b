//! What checks and sweepers ask of the whole database.

use super::error::failed;
use super::rows::{bucket_name, get, limit, number, segment, version};
use super::statement::Query;
use super::writer::{Operation, Transaction};
use sallyport_core::backend::Locator;
use sallyport_core::metadata::{MetadataResult, Segment, Version};
use sallyport_core::names::{LocationName, WriteId};
use sqlx::SqlitePool;

/// Marks a database as restored.
pub(super) const MARK_RESTORED: &str = "INSERT OR REPLACE INTO meta (name, value) VALUES ('restored', '1')";

/// Whether the database was restored and not checked since.
pub(super) async fn is_restored(readers: &SqlitePool) -> MetadataResult<bool> {
    let sql = "SELECT 1 FROM meta WHERE name = 'restored'";
    Ok(sqlx::query(sql).fetch_optional(readers).await.map_err(failed)?.is_some())
}

/// The check was done.
pub(super) struct MarkChecked;

impl Operation for MarkChecked {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        transaction.execute(Query::of("DELETE FROM meta WHERE name = 'restored'")).map(drop)
    }
}

/// How far a work came.
pub(super) async fn progress(readers: &SqlitePool, work: &str) -> MetadataResult<Option<String>> {
    let sql = "SELECT value FROM meta WHERE name = $1";
    let row = sqlx::query(sql).bind(meta_name(work)).fetch_optional(readers).await.map_err(failed)?;
    row.map(|row| get(&row, "value")).transpose()
}

/// Notes how far a work came.
pub(super) struct NoteProgress {
    pub(super) work: String,
    pub(super) progress: Option<String>,
}

impl Operation for NoteProgress {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        let name = meta_name(&self.work);
        let query = match self.progress {
            Some(text) => Query::of("INSERT OR REPLACE INTO meta (name, value) VALUES ($1, $2)").bind(name).bind(text),
            None => Query::of("DELETE FROM meta WHERE name = $1").bind(name),
        };
        transaction.execute(query).map(drop)
    }
}

fn meta_name(work: &str) -> String {
    format!("progress of {work}")
}

/// Live segments in the order of their ids.
pub(super) async fn segments(
    readers: &SqlitePool,
    cursor: i64,
    most: usize,
) -> MetadataResult<Vec<(i64, Version, Segment)>> {
    let sql = "SELECT s.id AS segment_id, s.location, s.place, s.elsewhere, s.write_id, s.locator, s.stored_size,
            s.start, s.length, v.*, b.name AS bucket_name,
            NOT EXISTS (SELECT 1 FROM version n WHERE n.bucket = v.bucket AND n.key = v.key
                AND n.sequence > v.sequence) AS is_current
        FROM segment s JOIN version v ON v.bucket = s.bucket AND v.key = s.key AND v.sequence = s.sequence
        JOIN bucket b ON b.id = s.bucket
        WHERE s.id > $1 AND v.is_marker = 0 ORDER BY s.id LIMIT $2";
    let rows = sqlx::query(sql).bind(cursor).bind(limit(most)).fetch_all(readers).await.map_err(failed)?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let bucket = bucket_name(get(row, "bucket_name")?)?;
        let version = version(row, &bucket)?;
        let segment = segment(row, &bucket, &version.key)?;
        found.push((number(row, "segment_id")?, version, segment));
    }
    Ok(found)
}

/// Whether anything refers to these bytes.
pub(super) async fn is_known(
    readers: &SqlitePool,
    location: &LocationName,
    locator: &Locator,
    write: Option<&WriteId>,
) -> MetadataResult<bool> {
    let sql = "SELECT 1 WHERE EXISTS (SELECT 1 FROM segment WHERE location = $1 AND locator = $2)
        OR EXISTS (SELECT 1 FROM part WHERE locator IS NOT NULL AND location = $1 AND locator = $2)
        OR EXISTS (SELECT 1 FROM job WHERE kind = 0 AND location = $1 AND locator = $2)
        OR EXISTS (SELECT 1 FROM write_intent WHERE id = $3)
        OR EXISTS (SELECT 1 FROM upload WHERE write_id = $3)";
    let query = sqlx::query(sql)
        .bind(location.as_str())
        .bind(locator.0.clone())
        .bind(write.map(|write| write.as_str().to_owned()));
    Ok(query.fetch_optional(readers).await.map_err(failed)?.is_some())
}

/// Whether a version or part has bytes of a write, wherever they are.
pub(super) async fn has_bytes_of(readers: &SqlitePool, write: &WriteId) -> MetadataResult<bool> {
    let sql = "SELECT 1 WHERE EXISTS (SELECT 1 FROM segment WHERE write_id = $1)
        OR EXISTS (SELECT 1 FROM part WHERE locator IS NOT NULL AND detail ->> '$.segment.write_id' = $1)";
    let query = sqlx::query(sql).bind(write.as_str());
    Ok(query.fetch_optional(readers).await.map_err(failed)?.is_some())
}
