//! What decides access to a whole bucket: its policy, object ownership, public access block.

use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::Call;
use crate::xml::{Document, Element, malformed};
use http::StatusCode;
use sallyport_core::access::{Action, ObjectOwnership, Policy, PublicAccessBlock};
use sallyport_core::body::{self, Body};

/// A configuration's document, in bytes.
const MAX_DOCUMENT: u64 = 64 << 10;

/// GetBucketPolicy: the text as it was given.
pub(crate) async fn get(call: &Call) -> Result<Answer, S3Error> {
    let name = call.bucket()?;
    let Some(policy) = call.gateway.policy(&call.caller, &name).await? else {
        return Err(S3Error::new(Code::NoSuchBucketPolicy).with("BucketName", name.as_str()));
    };
    let mut answer = answer::empty(StatusCode::OK).map(|_| body::full(policy.text().to_owned()));
    answer::set(&mut answer, "content-type", "application/json");
    Ok(answer)
}

/// PutBucketPolicy.
pub(crate) async fn put(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let text = call.document(body, MAX_DOCUMENT).await?;
    let text = String::from_utf8(text.to_vec()).map_err(|_| {
        S3Error::because(Code::MalformedPolicy, "Policies must be valid JSON and the first byte must be '{'")
    })?;
    let policy = Policy::try_from(text).map_err(sallyport_core::Error::from)?;
    call.gateway.set_policy(&call.caller, &call.bucket()?, Some(policy)).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// DeleteBucketPolicy.
pub(crate) async fn delete(call: &Call) -> Result<Answer, S3Error> {
    call.gateway.set_policy(&call.caller, &call.bucket()?, None).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// GetBucketPolicyStatus.
pub(crate) async fn status(call: &Call) -> Result<Answer, S3Error> {
    let is_public = call.gateway.is_public(&call.caller, &call.bucket()?).await?;
    Ok(answer::xml(Document::s3("PolicyStatus", |root| root.text("IsPublic", is_public.to_string()))))
}

/// GetBucketOwnershipControls.
pub(crate) async fn ownership(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::GetBucketOwnershipControls).await?;
    let Some(ownership) = bucket.settings.ownership else {
        return Err(Code::OwnershipControlsNotFoundError.into());
    };
    Ok(answer::xml(Document::s3("OwnershipControls", |root| {
        root.nest("Rule", |rule| rule.text("ObjectOwnership", ownership.name()));
    })))
}

/// PutBucketOwnershipControls.
pub(crate) async fn set_ownership(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let ownership = parse_ownership(&call.document(body, MAX_DOCUMENT).await?)?;
    call.gateway.set_ownership(&call.caller, &call.bucket()?, Some(ownership)).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// DeleteBucketOwnershipControls.
pub(crate) async fn delete_ownership(call: &Call) -> Result<Answer, S3Error> {
    call.gateway.set_ownership(&call.caller, &call.bucket()?, None).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `x-amz-object-ownership` of a CreateBucket.
pub(crate) fn requested_ownership(call: &Call) -> Result<Option<ObjectOwnership>, S3Error> {
    let Some(name) = call.head.header("x-amz-object-ownership") else { return Ok(None) };
    let ownership = ObjectOwnership::parse(name);
    ownership
        .map(Some)
        .ok_or_else(|| S3Error::argument("x-amz-object-ownership", name, "Invalid x-amz-object-ownership header"))
}

/// GetPublicAccessBlock.
pub(crate) async fn public_access_block(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::GetBucketPublicAccessBlock).await?;
    let Some(block) = bucket.settings.public_access_block else {
        return Err(Code::NoSuchPublicAccessBlockConfiguration.into());
    };
    Ok(answer::xml(Document::s3("PublicAccessBlockConfiguration", |root| {
        root.text("BlockPublicAcls", block.block_public_acls.to_string());
        root.text("IgnorePublicAcls", block.ignore_public_acls.to_string());
        root.text("BlockPublicPolicy", block.block_public_policy.to_string());
        root.text("RestrictPublicBuckets", block.restrict_public_buckets.to_string());
    })))
}

/// PutPublicAccessBlock.
pub(crate) async fn set_public_access_block(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let block = parse_block(&call.document(body, MAX_DOCUMENT).await?)?;
    call.gateway.set_public_access_block(&call.caller, &call.bucket()?, Some(block)).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// DeletePublicAccessBlock.
pub(crate) async fn delete_public_access_block(call: &Call) -> Result<Answer, S3Error> {
    call.gateway.set_public_access_block(&call.caller, &call.bucket()?, None).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) fn parse_ownership(document: &[u8]) -> Result<ObjectOwnership, S3Error> {
    let root = Element::parse(document, "OwnershipControls")?;
    root.only(&["Rule"])?;
    let rule = root.optional("Rule")?.ok_or_else(malformed)?;
    rule.only(&["ObjectOwnership"])?;
    ObjectOwnership::parse(rule.required_text("ObjectOwnership")?.trim()).ok_or_else(malformed)
}

pub(crate) fn parse_block(document: &[u8]) -> Result<PublicAccessBlock, S3Error> {
    let root = Element::parse(document, "PublicAccessBlockConfiguration")?;
    root.only(&["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"])?;
    let flag = |name: &str| match root.optional_text(name)?.map(str::trim) {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(malformed()),
    };
    Ok(PublicAccessBlock {
        block_public_acls: flag("BlockPublicAcls")?,
        ignore_public_acls: flag("IgnorePublicAcls")?,
        block_public_policy: flag("BlockPublicPolicy")?,
        restrict_public_buckets: flag("RestrictPublicBuckets")?,
    })
}
