//! Pages of objects, versions and uploads.

use super::error::failed;
use super::pages::Pages;
use super::rows::{bytes, get, limit, listed, number, text, version};
use super::uploads::upload;
use super::walk::{Position, Verdict, Walk};
use sallyport_core::metadata::{
    ListQuery, Listed, ListedPage, MetadataResult, Upload, UploadPage, UploadQuery, VersionPage, VersionQuery,
};
use sallyport_core::names::BucketName;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, SqliteConnection};

const OBJECTS: &str = "SELECT * FROM object WHERE bucket = (SELECT id FROM bucket WHERE name = $1)
    AND key >= $2 AND key < $3 ORDER BY key LIMIT $4";

// Each step is one seek: to the next key, or beyond all that is folded with this one. A
// concatenation is TEXT in SQLite, whose bytes the cast keeps.
const FOLDED: &str = "WITH RECURSIVE step(key) AS (
        SELECT min(key) FROM object WHERE bucket = (SELECT id FROM bucket WHERE name = $1)
            AND key >= $2 AND key < $3
        UNION ALL
        SELECT (SELECT o.key FROM object o WHERE o.bucket = (SELECT id FROM bucket WHERE name = $1)
            AND o.key < $3 AND o.key >= CASE instr(substr(step.key, $6 + 1), $5)
                WHEN 0 THEN CAST(step.key || x'00' AS BLOB)
                ELSE CAST(substr(step.key, 1, $6 + instr(substr(step.key, $6 + 1), $5) - 1 + length($5)) || x'FF'
                    AS BLOB) END
            ORDER BY o.key LIMIT 1)
        FROM step WHERE step.key IS NOT NULL
        LIMIT $4
    )
    SELECT CASE instr(substr(step.key, $6 + 1), $5) WHEN 0 THEN NULL
            ELSE substr(step.key, 1, $6 + instr(substr(step.key, $6 + 1), $5) - 1 + length($5)) END AS folded, o.*
    FROM step LEFT JOIN object o ON o.bucket = (SELECT id FROM bucket WHERE name = $1)
        AND o.key = CASE instr(substr(step.key, $6 + 1), $5) WHEN 0 THEN step.key END
    WHERE step.key IS NOT NULL";

/// A page of current objects.
pub(super) async fn objects(pages: &Pages, query: &ListQuery) -> MetadataResult<ListedPage> {
    if query.limit == 0 {
        return Ok(ListedPage::default());
    }
    let walk = Walk::start(&query.prefix, query.delimiter.as_deref(), query.after.as_deref(), false);
    let (Position::From(from) | Position::Within(from)) = walk.position().clone();
    let delimiter = query.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let sql = if delimiter.is_some() { FOLDED } else { OBJECTS };
    let page = sqlx::query(sql)
        .bind(query.bucket.as_str())
        .bind(from)
        .bind(walk.end())
        .bind(limit(query.limit.saturating_add(1)));
    let page = match delimiter {
        Some(delimiter) => page.bind(bytes(delimiter)).bind(limit(query.prefix.len())),
        None => page,
    };
    let mut connection = pages.acquire().await.map_err(failed)?;
    let rows = page.fetch_all(&mut *connection).await.map_err(failed)?;
    drop(connection);
    let is_truncated = rows.len() > query.limit;
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows.iter().take(query.limit) {
        let folded: Option<&[u8]> = if delimiter.is_some() { get(row, "folded")? } else { None };
        entries.push(match folded {
            Some(prefix) => Listed::CommonPrefix(String::from_utf8_lossy(prefix).into_owned()),
            None => Listed::Object(Box::new(listed(row, &query.bucket)?)),
        });
    }
    Ok(ListedPage { entries, is_truncated })
}

const VERSIONS: &str = "SELECT v.*, NOT EXISTS (SELECT 1 FROM version n WHERE n.bucket = v.bucket AND n.key = v.key
        AND n.sequence > v.sequence) AS is_current
    FROM version v WHERE v.bucket = (SELECT id FROM bucket WHERE name = $1)
    AND v.key >= $2 AND v.key < $3 ORDER BY v.key, v.sequence DESC LIMIT $4";
const OLDER: &str = "SELECT v.*, NOT EXISTS (SELECT 1 FROM version n WHERE n.bucket = v.bucket AND n.key = v.key
        AND n.sequence > v.sequence) AS is_current
    FROM version v WHERE v.bucket = (SELECT id FROM bucket WHERE name = $1)
    AND v.key = $2 AND v.sequence < $3 ORDER BY v.sequence DESC LIMIT $4";

/// A page of versions, newest first within a key.
pub(super) async fn versions(pages: &Pages, query: &VersionQuery) -> MetadataResult<VersionPage> {
    let mut page = VersionPage::default();
    if query.limit == 0 {
        return Ok(page);
    }
    let mut connection = pages.acquire().await.map_err(failed)?;
    let mut snapshot = connection.begin().await.map_err(failed)?;
    let mut last = version_marker(&mut snapshot, query).await?;
    let key_marker = query.key_marker.as_deref();
    let within = query.version_marker.is_some();
    let mut walk = Walk::start(&query.prefix, query.delimiter.as_deref(), key_marker, within);
    loop {
        let asked = walk.rows(query.limit - page.entries.len());
        let was_within = matches!(walk.position(), Position::Within(_));
        let rows = version_rows(&mut snapshot, &walk, &query.bucket, last, asked).await?;
        for row in &rows {
            match walk.judge(get(row, "key")?) {
                Verdict::Hidden => continue,
                Verdict::Prefix(prefix) => page.entries.push(Listed::CommonPrefix(prefix)),
                Verdict::Line => page.entries.push(Listed::Object(Box::new(version(row, &query.bucket)?))),
            }
            last = number(row, "sequence")?;
            if page.entries.len() > query.limit {
                page.entries.pop();
                page.is_truncated = true;
                return Ok(page);
            }
        }
        if !walk.goes_on(was_within, asked, rows.len()) {
            return Ok(page);
        }
    }
}

async fn version_rows(
    snapshot: &mut SqliteConnection,
    walk: &Walk,
    bucket: &BucketName,
    last: i64,
    rows: usize,
) -> MetadataResult<Vec<SqliteRow>> {
    let page = match walk.position() {
        Position::From(from) => sqlx::query(VERSIONS).bind(bucket.as_str()).bind(from.clone()).bind(walk.end()),
        Position::Within(key) => sqlx::query(OLDER).bind(bucket.as_str()).bind(key.clone()).bind(last),
    };
    page.bind(limit(rows)).fetch_all(snapshot).await.map_err(failed)
}

/// The sequence that a page of versions starts behind. A marker that was deleted since
/// starts it at the newest of its key: something twice is better than something missed.
async fn version_marker(snapshot: &mut SqliteConnection, query: &VersionQuery) -> MetadataResult<i64> {
    let (Some(key), Some(id)) = (&query.key_marker, &query.version_marker) else {
        return Ok(i64::MAX);
    };
    let sql = "SELECT sequence FROM version WHERE bucket = (SELECT id FROM bucket WHERE name = $1)
        AND key = $2 AND id = $3";
    let row = sqlx::query(sql).bind(query.bucket.as_str()).bind(bytes(key)).bind(id.as_str());
    match row.fetch_optional(snapshot).await.map_err(failed)? {
        Some(row) => number(&row, "sequence"),
        None => Ok(i64::MAX),
    }
}

const UPLOADS: &str = "SELECT u.*, $1 AS bucket_name FROM upload u
    WHERE u.bucket = (SELECT id FROM bucket WHERE name = $1)
    AND u.key >= $2 AND u.key < $3 ORDER BY u.key, u.initiated, u.id LIMIT $4";
const LATER: &str = "SELECT u.*, $1 AS bucket_name FROM upload u
    WHERE u.bucket = (SELECT id FROM bucket WHERE name = $1)
    AND u.key = $2 AND (u.initiated, u.id) > ($3, $5) ORDER BY u.initiated, u.id LIMIT $4";

/// A page of open uploads, by key, then in the order of their initiation.
pub(super) async fn uploads(pages: &Pages, query: &UploadQuery) -> MetadataResult<UploadPage> {
    let mut page = UploadPage::default();
    if query.limit == 0 {
        return Ok(page);
    }
    let mut connection = pages.acquire().await.map_err(failed)?;
    let mut snapshot = connection.begin().await.map_err(failed)?;
    let mut last = upload_marker(&mut snapshot, query).await?;
    let key_marker = query.key_marker.as_deref();
    let within = query.upload_marker.is_some();
    let mut walk = Walk::start(&query.prefix, query.delimiter.as_deref(), key_marker, within);
    let mut end: Option<(String, Option<String>)> = None;
    loop {
        let shown = page.uploads.len() + page.common_prefixes.len();
        let asked = walk.rows(query.limit - shown);
        let was_within = matches!(walk.position(), Position::Within(_));
        let rows = upload_rows(&mut snapshot, &walk, &query.bucket, &last, asked).await?;
        for row in &rows {
            let verdict = walk.judge(get(row, "key")?);
            if verdict == Verdict::Hidden {
                continue;
            }
            if page.uploads.len() + page.common_prefixes.len() == query.limit {
                page.next = end;
                return Ok(page);
            }
            last = (number(row, "initiated")?, text(row, "id")?);
            match verdict {
                Verdict::Prefix(prefix) => {
                    end = Some((prefix.clone(), None));
                    page.common_prefixes.push(prefix);
                }
                Verdict::Line => {
                    let found: Upload = upload(row)?;
                    end = Some((found.key.as_str().to_owned(), Some(found.id.as_str().to_owned())));
                    page.uploads.push(found);
                }
                Verdict::Hidden => {}
            }
        }
        if !walk.goes_on(was_within, asked, rows.len()) {
            return Ok(page);
        }
    }
}

async fn upload_rows(
    snapshot: &mut SqliteConnection,
    walk: &Walk,
    bucket: &BucketName,
    last: &(i64, String),
    rows: usize,
) -> MetadataResult<Vec<SqliteRow>> {
    let page = match walk.position() {
        Position::From(from) => {
            sqlx::query(UPLOADS).bind(bucket.as_str()).bind(from.clone()).bind(walk.end()).bind(limit(rows))
        }
        Position::Within(key) => sqlx::query(LATER)
            .bind(bucket.as_str())
            .bind(key.clone())
            .bind(last.0)
            .bind(limit(rows))
            .bind(last.1.clone()),
    };
    page.fetch_all(snapshot).await.map_err(failed)
}

/// What a page of uploads starts behind; a marker that is gone starts it at its key's first.
async fn upload_marker(snapshot: &mut SqliteConnection, query: &UploadQuery) -> MetadataResult<(i64, String)> {
    let first = (i64::MIN, String::new());
    let Some(id) = &query.upload_marker else {
        return Ok(first);
    };
    let sql = "SELECT initiated FROM upload WHERE id = $1";
    match sqlx::query(sql).bind(id.as_str()).fetch_optional(snapshot).await.map_err(failed)? {
        Some(row) => Ok((number(&row, "initiated")?, id.clone())),
        None => Ok(first),
    }
}
