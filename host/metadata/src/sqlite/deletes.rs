//! Deletions, by S3's rules of versioning, and what they free.

use super::events::{Happened, announce};
use super::known::Change;
use super::rows::{bytes, number, to_json, versioning};
use super::statement::Query;
use super::versions::read_in;
use super::writer::{Operation, Transaction, now};
use sallyport_core::metadata::{
    ConditionFailure, Deleted, Deletion, MetadataError, MetadataResult, Seen, Segment, Selector, Version, Versioning,
};
use sallyport_core::names::{BucketName, LocationName, ObjectKey, VersionId};
use sallyport_core::notification::EventObject;

/// The ETag that S3 tells of a delete marker: the MD5 of nothing.
const EMPTY: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// A version that goes.
pub(super) struct Freed<'a> {
    pub(super) bucket: i64,
    pub(super) bucket_name: &'a BucketName,
    pub(super) key: &'a ObjectKey,
    pub(super) sequence: i64,
    pub(super) first_segment: i64,
    pub(super) segments: i64,
    /// The location whose plain place was overwritten: there is nothing left to free there.
    pub(super) overwritten_in: Option<String>,
    /// It is a delete marker: the backend's own may go at once, since nobody reads it.
    pub(super) is_marker: bool,
}

/// Removes a version and queues its bytes, but for those that something else refers to.
pub(super) fn free(transaction: &mut Transaction<'_>, freed: Freed<'_>) -> MetadataResult<()> {
    let sql = "INSERT INTO job (kind, location, locator, bucket, key, is_plain, created, due)
            SELECT 0, location, locator, CASE WHEN elsewhere IS NULL THEN $1 END, key,
                place IS NULL AND elsewhere IS NULL, $8, $9
            FROM segment old WHERE id >= $5 AND id < $5 + $6
            AND NOT (location IS $7 AND place IS NULL AND elsewhere IS NULL)
            AND NOT EXISTS (SELECT 1 FROM segment s WHERE s.location = old.location AND s.locator = old.locator
                AND (s.id < $5 OR s.id >= $5 + $6))
            AND NOT EXISTS (SELECT 1 FROM part p WHERE p.locator IS NOT NULL AND p.location = old.location
                AND p.locator = old.locator);
        DELETE FROM segment WHERE id >= $5 AND id < $5 + $6;
        DELETE FROM version WHERE bucket = $2 AND key = $3 AND sequence = $4";
    let query = Query::of(sql)
        .bind(freed.bucket_name.as_str().to_owned())
        .bind(freed.bucket)
        .bind(bytes(freed.key.as_str()))
        .bind(freed.sequence)
        .bind(freed.first_segment)
        .bind(freed.segments)
        .bind(freed.overwritten_in)
        .bind(now())
        .bind(if freed.is_marker { now() } else { transaction.due() });
    transaction.execute(query).map(drop)
}

/// Deletes as S3 does.
pub(super) struct Delete(pub(super) Deletion);

impl Operation for Delete {
    type Answer = Deleted;

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<Deleted> {
        let deletion = self.0;
        let deleted = delete(transaction, &deletion)?;
        let Some(announcement) = &deletion.announcement else { return Ok(deleted) };
        let null = VersionId::null();
        let (version, left_marker) = match &deleted {
            Deleted::Nothing | Deleted::Refused(_) => return Ok(deleted),
            Deleted::Version { id, .. } => (id, false),
            Deleted::Object => (&null, false),
            Deleted::Marker { id } => (id, true),
        };
        let object = EventObject { etag: left_marker.then(|| EMPTY.to_owned()), ..EventObject::default() };
        let happened = Happened { bucket: &deletion.bucket, key: &deletion.key, object, version, left_marker };
        announce(transaction, announcement, happened)?;
        Ok(deleted)
    }
}

fn delete(transaction: &mut Transaction<'_>, deletion: &Deletion) -> MetadataResult<Deleted> {
    transaction.changes(Change::Key(deletion.bucket.clone(), deletion.key.clone()));
    let sql = "SELECT id, versioning FROM bucket WHERE name = $1";
    let row = transaction.row(Query::of(sql).bind(deletion.bucket.as_str().to_owned()))?;
    let row = row.ok_or(MetadataError::Gone("the bucket"))?;
    let bucket = number(&row, "id")?;
    let selector = deletion.version.clone().map_or(Selector::Current, Selector::Id);
    let named = read_in(transaction, &deletion.bucket, &deletion.key, &selector)?;
    if let Err(failure) = deletion.conditions.decide_deletion(named.as_ref()) {
        return Ok(Deleted::Refused(failure));
    }
    if named.is_none() && deletion.conditions.is_about_current() {
        return Ok(Deleted::Nothing);
    }
    if let Some(seen) = &deletion.as_seen
        && !is_as_seen(transaction, bucket, named.as_ref(), seen)?
    {
        return Ok(Deleted::Nothing);
    }
    if let Some(id) = &deletion.version {
        let Some(version) = named else {
            if id.is_null() {
                supersede_null(transaction, bucket, &deletion.key)?;
            }
            return Ok(Deleted::Nothing);
        };
        if version.attributes.lock.protects(deletion.now, deletion.bypass_governance) {
            return Ok(Deleted::Refused(ConditionFailure::Protected));
        }
        if id.is_null() {
            supersede_null(transaction, bucket, &deletion.key)?;
        }
        remove(transaction, bucket, &version)?;
        return Ok(Deleted::Version { id: version.id, was_marker: version.is_delete_marker });
    }
    let versioning = versioning(&row)?;
    supersede(transaction, bucket, &deletion.key, versioning)?;
    match versioning {
        Versioning::Off => match named {
            Some(version) => {
                remove(transaction, bucket, &version)?;
                Ok(Deleted::Object)
            }
            None => Ok(Deleted::Nothing),
        },
        Versioning::Enabled => {
            let id = deletion.marker_id.clone();
            mark(transaction, bucket, deletion, id)
        }
        Versioning::Suspended => {
            let null = Selector::Id(VersionId::null());
            if let Some(version) = read_in(transaction, &deletion.bucket, &deletion.key, &null)? {
                free_read(transaction, bucket, &version)?;
            }
            mark(transaction, bucket, deletion, VersionId::null())
        }
    }
}

/// Removes a version whose bytes are gone.
pub(super) struct Forget {
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) sequence: i64,
    pub(super) now: i64,
}

impl Operation for Forget {
    type Answer = bool;

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<bool> {
        transaction.changes(Change::Key(self.bucket.clone(), self.key.clone()));
        let current = read_in(transaction, &self.bucket, &self.key, &Selector::Current)?;
        let Some(version) = current.filter(|version| version.sequence == self.sequence) else { return Ok(false) };
        let sql = "SELECT b.id, EXISTS (SELECT 1 FROM version v WHERE v.bucket = b.id AND v.key = $2
                AND v.sequence < $3) AS has_older FROM bucket b WHERE b.name = $1";
        let query = Query::of(sql).bind(self.bucket.as_str().to_owned()).bind(bytes(self.key.as_str()));
        let row = transaction.row(query.bind(self.sequence))?.ok_or(MetadataError::Gone("the bucket"))?;
        if number(&row, "has_older")? != 0 || version.attributes.lock.protects(self.now, false) {
            return Ok(false);
        }
        // Without segments there is nothing to free.
        let sql = "DELETE FROM segment WHERE id IN (SELECT s.id FROM version v
                JOIN segment s ON s.id >= v.first_segment AND s.id < v.first_segment + v.segments
                WHERE v.bucket = $1 AND v.key = $2 AND v.sequence = $3)";
        let bucket = number(&row, "id")?;
        let query = Query::of(sql).bind(bucket).bind(bytes(self.key.as_str())).bind(self.sequence);
        transaction.execute(query)?;
        remove(transaction, bucket, &version)?;
        Ok(true)
    }
}

fn is_as_seen(
    transaction: &mut Transaction<'_>,
    bucket: i64,
    named: Option<&Version>,
    seen: &Seen,
) -> MetadataResult<bool> {
    let Some(version) = named.filter(|version| version.sequence == seen.sequence) else {
        return Ok(false);
    };
    let sql = "SELECT (SELECT count(*) FROM version WHERE bucket = $1 AND key = $2 AND sequence > $3) AS newer,
        EXISTS (SELECT 1 FROM version WHERE bucket = $1 AND key = $2 AND sequence < $3) AS has_older";
    let query = Query::of(sql).bind(bucket).bind(bytes(version.key.as_str())).bind(version.sequence);
    let row = transaction.row(query)?.ok_or(MetadataError::Gone("the version"))?;
    let (newer, least) = (number(&row, "newer")?, i64::from(seen.newer));
    let stands = if least == 0 { newer == 0 } else { newer >= least };
    Ok(stands && version.object.tags == seen.tags && !(seen.is_only && number(&row, "has_older")? != 0))
}

/// What was left open of the key came before the deletion, and must not come back after it.
/// See the same in `INSERT` of `writes.rs`.
fn supersede(
    transaction: &mut Transaction<'_>,
    bucket: i64,
    key: &ObjectKey,
    versioning: Versioning,
) -> MetadataResult<()> {
    let sql = "UPDATE write_intent SET prepared = NULL
        WHERE bucket = $1 AND key = $2 AND owner <> $3 AND (holds = 0 OR $4)";
    let frees_null = versioning != Versioning::Enabled;
    let query = Query::of(sql).bind(bucket).bind(bytes(key.as_str())).bind(transaction.owner()).bind(frees_null);
    transaction.execute(query).map(drop)
}

/// The same for a deletion of the null version alone: what was left open of others may come.
fn supersede_null(transaction: &mut Transaction<'_>, bucket: i64, key: &ObjectKey) -> MetadataResult<()> {
    let sql = "UPDATE write_intent SET prepared = NULL
        WHERE bucket = $1 AND key = $2 AND owner <> $3 AND prepared ->> '$.id' = 'null'";
    let query = Query::of(sql).bind(bucket).bind(bytes(key.as_str())).bind(transaction.owner());
    transaction.execute(query).map(drop)
}

/// Removes a version; the next newest becomes current.
fn remove(transaction: &mut Transaction<'_>, bucket: i64, version: &Version) -> MetadataResult<()> {
    free_read(transaction, bucket, version)?;
    if !version.is_current {
        return Ok(());
    }
    let sql = "DELETE FROM object WHERE bucket = $1 AND key = $2;
        INSERT INTO object (bucket, key, sequence, id, etag, size, last_modified, owner, storage_class, checksums)
            SELECT bucket, key, sequence, id, etag, size, last_modified, owner, storage_class, checksums
            FROM (SELECT * FROM version WHERE bucket = $1 AND key = $2 ORDER BY sequence DESC LIMIT 1)
            WHERE is_marker = 0";
    transaction.execute(Query::of(sql).bind(bucket).bind(bytes(version.key.as_str()))).map(drop)
}

fn free_read(transaction: &mut Transaction<'_>, bucket: i64, version: &Version) -> MetadataResult<()> {
    let sql = "SELECT first_segment, segments FROM version WHERE bucket = $1 AND key = $2 AND sequence = $3";
    let query = Query::of(sql).bind(bucket).bind(bytes(version.key.as_str())).bind(version.sequence);
    let row = transaction.row(query)?.ok_or(MetadataError::Gone("the version"))?;
    let freed = Freed {
        bucket,
        bucket_name: &version.bucket,
        key: &version.key,
        sequence: version.sequence,
        first_segment: number(&row, "first_segment")?,
        segments: number(&row, "segments")?,
        overwritten_in: None,
        is_marker: version.is_delete_marker,
    };
    free(transaction, freed)
}

/// Hides a key behind a delete marker.
fn mark(transaction: &mut Transaction<'_>, bucket: i64, deletion: &Deletion, id: VersionId) -> MetadataResult<Deleted> {
    let sql = "DELETE FROM object WHERE bucket = $1 AND key = $2;
        INSERT INTO version (bucket, key, sequence, id, is_marker, etag, size, last_modified, owner, storage_class,
                checksums, object, parts, first_segment, segments)
            VALUES ($1, $2, $3, $4, 1, '', 0, $5, $6, 'STANDARD', '[]', $7, '[]', 0, 0)";
    let query = Query::of(sql)
        .bind(bucket)
        .bind(bytes(deletion.key.as_str()))
        .bind(transaction.numbers(1))
        .bind(id.as_str().to_owned())
        .bind(deletion.now)
        .bind(deletion.owner.as_str().to_owned())
        .bind(to_json(&sallyport_core::backend::Projection::default())?);
    transaction.execute(query)?;
    queue_hiding(transaction, bucket, deletion, &id)?;
    Ok(Deleted::Marker { id })
}

/// Queues the backend's marker, where the newest object under ours shows its name there.
fn queue_hiding(
    transaction: &mut Transaction<'_>,
    bucket: i64,
    deletion: &Deletion,
    marker: &VersionId,
) -> MetadataResult<()> {
    if deletion.hides.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO job (kind, location, bucket, key, version_id, created, due)
        SELECT 3, s.location, $3, $2, $4, $5, $5
        FROM (SELECT first_segment FROM version WHERE bucket = $1 AND key = $2 AND is_marker = 0 AND segments > 0
            ORDER BY sequence DESC LIMIT 1) v
        JOIN segment s ON s.id = v.first_segment
        WHERE s.place IS NULL AND s.elsewhere IS NULL AND s.location IN (SELECT value FROM json_each($6))";
    let locations: Vec<&str> = deletion.hides.iter().map(LocationName::as_str).collect();
    let query = Query::of(sql)
        .bind(bucket)
        .bind(bytes(deletion.key.as_str()))
        .bind(deletion.bucket.as_str().to_owned())
        .bind(marker.as_str().to_owned())
        .bind(now())
        .bind(to_json(&locations)?);
    transaction.execute(query).map(drop)
}

/// Makes the backend's marker a segment of ours.
pub(super) struct MarkHidden {
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) marker: VersionId,
    pub(super) segment: Segment,
}

impl Operation for MarkHidden {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        transaction.changes(Change::Key(self.bucket.clone(), self.key.clone()));
        let sql = "UPDATE version SET first_segment = $4, segments = 1
                WHERE bucket = (SELECT id FROM bucket WHERE name = $1) AND key = $2 AND id = $3 AND is_marker = 1
                AND segments = 0;
            INSERT INTO segment (id, bucket, key, sequence, location, write_id, locator, stored_size, start, length)
                SELECT $4, bucket, key, sequence, $5, $6, $7, 0, 0, 0 FROM version
                WHERE bucket = (SELECT id FROM bucket WHERE name = $1) AND key = $2 AND id = $3 AND first_segment = $4
            RETURNING id";
        let query = Query::of(sql)
            .bind(self.bucket.as_str().to_owned())
            .bind(bytes(self.key.as_str()))
            .bind(self.marker.as_str().to_owned())
            .bind(transaction.numbers(1))
            .bind(self.segment.location.as_str().to_owned())
            .bind(self.segment.write_id.as_str().to_owned())
            .bind(self.segment.locator.0);
        let rows = transaction.rows(query)?;
        if rows.is_empty() { Err(MetadataError::Gone("the delete marker")) } else { Ok(()) }
    }
}
