//! What is decided of an event before its change, and what is kept of it afterwards.

use super::arn::DestinationName;
use super::event::EventKind;
use crate::names::{BucketName, ObjectKey, VersionId};
use serde::{Deserialize, Serialize};

/// Who is to be told of a change, should it take place: it is stored with the change, in the
/// same transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// What the change came of.
    pub cause: Cause,
    /// The bucket shows ids of versions.
    pub shows_versions: bool,
    /// Whom, of which outcome.
    pub listeners: Vec<Listener>,
}

/// A destination that hears of one outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Of which.
    pub kind: EventKind,
    /// The rule's id.
    pub configuration: String,
    /// Whom.
    pub destination: DestinationName,
}

/// What a change came of, as its messages tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Who asked: an account, or `s3.amazonaws.com` for S3 itself.
    pub principal: String,
    /// Where from: an address, or `s3.amazonaws.com`.
    pub source: String,
    /// The request's id.
    pub request_id: String,
    /// The server's.
    pub host_id: String,
    /// Where the bucket is.
    pub region: String,
    /// The bucket's owner.
    pub owner: String,
}

/// A change that took place, for one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Names it in the queue: greater is newer.
    #[serde(skip)]
    pub id: i64,
    /// What happened.
    pub kind: EventKind,
    /// When: milliseconds since 1970.
    pub time: i64,
    /// What it came of.
    pub cause: Cause,
    /// The rule's id.
    pub configuration: String,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// What is told of the object.
    pub object: EventObject,
    /// Orders the changes of a key: greater is newer.
    pub sequencer: i64,
}

/// What a message tells of an object beside its key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventObject {
    /// In bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Without quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Where the bucket shows ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// What a version was moved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
}

/// How many events wait for a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQueue {
    /// Which.
    pub destination: DestinationName,
    /// So many wait.
    pub pending: u64,
    /// So many were ever dropped, since too many waited or the destination refused them.
    pub dropped: u64,
}

impl Announcement {
    /// Those who hear of a change that left a delete marker, or of one that did not.
    pub fn listeners_of(&self, left_marker: bool) -> impl Iterator<Item = &Listener> {
        self.listeners.iter().filter(move |listener| listener.kind.leaves_marker() == left_marker)
    }
}
