//! The operations: each reads its request, asks the gateway, and words the answer.

pub(crate) mod acl;
pub(crate) mod answer;
pub(crate) mod billing;
mod bucket_tags;
pub(crate) mod buckets;
pub(crate) mod call;
pub(crate) mod copy;
pub(crate) mod cors;
pub(crate) mod delete_objects;
pub(crate) mod encryption;
pub(crate) mod headers;
pub(crate) mod inventory;
pub(crate) mod lifecycle;
mod list;
pub(crate) mod logging;
pub(crate) mod multipart;
mod notification;
pub(crate) mod object_lock;
mod objects;
mod patience;
pub(crate) mod policy;
mod post;
mod probes;
mod quota;
pub(crate) mod tags;
pub(crate) mod website;

use crate::error::S3Error;
use crate::router::Operation;
use answer::Answer;
use call::Call;
use sallyport_core::body::Body;

/// Runs an operation. What is not there yet says so under its own name.
pub(crate) async fn run(call: &Call, operation: Operation, body: Body) -> Result<Answer, S3Error> {
    check_owners(call).await?;
    match operation {
        Operation::ListBuckets => buckets::list(call).await,
        Operation::CreateBucket => buckets::create(call, body).await,
        Operation::HeadBucket => buckets::head(call).await,
        Operation::DeleteBucket => buckets::delete(call).await,
        Operation::GetBucketLocation => buckets::location(call).await,
        Operation::GetBucketVersioning => buckets::versioning(call).await,
        Operation::PutBucketVersioning => buckets::set_versioning(call, body).await,
        Operation::GetBucketCors => cors::get(call).await,
        Operation::PutBucketCors => cors::put(call, body).await,
        Operation::DeleteBucketCors => cors::delete(call).await,
        Operation::GetBucketTagging => bucket_tags::get(call).await,
        Operation::PutBucketTagging => bucket_tags::put(call, body).await,
        Operation::DeleteBucketTagging => bucket_tags::delete(call).await,
        Operation::GetBucketRequestPayment => billing::payer(call).await,
        Operation::PutBucketRequestPayment => billing::set_payer(call, body).await,
        Operation::GetBucketAccelerateConfiguration => billing::acceleration(call).await,
        Operation::PutBucketAccelerateConfiguration => billing::set_acceleration(call, body).await,
        Operation::GetBucketEncryption => encryption::get_bucket(call).await,
        Operation::PutBucketEncryption => encryption::put_bucket(call, body).await,
        Operation::DeleteBucketEncryption => encryption::delete_bucket(call).await,
        Operation::GetBucketLogging => logging::get(call).await,
        Operation::PutBucketLogging => logging::put(call, body).await,
        Operation::GetBucketNotificationConfiguration => notification::get(call).await,
        Operation::PutBucketNotificationConfiguration => notification::put(call, body).await,
        Operation::GetBucketWebsite => website::get(call).await,
        Operation::PutBucketWebsite => website::put(call, body).await,
        Operation::DeleteBucketWebsite => website::delete(call).await,
        Operation::ListObjects => list::version1(call).await,
        Operation::ListObjectsV2 => list::version2(call).await,
        Operation::ListObjectVersions => list::versions(call).await,
        Operation::PutObject => objects::put(call, body).await,
        Operation::GetObject => objects::get(call).await,
        Operation::HeadObject => objects::head(call).await,
        Operation::DeleteObject => objects::delete(call).await,
        Operation::GetObjectAttributes => objects::attributes(call).await,
        Operation::PostObject => post::run(call, body).await,
        Operation::DeleteObjects => delete_objects::run(call, body).await,
        Operation::CopyObject => copy::object(call).await,
        Operation::GetObjectTagging => tags::get(call).await,
        Operation::PutObjectTagging => tags::put(call, body).await,
        Operation::DeleteObjectTagging => tags::delete(call).await,
        Operation::GetBucketLifecycleConfiguration => lifecycle::get(call).await,
        Operation::PutBucketLifecycleConfiguration => lifecycle::put(call, body).await,
        Operation::DeleteBucketLifecycle => lifecycle::delete(call).await,
        Operation::GetBucketInventoryConfiguration => inventory::get(call).await,
        Operation::ListBucketInventoryConfigurations => inventory::list(call).await,
        Operation::PutBucketInventoryConfiguration => inventory::put(call, body).await,
        Operation::DeleteBucketInventoryConfiguration => inventory::delete(call).await,
        Operation::GetBucketQuota => quota::get(call).await,
        Operation::PutBucketQuota => quota::put(call, body).await,
        Operation::DeleteBucketQuota => quota::delete(call).await,
        Operation::GetObjectLockConfiguration => object_lock::configuration(call).await,
        Operation::PutObjectLockConfiguration => object_lock::configure(call, body).await,
        Operation::GetObjectRetention => object_lock::retention(call).await,
        Operation::PutObjectRetention => object_lock::retain(call, body).await,
        Operation::GetObjectLegalHold => object_lock::legal_hold(call).await,
        Operation::PutObjectLegalHold => object_lock::hold(call, body).await,
        Operation::CreateMultipartUpload => multipart::create(call).await,
        Operation::UploadPart => multipart::put_part(call, body).await,
        Operation::UploadPartCopy => copy::part(call).await,
        Operation::CompleteMultipartUpload => multipart::complete(call, body).await,
        Operation::AbortMultipartUpload => multipart::abort(call).await,
        Operation::ListParts => multipart::list_parts(call).await,
        Operation::ListMultipartUploads => multipart::list_uploads(call).await,
        Operation::GetBucketAcl => acl::bucket(call).await,
        Operation::PutBucketAcl => acl::set_bucket(call, body).await,
        Operation::GetObjectAcl => acl::object(call).await,
        Operation::PutObjectAcl => acl::set_object(call, body).await,
        Operation::GetBucketPolicy => policy::get(call).await,
        Operation::PutBucketPolicy => policy::put(call, body).await,
        Operation::DeleteBucketPolicy => policy::delete(call).await,
        Operation::GetBucketPolicyStatus => policy::status(call).await,
        Operation::GetBucketOwnershipControls => policy::ownership(call).await,
        Operation::PutBucketOwnershipControls => policy::set_ownership(call, body).await,
        Operation::DeleteBucketOwnershipControls => policy::delete_ownership(call).await,
        Operation::GetPublicAccessBlock => policy::public_access_block(call).await,
        Operation::PutPublicAccessBlock => policy::set_public_access_block(call, body).await,
        Operation::DeletePublicAccessBlock => policy::delete_public_access_block(call).await,
        other => match probes::answer(call, other).await? {
            Some(answer) => Ok(answer),
            None => Err(S3Error::not_implemented(other.name())),
        },
    }
}

/// What a client expects of who owns the buckets that it names.
async fn check_owners(call: &Call) -> Result<(), S3Error> {
    if call.bucket.is_some() {
        call.check_owner("x-amz-expected-bucket-owner", &call.bucket()?).await?;
    }
    if call.head.headers.contains_key("x-amz-source-expected-bucket-owner") {
        call.check_owner("x-amz-source-expected-bucket-owner", &copy::source_bucket(call)?).await?;
    }
    Ok(())
}
