//! Buckets as the database has them.

use super::settings::BucketSettings;
use crate::names::{AccountId, BucketName, LocationName};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Which of the buckets of this name it is: no two ever have the same number.
    pub number: i64,
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
    /// What else is configured.
    pub settings: Arc<BucketSettings>,
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
    /// `Enabled` from the start, or `Off`.
    pub versioning: Versioning,
    /// What is configured from the start.
    pub settings: BucketSettings,
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

/// A limit in bytes, and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Most that may be held.
    pub most: u64,
    /// All versions together.
    pub used: u64,
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
