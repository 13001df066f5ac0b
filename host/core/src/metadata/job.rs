//! What is to be done on backends later: it survives restarts and dead backends.

use crate::backend::{Locator, Name, Token};
use crate::names::{BucketName, LocationName, ObjectKey, VersionId, WriteId};
use serde::{Deserialize, Serialize};

/// A job taken from the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Names it in the queue.
    pub id: i64,
    /// Where.
    pub location: LocationName,
    /// What.
    pub kind: JobKind,
    /// How often it was tried before.
    pub attempts: u32,
    /// When it was queued, milliseconds since 1970.
    pub created: i64,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobKind {
    /// Free bytes. Due no earlier than the deletion delay after its commit.
    Delete {
        /// These.
        locator: Locator,
    },
    /// Abort the backend's upload.
    Abort {
        /// This one.
        upload: Token,
    },
    /// Leave the backend's own delete marker, unless the key has come back since.
    Hide {
        /// The marker's bucket.
        bucket: BucketName,
        /// The marker's key.
        key: ObjectKey,
        /// Our marker.
        marker: VersionId,
    },
    /// Look again for what a write stored that was taken back unheard.
    Recheck {
        /// Where its bytes would be.
        name: Name,
        /// The write.
        write: WriteId,
    },
    /// Show the version's tags as they are when the job runs.
    Tags {
        /// The version's bucket.
        bucket: BucketName,
        /// The version's key.
        key: ObjectKey,
        /// The version.
        version: VersionId,
    },
}
