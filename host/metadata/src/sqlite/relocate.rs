//! Gives versions other segments.

use super::allowances::{Coming, exceeds_location};
use super::events::{Happened, announce};
use super::known::Change;
use super::rows::{bytes, limit, number};
use super::statement::Query;
use super::versions::read_in;
use super::writer::{Operation, Transaction};
use super::writes::{Landing, insert_segment};
use sallyport_core::metadata::{MetadataError, MetadataResult, Relocated, Relocation, Selector};
use sallyport_core::names::WriteId;
use sallyport_core::notification::EventObject;

/// Replaces a version's segments and its storage class.
pub(super) struct Relocate {
    pub(super) write: Option<WriteId>,
    pub(super) relocation: Relocation,
}

// Readers that opened the old bytes keep them for the deletion delay. Bytes that another
// version shares are freed with that one.
const REPLACE: &str = "
    INSERT INTO job (kind, location, locator, bucket, key, is_plain, created, due)
        SELECT 0, s.location, s.locator, CASE WHEN s.elsewhere IS NULL THEN $4 END, s.key,
            s.place IS NULL AND s.elsewhere IS NULL, $5, $6
        FROM version v JOIN segment s ON s.id >= v.first_segment AND s.id < v.first_segment + v.segments
        WHERE v.bucket = $1 AND v.key = $2 AND v.sequence = $3
        AND NOT EXISTS (SELECT 1 FROM segment o WHERE o.location = s.location AND o.locator = s.locator
            AND (o.id < v.first_segment OR o.id >= v.first_segment + v.segments))
        AND NOT EXISTS (SELECT 1 FROM part p WHERE p.locator IS NOT NULL AND p.location = s.location
            AND p.locator = s.locator);
    DELETE FROM segment WHERE id IN (SELECT s.id FROM version v
        JOIN segment s ON s.id >= v.first_segment AND s.id < v.first_segment + v.segments
        WHERE v.bucket = $1 AND v.key = $2 AND v.sequence = $3);
    UPDATE version SET first_segment = $7, segments = $8 WHERE bucket = $1 AND key = $2 AND sequence = $3";

impl Operation for Relocate {
    type Answer = Relocated;

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<Relocated> {
        let moved = self.relocation;
        transaction.changes(Change::Key(moved.bucket.clone(), moved.key.clone()));
        let selector = Selector::Id(moved.version.clone());
        let found = read_in(transaction, &moved.bucket, &moved.key, &selector)?;
        let found = found.filter(|found| {
            found.sequence == moved.sequence && !found.is_delete_marker && found.segments == moved.from
        });
        let Some(version) = found else { return Ok(Relocated::Stale) };
        let sql = "SELECT id FROM bucket WHERE name = $1";
        let row = transaction.row(Query::of(sql).bind(moved.bucket.as_str().to_owned()))?;
        let bucket = number(&row.ok_or(MetadataError::Gone("the bucket"))?, "id")?;
        if let Some(write) = &self.write {
            if is_too_much(transaction, bucket, write, &moved)? {
                return Ok(Relocated::Full);
            }
            let sql = "DELETE FROM write_intent WHERE id = $1";
            let query = Query::of(sql).bind(write.as_str().to_owned());
            if transaction.execute(query)? == 0 {
                return Err(MetadataError::Gone("the write"));
            }
            replace(transaction, bucket, &moved)?;
            if version.object.tags != moved.tags {
                show_tags(transaction, &moved)?;
            }
        }
        let sql = "UPDATE version SET storage_class = $4 WHERE bucket = $1 AND key = $2 AND sequence = $3;
            UPDATE object SET storage_class = $4 WHERE bucket = $1 AND key = $2 AND sequence = $3";
        let query = Query::of(sql)
            .bind(bucket)
            .bind(bytes(moved.key.as_str()))
            .bind(moved.sequence)
            .bind(moved.storage_class.clone());
        transaction.execute(query)?;
        if let Some(announcement) = &moved.announcement {
            let told = Happened::to(&version);
            let object = EventObject { storage_class: Some(moved.storage_class), ..told.object };
            announce(transaction, announcement, Happened { object, ..told })?;
        }
        Ok(Relocated::Done)
    }
}

/// Whether the location that a version moves to has no room for it.
fn is_too_much(
    transaction: &mut Transaction<'_>,
    bucket: i64,
    write: &WriteId,
    moved: &Relocation,
) -> MetadataResult<bool> {
    let Some(first) = moved.segments.first() else { return Ok(false) };
    let coming = Coming {
        bucket,
        key: &moved.key,
        location: first.location.as_str(),
        write: write.as_str(),
        size: moved.segments.iter().map(|segment| segment.length).sum(),
        replaces: Some(&moved.version),
    };
    exceeds_location(transaction, &coming)
}

fn replace(transaction: &mut Transaction<'_>, bucket: i64, moved: &Relocation) -> MetadataResult<()> {
    let first = transaction.numbers(moved.segments.len());
    let query = Query::of(REPLACE)
        .bind(bucket)
        .bind(bytes(moved.key.as_str()))
        .bind(moved.sequence)
        .bind(moved.bucket.as_str().to_owned())
        .bind(moved.at)
        .bind(transaction.due())
        .bind(first)
        .bind(limit(moved.segments.len()));
    transaction.execute(query)?;
    let landing = Landing {
        bucket,
        bucket_name: moved.bucket.clone(),
        key: moved.key.clone(),
        held: None,
        sequence: moved.sequence,
    };
    for (id, segment) in (first..).zip(&moved.segments) {
        insert_segment(transaction, &landing, id, segment)?;
    }
    Ok(())
}

/// Queues the projection of tags that came while the bytes were on their way.
fn show_tags(transaction: &mut Transaction<'_>, moved: &Relocation) -> MetadataResult<()> {
    let Some(first) = moved.segments.first() else { return Ok(()) };
    let sql =
        "INSERT INTO job (kind, location, bucket, key, version_id, created, due) VALUES (2, $1, $2, $3, $4, $5, $5)";
    let query = Query::of(sql)
        .bind(first.location.as_str().to_owned())
        .bind(moved.bucket.as_str().to_owned())
        .bind(bytes(moved.key.as_str()))
        .bind(moved.version.as_str().to_owned())
        .bind(moved.at);
    transaction.execute(query).map(drop)
}
