//! Copies: whole objects, and parts made from objects.

use crate::auth::Head;
use crate::dates;
use crate::error::{Code, S3Error};
use crate::ops::acl;
use crate::ops::answer::{self, Answer, quoted};
use crate::ops::call::{Call, bucket_name, object_key};
use crate::ops::encryption;
use crate::ops::headers::{self, ObjectHeaders};
use crate::ops::{lifecycle, multipart, objects, patience};
use crate::uri;
use crate::xml::Document;
use sallyport_core::names::{BucketName, VersionId};
use sallyport_core::{CopyObject, CopyOutcome, CopyPart, Source};
use std::sync::Arc;

/// CopyObject.
pub(crate) async fn object(call: &Call) -> Result<Answer, S3Error> {
    objects::refuse_queries(call)?;
    let source = source(call)?;
    let (bucket, key) = (call.bucket()?, call.key()?);
    let headers = ObjectHeaders::parse(&call.head)?;
    let replaces_metadata = replaces(call, "x-amz-metadata-directive")?;
    let replaces_tags = replaces(call, "x-amz-tagging-directive")?;
    let checksum = objects::checksum_algorithm(call)?;
    let in_place = source.bucket == bucket && source.key == key && source.version.is_none();
    let changes = replaces_metadata || replaces_tags || checksum.is_some() || changes_more(call);
    if in_place && !changes {
        let message = "This copy request is illegal because it is trying to copy an object to itself without changing \
                       the object's metadata, storage class, website redirect location or encryption attributes.";
        return Err(S3Error::because(Code::InvalidRequest, message));
    }
    let tags = headers.object.tags.clone();
    let request = CopyObject {
        caller: call.caller(),
        attributes: headers.attributes,
        acl: acl::from_headers(call)?,
        encryption: encryption::parameters(|name| call.head.header(name)),
        source,
        bucket,
        key,
        replace_metadata: replaces_metadata.then_some(headers.object),
        replace_tags: replaces_tags.then_some(tags),
        storage_class: headers.storage_class,
        // What is copied goes to the bucket's location, whatever the source's header was.
        location: headers.location.filter(|_| replaces_metadata),
        checksum,
        conditions: headers::write_conditions(&call.head)?,
    };
    let (gateway, head) = (Arc::clone(&call.gateway), Arc::clone(&call.head));
    patience::wait(call, async move {
        let outcome = gateway.copy_object(request).await?;
        let mut answer = result("CopyObjectResult", &outcome, &head);
        answer::set_version(&mut answer, outcome.put.version.as_ref());
        lifecycle::show(&mut answer, outcome.put.expiry.as_ref());
        Ok(answer)
    })
    .await
}

/// Whether a copy in place changes something beside metadata, tags and checksum.
fn changes_more(call: &Call) -> bool {
    ["x-amz-storage-class", "x-amz-website-redirect-location"].iter().any(|name| call.head.headers.contains_key(*name))
        || call.head.headers.keys().any(|name| name.as_str().starts_with("x-amz-server-side-encryption"))
}

/// UploadPartCopy.
pub(crate) async fn part(call: &Call) -> Result<Answer, S3Error> {
    let request = CopyPart {
        upload: multipart::upload(call)?,
        number: multipart::part_number(call)?,
        source: source(call)?,
        range: call.head.header("x-amz-copy-source-range").map(range).transpose()?,
        customer: encryption::customer(&call.head),
    };
    let (gateway, head) = (Arc::clone(&call.gateway), Arc::clone(&call.head));
    patience::wait(call, async move { Ok(result("CopyPartResult", &gateway.copy_part(request).await?, &head)) }).await
}

fn result(root: &str, outcome: &CopyOutcome, head: &Head) -> Answer {
    let document = Document::s3(root, |root| {
        root.text("LastModified", dates::document(outcome.put.last_modified));
        root.text("ETag", quoted(&outcome.put.etag));
        objects::checksums(root, &outcome.put.checksums);
    });
    let mut answer = answer::xml(document);
    encryption::show(&mut answer, outcome.put.encryption.as_ref(), head);
    if let Some(version) = &outcome.source_version {
        answer::set(&mut answer, "x-amz-copy-source-version-id", version.as_str());
    }
    answer
}

/// The bucket that a copy reads.
pub(crate) fn source_bucket(call: &Call) -> Result<BucketName, S3Error> {
    Ok(source(call)?.bucket)
}

fn source(call: &Call) -> Result<Source, S3Error> {
    let text = call.head.header("x-amz-copy-source").unwrap_or_default();
    let (bucket, key, version) = parse_source(text)?;
    Ok(Source {
        bucket: bucket_name(&bucket)?,
        key: object_key(&key)?,
        version: version.as_deref().map(VersionId::from_client),
        conditions: headers::read_conditions(&call.head, "x-amz-copy-source-"),
        customer: encryption::source_customer(&call.head),
    })
}

/// `/bucket/key?versionId=id`, percent-encoded but for the question mark.
fn parse_source(text: &str) -> Result<(String, String, Option<String>), S3Error> {
    let invalid = || {
        S3Error::argument(
            "x-amz-copy-source",
            text,
            "Invalid copy source: it has to be the percent-encoded /bucket/key, perhaps with ?versionId=",
        )
    };
    let (path, version) = match text.rsplit_once("?versionId=") {
        Some((path, version)) => (path, Some(uri::decode(version)?).filter(|version| !version.is_empty())),
        None => (text, None),
    };
    let path = uri::decode(path)?;
    let (bucket, key) = path.strip_prefix('/').unwrap_or(&path).split_once('/').ok_or_else(invalid)?;
    if bucket.is_empty() || key.is_empty() {
        return Err(invalid());
    }
    Ok((bucket.to_owned(), key.to_owned(), version))
}

fn replaces(call: &Call, directive: &'static str) -> Result<bool, S3Error> {
    match call.head.header(directive) {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(S3Error::argument(directive, other, format!("Unknown {directive}."))),
    }
}

/// `bytes=first-last`; unlike a read's range it has both ends.
pub(crate) fn range(text: &str) -> Result<(u64, u64), S3Error> {
    let parsed = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let parsed = parsed.and_then(|(first, last)| Some((headers::position(first)?, headers::position(last)?)));
    parsed.filter(|(first, last): &(u64, u64)| first <= last).ok_or_else(|| {
        let message = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last \
                       are the zero-based offsets of the first and last bytes to copy";
        S3Error::argument("x-amz-copy-source-range", text, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_with_every_key() {
        let read = |text| parse_source(text).map(|(bucket, key, version)| (bucket, key, version.unwrap_or_default()));
        let parts = |bucket: &str, key: &str, version: &str| Ok((bucket.into(), key.into(), version.into()));
        assert_eq!(read("/b/k"), parts("b", "k", ""));
        assert_eq!(read("b/a%3Fb%2Bc%20%C3%A4/d?versionId=v1"), parts("b", "a?b+c ä/d", "v1"));
        assert_eq!(read("b/a+b"), parts("b", "a+b", ""));
        assert_eq!(read("%2Fb%2Fk"), parts("b", "k", ""));
        for text in ["", "b", "/b/", "//k"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_copied_range_has_both_ends() {
        assert_eq!(range("bytes=0-9"), Ok((0, 9)));
        for text in ["bytes=0-", "bytes=-9", "bytes=9-0", "0-9", "bytes=0-9,10-11", "bytes=+0-9"] {
            assert!(range(text).is_err(), "{text}");
        }
    }
}
