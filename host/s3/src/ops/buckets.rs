//! Buckets: list, create, head, delete, location, versioning.

use crate::dates;
use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::bucket_tags;
use crate::ops::call::Call;
use crate::ops::tags::{self, Tags};
use crate::ops::{acl, object_lock, policy};
use crate::xml::{Document, Element, malformed};
use http::StatusCode;
use sallyport_core::CreateBucket;
use sallyport_core::access::Action;
use sallyport_core::body::Body;
use sallyport_core::metadata::{Bucket, BucketSettings, Versioning};

/// A bucket's configuration document, in bytes.
const MAX_DOCUMENT: u64 = 64 << 10;
/// The location that S3 does not name.
const NAMELESS: &str = "us-east-1";

/// ListBuckets.
pub(crate) async fn list(call: &Call) -> Result<Answer, S3Error> {
    call.require_signature()?;
    let limit = match call.number("max-buckets")? {
        Some(limit @ 1..=10_000) => limit as usize,
        None => 10_000,
        Some(other) => {
            let message = "Argument max-buckets must be an integer between 1 and 10000";
            return Err(S3Error::argument("max-buckets", &other.to_string(), message));
        }
    };
    let prefix = call.head.query.value("prefix").unwrap_or_default();
    let region = call.head.query.value("bucket-region");
    let mut after = call.head.query.value("continuation-token").map(str::to_owned);
    let mut found: Vec<Bucket> = Vec::new();
    loop {
        let page = call.gateway.list_buckets(&call.caller(), after.as_deref(), 1000).await?;
        let more = page.len() == 1000;
        after = page.last().map(|bucket| bucket.name.as_str().to_owned());
        let fits = |bucket: &Bucket| {
            bucket.name.as_str().starts_with(prefix) && region.is_none_or(|region| bucket.location.as_str() == region)
        };
        found.extend(page.into_iter().filter(fits));
        if !more || found.len() > limit {
            break;
        }
    }
    let token = (found.len() > limit).then(|| found.get(limit - 1).map(|bucket| bucket.name.clone())).flatten();
    let document = Document::s3("ListAllMyBucketsResult", |root| {
        root.nest("Owner", |owner| {
            owner.text("ID", call.identity.account.as_str());
            owner.text("DisplayName", &call.identity.display_name);
        });
        root.nest("Buckets", |buckets| {
            for bucket in found.iter().take(limit) {
                buckets.nest("Bucket", |element| {
                    element.text("Name", bucket.name.as_str());
                    element.text("CreationDate", dates::document(bucket.created));
                    element.text("BucketRegion", bucket.location.as_str());
                });
            }
        });
        if let Some(token) = &token {
            root.text("ContinuationToken", token.as_str());
        }
        if !prefix.is_empty() {
            root.text("Prefix", prefix);
        }
    });
    Ok(answer::xml(document))
}

/// CreateBucket.
pub(crate) async fn create(call: &Call, body: Body) -> Result<Answer, S3Error> {
    call.require_signature()?;
    let name = call.bucket()?;
    let document = call.document(body, MAX_DOCUMENT).await?;
    let (location, tags) = if document.is_empty() { (None, Vec::new()) } else { creation(&document)? };
    let location = location.unwrap_or_else(|| call.default_location.clone());
    let settings = BucketSettings {
        ownership: policy::requested_ownership(call)?,
        tags,
        object_lock: object_lock::of_new_bucket(&call.head),
        ..BucketSettings::default()
    };
    let acl = acl::from_headers(call)?;
    let request = CreateBucket { caller: call.caller(), bucket: name.clone(), location, acl, settings };
    let created = call.gateway.create_bucket(request).await?;
    let mut answer = answer::empty(StatusCode::OK);
    answer::set(&mut answer, "location", format!("/{name}"));
    if let Some(warning) = created.warning {
        answer::set(&mut answer, "x-sallyport-warning", warning);
    }
    Ok(answer)
}

/// The location and the tags of a new bucket.
pub(crate) fn creation(document: &[u8]) -> Result<(Option<String>, Tags), S3Error> {
    let root = Element::parse(document, "CreateBucketConfiguration")?;
    root.only(&["LocationConstraint", "Location", "Bucket", "Tags"])?;
    for name in ["Location", "Bucket"] {
        if root.optional(name)?.is_some() {
            return Err(S3Error::not_implemented(format!("{name} in CreateBucketConfiguration")));
        }
    }
    let tags = match root.optional("Tags")? {
        Some(set) => {
            set.only(&["Tag"])?;
            tags::parse_set(set, bucket_tags::MAX_TAGS)?
        }
        None => Vec::new(),
    };
    let Some(constraint) = root.optional_text("LocationConstraint")?.map(str::trim) else {
        return Ok((None, tags));
    };
    match constraint.split_once(':') {
        Some((_, suffix)) => Err(S3Error::not_implemented(format!("The suffix :{suffix} of a location"))),
        None if constraint.is_empty() => Err(malformed()),
        None => Ok((Some(constraint.to_owned()), tags)),
    }
}

/// HeadBucket.
pub(crate) async fn head(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::ListBucket).await?;
    let mut answer = answer::empty(StatusCode::OK);
    answer::set(&mut answer, "x-amz-bucket-region", bucket.location.as_str());
    answer::set(&mut answer, "x-amz-access-point-alias", "false");
    Ok(answer)
}

/// DeleteBucket.
pub(crate) async fn delete(call: &Call) -> Result<Answer, S3Error> {
    call.gateway.delete_bucket(&call.caller(), &call.bucket()?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// GetBucketLocation.
pub(crate) async fn location(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::GetBucketLocation).await?;
    let name = bucket.location.as_str();
    let shown = if name == NAMELESS { "" } else { name };
    Ok(answer::xml(Document::s3_text("LocationConstraint", shown)))
}

/// GetBucketVersioning.
pub(crate) async fn versioning(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::GetBucketVersioning).await?;
    let document = Document::s3("VersioningConfiguration", |root| match bucket.versioning {
        Versioning::Off => {}
        Versioning::Enabled => root.text("Status", "Enabled"),
        Versioning::Suspended => root.text("Status", "Suspended"),
    });
    Ok(answer::xml(document))
}

/// PutBucketVersioning.
pub(crate) async fn set_versioning(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let name = call.bucket()?;
    let versioning = parse_versioning(&call.document(body, MAX_DOCUMENT).await?)?;
    call.gateway.set_versioning(&call.caller(), &name, versioning).await?;
    Ok(answer::empty(StatusCode::OK))
}

pub(crate) fn parse_versioning(document: &[u8]) -> Result<Versioning, S3Error> {
    let root = Element::parse(document, "VersioningConfiguration")?;
    root.only(&["Status", "MfaDelete"])?;
    if root.optional_text("MfaDelete")? == Some("Enabled") {
        return Err(S3Error::not_implemented("MFA delete"));
    }
    match root.optional_text("Status")? {
        Some("Enabled") => Ok(Versioning::Enabled),
        Some("Suspended") => Ok(Versioning::Suspended),
        Some(_) => Err(malformed()),
        None => Err(Code::IllegalVersioningConfigurationException.into()),
    }
}
