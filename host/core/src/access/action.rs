//! What policies allow and deny, by the names that
//! [S3's actions](https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html) have.

macro_rules! actions {
    ($($name:ident),* $(,)?) => {
        /// An action of S3.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $(#[doc = concat!("`s3:", stringify!($name), "`")] $name,)*
        }

        impl Action {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in policies.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => concat!("s3:", stringify!($name)),)* }
            }
        }
    };
}

impl Action {
    /// Whether it is done to an object, and not to a bucket.
    pub(crate) fn is_on_objects(self) -> bool {
        matches!(
            self,
            Self::AbortMultipartUpload
                | Self::BypassGovernanceRetention
                | Self::DeleteObject
                | Self::DeleteObjectTagging
                | Self::DeleteObjectVersion
                | Self::DeleteObjectVersionTagging
                | Self::GetObject
                | Self::GetObjectAcl
                | Self::GetObjectAttributes
                | Self::GetObjectLegalHold
                | Self::GetObjectRetention
                | Self::GetObjectTagging
                | Self::GetObjectVersion
                | Self::GetObjectVersionAcl
                | Self::GetObjectVersionAttributes
                | Self::GetObjectVersionTagging
                | Self::ListMultipartUploadParts
                | Self::PutObject
                | Self::PutObjectAcl
                | Self::PutObjectLegalHold
                | Self::PutObjectRetention
                | Self::PutObjectTagging
                | Self::PutObjectVersionAcl
                | Self::PutObjectVersionTagging
        )
    }
}

actions! {
    AbortMultipartUpload,
    BypassGovernanceRetention,
    CreateBucket,
    DeleteBucket,
    DeleteBucketPolicy,
    DeleteBucketWebsite,
    DeleteObject,
    DeleteObjectTagging,
    DeleteObjectVersion,
    DeleteObjectVersionTagging,
    GetAccelerateConfiguration,
    GetAnalyticsConfiguration,
    GetBucketAcl,
    GetBucketCORS,
    GetBucketLocation,
    GetBucketLogging,
    GetBucketNotification,
    GetBucketObjectLockConfiguration,
    GetBucketOwnershipControls,
    GetBucketPolicy,
    GetBucketPolicyStatus,
    GetBucketPublicAccessBlock,
    GetBucketQuota,
    GetBucketRequestPayment,
    GetBucketTagging,
    GetBucketVersioning,
    GetBucketWebsite,
    GetEncryptionConfiguration,
    GetIntelligentTieringConfiguration,
    GetInventoryConfiguration,
    GetLifecycleConfiguration,
    GetMetricsConfiguration,
    GetObject,
    GetObjectAcl,
    GetObjectAttributes,
    GetObjectLegalHold,
    GetObjectRetention,
    GetObjectTagging,
    GetObjectVersion,
    GetObjectVersionAcl,
    GetObjectVersionAttributes,
    GetObjectVersionTagging,
    GetReplicationConfiguration,
    ListAllMyBuckets,
    ListBucket,
    ListBucketMultipartUploads,
    ListBucketVersions,
    ListMultipartUploadParts,
    PutAccelerateConfiguration,
    PutBucketAcl,
    PutBucketCORS,
    PutBucketLogging,
    PutBucketNotification,
    PutBucketObjectLockConfiguration,
    PutBucketOwnershipControls,
    PutBucketPolicy,
    PutBucketPublicAccessBlock,
    PutBucketQuota,
    PutBucketRequestPayment,
    PutBucketTagging,
    PutBucketVersioning,
    PutBucketWebsite,
    PutEncryptionConfiguration,
    PutInventoryConfiguration,
    PutLifecycleConfiguration,
    PutObject,
    PutObjectAcl,
    PutObjectLegalHold,
    PutObjectRetention,
    PutObjectTagging,
    PutObjectVersionAcl,
    PutObjectVersionTagging,
    PutReplicationConfiguration,
}
