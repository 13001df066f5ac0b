//! Subresources that are never configured here: they read as those of a new bucket.

use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::Call;
use crate::router::Operation;
use crate::xml::Document;
use http::StatusCode;
use sallyport_core::{GetObject, ReadConditions};

/// Answers for what is not configured; `None` when the operation is no such probe.
pub(crate) async fn answer(call: &Call, operation: Operation) -> Result<Option<Answer>, S3Error> {
    let Some(reading) = reading(operation) else { return Ok(None) };
    match reading {
        Reading::ObjectAcl | Reading::ObjectLockOfObject => require_object(call).await?,
        _ => {
            call.gateway.bucket(&call.caller(), &call.bucket()?).await?;
        }
    }
    Ok(Some(match reading {
        Reading::Absent(code) => return Err(code.into()),
        Reading::Empty(root) => answer::xml(Document::s3(root, |_| {})),
        Reading::EmptyList(root) => answer::xml(Document::s3(root, |element| element.text("IsTruncated", "false"))),
        Reading::Acl | Reading::ObjectAcl => acl(call),
        Reading::ObjectLockOfObject => {
            let message = "Bucket is missing Object Lock Configuration";
            return Err(S3Error::because(Code::InvalidRequest, message));
        }
        Reading::Payer => {
            answer::xml(Document::s3("RequestPaymentConfiguration", |root| root.text("Payer", "BucketOwner")))
        }
        Reading::Ownership => answer::xml(Document::s3("OwnershipControls", |root| {
            root.nest("Rule", |rule| rule.text("ObjectOwnership", "BucketOwnerEnforced"));
        })),
        Reading::PublicAccess => answer::xml(Document::s3("PublicAccessBlockConfiguration", |root| {
            for name in ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"] {
                root.text(name, "true");
            }
        })),
        Reading::NothingToDelete => answer::empty(StatusCode::NO_CONTENT),
        Reading::PrivateAcl if call.head.header("x-amz-acl").is_some() => answer::empty(StatusCode::OK),
        Reading::PrivateAcl => return Err(S3Error::not_implemented(operation.name())),
    }))
}

#[derive(Clone, Copy)]
enum Reading {
    Absent(Code),
    Empty(&'static str),
    EmptyList(&'static str),
    Acl,
    ObjectAcl,
    ObjectLockOfObject,
    Payer,
    Ownership,
    PublicAccess,
    /// Deleting what is not there succeeds.
    NothingToDelete,
    /// A canned ACL that says what holds anyway; others are refused before.
    PrivateAcl,
}

fn reading(operation: Operation) -> Option<Reading> {
    Some(match operation {
        Operation::GetBucketAcl => Reading::Acl,
        Operation::GetObjectAcl => Reading::ObjectAcl,
        Operation::PutBucketAcl | Operation::PutObjectAcl => Reading::PrivateAcl,
        Operation::GetBucketPolicy | Operation::GetBucketPolicyStatus => Reading::Absent(Code::NoSuchBucketPolicy),
        Operation::GetBucketCors => Reading::Absent(Code::NoSuchCORSConfiguration),
        Operation::GetBucketLifecycleConfiguration => Reading::Absent(Code::NoSuchLifecycleConfiguration),
        Operation::GetBucketEncryption => Reading::Absent(Code::ServerSideEncryptionConfigurationNotFoundError),
        Operation::GetObjectLockConfiguration => Reading::Absent(Code::ObjectLockConfigurationNotFoundError),
        Operation::GetBucketTagging => Reading::Absent(Code::NoSuchTagSet),
        Operation::GetBucketWebsite => Reading::Absent(Code::NoSuchWebsiteConfiguration),
        Operation::GetBucketReplication => Reading::Absent(Code::ReplicationConfigurationNotFoundError),
        Operation::GetBucketAnalyticsConfiguration
        | Operation::GetBucketIntelligentTieringConfiguration
        | Operation::GetBucketInventoryConfiguration
        | Operation::GetBucketMetricsConfiguration => Reading::Absent(Code::NoSuchConfiguration),
        Operation::GetBucketNotificationConfiguration => Reading::Empty("NotificationConfiguration"),
        Operation::GetBucketLogging => Reading::Empty("BucketLoggingStatus"),
        Operation::GetBucketAccelerateConfiguration => Reading::Empty("AccelerateConfiguration"),
        Operation::ListBucketAnalyticsConfigurations => Reading::EmptyList("ListBucketAnalyticsConfigurationResult"),
        Operation::ListBucketIntelligentTieringConfigurations => {
            Reading::EmptyList("ListBucketIntelligentTieringConfigurationsOutput")
        }
        Operation::ListBucketInventoryConfigurations => Reading::EmptyList("ListInventoryConfigurationsResult"),
        Operation::ListBucketMetricsConfigurations => Reading::EmptyList("ListMetricsConfigurationsResult"),
        Operation::GetBucketRequestPayment => Reading::Payer,
        Operation::GetBucketOwnershipControls => Reading::Ownership,
        Operation::GetPublicAccessBlock => Reading::PublicAccess,
        Operation::GetObjectLegalHold | Operation::GetObjectRetention => Reading::ObjectLockOfObject,
        Operation::DeleteBucketCors
        | Operation::DeleteBucketLifecycle
        | Operation::DeleteBucketPolicy
        | Operation::DeleteBucketReplication
        | Operation::DeleteBucketTagging
        | Operation::DeleteBucketWebsite => Reading::NothingToDelete,
        _ => return None,
    })
}

async fn require_object(call: &Call) -> Result<(), S3Error> {
    let request = GetObject {
        caller: call.caller(),
        bucket: call.bucket()?,
        key: call.key()?,
        version: call.version()?,
        range: None,
        part: None,
        conditions: ReadConditions::default(),
    };
    call.gateway.head_object(&request).await?;
    Ok(())
}

/// The owner may do everything, and nobody else anything.
fn acl(call: &Call) -> Answer {
    let identity = &call.identity;
    let person = |element: &mut Document| {
        element.text("ID", identity.account.as_str());
        element.text("DisplayName", &identity.display_name);
    };
    answer::xml(Document::s3("AccessControlPolicy", |root| {
        root.nest("Owner", person);
        root.nest("AccessControlList", |list| {
            list.nest("Grant", |grant| {
                grant.typed("Grantee", "CanonicalUser", person);
                grant.text("Permission", "FULL_CONTROL");
            });
        });
    }))
}
