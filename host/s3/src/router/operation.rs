//! Every operation of S3 by its name, and what a request has to look like to be one.

use http::Method;

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Service,
    Bucket,
    Object,
}

/// How a request comes to mean an operation.
pub(crate) struct Rule {
    pub(crate) method: Method,
    pub(crate) level: Level,
    /// The query parameters that have to be there; `name=value` asks for the value too.
    pub(crate) query: &'static [&'static str],
    /// A header that has to be there.
    pub(crate) header: Option<&'static str>,
    pub(crate) operation: Operation,
}

macro_rules! operations {
    ($($name:ident $method:ident $level:ident [$($query:literal),*] $(header $header:literal)?;)*) => {
        /// An operation of S3, whether or not it is there yet.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Operation {
            $(#[doc = concat!("`", stringify!($name), "`")] $name,)*
        }

        impl Operation {
            /// S3's name for it.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }

        /// The first rule that fits decides: those that ask for more come first.
        pub(crate) const RULES: &[Rule] = &[$(Rule {
            method: Method::$method,
            level: Level::$level,
            query: &[$($query),*],
            header: operations!(@header $($header)?),
            operation: Operation::$name,
        },)*];
    };
    (@header $header:literal) => { Some($header) };
    (@header) => { None };
}

operations! {
    ListBuckets GET Service [];

    CreateSession GET Bucket ["session"];
    DeleteBucketAnalyticsConfiguration DELETE Bucket ["analytics"];
    DeleteBucketCors DELETE Bucket ["cors"];
    DeleteBucketEncryption DELETE Bucket ["encryption"];
    DeleteBucketIntelligentTieringConfiguration DELETE Bucket ["intelligent-tiering"];
    DeleteBucketInventoryConfiguration DELETE Bucket ["inventory"];
    DeleteBucketLifecycle DELETE Bucket ["lifecycle"];
    DeleteBucketMetadataConfiguration DELETE Bucket ["metadataConfiguration"];
    DeleteBucketMetadataTableConfiguration DELETE Bucket ["metadataTable"];
    DeleteBucketMetricsConfiguration DELETE Bucket ["metrics"];
    DeleteBucketOwnershipControls DELETE Bucket ["ownershipControls"];
    DeleteBucketPolicy DELETE Bucket ["policy"];
    DeleteBucketQuota DELETE Bucket ["quota"];
    DeleteBucketReplication DELETE Bucket ["replication"];
    DeleteBucketTagging DELETE Bucket ["tagging"];
    DeleteBucketWebsite DELETE Bucket ["website"];
    DeletePublicAccessBlock DELETE Bucket ["publicAccessBlock"];
    DeleteBucket DELETE Bucket [];
    GetBucketAbac GET Bucket ["abac"];
    GetBucketAccelerateConfiguration GET Bucket ["accelerate"];
    GetBucketAcl GET Bucket ["acl"];
    GetBucketAnalyticsConfiguration GET Bucket ["analytics", "id"];
    ListBucketAnalyticsConfigurations GET Bucket ["analytics"];
    GetBucketCors GET Bucket ["cors"];
    GetBucketEncryption GET Bucket ["encryption"];
    GetBucketIntelligentTieringConfiguration GET Bucket ["intelligent-tiering", "id"];
    ListBucketIntelligentTieringConfigurations GET Bucket ["intelligent-tiering"];
    GetBucketInventoryConfiguration GET Bucket ["inventory", "id"];
    ListBucketInventoryConfigurations GET Bucket ["inventory"];
    GetBucketLifecycleConfiguration GET Bucket ["lifecycle"];
    GetBucketLocation GET Bucket ["location"];
    GetBucketLogging GET Bucket ["logging"];
    GetBucketMetadataConfiguration GET Bucket ["metadataConfiguration"];
    GetBucketMetadataTableConfiguration GET Bucket ["metadataTable"];
    GetBucketMetricsConfiguration GET Bucket ["metrics", "id"];
    ListBucketMetricsConfigurations GET Bucket ["metrics"];
    GetBucketNotificationConfiguration GET Bucket ["notification"];
    GetBucketOwnershipControls GET Bucket ["ownershipControls"];
    GetBucketPolicy GET Bucket ["policy"];
    GetBucketPolicyStatus GET Bucket ["policyStatus"];
    GetBucketQuota GET Bucket ["quota"];
    GetBucketReplication GET Bucket ["replication"];
    GetBucketRequestPayment GET Bucket ["requestPayment"];
    GetBucketTagging GET Bucket ["tagging"];
    GetBucketVersioning GET Bucket ["versioning"];
    GetBucketWebsite GET Bucket ["website"];
    GetObjectLockConfiguration GET Bucket ["object-lock"];
    GetPublicAccessBlock GET Bucket ["publicAccessBlock"];
    SearchObjects GET Bucket ["search"];
    ListMultipartUploads GET Bucket ["uploads"];
    ListObjectVersions GET Bucket ["versions"];
    ListObjectsV2 GET Bucket ["list-type=2"];
    ListObjects GET Bucket [];
    HeadBucket HEAD Bucket [];
    DeleteObjects POST Bucket ["delete"];
    CreateBucketMetadataConfiguration POST Bucket ["metadataConfiguration"];
    CreateBucketMetadataTableConfiguration POST Bucket ["metadataTable"];
    PostObject POST Bucket [];
    PutBucketAbac PUT Bucket ["abac"];
    PutBucketAccelerateConfiguration PUT Bucket ["accelerate"];
    PutBucketAcl PUT Bucket ["acl"];
    PutBucketAnalyticsConfiguration PUT Bucket ["analytics"];
    PutBucketCors PUT Bucket ["cors"];
    PutBucketEncryption PUT Bucket ["encryption"];
    PutBucketIntelligentTieringConfiguration PUT Bucket ["intelligent-tiering"];
    PutBucketInventoryConfiguration PUT Bucket ["inventory"];
    PutBucketLifecycleConfiguration PUT Bucket ["lifecycle"];
    PutBucketLogging PUT Bucket ["logging"];
    UpdateBucketMetadataInventoryTableConfiguration PUT Bucket ["metadataInventoryTable"];
    UpdateBucketMetadataJournalTableConfiguration PUT Bucket ["metadataJournalTable"];
    PutBucketMetricsConfiguration PUT Bucket ["metrics"];
    PutBucketNotificationConfiguration PUT Bucket ["notification"];
    PutBucketOwnershipControls PUT Bucket ["ownershipControls"];
    PutBucketPolicy PUT Bucket ["policy"];
    PutBucketQuota PUT Bucket ["quota"];
    PutBucketReplication PUT Bucket ["replication"];
    PutBucketRequestPayment PUT Bucket ["requestPayment"];
    PutBucketTagging PUT Bucket ["tagging"];
    PutBucketVersioning PUT Bucket ["versioning"];
    PutBucketWebsite PUT Bucket ["website"];
    PutObjectLockConfiguration PUT Bucket ["object-lock"];
    PutPublicAccessBlock PUT Bucket ["publicAccessBlock"];
    CreateBucket PUT Bucket [];
    PreflightBucket OPTIONS Bucket [];

    AbortMultipartUpload DELETE Object ["uploadId"];
    DeleteObjectTagging DELETE Object ["tagging"];
    DeleteObject DELETE Object [];
    GetObjectAcl GET Object ["acl"];
    GetObjectAttributes GET Object ["attributes"];
    GetObjectLegalHold GET Object ["legal-hold"];
    GetObjectRetention GET Object ["retention"];
    GetObjectTagging GET Object ["tagging"];
    GetObjectTorrent GET Object ["torrent"];
    ListParts GET Object ["uploadId"];
    GetObject GET Object [];
    HeadObject HEAD Object [];
    CreateMultipartUpload POST Object ["uploads"];
    RestoreObject POST Object ["restore"];
    SelectObjectContent POST Object ["select"];
    CompleteMultipartUpload POST Object ["uploadId"];
    PutObjectAcl PUT Object ["acl"];
    PutObjectLegalHold PUT Object ["legal-hold"];
    PutObjectRetention PUT Object ["retention"];
    PutObjectTagging PUT Object ["tagging"];
    RenameObject PUT Object ["renameObject"];
    UpdateObjectEncryption PUT Object ["encryption"];
    UploadPartCopy PUT Object ["partNumber", "uploadId"] header "x-amz-copy-source";
    UploadPart PUT Object ["partNumber", "uploadId"];
    CopyObject PUT Object [] header "x-amz-copy-source";
    PutObject PUT Object [];
    PreflightObject OPTIONS Object [];
}

/// Query parameters that choose an operation: where no rule fits, they never fall through
/// to the operation without them.
pub(crate) const SUBRESOURCES: &[&str] = &[
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "append",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "quota",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "search",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploads",
    "versioning",
    "versions",
    "website",
];

/// Query parameters that say more about an operation without choosing it.
pub(crate) const PARAMETERS: &[&str] = &[
    "AWSAccessKeyId",
    "Expires",
    "Signature",
    "allow-unordered",
    "bucket-region",
    "bypass",
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "id",
    "key-marker",
    "list-type",
    "marker",
    "max-buckets",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "partNumber",
    "prefix",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "select-type",
    "start-after",
    "upload-id-marker",
    "uploadId",
    "version-id-marker",
    "versionId",
    "x-id",
];
