//! Multipart uploads and their parts.

use super::error::failed;
use super::rows::{bucket_name, bytes, from_json, get, key, limit, location_name, number, to_json, write_id};
use super::statement::Query;
use super::versions;
use super::writer::{Operation, Transaction, now};
use sallyport_core::backend::{Name, Projection, Token};
use sallyport_core::metadata::{
    Attributes, ChecksumKind, MetadataError, MetadataResult, Part, PartNumber, PartPage, Selector, Upload, Version,
};
use sallyport_core::names::{AccountId, BucketName, ObjectKey, UploadId, VersionId, WriteId};
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

/// What no statement looks for.
#[derive(Serialize, Deserialize)]
struct Detail {
    owner: AccountId,
    /// Absent in rows from before there was more than one account's.
    initiator: Option<AccountId>,
    object: Projection,
    #[serde(default)]
    attributes: Attributes,
    storage_class: String,
    checksum: Option<(String, ChecksumKind)>,
    backend: Option<(Name, Token)>,
}

/// A row of `upload` with its bucket's name.
pub(super) fn upload(row: &SqliteRow) -> MetadataResult<Upload> {
    let detail: Detail = from_json(row, "detail")?;
    Ok(Upload {
        id: UploadId::from_client(get(row, "id")?),
        bucket: bucket_name(get(row, "bucket_name")?)?,
        key: key(row, "key")?,
        initiator: detail.initiator.unwrap_or_else(|| detail.owner.clone()),
        owner: detail.owner,
        initiated: number(row, "initiated")?,
        object: detail.object,
        attributes: detail.attributes,
        storage_class: detail.storage_class,
        checksum: detail.checksum,
        location: location_name(get(row, "location")?)?,
        write_id: write_id(get(row, "write_id")?)?,
        backend: detail.backend,
        kept: number(row, "kept")?,
    })
}

/// Records an upload.
pub(super) struct Create(pub(super) Upload);

impl Operation for Create {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        let upload = self.0;
        let token = upload.backend.as_ref().map(|(_, token)| token.0.clone());
        let detail = Detail {
            owner: upload.owner,
            initiator: Some(upload.initiator),
            object: upload.object,
            attributes: upload.attributes,
            storage_class: upload.storage_class,
            checksum: upload.checksum,
            backend: upload.backend,
        };
        let sql = "INSERT INTO upload (id, bucket, key, initiated, write_id, location, token, kept, detail)
            SELECT $1, id, $3, $4, $5, $6, $7, $8, $9 FROM bucket WHERE name = $2";
        let query = Query::of(sql)
            .bind(upload.id.as_str().to_owned())
            .bind(upload.bucket.as_str().to_owned())
            .bind(bytes(upload.key.as_str()))
            .bind(upload.initiated)
            .bind(upload.write_id.as_str().to_owned())
            .bind(upload.location.as_str().to_owned())
            .bind(token)
            .bind(upload.kept)
            .bind(to_json(&detail)?);
        match transaction.execute(query)? {
            0 => Err(MetadataError::Gone("the bucket")),
            _ => Ok(()),
        }
    }
}

/// An upload by id, of that bucket and key.
pub(super) async fn by_id(
    readers: &SqlitePool,
    bucket: &BucketName,
    key: &ObjectKey,
    id: &UploadId,
) -> MetadataResult<Option<Upload>> {
    let sql = "SELECT u.*, b.name AS bucket_name FROM upload u JOIN bucket b ON b.id = u.bucket
        WHERE u.id = $1 AND b.name = $2 AND u.key = $3";
    let query = sqlx::query(sql).bind(id.as_str()).bind(bucket.as_str()).bind(bytes(key.as_str()));
    query.fetch_optional(readers).await.map_err(failed)?.as_ref().map(upload).transpose()
}

/// The version that a completed upload became.
pub(super) async fn completed(
    readers: &SqlitePool,
    bucket: &BucketName,
    key: &ObjectKey,
    id: &UploadId,
) -> MetadataResult<Option<Version>> {
    let sql = "SELECT v.id FROM version v JOIN bucket b ON b.id = v.bucket
        WHERE v.upload = $1 AND b.name = $2 AND v.key = $3";
    let query = sqlx::query(sql).bind(id.as_str()).bind(bucket.as_str()).bind(bytes(key.as_str()));
    let Some(row) = query.fetch_optional(readers).await.map_err(failed)? else { return Ok(None) };
    let version = VersionId::from_client(get(&row, "id")?);
    let found = versions::read(readers, bucket, key, &Selector::Id(version)).await?;
    Ok(found.filter(|found| !found.is_delete_marker))
}

/// Records a part.
pub(super) struct PutPart {
    pub(super) upload: UploadId,
    pub(super) part: Part,
    pub(super) write: Option<WriteId>,
}

impl Operation for PutPart {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        let segment = self.part.segment.as_ref();
        let sql = "INSERT INTO job (kind, location, locator, created, due)
                SELECT 0, location, locator, $7, $8 FROM part WHERE upload = $1 AND number = $2
                AND locator IS NOT NULL AND NOT (location IS $3 AND locator IS $4);
            DELETE FROM part WHERE upload = $1 AND number = $2;
            DELETE FROM write_intent WHERE id = $6;
            INSERT INTO part (upload, number, location, locator, detail)
                SELECT id, $2, $3, $4, $5 FROM upload WHERE id = $1
            RETURNING number";
        let query = Query::of(sql)
            .bind(self.upload.as_str().to_owned())
            .bind(i64::from(self.part.number))
            .bind(segment.map(|segment| segment.location.as_str().to_owned()))
            .bind(segment.map(|segment| segment.locator.0.clone()))
            .bind(to_json(&self.part)?)
            .bind(self.write.map(|write| write.as_str().to_owned()))
            .bind(now())
            .bind(transaction.due());
        let rows = transaction.rows(query)?;
        // The error undoes the rest: the intent stays for the caller's rollback.
        if rows.is_empty() { Err(MetadataError::Gone("the upload")) } else { Ok(()) }
    }
}

/// Parts by number.
pub(super) async fn parts(
    readers: &SqlitePool,
    upload: &UploadId,
    after: PartNumber,
    most: usize,
) -> MetadataResult<PartPage> {
    let sql = "SELECT detail FROM part WHERE upload = $1 AND number > $2 ORDER BY number LIMIT $3";
    let query = sqlx::query(sql).bind(upload.as_str()).bind(i64::from(after)).bind(limit(most.saturating_add(1)));
    let rows = query.fetch_all(readers).await.map_err(failed)?;
    let is_truncated = most > 0 && rows.len() > most;
    let parts = rows.iter().take(most).map(|row| from_json(row, "detail")).collect::<MetadataResult<_>>()?;
    Ok(PartPage { parts, is_truncated })
}

/// Removes an upload with its parts, queues what they hold unless a version holds it now.
/// A completion's upload is gone on the backend; that of an abort has to be.
pub(super) fn remove_parts(transaction: &mut Transaction<'_>, upload: &UploadId) -> MetadataResult<()> {
    let sql = "INSERT INTO job (kind, location, locator, created, due)
            SELECT 0, p.location, p.locator, $2, $3 FROM part p WHERE p.upload = $1 AND p.locator IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM segment s WHERE s.location = p.location AND s.locator = p.locator);
        DELETE FROM part WHERE upload = $1;
        DELETE FROM upload WHERE id = $1";
    let query = Query::of(sql).bind(upload.as_str().to_owned()).bind(now()).bind(transaction.due());
    transaction.execute(query).map(drop)
}

/// Removes an upload for good.
pub(super) struct Abort {
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) id: UploadId,
}

impl Operation for Abort {
    type Answer = bool;

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<bool> {
        let sql = "SELECT u.id FROM upload u JOIN bucket b ON b.id = u.bucket
            WHERE u.id = $1 AND b.name = $2 AND u.key = $3";
        let query = Query::of(sql)
            .bind(self.id.as_str().to_owned())
            .bind(self.bucket.as_str().to_owned())
            .bind(bytes(self.key.as_str()));
        if transaction.row(query)?.is_none() {
            return Ok(false);
        }
        abort(transaction, &self.id)?;
        Ok(true)
    }
}

/// Removes an upload with its parts, and queues its abort on the backend.
pub(super) fn abort(transaction: &mut Transaction<'_>, upload: &UploadId) -> MetadataResult<()> {
    let sql = "INSERT INTO job (kind, location, locator, created, due)
        SELECT 1, location, token, $2, $2 FROM upload WHERE id = $1 AND token IS NOT NULL";
    transaction.execute(Query::of(sql).bind(upload.as_str().to_owned()).bind(now()))?;
    remove_parts(transaction, upload)
}

/// The same with all uploads of a bucket, however many there are.
pub(super) fn abort_all(transaction: &mut Transaction<'_>, bucket: i64) -> MetadataResult<()> {
    let sql = "INSERT INTO job (kind, location, locator, created, due)
            SELECT 1, location, token, $2, $2 FROM upload WHERE bucket = $1 AND token IS NOT NULL;
        INSERT INTO job (kind, location, locator, created, due)
            SELECT 0, p.location, p.locator, $2, $3 FROM upload u JOIN part p ON p.upload = u.id
            WHERE u.bucket = $1 AND p.locator IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM segment s WHERE s.location = p.location AND s.locator = p.locator);
        DELETE FROM part WHERE upload IN (SELECT id FROM upload WHERE bucket = $1);
        DELETE FROM upload WHERE bucket = $1";
    let query = Query::of(sql).bind(bucket).bind(now()).bind(transaction.due());
    transaction.execute(query).map(drop)
}

/// Uploads that the backend may forget.
pub(super) async fn to_keep(readers: &SqlitePool, before: i64, most: usize) -> MetadataResult<Vec<Upload>> {
    let sql = "SELECT u.*, b.name AS bucket_name FROM upload u JOIN bucket b ON b.id = u.bucket
        WHERE u.token IS NOT NULL AND u.kept < $1 ORDER BY u.kept LIMIT $2";
    let rows = sqlx::query(sql).bind(before).bind(limit(most)).fetch_all(readers).await.map_err(failed)?;
    rows.iter().map(upload).collect()
}

/// Notes that an upload was kept alive.
pub(super) struct Kept(pub(super) UploadId, pub(super) i64);

impl Operation for Kept {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        let sql = "UPDATE upload SET kept = $2 WHERE id = $1";
        transaction.execute(Query::of(sql).bind(self.0.as_str().to_owned()).bind(self.1)).map(drop)
    }
}
