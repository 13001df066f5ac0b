//! Pages of what a bucket holds.

use super::upload::{Part, Upload};
use super::version::Version;
use crate::names::{BucketName, VersionId};

/// A page of current objects to list.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys that start so.
    pub prefix: String,
    /// Keys that share a prefix up to this are folded into one.
    pub delimiter: Option<String>,
    /// Only keys and common prefixes greater than this. A common prefix that equals or
    /// starts it is not shown again.
    pub after: Option<String>,
    /// Most keys and common prefixes together; 0 lists nothing.
    pub limit: usize,
}

/// A page of objects.
#[derive(Debug, Clone, Default)]
pub struct ListedPage {
    /// In byte order, objects and common prefixes together.
    pub entries: Vec<Listed>,
    /// More follow after the last entry.
    pub is_truncated: bool,
}

/// A line of a listing.
#[derive(Debug, Clone)]
pub enum Listed {
    /// An object, without its segments; among current objects also without what no line
    /// shows: `object` and `parts` are empty.
    Object(Box<Version>),
    /// What keys share up to the delimiter, with it.
    CommonPrefix(String),
}

impl Listed {
    /// What the line sorts by, and what the next page starts after.
    pub fn name(&self) -> &str {
        match self {
            Self::Object(version) => version.key.as_str(),
            Self::CommonPrefix(prefix) => prefix,
        }
    }
}

/// A page of versions to list.
#[derive(Debug, Clone)]
pub struct VersionQuery {
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys that start so.
    pub prefix: String,
    /// Folds as in [`ListQuery`].
    pub delimiter: Option<String>,
    /// Only what is greater than this key, or, with `version_marker`, of this key and older
    /// than that version.
    pub key_marker: Option<String>,
    /// Needs `key_marker`.
    pub version_marker: Option<VersionId>,
    /// Most versions and common prefixes together.
    pub limit: usize,
}

/// A page of versions and delete markers.
#[derive(Debug, Clone, Default)]
pub struct VersionPage {
    /// By key, newest first within one.
    pub entries: Vec<Listed>,
    /// More follow after the last entry.
    pub is_truncated: bool,
}

/// A page of open uploads to list.
#[derive(Debug, Clone)]
pub struct UploadQuery {
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys that start so.
    pub prefix: String,
    /// Folds as in [`ListQuery`].
    pub delimiter: Option<String>,
    /// Only keys greater than this, or, with `upload_marker`, of this key and listed later.
    pub key_marker: Option<String>,
    /// Needs `key_marker`.
    pub upload_marker: Option<String>,
    /// Most uploads and common prefixes together.
    pub limit: usize,
}

/// A page of uploads.
#[derive(Debug, Clone, Default)]
pub struct UploadPage {
    /// By key, then in the order of their initiation.
    pub uploads: Vec<Upload>,
    /// In byte order.
    pub common_prefixes: Vec<String>,
    /// Where the next page starts: key and, when it is an upload, its id.
    pub next: Option<(String, Option<String>)>,
}

/// A page of parts.
#[derive(Debug, Clone, Default)]
pub struct PartPage {
    /// By number.
    pub parts: Vec<Part>,
    /// More follow after the last one.
    pub is_truncated: bool,
}
