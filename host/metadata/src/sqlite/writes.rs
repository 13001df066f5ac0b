//! Writes from intent to commit.

use super::allowances::{Coming, exceeds};
use super::error::{failed, unreadable};
use super::events::{Happened, announce};
use super::known::Change;
use super::references::{are_kept, shared};
use super::rows::{
    Columns, bucket_name, bytes, from_json, get, key, limit, location_name, number, signed, text, to_json, write_id,
};
use super::statement::Query;
use super::uploads::remove_parts;
use super::versions::read_in;
use super::writer::{Operation, Transaction, now};
use sallyport_core::backend::{Locator, Name, Place, Token};
use sallyport_core::metadata::{
    Abandoned, Begun, Committed, ConditionFailure, MetadataError, MetadataResult, NewVersion, NewWrite, OpenWrite,
    Prepared, Segment, Selector, Versioning, WriteConditions, WriteKind,
};
use sallyport_core::names::{BucketName, ObjectKey, VersionId, WriteId};
use sallyport_core::notification::EventObject;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

/// Records an intent.
pub(super) struct Begin(pub(super) NewWrite);

impl Operation for Begin {
    type Answer = Begun;

    /// An intent without which bytes could be overwritten, or which is to last as long as a
    /// large body takes, is on the disk before the first byte is. Any other leads only to
    /// bytes of their own: the commit syncs it, and a machine that loses its power before
    /// leaves nothing but bytes that nobody was promised.
    fn is_synced(&self) -> bool {
        self.0.exclusive || self.0.prepared.is_none() || !matches!(self.0.kind, WriteKind::Object | WriteKind::Copy)
    }

    /// What it changes is one row, at its end.
    fn has_savepoint(&self) -> bool {
        false
    }

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<Begun> {
        let write = self.0;
        if let Some(begun) = begin_at_once(transaction, &write)? {
            return Ok(begun);
        }
        if let Some((_, conditions)) = &write.prepared
            && let Err(failure) = decide(transaction, &write.bucket, &write.key, conditions)?
        {
            return Ok(Begun::Refused(failure));
        }
        let row = transaction.row(occupants(&write))?.ok_or(MetadataError::Gone("the bucket"))?;
        let replaces_null = write.prepared.as_ref().is_some_and(|(version, _)| version.id.is_null());
        if replaces_null && number(&row, "null_is_locked")? != 0 {
            return Ok(Begun::Refused(ConditionFailure::Protected));
        }
        if let Some((version, _)) = &write.prepared
            && number(&row, "is_limited")? != 0
        {
            let coming = Coming {
                bucket: number(&row, "id")?,
                key: &write.key,
                location: write.location.as_str(),
                write: write.id.as_str(),
                size: version.size,
                replaces: Some(&version.id).filter(|id| id.is_null()),
            };
            if let Some(failure) = exceeds(transaction, &coming)? {
                return Ok(Begun::Refused(failure));
            }
        }
        let place = settle(&write, &row)?;
        let intent = Query::of(
            "INSERT INTO write_intent (id, owner, bucket, key, location, name, holds, kind, prepared, started)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, holds = excluded.holds, kind = excluded.kind,
                prepared = excluded.prepared, started = excluded.started, unheard = NULL, due = 0
            WHERE write_intent.owner <> excluded.owner",
        )
        .bind(write.id.as_str().to_owned())
        .bind(transaction.owner())
        .bind(number(&row, "id")?)
        .bind(bytes(write.key.as_str()))
        .bind(write.location.as_str().to_owned())
        .bind(to_json(&place.name)?)
        .bind(place.holds)
        .bind(to_json(&write.kind)?)
        .bind(write.prepared.as_ref().map(|(version, _)| to_json(version)).transpose()?)
        .bind(now());
        // Every completion of an upload is the same write: one that was given up is taken over.
        if transaction.execute(intent)? == 0 {
            return Err(MetadataError::Busy);
        }
        Ok(Begun::Started { name: place.name, replaces: place.replaces })
    }
}

/// Records the intent of a write that overwrites nothing, in one trip. Answers nothing, and
/// does nothing, when there is more to look at: conditions, locks, allowances, the bucket.
fn begin_at_once(transaction: &mut Transaction<'_>, write: &NewWrite) -> MetadataResult<Option<Begun>> {
    let is_conditional = |(_, conditions): &(NewVersion, WriteConditions)| *conditions != WriteConditions::default();
    if write.exclusive
        || matches!(write.kind, WriteKind::Completion { .. })
        || write.prepared.as_ref().is_some_and(is_conditional)
    {
        return Ok(None);
    }
    let name = place(write, write.wants_plain);
    let version = write.prepared.as_ref().map(|(version, _)| version);
    let sql = "INSERT INTO write_intent (id, owner, bucket, key, location, name, holds, kind, prepared, started)
        SELECT $1, $2, b.id, $3, $4, $5, 0, $6, $7, $8 FROM bucket b WHERE b.name = $9
            AND ($11 IS NULL OR b.id = $11)
            AND NOT ($10 AND EXISTS (SELECT 1 FROM version v WHERE v.bucket = b.id AND v.key = $3 AND v.id = 'null'
                AND v.attributes ->> '$.lock' IS NOT NULL))
            AND ($7 IS NULL OR NOT EXISTS (SELECT 1 FROM bucket_allowance a WHERE a.bucket = b.id)
                AND NOT EXISTS (SELECT 1 FROM location_allowance a WHERE a.location = $4))";
    let query = Query::of(sql)
        .bind(write.id.as_str().to_owned())
        .bind(transaction.owner())
        .bind(bytes(write.key.as_str()))
        .bind(write.location.as_str().to_owned())
        .bind(to_json(&name)?)
        .bind(to_json(&write.kind)?)
        .bind(version.map(to_json).transpose()?)
        .bind(now())
        .bind(write.bucket.as_str().to_owned())
        .bind(version.is_some_and(|version| version.id.is_null()))
        .bind(write.bucket_number);
    let recorded = transaction.execute(query)? > 0;
    Ok(recorded.then_some(Begun::Started { name, replaces: None }))
}

/// The plain place, or one of the write's own.
fn place(write: &NewWrite, at_plain: bool) -> Name {
    let place = if at_plain { Place::Plain } else { Place::Derived(write.id.as_str().to_owned()) };
    Name { bucket: write.bucket.clone(), key: write.key.clone(), place }
}

/// Who is at the plain place, and who may come.
fn occupants(write: &NewWrite) -> Query {
    let sql = if write.exclusive {
        "SELECT b.id, b.versioning,
            EXISTS (SELECT 1 FROM write_intent w WHERE w.bucket = b.id AND w.key = $2 AND w.holds = 1
                AND w.location = $3)
            OR EXISTS (SELECT 1 FROM job j WHERE j.is_plain = 1 AND j.bucket = $1 AND j.key = $2 AND j.location = $3
                AND (j.kind = 4 OR (j.kind = 0 AND j.attempts > 0)))
            OR EXISTS (SELECT 1 FROM version v JOIN segment s ON s.id >= v.first_segment
                    AND s.id < v.first_segment + v.segments
                WHERE v.bucket = b.id AND v.key = $2 AND v.id <> 'null'
                AND s.location = $3 AND s.place IS NULL AND s.elsewhere IS NULL) AS is_taken,
            (SELECT s.locator FROM version v JOIN segment s ON s.id >= v.first_segment
                    AND s.id < v.first_segment + v.segments
                WHERE v.bucket = b.id AND v.key = $2 AND v.id = 'null'
                AND s.location = $3 AND s.place IS NULL AND s.elsewhere IS NULL LIMIT 1) AS replaces,
            EXISTS (SELECT 1 FROM version v WHERE v.bucket = b.id AND v.key = $2 AND v.id = 'null'
                AND v.attributes ->> '$.lock' IS NOT NULL) AS null_is_locked,
            EXISTS (SELECT 1 FROM bucket_allowance a WHERE a.bucket = b.id)
                OR EXISTS (SELECT 1 FROM location_allowance a WHERE a.location = $3) AS is_limited
        FROM bucket b WHERE b.name = $1 AND ($4 IS NULL OR b.id = $4)"
    } else {
        "SELECT b.id, b.versioning, 0 AS is_taken, NULL AS replaces,
            EXISTS (SELECT 1 FROM version v WHERE v.bucket = b.id AND v.key = $2 AND v.id = 'null'
                AND v.attributes ->> '$.lock' IS NOT NULL) AS null_is_locked,
            EXISTS (SELECT 1 FROM bucket_allowance a WHERE a.bucket = b.id)
                OR EXISTS (SELECT 1 FROM location_allowance a WHERE a.location = $3) AS is_limited
        FROM bucket b WHERE b.name = $1 AND ($4 IS NULL OR b.id = $4)"
    };
    Query::of(sql)
        .bind(write.bucket.as_str().to_owned())
        .bind(bytes(write.key.as_str()))
        .bind(write.location.as_str().to_owned())
        .bind(write.bucket_number)
}

/// Where a write goes.
struct Settled {
    name: Name,
    replaces: Option<Locator>,
    /// Nobody else may write there meanwhile.
    holds: bool,
}

fn settle(write: &NewWrite, row: &impl Columns) -> MetadataResult<Settled> {
    let replaces = get::<Option<Vec<u8>>, _>(row, "replaces")?.map(Locator);
    if let WriteKind::Completion { name, .. } = &write.kind {
        let at_plain = name.place == Place::Plain && name.bucket == write.bucket && name.key == write.key;
        return Ok(Settled {
            name: name.clone(),
            replaces: replaces.filter(|_| at_plain),
            holds: write.exclusive && at_plain,
        });
    }
    let makes_null = match &write.prepared {
        Some((version, _)) => version.id.is_null(),
        None => super::rows::versioning(row)? != Versioning::Enabled,
    };
    let is_free = number(row, "is_taken")? == 0 && (makes_null || replaces.is_none());
    let at_plain = write.wants_plain && is_free;
    Ok(Settled {
        name: place(write, at_plain),
        replaces: replaces.filter(|_| at_plain),
        holds: write.exclusive && at_plain,
    })
}

fn decide(
    transaction: &mut Transaction<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
    conditions: &WriteConditions,
) -> MetadataResult<Result<(), ConditionFailure>> {
    if *conditions == WriteConditions::default() {
        return Ok(Ok(()));
    }
    let current = read_in(transaction, bucket, key, &Selector::Current)?;
    Ok(conditions.decide(current.as_ref()))
}

/// Notes an upload that a write opened for itself.
pub(super) struct NoteUpload {
    pub(super) write: WriteId,
    pub(super) upload: Token,
}

impl Operation for NoteUpload {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        let sql = "UPDATE write_intent SET upload = $2 WHERE id = $1";
        let query = Query::of(sql).bind(self.write.as_str().to_owned()).bind(self.upload.0);
        match transaction.execute(query)? {
            0 => Err(MetadataError::Gone("the write")),
            _ => Ok(()),
        }
    }
}

/// Records what a commit needs.
pub(super) struct Prepare {
    pub(super) write: WriteId,
    pub(super) version: NewVersion,
    pub(super) conditions: WriteConditions,
}

impl Operation for Prepare {
    type Answer = Prepared;

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<Prepared> {
        let sql = "SELECT w.key, b.name, w.holds AND EXISTS (
                SELECT 1 FROM version v JOIN segment s ON s.id >= v.first_segment
                    AND s.id < v.first_segment + v.segments
                WHERE v.bucket = w.bucket AND v.key = w.key AND v.id = 'null'
                AND s.location = w.location AND s.place IS NULL AND s.elsewhere IS NULL) AS replaces_null,
                EXISTS (SELECT 1 FROM version v WHERE v.bucket = w.bucket AND v.key = w.key AND v.id = 'null'
                    AND v.attributes ->> '$.lock' IS NOT NULL) AS null_is_locked,
                w.bucket, w.location, EXISTS (SELECT 1 FROM bucket_allowance a WHERE a.bucket = b.id)
                OR EXISTS (SELECT 1 FROM location_allowance a WHERE a.location = w.location) AS is_limited
            FROM write_intent w JOIN bucket b ON b.id = w.bucket WHERE w.id = $1";
        let id = self.write.as_str().to_owned();
        let row = transaction.row(Query::of(sql).bind(id.clone()))?;
        let row = row.ok_or(MetadataError::Gone("the write"))?;
        let bucket = bucket_name(get(&row, "name")?)?;
        if let Err(failure) = decide(transaction, &bucket, &key(&row, "key")?, &self.conditions)? {
            return Ok(Prepared::Refused(failure));
        }
        let mut version = self.version;
        if number(&row, "replaces_null")? != 0 {
            // The bucket became versioned while the bytes went over the null version's:
            // the write counts as one from before, or the null version would have lost them.
            version.id = VersionId::null();
        }
        if version.id.is_null() && number(&row, "null_is_locked")? != 0 {
            // The bucket came to lock objects while the bytes were on their way.
            return Ok(Prepared::Refused(ConditionFailure::Protected));
        }
        if number(&row, "is_limited")? != 0 {
            let coming = Coming {
                bucket: number(&row, "bucket")?,
                key: &key(&row, "key")?,
                location: get(&row, "location")?,
                write: &id,
                size: version.size,
                replaces: Some(&version.id).filter(|id| id.is_null()),
            };
            if let Some(failure) = exceeds(transaction, &coming)? {
                return Ok(Prepared::Refused(failure));
            }
        }
        let sql = "UPDATE write_intent SET prepared = $2 WHERE id = $1";
        transaction.execute(Query::of(sql).bind(id).bind(to_json(&version)?))?;
        Ok(Prepared::Ready)
    }
}

/// Makes the prepared version current.
pub(super) struct Commit {
    pub(super) write: WriteId,
    pub(super) segments: Vec<Segment>,
}

impl Operation for Commit {
    type Answer = Committed;

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<Committed> {
        let sql = "SELECT w.bucket, b.name AS bucket_name, w.key, w.location, w.holds, w.kind, w.prepared,
                n.sequence AS old_sequence, n.first_segment, n.segments, n.is_marker
            FROM write_intent w JOIN bucket b ON b.id = w.bucket
            LEFT JOIN version n ON n.bucket = w.bucket AND n.key = w.key AND n.id = 'null'
            WHERE w.id = $1";
        let row = transaction.row(Query::of(sql).bind(self.write.as_str().to_owned()))?;
        let row = row.ok_or(MetadataError::Gone("the write"))?;
        let is_prepared: Option<&str> = get(&row, "prepared")?;
        if is_prepared.is_none() {
            return Err(unreadable("a write that was never prepared"));
        }
        let version: NewVersion = from_json(&row, "prepared")?;
        let kind: WriteKind = from_json(&row, "kind")?;
        if matches!(kind, WriteKind::Copy | WriteKind::Completion { .. }) {
            are_kept(transaction, self.segments.iter().filter(|segment| segment.write_id != self.write))?;
        }
        let new = Landing {
            bucket: number(&row, "bucket")?,
            bucket_name: bucket_name(get(&row, "bucket_name")?)?,
            key: key(&row, "key")?,
            held: (number(&row, "holds")? != 0).then_some(text(&row, "location")?),
            sequence: transaction.numbers(1),
        };
        transaction.changes(Change::Key(new.bucket_name.clone(), new.key.clone()));
        let old: Option<i64> = get(&row, "old_sequence")?;
        let superseded = match old.filter(|_| version.id.is_null()) {
            Some(sequence) => Some(Superseded {
                sequence,
                first_segment: number(&row, "first_segment")?,
                segments: number(&row, "segments")?,
                is_marker: number(&row, "is_marker")? != 0,
            }),
            None => None,
        };
        insert(transaction, &new, &self.write, &version, superseded, &self.segments)?;
        if let WriteKind::Completion { upload, .. } = kind {
            remove_parts(transaction, &upload)?;
            let sql = "UPDATE version SET upload = $4 WHERE bucket = $1 AND key = $2 AND sequence = $3";
            let query = Query::of(sql).bind(new.bucket).bind(bytes(new.key.as_str())).bind(new.sequence);
            transaction.execute(query.bind(upload.as_str().to_owned()))?;
        }
        if let Some(announcement) = &version.announcement {
            let object =
                EventObject { size: Some(version.size), etag: Some(version.etag.clone()), ..EventObject::default() };
            let (bucket, key) = (&new.bucket_name, &new.key);
            let happened = Happened { bucket, key, object, version: &version.id, left_marker: false };
            announce(transaction, announcement, happened)?;
        }
        Ok(Committed { id: version.id, last_modified: version.last_modified })
    }
}

/// Where a version lands.
pub(super) struct Landing {
    pub(super) bucket: i64,
    pub(super) bucket_name: BucketName,
    pub(super) key: ObjectKey,
    /// The location whose plain place this write alone has overwritten.
    pub(super) held: Option<String>,
    pub(super) sequence: i64,
}

/// The null version that another takes the place of.
struct Superseded {
    sequence: i64,
    first_segment: i64,
    segments: i64,
    /// The backend's own marker may go at once, since nobody reads it.
    is_marker: bool,
}

// First what is superseded goes, if there is any, but for bytes that were overwritten, or that
// something else refers to, the new version among it: whoever is the last frees them.
// What was left open of the key came before, so it is not rolled forward any more: that
// would hide a write that was acknowledged. One that holds the plain place has overwritten
// the null version's bytes there, and may go only together with that version.
const INSERT: &str = "
    INSERT INTO job (kind, location, locator, bucket, key, is_plain, created, due)
        SELECT 0, location, locator, CASE WHEN elsewhere IS NULL THEN $16 END, key,
            place IS NULL AND elsewhere IS NULL, $31, $32
        FROM segment old WHERE id >= $29 AND id < $29 + $30
        AND NOT (location IS $17 AND place IS NULL AND elsewhere IS NULL)
        AND NOT EXISTS (SELECT 1 FROM segment s WHERE s.location = old.location AND s.locator = old.locator
            AND (s.id < $29 OR s.id >= $29 + $30))
        AND NOT EXISTS (SELECT 1 FROM part p WHERE p.locator IS NOT NULL AND p.location = old.location
            AND p.locator = old.locator)
        AND NOT EXISTS (SELECT 1 FROM json_each($33) WHERE unhex(value) = old.locator);
    DELETE FROM segment WHERE id >= $29 AND id < $29 + $30;
    DELETE FROM version WHERE bucket = $2 AND key = $3 AND sequence = $28;
    DELETE FROM write_intent WHERE id = $1;
    UPDATE write_intent SET prepared = NULL
        WHERE bucket = $2 AND key = $3 AND owner <> $18 AND (holds = 0 OR $5 = 'null');
    DELETE FROM job WHERE $17 IS NOT NULL AND is_plain = 1 AND bucket = $16 AND key = $3 AND kind = 0
        AND location = $17;
    INSERT INTO version (bucket, key, sequence, id, is_marker, etag, size, last_modified, owner, storage_class,
            checksums, object, attributes, parts, first_segment, segments)
        VALUES ($2, $3, $4, $5, 0, $6, $7, $8, $9, $10, $11, $12, $19, $13, $14, $15);
    INSERT OR REPLACE INTO object (bucket, key, sequence, id, etag, size, last_modified, owner, storage_class,
            checksums)
        VALUES ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11);
    INSERT INTO segment (id, bucket, key, sequence, location, place, elsewhere, write_id, locator, stored_size,
            start, length)
        SELECT $14, $2, $3, $4, $20, $21, $22, $23, $24, $25, $26, $27 WHERE $15 > 0";

/// Writes a version with its first segment in one statement's worth of waiting; more
/// segments follow one by one.
fn insert(
    transaction: &mut Transaction<'_>,
    new: &Landing,
    write: &WriteId,
    version: &NewVersion,
    superseded: Option<Superseded>,
    segments: &[Segment],
) -> MetadataResult<()> {
    let first = transaction.numbers(segments.len());
    let query = Query::of(INSERT)
        .bind(write.as_str().to_owned())
        .bind(new.bucket)
        .bind(bytes(new.key.as_str()))
        .bind(new.sequence)
        .bind(version.id.as_str().to_owned())
        .bind(version.etag.clone())
        .bind(signed(version.size))
        .bind(version.last_modified)
        .bind(version.owner.as_str().to_owned())
        .bind(version.storage_class.clone())
        .bind(to_json(&version.checksums)?)
        .bind(to_json(&version.object)?)
        .bind(to_json(&version.parts)?)
        .bind(first)
        .bind(limit(segments.len()))
        .bind(new.bucket_name.as_str().to_owned())
        .bind(new.held.clone())
        .bind(transaction.owner())
        .bind(to_json(&version.attributes)?);
    let query = match segments.first() {
        Some(segment) => bind_segment(query, new, segment)?,
        None => (0..SEGMENT_COLUMNS).fold(query, |query, _| query.bind(None::<i64>)),
    };
    let due = if superseded.as_ref().is_some_and(|old| old.is_marker) { now() } else { transaction.due() };
    let query = query
        .bind(superseded.as_ref().map(|old| old.sequence))
        .bind(superseded.as_ref().map(|old| old.first_segment))
        .bind(superseded.as_ref().map(|old| old.segments))
        .bind(now())
        .bind(due)
        .bind(shared(write, segments)?);
    transaction.execute(query)?;
    for (id, segment) in (first..).zip(segments).skip(1) {
        insert_segment(transaction, new, id, segment)?;
    }
    Ok(())
}

/// Writes one segment of a version.
pub(super) fn insert_segment(
    transaction: &mut Transaction<'_>,
    new: &Landing,
    id: i64,
    segment: &Segment,
) -> MetadataResult<()> {
    let sql = "INSERT INTO segment (id, bucket, key, sequence, location, place, elsewhere, write_id, locator,
            stored_size, start, length)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let query = Query::of(sql).bind(id).bind(new.bucket).bind(bytes(new.key.as_str())).bind(new.sequence);
    transaction.execute(bind_segment(query, new, segment)?).map(drop)
}

/// What [`bind_segment`] binds.
const SEGMENT_COLUMNS: usize = 8;

fn bind_segment(query: Query, new: &Landing, segment: &Segment) -> MetadataResult<Query> {
    let is_here = segment.name.bucket == new.bucket_name && segment.name.key == new.key;
    let place = match &segment.name.place {
        Place::Plain => None,
        Place::Derived(token) => Some(token.clone()),
    };
    let elsewhere = if is_here { None } else { Some(to_json(&segment.name)?) };
    Ok(query
        .bind(segment.location.as_str().to_owned())
        .bind(place)
        .bind(elsewhere)
        .bind(segment.write_id.as_str().to_owned())
        .bind(segment.locator.0.clone())
        .bind(signed(segment.stored_size))
        .bind(signed(segment.offset))
        .bind(signed(segment.length)))
}

/// Removes an intent.
pub(super) struct Rollback {
    pub(super) write: WriteId,
    pub(super) orphan: Option<Locator>,
}

impl Operation for Rollback {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        // Nobody has read an orphan: it may go at once.
        let sql = "INSERT INTO job (kind, location, locator, bucket, key, is_plain, created, due)
                SELECT 0, w.location, $2, b.name, w.key, w.holds, $3, $3
                FROM write_intent w JOIN bucket b ON b.id = w.bucket WHERE w.id = $1 AND $2 IS NOT NULL;
            INSERT INTO job (kind, location, locator, created, due)
                SELECT 1, location, upload, $3, $3 FROM write_intent WHERE id = $1 AND upload IS NOT NULL;
            DELETE FROM write_intent WHERE id = $1";
        let query = Query::of(sql).bind(self.write.as_str().to_owned()).bind(self.orphan.map(|it| it.0)).bind(now());
        transaction.execute(query).map(drop)
    }
}

/// Leaves an intent to the sweeper.
pub(super) struct Abandon(pub(super) WriteId);

impl Operation for Abandon {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        let sql = "UPDATE write_intent SET owner = 0 WHERE id = $1";
        transaction.execute(Query::of(sql).bind(self.0.as_str().to_owned())).map(drop)
    }
}

/// Intents that nobody finishes any more.
pub(super) async fn abandoned(
    readers: &SqlitePool,
    owner: i64,
    now: i64,
    after: Option<Abandoned>,
    most: usize,
) -> MetadataResult<Vec<OpenWrite>> {
    let sql = "SELECT w.*, b.name AS bucket_name FROM write_intent w JOIN bucket b ON b.id = w.bucket
        WHERE w.owner <> $1 AND w.due <= $5 AND ($3 IS NULL OR (w.started, w.id) > ($3, $4))
        ORDER BY w.started, w.id LIMIT $2";
    let (started, id) = after.map(|after| (after.started, after.id.as_str().to_owned())).unzip();
    let query = sqlx::query(sql).bind(owner).bind(limit(most)).bind(started).bind(id).bind(now);
    let rows = query.fetch_all(readers).await.map_err(failed)?;
    rows.iter().map(open_write).collect()
}

/// As [`abandoned`], of one bucket or key.
pub(super) async fn abandoned_of(
    readers: &SqlitePool,
    owner: i64,
    bucket: &BucketName,
    of: Option<&ObjectKey>,
) -> MetadataResult<Vec<OpenWrite>> {
    let sql = "SELECT w.*, b.name AS bucket_name FROM write_intent w JOIN bucket b ON b.id = w.bucket
        WHERE b.name = $1 AND ($2 IS NULL OR w.key = $2) AND w.owner <> $3 ORDER BY w.started LIMIT 1000";
    let query = sqlx::query(sql).bind(bucket.as_str()).bind(of.map(|key| bytes(key.as_str()))).bind(owner);
    let rows = query.fetch_all(readers).await.map_err(failed)?;
    rows.iter().map(open_write).collect()
}

fn open_write(row: &SqliteRow) -> MetadataResult<OpenWrite> {
    let is_prepared: Option<&str> = get(row, "prepared")?;
    Ok(OpenWrite {
        id: write_id(get(row, "id")?)?,
        bucket: bucket_name(get(row, "bucket_name")?)?,
        key: key(row, "key")?,
        location: location_name(get(row, "location")?)?,
        name: from_json(row, "name")?,
        kind: from_json(row, "kind")?,
        prepared: is_prepared.map(|_| from_json(row, "prepared")).transpose()?,
        holds: number(row, "holds")? != 0,
        unheard: get(row, "unheard")?,
        started: number(row, "started")?,
    })
}
