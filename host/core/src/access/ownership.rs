//! Who owns what is written into a bucket, and what of lists and policies counts there.

use super::RequestedAcl;
use crate::names::AccountId;
use serde::{Deserialize, Serialize};

/// [Object ownership](https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectOwnership {
    /// The bucket's owner owns everything, and lists count for nothing.
    BucketOwnerEnforced,
    /// The bucket's owner owns what is written with `bucket-owner-full-control`.
    BucketOwnerPreferred,
    /// Who writes an object owns it.
    #[default]
    ObjectWriter,
}

/// [Public access block](https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublicAccessBlock {
    /// Public lists are refused.
    pub block_public_acls: bool,
    /// Public grants count for nothing.
    pub ignore_public_acls: bool,
    /// Public policies are refused.
    pub block_public_policy: bool,
    /// A public policy allows something to the bucket owner's account only.
    pub restrict_public_buckets: bool,
}

impl ObjectOwnership {
    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "BucketOwnerEnforced" => Some(Self::BucketOwnerEnforced),
            "BucketOwnerPreferred" => Some(Self::BucketOwnerPreferred),
            "ObjectWriter" => Some(Self::ObjectWriter),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::BucketOwnerEnforced => "BucketOwnerEnforced",
            Self::BucketOwnerPreferred => "BucketOwnerPreferred",
            Self::ObjectWriter => "ObjectWriter",
        }
    }

    /// Whether lists count for nothing.
    pub(crate) fn disables_lists(self) -> bool {
        self == Self::BucketOwnerEnforced
    }

    /// Who owns what `writer` writes.
    pub(crate) fn owner(self, writer: AccountId, bucket_owner: &AccountId, acl: Option<&RequestedAcl>) -> AccountId {
        match self {
            Self::BucketOwnerEnforced => bucket_owner.clone(),
            Self::BucketOwnerPreferred if acl.is_some_and(RequestedAcl::is_bucket_owners) => bucket_owner.clone(),
            Self::BucketOwnerPreferred | Self::ObjectWriter => writer,
        }
    }
}
