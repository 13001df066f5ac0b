//! The gateway: each S3 operation's meaning, whichever location holds the bytes.

mod access;
mod authorize;
mod bucket;
mod check;
mod conditions;
mod configure;
mod copy;
mod course;
mod deliveries;
mod encryption;
mod import;
mod ingest;
mod inventory;
mod keys;
mod leaving;
mod lifecycle;
mod lock;
mod logs;
mod notifications;
mod object;
mod periodic;
mod queue;
mod range;
mod read;
mod relocate;
mod request;
mod rewrap;
mod split;
mod sweep;
mod taking;
mod tenants;
mod upload;
mod watch;
mod write;

pub use check::CheckReport;
pub use import::{Import, ImportReport};
pub use lifecycle::LifecycleReport;
pub use lock::LockTarget;
pub use request::{
    ByteRange, CompleteOutcome, CompleteUpload, CopyObject, CopyOutcome, CopyPart, CreateBucket, CreatedBucket,
    DeleteObject, Found, GetObject, Incoming, ListedPart, NewUpload, PutObject, PutOutcome, PutPart, RangeCondition,
    ReadConditions, Source, Trailer, UploadRef,
};
pub use rewrap::RewrapReport;
pub use watch::{Vanished, Watch, WatchReport};

use crate::backend::{Backend, Location, Locations};
use crate::encryption::{KeyService, NoKeys};
use crate::error::{Error, Result};
use crate::lifecycle::Clock;
use crate::metadata::{Abandoned, Bucket, MetadataStore, Versioning};
use crate::names::{BucketName, LocationName, VersionId, WriteId};
use crate::notification::{Destinations, NoDestinations};
use crate::storage_class;
use keys::KeyLocks;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// Smallest part but the last, in bytes: 5 MiB, or 0 for tests (`MPU_TESTING`).
    pub min_part: u64,
    /// How often the queue and abandoned writes are looked at.
    pub sweep_interval: Duration,
    /// After what time a write is looked for again that a backend gave no answer to and had
    /// nothing of. It is looked for sixty times as long.
    pub recheck_after: Duration,
    /// How often access logs are delivered.
    pub log_interval: Duration,
    /// How often lifecycles are looked at.
    pub lifecycle_interval: Duration,
    /// How long a lifecycle's day is.
    pub lifecycle_clock: Clock,
    /// How often inventories are looked at.
    pub inventory_interval: Duration,
    /// How long an inventory's day is.
    pub inventory_clock: Clock,
    /// Places where others store objects that are to be seen.
    pub watches: Vec<Watch>,
    /// After how many compressed bytes a data file of an inventory ends: what one needs of memory.
    pub inventory_file: u64,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            min_part: 5 << 20,
            sweep_interval: Duration::from_secs(5),
            recheck_after: Duration::from_secs(30),
            log_interval: Duration::from_secs(60),
            lifecycle_interval: Duration::from_secs(3600),
            lifecycle_clock: Clock::default(),
            inventory_interval: Duration::from_secs(3600),
            inventory_clock: Clock::default(),
            inventory_file: 8 << 20,
            watches: Vec::new(),
        }
    }
}

/// All operations; cheap to share.
///
/// Who calls is authenticated already. Every operation checks that the caller may, in S3's
/// order: the bucket exists, then access, then the rest.
pub struct Gateway {
    metadata: Arc<dyn MetadataStore>,
    locations: Arc<dyn Locations>,
    options: GatewayOptions,
    /// Wraps the data keys of encrypted objects.
    key_service: Arc<dyn KeyService>,
    /// Takes what is told of changes.
    destinations: Arc<dyn Destinations>,
    keys: KeyLocks,
    /// Lines of access logs.
    log_lines: logs::Waiting,
    /// Held where versioning and object lock depend on each other.
    bucket_states: tokio::sync::Mutex<()>,
    /// Held by the one pass over lifecycles that is under way.
    lifecycle_running: tokio::sync::Mutex<()>,
    /// Held by the one pass over inventories that is under way.
    inventory_running: tokio::sync::Mutex<()>,
    /// Whether a bucket may write plain places in a location, once that is settled.
    claims: Mutex<HashMap<(BucketName, LocationName), Claimed>>,
    /// Open writes of which the database could not be told that they came to nothing.
    unsettled: Mutex<Vec<WriteId>>,
    /// Jobs that ended when the database could not be told.
    unnoted_jobs: Mutex<Vec<i64>>,
    /// Where the last round of the sweeper was cut off, if it was.
    settled_up_to: Mutex<Option<Abandoned>>,
}

impl Gateway {
    /// A gateway over a database and locations. Nothing is swept until
    /// [`Gateway::sweep`] is called.
    pub fn new(metadata: Arc<dyn MetadataStore>, locations: Arc<dyn Locations>, options: GatewayOptions) -> Self {
        Self {
            metadata,
            locations,
            options,
            key_service: Arc::new(NoKeys),
            destinations: Arc::new(NoDestinations),
            keys: KeyLocks::default(),
            log_lines: logs::Waiting::default(),
            bucket_states: tokio::sync::Mutex::default(),
            lifecycle_running: tokio::sync::Mutex::default(),
            inventory_running: tokio::sync::Mutex::default(),
            claims: Mutex::default(),
            unsettled: Mutex::default(),
            unnoted_jobs: Mutex::default(),
            settled_up_to: Mutex::default(),
        }
    }

    /// The same with keys for SSE-S3 and SSE-KMS.
    #[must_use]
    pub fn with_keys(mut self, key_service: Arc<dyn KeyService>) -> Self {
        self.key_service = key_service;
        self
    }

    /// The same with destinations of notifications.
    #[must_use]
    pub fn with_destinations(mut self, destinations: Arc<dyn Destinations>) -> Self {
        self.destinations = destinations;
        self
    }

    /// The locations, for health and listings.
    pub fn locations(&self) -> &Arc<dyn Locations> {
        &self.locations
    }

    /// The database, for administration.
    pub fn metadata(&self) -> &Arc<dyn MetadataStore> {
        &self.metadata
    }

    fn location(&self, name: &LocationName) -> Result<Location> {
        self.locations.location(name).ok_or_else(|| tenants::gone(name))
    }

    fn backend(&self, name: &LocationName) -> Result<Arc<dyn Backend>> {
        self.location(name)?.backend.map_err(|unhealthy| Error::LocationUnavailable {
            location: name.clone(),
            cause: unhealthy.cause,
            retry_after: unhealthy.retry_after,
        })
    }

    /// Refuses, before its body is read, what the location takes neither at once nor in parts.
    fn check_size(&self, location: &LocationName, size: u64) -> Result<()> {
        let backend = self.backend(location)?;
        let traits = backend.traits();
        let in_parts = if traits.multipart { traits.max_part.saturating_mul(u64::from(traits.max_parts)) } else { 0 };
        let limit = traits.max_put.max(in_parts);
        if size > limit {
            return Err(Error::EntityTooLarge { size, limit });
        }
        Ok(())
    }

    /// Where a write goes: the object's own header, else its storage class when that is a
    /// location, else the bucket's location.
    fn choose_location(&self, header: Option<&str>, storage_class: &str, bucket: &Bucket) -> Result<LocationName> {
        let of_class = self.location_of_class(&bucket.owner, storage_class);
        if of_class.is_none() && !storage_class::is_known(storage_class) {
            return Err(Error::InvalidStorageClass(storage_class.to_owned()));
        }
        let Some(header) = header else {
            return Ok(of_class.unwrap_or_else(|| bucket.location.clone()));
        };
        let unknown = || Error::InvalidObjectLocation(header.to_owned());
        let name = LocationName::parse(header).map_err(|_| unknown())?;
        self.location_for(&bucket.owner, &name).map(|location| location.name).ok_or_else(unknown)
    }
}

/// What was settled about a bucket's plain places in a location.
struct Claimed {
    plain: bool,
    /// Of the storage that said how they are named.
    generation: u64,
}

/// The id that a new version of the bucket gets.
fn new_version_id(versioning: Versioning) -> VersionId {
    match versioning {
        Versioning::Enabled => VersionId::random(),
        Versioning::Off | Versioning::Suspended => VersionId::null(),
    }
}

/// The id that clients see: none before versioning is configured.
fn shown_version(versioning: Versioning, id: &VersionId) -> Option<VersionId> {
    (versioning != Versioning::Off).then(|| id.clone())
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let now = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    i64::try_from(now).unwrap_or(i64::MAX)
}
