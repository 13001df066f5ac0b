//! The port to the database: what the gateway knows of buckets, objects and open writes.

mod bucket;
mod job;
mod listing;
mod settings;
mod upload;
mod version;
mod write;

pub use bucket::{Allowance, Bucket, BucketCreation, BucketDeletion, NamespaceClaim, NewBucket, Versioning};
pub use job::{Job, JobKind};
pub use listing::{ListQuery, Listed, ListedPage, PartPage, UploadPage, UploadQuery, VersionPage, VersionQuery};
pub use settings::{Attributes, BucketSettings};
pub use upload::{Part, PartNumber, Upload};
pub use version::{ChecksumKind, ObjectChecksum, PartBoundary, Segment, Selector, Version};
pub use write::{
    Abandoned, Begun, Committed, ConditionFailure, Deleted, Deletion, EtagCondition, NewVersion, NewWrite, OpenWrite,
    Prepared, Relocated, Relocation, Seen, WriteConditions, WriteKind,
};

use crate::backend::{Locator, Token};
use crate::names::{AccountId, BucketName, LocationName, ObjectKey, UploadId, VersionId, WriteId};
use crate::notification::{Announcement, DestinationName, Event, EventQueue};
use async_trait::async_trait;
use tokio::sync::watch;

/// Why the database did not answer.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// Full, unreachable, corrupt: for the operator.
    #[error("the metadata store failed: {0}")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The write, bucket or upload that the call is about went away meanwhile.
    #[error("{0} is gone")]
    Gone(&'static str),
    /// Its disk is full; nothing was done.
    #[error("the disk of the metadata store is full")]
    Full,
    /// Too many calls wait; nothing was done.
    #[error("the metadata store is overloaded")]
    Busy,
}

/// What becomes of a bucket's settings, decided on those that are there.
pub type SettingsChange = Box<dyn FnOnce(&mut BucketSettings) + Send>;
/// What becomes of a version's attributes, decided on those that are there.
pub type AttributesChange = Box<dyn FnOnce(&mut Attributes) + Send>;

/// Shorthand.
pub type MetadataResult<T> = Result<T, MetadataError>;

/// The truth about everything but bytes.
///
/// Every mutating call is one transaction, durable when it returns (power loss included,
/// unless the operator chose otherwise), and either takes place whole or not at all; a
/// dropped future may still take place. Calls of one key are ordered by the caller, which
/// holds the key's lock from `begin` with a prepared version, or from `prepare`, until
/// `commit` or `rollback`. Times are milliseconds since 1970, UTC. Keys sort as bytes.
#[async_trait]
pub trait MetadataStore: Send + Sync {
    // ---- Buckets --------------------------------------------------------------------

    /// Creates a bucket unless there is one of that name, which is then answered.
    async fn create_bucket(&self, bucket: NewBucket) -> MetadataResult<BucketCreation>;
    /// A bucket by name.
    async fn bucket(&self, name: &BucketName) -> MetadataResult<Option<Bucket>>;
    /// The buckets of an account by name, at most `limit` greater than `after`.
    async fn buckets(&self, owner: &AccountId, after: Option<&str>, limit: usize) -> MetadataResult<Vec<Bucket>>;
    /// Buckets of all accounts by name, at most `limit` greater than `after`.
    async fn all_buckets(&self, after: Option<&str>, limit: usize) -> MetadataResult<Vec<Bucket>>;
    /// Removes a bucket without versions, delete markers and open writes, and with it its
    /// open uploads, which are aborted.
    async fn delete_bucket(&self, name: &BucketName) -> MetadataResult<BucketDeletion>;
    /// Sets the versioning state. `Gone` without the bucket.
    async fn set_versioning(&self, name: &BucketName, versioning: Versioning) -> MetadataResult<()>;

    /// Changes a bucket's settings, and answers the bucket as it is then. `Gone` without it.
    async fn change_settings(&self, name: &BucketName, change: SettingsChange) -> MetadataResult<Bucket>;

    /// Remembers that a bucket writes plain places below `namespace` in `location`, and
    /// says whether it may: the first one does; who comes later with a namespace that starts
    /// with an earlier one, or starts it, keeps to derived places. Idempotent.
    async fn claim_namespace(
        &self,
        bucket: &BucketName,
        location: &LocationName,
        namespace: &str,
    ) -> MetadataResult<NamespaceClaim>;

    /// Sets how many bytes a bucket may hold; `None` lifts the limit. A write that would
    /// exceed it is refused when it is prepared. `Gone` without the bucket.
    async fn allow_bucket(&self, name: &BucketName, most: Option<u64>) -> MetadataResult<()>;
    /// A bucket's limit, if it has one.
    async fn bucket_allowance(&self, name: &BucketName) -> MetadataResult<Option<Allowance>>;

    // ---- Locations ------------------------------------------------------------------

    /// Remembers a location's target. When it was another, and live segments, parts or uploads
    /// are behind that, the old one stays and is answered; `rebind` replaces it and answers
    /// what it replaced. `None` means that `target` holds and nobody has to be asked.
    async fn bind_location(
        &self,
        location: &LocationName,
        target: &str,
        rebind: bool,
    ) -> MetadataResult<Option<String>>;
    /// Sets how many bytes of live versions locations may hold; all others have no limit.
    async fn allow_locations(&self, limits: Vec<(LocationName, u64)>) -> MetadataResult<()>;
    /// A location's limit, if it has one.
    async fn location_allowance(&self, location: &LocationName) -> MetadataResult<Option<Allowance>>;
    /// Names of locations that live segments refer to.
    async fn locations_in_use(&self) -> MetadataResult<Vec<LocationName>>;
    /// Whether anything would be lost with a location: a bucket, bytes, an upload, a write
    /// that is under way, or work that is left to do there.
    async fn is_location_used(&self, location: &LocationName) -> MetadataResult<bool>;

    // ---- Reads ----------------------------------------------------------------------

    /// A version with its segments; a delete marker is a version.
    async fn version(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        selector: &Selector,
    ) -> MetadataResult<Option<Version>>;
    /// A page of current objects.
    async fn list(&self, query: &ListQuery) -> MetadataResult<ListedPage>;
    /// A page of versions, newest first within a key.
    async fn list_versions(&self, query: &VersionQuery) -> MetadataResult<VersionPage>;

    // ---- Writes ---------------------------------------------------------------------

    /// Records an intent and settles where its bytes go: the plain place when it is wanted
    /// and free, else a derived one with the write id as its token. With `exclusive` a plain
    /// place is free when no other open write and no tried or running deletion refers to
    /// it, and what lives there, if anything, is the key's null version, which this write
    /// replaces. With `prepared` the write is also prepared.
    async fn begin(&self, write: NewWrite) -> MetadataResult<Begun>;
    /// Notes the backend's upload that an open write puts its bytes together in: a rollback
    /// queues its abort. `Gone` without the write.
    async fn note_upload(&self, write: &WriteId, upload: &Token) -> MetadataResult<()>;
    /// The backend's uploads of a key that clients have open or writes have noted; and whether
    /// another write of the key is under way in this process that has noted none.
    async fn known_uploads(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        write: &WriteId,
    ) -> MetadataResult<(Vec<Token>, bool)>;
    /// Decides the conditions against the current version, and records all that a commit
    /// needs but the locator: from here on a crash rolls the write forward if its bytes
    /// turn up.
    async fn prepare(
        &self,
        write: &WriteId,
        version: NewVersion,
        conditions: &WriteConditions,
    ) -> MetadataResult<Prepared>;
    /// Makes the prepared version current, removes the intent (and for a completion the
    /// upload with its parts), and queues what it superseded for deletion: the null version
    /// when this is one. A pending deletion of the very place that was written goes. The
    /// answered id is `null` whatever was prepared when the bytes went over the null
    /// version's, because the bucket became versioned meanwhile.
    async fn commit(&self, write: &WriteId, segments: Vec<Segment>) -> MetadataResult<Committed>;
    /// Removes the intent. With a locator, its bytes are queued for deletion; an upload that
    /// was noted is queued to be aborted.
    async fn rollback(&self, write: &WriteId, orphan: Option<&Locator>) -> MetadataResult<()>;
    /// Removes the intent of a write that its backend never answered, and queues a job that
    /// looks for its bytes from `due` on; until that is done nobody else writes the plain
    /// place that the write held. An upload that was noted is queued to be aborted.
    async fn rollback_unheard(&self, write: &WriteId, due: i64) -> MetadataResult<()>;
    /// Leaves an intent to the sweeper: how it ended on the backend is not known.
    async fn abandon(&self, write: &WriteId) -> MetadataResult<()>;
    /// Keeps an intent of which its backend has nothing, to be looked for again at `due`. It
    /// does not count towards allowances. The time it was first told is kept.
    async fn postpone(&self, write: &WriteId, now: i64, due: i64) -> MetadataResult<()>;
    /// Open writes of owners that are dead, abandoned ones among them, and of the postponed ones
    /// those that are due: in the order in which they began, at most `limit` after the one that
    /// `after` says.
    async fn abandoned_writes(
        &self,
        now: i64,
        after: Option<Abandoned>,
        limit: usize,
    ) -> MetadataResult<Vec<OpenWrite>>;
    /// Those of a bucket, or of one of its keys, postponed or not: the oldest thousand.
    async fn abandoned_writes_of(&self, bucket: &BucketName, key: Option<&ObjectKey>)
    -> MetadataResult<Vec<OpenWrite>>;
    /// Deletes the current version, or one by id, or leaves a delete marker, as the bucket's
    /// versioning has it; queues what is freed. A marker over an object whose newest bytes
    /// are at the plain place of a location in `hides` is queued for the backend too. Atomic.
    async fn delete(&self, deletion: &Deletion) -> MetadataResult<Deleted>;
    /// Records the backend's marker as the segment of a delete marker that has none yet; it
    /// is freed with it. `Gone` when our marker is, or has one.
    async fn mark_hidden(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        marker: &VersionId,
        segment: Segment,
    ) -> MetadataResult<()>;
    /// Replaces a version's tags and queues their projection. `Gone` without the version.
    async fn set_tags(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        selector: &Selector,
        tags: Vec<(String, String)>,
        announcement: Option<Box<Announcement>>,
    ) -> MetadataResult<Version>;
    /// Removes the current version, when it has this sequence, without freeing its bytes: they
    /// are gone. Answers false, and does nothing, when it was replaced, is not its key's only
    /// version, or is protected at `now`. Atomic.
    async fn forget(&self, bucket: &BucketName, key: &ObjectKey, sequence: i64, now: i64) -> MetadataResult<bool>;
    /// Changes a version's attributes, and answers the version as it is then. `Gone` without it.
    async fn change_attributes(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        selector: &Selector,
        change: AttributesChange,
        announcement: Option<Box<Announcement>>,
    ) -> MetadataResult<Version>;
    /// Gives a version other segments and another storage class, in place of exactly those
    /// that it has, and queues the old bytes for deletion; with `write` its intent goes in
    /// the same transaction, unless the limit of their location leaves no room for the new ones.
    /// Tags that the version got meanwhile are queued to be shown there.
    async fn relocate(&self, write: Option<&WriteId>, relocation: Relocation) -> MetadataResult<Relocated>;
    /// Replaces the locator of a live segment, when it still is `old`.
    async fn replace_locator(&self, location: &LocationName, old: &Locator, new: &Locator) -> MetadataResult<()>;

    // ---- Uploads --------------------------------------------------------------------

    /// Records an upload.
    async fn create_upload(&self, upload: Upload) -> MetadataResult<()>;
    /// An upload by id, of that bucket and key.
    async fn upload(&self, bucket: &BucketName, key: &ObjectKey, id: &UploadId) -> MetadataResult<Option<Upload>>;
    /// The version that a completed upload became, while it is there.
    async fn completed_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: &UploadId,
    ) -> MetadataResult<Option<Version>>;
    /// Records a part, replacing one of its number, whose own bytes (if it has any) are
    /// queued for deletion. With `write` its intent goes in the same transaction. `Gone`
    /// without the upload.
    async fn put_part(&self, upload: &UploadId, part: Part, write: Option<&WriteId>) -> MetadataResult<()>;
    /// Parts by number, at most `limit` greater than `after`.
    async fn parts(&self, upload: &UploadId, after: PartNumber, limit: usize) -> MetadataResult<PartPage>;
    /// A page of open uploads.
    async fn list_uploads(&self, query: &UploadQuery) -> MetadataResult<UploadPage>;
    /// Removes an upload with its parts; queues their bytes and the backend's upload.
    /// Answers whether there was one.
    async fn abort_upload(&self, bucket: &BucketName, key: &ObjectKey, id: &UploadId) -> MetadataResult<bool>;
    /// Uploads with a backend token that were not kept alive since `before`.
    async fn uploads_to_keep(&self, before: i64, limit: usize) -> MetadataResult<Vec<Upload>>;
    /// Notes that an upload was kept alive.
    async fn upload_kept(&self, id: &UploadId, at: i64) -> MetadataResult<()>;

    // ---- Queue ----------------------------------------------------------------------

    /// Takes due jobs, marked as running. A deletion whose locator a live version or part
    /// refers to, or whose place an open write holds, is not due.
    async fn claim_jobs(&self, now: i64, limit: usize) -> MetadataResult<Vec<Job>>;
    /// The job is done.
    async fn finish_job(&self, id: i64) -> MetadataResult<()>;
    /// The job failed; it is due again at `retry_at`.
    async fn retry_job(&self, id: i64, retry_at: i64, error: &str) -> MetadataResult<()>;
    /// Jobs that wait: how many, and since when the oldest does.
    async fn queue_depth(&self) -> MetadataResult<(u64, Option<i64>)>;

    // ---- Events ---------------------------------------------------------------------

    /// Events that wait for a destination, oldest first. Each was queued in the transaction of
    /// the change that it tells of: by `commit`, `delete`, `set_tags`, `change_attributes` and
    /// `relocate`, for the listeners of the announcement that they got. When more wait for a
    /// destination than may, the oldest are dropped, and counted.
    async fn events(&self, destination: &DestinationName, limit: usize) -> MetadataResult<Vec<Event>>;
    /// Removes events that were delivered, and those that the destination does not want, which
    /// are counted as dropped. Idempotent.
    async fn forget_events(&self, delivered: Vec<i64>, unwanted: Vec<i64>) -> MetadataResult<()>;
    /// How many events wait, for each destination that ever had one.
    async fn event_queues(&self) -> MetadataResult<Vec<EventQueue>>;
    /// Changes after each transaction that queued events.
    fn events_queued(&self) -> watch::Receiver<u64>;

    // ---- Progress -------------------------------------------------------------------

    /// How far a long work of this name came, as it said last.
    async fn progress(&self, work: &str) -> MetadataResult<Option<String>>;
    /// Notes how far a long work came; `None` when it is done.
    async fn note_progress(&self, work: &str, progress: Option<String>) -> MetadataResult<()>;

    // ---- Care -----------------------------------------------------------------------

    /// Whether this database was restored and not yet checked: nothing may be swept then.
    async fn is_restored(&self) -> MetadataResult<bool>;

    /// Why nothing can be written any more until a restart; `None` as long as it can. Reads may go on.
    fn stopped(&self) -> Option<&'static str>;
    /// The check was done: sweeping may go on.
    async fn mark_checked(&self) -> MetadataResult<()>;
    /// All live segments of objects for a check, in pages: at most `limit` after `cursor`. The versions
    /// come without their lists of segments.
    async fn segments(&self, cursor: i64, limit: usize) -> MetadataResult<Vec<(i64, Version, Segment)>>;
    /// Whether any version, part, open write or job refers to these bytes.
    async fn is_known(
        &self,
        location: &LocationName,
        locator: &Locator,
        write: Option<&WriteId>,
    ) -> MetadataResult<bool>;
    /// Whether a version or part has bytes of this write, wherever they are. Looks at all of them.
    async fn has_bytes_of(&self, write: &WriteId) -> MetadataResult<bool>;
    /// Makes a job that looked for a late write the deletion of what it found, at once.
    async fn found_late(&self, job: i64, locator: &Locator) -> MetadataResult<()>;
    /// Queues bytes that nothing refers to for deletion.
    async fn queue_deletion(&self, location: &LocationName, locator: &Locator) -> MetadataResult<()>;
}
