//! The operations: each reads its request, asks the gateway, and words the answer.

pub(crate) mod answer;
mod buckets;
pub(crate) mod call;
mod copy;
mod delete_objects;
pub(crate) mod headers;
mod list;
mod multipart;
mod objects;
mod patience;
mod probes;
mod tags;

use crate::error::S3Error;
use crate::router::Operation;
use answer::Answer;
use call::Call;
use sallyport_core::body::Body;

/// Runs an operation. What is not there yet says so under its own name.
pub(crate) async fn run(call: &Call, operation: Operation, body: Body) -> Result<Answer, S3Error> {
    match operation {
        Operation::ListBuckets => buckets::list(call).await,
        Operation::CreateBucket => buckets::create(call, body).await,
        Operation::HeadBucket => buckets::head(call).await,
        Operation::DeleteBucket => buckets::delete(call).await,
        Operation::GetBucketLocation => buckets::location(call).await,
        Operation::GetBucketVersioning => buckets::versioning(call).await,
        Operation::PutBucketVersioning => buckets::set_versioning(call, body).await,
        Operation::ListObjects => list::version1(call).await,
        Operation::ListObjectsV2 => list::version2(call).await,
        Operation::ListObjectVersions => list::versions(call).await,
        Operation::PutObject => objects::put(call, body).await,
        Operation::GetObject => objects::get(call).await,
        Operation::HeadObject => objects::head(call).await,
        Operation::DeleteObject => objects::delete(call).await,
        Operation::GetObjectAttributes => objects::attributes(call).await,
        Operation::DeleteObjects => delete_objects::run(call, body).await,
        Operation::CopyObject => copy::object(call).await,
        Operation::GetObjectTagging => tags::get(call).await,
        Operation::PutObjectTagging => tags::put(call, body).await,
        Operation::DeleteObjectTagging => tags::delete(call).await,
        Operation::CreateMultipartUpload => multipart::create(call).await,
        Operation::UploadPart => multipart::put_part(call, body).await,
        Operation::UploadPartCopy => copy::part(call).await,
        Operation::CompleteMultipartUpload => multipart::complete(call, body).await,
        Operation::AbortMultipartUpload => multipart::abort(call).await,
        Operation::ListParts => multipart::list_parts(call).await,
        Operation::ListMultipartUploads => multipart::list_uploads(call).await,
        other => match probes::answer(call, other).await? {
            Some(answer) => Ok(answer),
            None => Err(S3Error::not_implemented(other.name())),
        },
    }
}
