//! Reads versions with their segments.

use super::error::failed;
use super::rows::{Columns, bytes, get, number, segment, version};
use super::statement::Query;
use super::writer::Transaction;
use sallyport_core::metadata::{MetadataResult, Selector, Version};
use sallyport_core::names::{BucketName, ObjectKey};
use sqlx::SqlitePool;

// The first segment comes along: nearly every version has no more than that one.
const CURRENT: &str = "SELECT v.*, 1 AS is_current, s.id AS segment_id, s.location, s.place, s.elsewhere, s.write_id,
    s.locator, s.stored_size, s.start, s.length
    FROM version v LEFT JOIN segment s ON v.segments > 0 AND s.id = v.first_segment
    WHERE v.bucket = (SELECT id FROM bucket WHERE name = $1) AND v.key = $2
    ORDER BY v.sequence DESC LIMIT 1";
const BY_ID: &str = "SELECT v.*, NOT EXISTS (SELECT 1 FROM version n WHERE n.bucket = v.bucket AND n.key = v.key
        AND n.sequence > v.sequence) AS is_current,
    s.id AS segment_id, s.location, s.place, s.elsewhere, s.write_id, s.locator, s.stored_size, s.start, s.length
    FROM version v LEFT JOIN segment s ON v.segments > 0 AND s.id = v.first_segment
    WHERE v.bucket = (SELECT id FROM bucket WHERE name = $1) AND v.key = $2 AND v.id = $3";
const REST: &str = "SELECT * FROM segment WHERE id > $1 AND id < $2 ORDER BY id";

fn query(bucket: &BucketName, key: &ObjectKey, selector: &Selector) -> Query {
    let (sql, id) = match selector {
        Selector::Current => (CURRENT, None),
        Selector::Id(id) => (BY_ID, Some(id.as_str().to_owned())),
    };
    let query = Query::of(sql).bind(bucket.as_str().to_owned()).bind(bytes(key.as_str()));
    match id {
        Some(id) => query.bind(id),
        None => query,
    }
}

/// A version as readers see it, outside of any transaction of the writer.
pub(super) async fn read(
    readers: &SqlitePool,
    bucket: &BucketName,
    key: &ObjectKey,
    selector: &Selector,
) -> MetadataResult<Option<Version>> {
    let mut connection = readers.acquire().await.map_err(failed)?;
    let row = query(bucket, key, selector).for_readers().fetch_optional(&mut *connection).await.map_err(failed)?;
    let Some(row) = row else {
        return Ok(None);
    };
    let mut found = with_first_segment(&row, bucket)?;
    if rest(&row)?.is_some() {
        // The rest has to belong to it: a snapshot keeps the two reads together.
        drop(connection);
        let mut snapshot = readers.begin().await.map_err(failed)?;
        let row = query(bucket, key, selector).for_readers().fetch_optional(&mut *snapshot).await.map_err(failed)?;
        let Some(row) = row else {
            return Ok(None);
        };
        found = with_first_segment(&row, bucket)?;
        let Some((first, end)) = rest(&row)? else {
            return Ok(Some(found));
        };
        for row in sqlx::query(REST).bind(first).bind(end).fetch_all(&mut *snapshot).await.map_err(failed)? {
            found.segments.push(segment(&row, bucket, key)?);
        }
    }
    Ok(Some(found))
}

/// A version as the writer sees it, with its segments.
pub(super) fn read_in(
    transaction: &mut Transaction<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
    selector: &Selector,
) -> MetadataResult<Option<Version>> {
    let Some(row) = transaction.row(query(bucket, key, selector))? else {
        return Ok(None);
    };
    let mut found = with_first_segment(&row, bucket)?;
    if let Some((first, end)) = rest(&row)? {
        for row in transaction.rows(Query::of(REST).bind(first).bind(end))? {
            found.segments.push(segment(&row, bucket, key)?);
        }
    }
    Ok(Some(found))
}

fn with_first_segment(row: &impl Columns, bucket: &BucketName) -> MetadataResult<Version> {
    let mut found = version(row, bucket)?;
    let has_segment: Option<i64> = get(row, "segment_id")?;
    if has_segment.is_some() {
        let first = segment(row, bucket, &found.key)?;
        found.segments.push(first);
    }
    Ok(found)
}

/// The first segment's id and the end of the others, when there are others.
fn rest(row: &impl Columns) -> MetadataResult<Option<(i64, i64)>> {
    let (first, count) = (number(row, "first_segment")?, number(row, "segments")?);
    Ok((count > 1).then_some((first, first + count)))
}
