//! What a report can tell of a version.

use serde::{Deserialize, Serialize};

macro_rules! fields {
    ($($name:ident: $help:literal;)*) => {
        /// An optional column of a report, by S3's name for it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum InventoryField {
            $(#[doc = $help] $name,)*
        }

        impl InventoryField {
            /// All of them, in the order that the columns of a report have.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// S3's name for it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

fields! {
    Size: "In bytes.";
    LastModifiedDate: "When it was made.";
    ETag: "Without quotes.";
    StorageClass: "S3's, or a location's name.";
    IsMultipartUploaded: "Whether it was uploaded in parts.";
    ReplicationStatus: "Always empty: nothing is replicated.";
    EncryptionStatus: "How it is encrypted.";
    ObjectLockRetainUntilDate: "How long it is retained.";
    ObjectLockMode: "How strictly.";
    ObjectLockLegalHoldStatus: "Whether a legal hold is on it.";
    IntelligentTieringAccessTier: "Always empty: nothing is tiered.";
    BucketKeyStatus: "Whether SSE-KMS was asked to use a bucket key.";
    ChecksumAlgorithm: "Of the checksum that it has.";
    ObjectAccessControlList: "Its access control list, as JSON in base64.";
    ObjectOwner: "The canonical id of its owner.";
    LifecycleExpirationDate: "When a lifecycle rule removes a current object.";
}

impl InventoryField {
    /// By S3's name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }
}
