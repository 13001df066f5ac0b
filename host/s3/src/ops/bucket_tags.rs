//! Tags of buckets.

use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::Call;
use crate::ops::tags::{self, Tags};
use http::StatusCode;
use sallyport_core::access::Action;
use sallyport_core::body::Body;

/// As many as AWS allows a bucket.
pub(crate) const MAX_TAGS: usize = 50;
/// A document of tags, in bytes.
const MAX_DOCUMENT: u64 = 256 << 10;

/// PutBucketTagging.
pub(crate) async fn put(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let tags = tags::parse_document(&call.configuration(body, MAX_DOCUMENT).await?, MAX_TAGS)?;
    replace(call, tags).await
}

/// GetBucketTagging.
pub(crate) async fn get(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::GetBucketTagging).await?;
    if bucket.settings.tags.is_empty() {
        return Err(S3Error::new(Code::NoSuchTagSet).with("BucketName", bucket.name.as_str()));
    }
    Ok(answer::xml(tags::document(&bucket.settings.tags)))
}

/// DeleteBucketTagging.
pub(crate) async fn delete(call: &Call) -> Result<Answer, S3Error> {
    replace(call, Vec::new()).await
}

async fn replace(call: &Call, tags: Tags) -> Result<Answer, S3Error> {
    let change = move |settings: &mut sallyport_core::metadata::BucketSettings| settings.tags = tags;
    call.gateway.configure(&call.caller, Action::PutBucketTagging, &call.bucket()?, change).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
