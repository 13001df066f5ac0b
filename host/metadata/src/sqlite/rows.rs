//! Rows as the port's values.

use super::error::{failed, unreadable};
use rusqlite::types::Value;
use sallyport_core::backend::{Locator, Name, Place};
use sallyport_core::metadata::{Attributes, Bucket, BucketSettings, MetadataResult, Segment, Version, Versioning};
use sallyport_core::names::{AccountId, BucketName, LocationName, ObjectKey, VersionId, WriteId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use std::sync::Arc;

/// A row, of a reader or of the writer.
pub(super) trait Columns {
    /// A column's value.
    ///
    /// # Errors
    /// When there is no such column, or something else in it.
    fn column<'r, T: Field<'r>>(&'r self, column: &str) -> MetadataResult<T>;
}

impl Columns for SqliteRow {
    fn column<'r, T: Field<'r>>(&'r self, column: &str) -> MetadataResult<T> {
        self.try_get(column).map_err(failed)
    }
}

/// What a column's value is read as.
pub(super) trait Field<'r>: Decode<'r, Sqlite> + Type<Sqlite> {
    /// The value, unless it is something else.
    fn of(value: &'r Value) -> Option<Self>;
}

impl Field<'_> for i64 {
    fn of(value: &Value) -> Option<Self> {
        if let Value::Integer(number) = value { Some(*number) } else { None }
    }
}

impl Field<'_> for bool {
    fn of(value: &Value) -> Option<Self> {
        i64::of(value).map(|number| number != 0)
    }
}

impl<'r> Field<'r> for &'r str {
    fn of(value: &'r Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text) } else { None }
    }
}

impl Field<'_> for String {
    fn of(value: &Value) -> Option<Self> {
        <&str>::of(value).map(str::to_owned)
    }
}

impl<'r> Field<'r> for &'r [u8] {
    fn of(value: &'r Value) -> Option<Self> {
        if let Value::Blob(bytes) = value { Some(bytes) } else { None }
    }
}

impl Field<'_> for Vec<u8> {
    fn of(value: &Value) -> Option<Self> {
        <&[u8]>::of(value).map(<[u8]>::to_vec)
    }
}

impl<'r, T: Field<'r>> Field<'r> for Option<T> {
    fn of(value: &'r Value) -> Option<Self> {
        if let Value::Null = value { Some(None) } else { T::of(value).map(Some) }
    }
}

/// A column's value.
pub(super) fn get<'r, T: Field<'r>, R: Columns>(row: &'r R, column: &str) -> MetadataResult<T> {
    row.column(column)
}

pub(super) fn number(row: &impl Columns, column: &str) -> MetadataResult<i64> {
    get(row, column)
}

pub(super) fn text(row: &impl Columns, column: &str) -> MetadataResult<String> {
    get(row, column)
}

pub(super) fn size(row: &impl Columns, column: &str) -> MetadataResult<u64> {
    u64::try_from(number(row, column)?).map_err(|_negative| unreadable("a negative size"))
}

/// SQLite's integers are signed; no size reaches the sign.
pub(super) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// A page's limit.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn bucket_name(text: &str) -> MetadataResult<BucketName> {
    BucketName::parse(text).map_err(|_invalid| unreadable("a bucket's name"))
}

pub(super) fn location_name(text: &str) -> MetadataResult<LocationName> {
    LocationName::parse(text).map_err(|_invalid| unreadable("a location's name"))
}

pub(super) fn write_id(text: &str) -> MetadataResult<WriteId> {
    WriteId::parse(text).map_err(|_invalid| unreadable("a write id"))
}

pub(super) fn key(row: &impl Columns, column: &str) -> MetadataResult<ObjectKey> {
    let bytes: &[u8] = get(row, column)?;
    let text = std::str::from_utf8(bytes).map_err(|_invalid| unreadable("a key"))?;
    ObjectKey::parse(text).map_err(|_invalid| unreadable("a key"))
}

/// A key as it is stored and sorted.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

pub(super) fn to_json<T: Serialize>(value: &T) -> MetadataResult<String> {
    serde_json::to_string(value).map_err(|_error| unreadable("a value without JSON"))
}

pub(super) fn from_json<T: DeserializeOwned>(row: &impl Columns, column: &str) -> MetadataResult<T> {
    let text: &str = get(row, column)?;
    serde_json::from_str(text).map_err(|_error| unreadable("JSON"))
}

pub(super) fn versioning_number(versioning: Versioning) -> i64 {
    match versioning {
        Versioning::Off => 0,
        Versioning::Enabled => 1,
        Versioning::Suspended => 2,
    }
}

pub(super) fn versioning(row: &impl Columns) -> MetadataResult<Versioning> {
    match number(row, "versioning")? {
        0 => Ok(Versioning::Off),
        1 => Ok(Versioning::Enabled),
        2 => Ok(Versioning::Suspended),
        _ => Err(unreadable("a versioning state")),
    }
}

pub(super) fn bucket(row: &impl Columns) -> MetadataResult<Bucket> {
    Ok(Bucket {
        number: number(row, "id")?,
        name: bucket_name(get(row, "name")?)?,
        owner: AccountId::new(text(row, "owner")?),
        location: location_name(get(row, "location")?)?,
        versioning: versioning(row)?,
        created: number(row, "created")?,
        settings: settings(row)?,
    })
}

/// Most buckets have nothing configured.
fn settings(row: &impl Columns) -> MetadataResult<Arc<BucketSettings>> {
    let text: &str = get(row, "settings")?;
    if text == "{}" { Ok(Arc::default()) } else { from_json(row, "settings").map(Arc::new) }
}

/// A line of a listing: a row of `object`, as a current version without what no line shows.
pub(super) fn listed(row: &impl Columns, bucket: &BucketName) -> MetadataResult<Version> {
    Ok(Version {
        bucket: bucket.clone(),
        key: key(row, "key")?,
        id: VersionId::from_client(get(row, "id")?),
        sequence: number(row, "sequence")?,
        is_current: true,
        is_delete_marker: false,
        etag: text(row, "etag")?,
        size: size(row, "size")?,
        last_modified: number(row, "last_modified")?,
        object: sallyport_core::backend::Projection::default(),
        attributes: Attributes::default(),
        checksums: from_json(row, "checksums")?,
        owner: AccountId::new(text(row, "owner")?),
        storage_class: text(row, "storage_class")?,
        parts: Vec::new(),
        segments: Vec::new(),
    })
}

/// A row of `version` with `is_current` computed, without its segments.
pub(super) fn version(row: &impl Columns, bucket: &BucketName) -> MetadataResult<Version> {
    Ok(Version {
        is_current: get(row, "is_current")?,
        is_delete_marker: get(row, "is_marker")?,
        object: from_json(row, "object")?,
        attributes: from_json(row, "attributes")?,
        parts: from_json(row, "parts")?,
        ..listed(row, bucket)?
    })
}

/// A row of `segment` of a version of `bucket` and `key`.
pub(super) fn segment(row: &impl Columns, bucket: &BucketName, key: &ObjectKey) -> MetadataResult<Segment> {
    let elsewhere: Option<&str> = get(row, "elsewhere")?;
    let name = match elsewhere {
        Some(json) => serde_json::from_str(json).map_err(|_error| unreadable("a name"))?,
        None => {
            let token: Option<String> = get(row, "place")?;
            let place = token.map_or(Place::Plain, Place::Derived);
            Name { bucket: bucket.clone(), key: key.clone(), place }
        }
    };
    Ok(Segment {
        location: location_name(get(row, "location")?)?,
        name,
        write_id: write_id(get(row, "write_id")?)?,
        locator: Locator(get(row, "locator")?),
        stored_size: size(row, "stored_size")?,
        offset: size(row, "start")?,
        length: size(row, "length")?,
    })
}
