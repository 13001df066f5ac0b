//! What is configured of a bucket beyond its versioning.

use crate::access::{AccessControlList, ObjectOwnership, Policy, PublicAccessBlock};
use crate::cors::CorsConfiguration;
use crate::encryption::{BucketEncryption, ObjectEncryption};
use crate::inventory::Inventory;
use crate::lifecycle::Lifecycle;
use crate::logging::BucketLogging;
use crate::notification::NotificationConfiguration;
use crate::object_lock::{ObjectLock, ObjectLockConfiguration};
use crate::website::WebsiteConfiguration;
use serde::{Deserialize, Serialize};

/// A bucket's configurations. What is `None` was never configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BucketSettings {
    /// Its access control list; `None` for a private one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<AccessControlList>,
    /// Its policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Who owns what is written into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ownership: Option<ObjectOwnership>,
    /// What of public access is blocked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_access_block: Option<PublicAccessBlock>,
    /// Which pages' scripts may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<CorsConfiguration>,
    /// Where its accesses are logged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<BucketLogging>,
    /// How visitors see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<WebsiteConfiguration>,
    /// Its own tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, String)>,
    /// Who asks pays, not the owner.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub requester_pays: bool,
    /// Transfer acceleration, once it was configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerated: Option<bool>,
    /// Object lock; `None` when it is not enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_lock: Option<ObjectLockConfiguration>,
    /// What happens to its objects as time goes by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// How objects are encrypted that ask for nothing; `None`: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<BucketEncryption>,
    /// Which reports of it are wanted, by id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inventories: Vec<Inventory>,
    /// Whom it tells of changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notifications: Option<NotificationConfiguration>,
}

/// What a version has that no backend is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attributes {
    /// Its access control list; `None` for one that is private to the version's owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<AccessControlList>,
    /// Where a website sends who asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website_redirect: Option<String>,
    /// What keeps it from being deleted.
    #[serde(skip_serializing_if = "ObjectLock::is_empty")]
    pub lock: ObjectLock,
    /// How its bytes are encrypted; `None`: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<ObjectEncryption>,
    /// Others stored its bytes, and may store others over them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_taken_in: bool,
}

impl Attributes {
    /// How many bytes are stored of a version that has `size` for its readers.
    pub fn stored_size(&self, size: u64) -> u64 {
        self.encryption.as_ref().map_or(size, ObjectEncryption::stored_size)
    }
}
