//! Buckets as the database has them.

use crate::names::{AccountId, BucketName, LocationName};
use serde::{Deserialize, Serialize};

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: BucketName,
    /// Its owner.
    pub owner: AccountId,
    /// Where its objects go.
    pub location: LocationName,
    /// Its versioning state.
    pub versioning: Versioning,
    /// Creation, milliseconds since 1970.
    pub created: i64,
}

/// A bucket to create.
#[derive(Debug, Clone)]
pub struct NewBucket {
    /// Its name.
    pub name: BucketName,
    /// Its owner.
    pub owner: AccountId,
    /// Where its objects go.
    pub location: LocationName,
    /// Creation, milliseconds since 1970.
    pub created: i64,
}

/// Versioning of a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Versioning {
    /// Never configured.
    #[default]
    Off,
    /// Every write makes a version.
    Enabled,
    /// Writes replace the null version.
    Suspended,
}

/// What became of a creation.
#[derive(Debug, Clone)]
pub enum BucketCreation {
    /// It is there now.
    Created(Bucket),
    /// It was there before, perhaps somebody else's.
    Exists(Bucket),
}

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketDeletion {
    /// It is gone.
    Deleted,
    /// It holds versions, delete markers or open writes.
    NotEmpty,
    /// It was not there.
    Absent,
}

/// Whether a bucket may write plain places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceClaim {
    /// It may.
    pub plain: bool,
    /// Who came before it: buckets and their locations.
    pub others: Vec<(BucketName, LocationName)>,
}
