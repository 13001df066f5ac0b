//! What headers say of an object, and which of them are not honoured.

use crate::auth::{Head, Identity};
use crate::dates;
use crate::error::{Code, S3Error};
use crate::ops::tags;
use sallyport_core::backend::{LOCATION_METADATA, Projection};
use sallyport_core::metadata::{EtagCondition, WriteConditions};
use sallyport_core::{ByteRange, ReadConditions};

/// Content headers that are stored and given back.
pub(crate) const CONTENT: &[&str] =
    &["content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires"];
/// Prefix of user metadata.
pub(crate) const METADATA: &str = "x-amz-meta-";
/// All user metadata together, names and values, in bytes.
const MAX_METADATA: usize = 2048;
/// Headers whose meaning is not there yet.
const UNHONOURED: &[&str] =
    &["x-amz-mfa", "x-amz-website-redirect-location", "x-amz-write-offset-bytes", "x-scal-s3-version-id"];
const UNHONOURED_PREFIXES: &[&str] =
    &["x-amz-server-side-encryption", "x-amz-copy-source-server-side-encryption", "x-amz-grant-", "x-amz-object-lock-"];

/// What a write stores beside the bytes.
pub(crate) struct ObjectHeaders {
    pub(crate) object: Projection,
    pub(crate) storage_class: String,
    pub(crate) location: Option<String>,
}

impl ObjectHeaders {
    pub(crate) fn parse(head: &Head) -> Result<Self, S3Error> {
        let mut content = Vec::new();
        for name in CONTENT {
            let Some(mut value) = head.joined(name) else { continue };
            if *name == "content-encoding" {
                // aws-chunked is how the body travelled, not what it is.
                let codings: Vec<&str> =
                    value.split(',').map(str::trim).filter(|coding| !matches!(*coding, "aws-chunked" | "")).collect();
                value = codings.join(",");
            }
            if !value.is_empty() {
                content.push(((*name).to_owned(), value));
            }
        }
        let tags = head.header("x-amz-tagging").map(tags::parse_header).transpose()?.unwrap_or_default();
        let metadata = metadata(head)?;
        let location = metadata.iter().find(|(name, _)| name == LOCATION_METADATA).map(|(_, value)| value.clone());
        Ok(Self { object: Projection { content, metadata, tags }, storage_class: storage_class(head)?, location })
    }
}

fn metadata(head: &Head) -> Result<Vec<(String, String)>, S3Error> {
    let mut metadata = Vec::new();
    let mut size = 0;
    for name in head.headers.keys().map(http::HeaderName::as_str) {
        let Some(short) = name.strip_prefix(METADATA) else { continue };
        let value = head.joined(name).unwrap_or_default();
        if short == LOCATION_METADATA && value.is_empty() {
            continue;
        }
        size += short.len() + value.len();
        metadata.push((short.to_owned(), value));
    }
    if size > MAX_METADATA {
        return Err(S3Error::new(Code::MetadataTooLarge)
            .with("Size", size.to_string())
            .with("MaxSizeAllowed", MAX_METADATA.to_string()));
    }
    Ok(metadata)
}

/// The one class that there is.
pub(crate) fn storage_class(head: &Head) -> Result<String, S3Error> {
    match head.header("x-amz-storage-class") {
        None | Some("STANDARD") => Ok("STANDARD".to_owned()),
        Some(_) => Err(Code::InvalidStorageClass.into()),
    }
}

/// Refuses what would be promised and not kept.
pub(crate) fn refuse_unhonoured(head: &Head, identity: &Identity) -> Result<(), S3Error> {
    for name in head.headers.keys().map(http::HeaderName::as_str) {
        if UNHONOURED.contains(&name) || UNHONOURED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            return Err(S3Error::not_implemented(format!("The header {name}")).with("Header", name));
        }
    }
    match head.header("x-amz-acl") {
        // Everything belongs to the one account that reaches it, so these say the same.
        None | Some("private" | "bucket-owner-read" | "bucket-owner-full-control") => {}
        Some(
            acl @ ("public-read" | "public-read-write" | "authenticated-read" | "aws-exec-read" | "log-delivery-write"),
        ) => {
            return Err(S3Error::not_implemented(format!("The canned ACL {acl}")).with("Header", "x-amz-acl"));
        }
        Some(other) => return Err(S3Error::argument("x-amz-acl", other, "")),
    }
    if head.header("x-amz-bucket-object-lock-enabled").is_some_and(|value| !value.eq_ignore_ascii_case("false")) {
        return Err(S3Error::not_implemented("Object lock").with("Header", "x-amz-bucket-object-lock-enabled"));
    }
    if head.header("x-amz-object-ownership").is_some_and(|value| value != "BucketOwnerEnforced") {
        return Err(S3Error::not_implemented("Object ownership").with("Header", "x-amz-object-ownership"));
    }
    for name in ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"] {
        // A bucket's owner is who gets in; AWS's tools name accounts by their twelve digits.
        let is_own = |owner: &str| owner == identity.account.as_str() || owner == identity.short_id;
        if head.header(name).is_some_and(|owner| !is_own(owner)) {
            return Err(Code::AccessDenied.into());
        }
    }
    Ok(())
}

/// `If-Match`, `If-None-Match` and dates, under these names.
pub(crate) fn read_conditions(head: &Head, prefix: &str) -> ReadConditions {
    let header = |name: &str| head.header(&format!("{prefix}{name}"));
    ReadConditions {
        if_match: header("if-match").map(etags),
        if_none_match: header("if-none-match").map(etags),
        if_modified_since: header("if-modified-since").and_then(dates::parse_header),
        if_unmodified_since: header("if-unmodified-since").and_then(dates::parse_header),
    }
}

/// Conditions of writes and deletions.
pub(crate) fn write_conditions(head: &Head) -> Result<WriteConditions, S3Error> {
    let size = head.header("x-amz-if-match-size").map(|text| {
        text.parse().map_err(|_| S3Error::argument("x-amz-if-match-size", text, "The size is not a number"))
    });
    Ok(WriteConditions {
        if_match: head.header("if-match").map(etags),
        if_none_match: head.header("if-none-match").map(etags),
        if_last_modified: head.header("x-amz-if-match-last-modified-time").and_then(dates::parse_header),
        if_size: size.transpose()?,
    })
}

/// A list of ETags, quoted or not.
pub(crate) fn etags(text: &str) -> EtagCondition {
    if text.trim() == "*" {
        return EtagCondition::Any;
    }
    EtagCondition::OneOf(text.split(',').map(etag).collect())
}

/// An ETag without quotes and weakness.
pub(crate) fn etag(text: &str) -> String {
    let text = text.trim();
    text.strip_prefix("W/").unwrap_or(text).trim_matches('"').to_owned()
}

/// A `Range` of one range; every other form asks for the whole object, as HTTP has it.
pub(crate) fn range(text: &str) -> Option<ByteRange> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.trim().split_once('-')?;
    match (first.trim(), last.trim()) {
        ("", length) => length.parse().ok().map(ByteRange::Last),
        (first, "") => first.parse().ok().map(ByteRange::From),
        (first, last) => {
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then_some(ByteRange::FromTo(first, last))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_one_range_are_read() {
        assert_eq!(range("bytes=0-0"), Some(ByteRange::FromTo(0, 0)));
        assert_eq!(range("bytes=5-"), Some(ByteRange::From(5)));
        assert_eq!(range("bytes=-5"), Some(ByteRange::Last(5)));
        for other in ["bytes=5-2", "bytes=0-1,3-4", "items=0-1", "bytes=", "bytes=-", "bytes=a-b"] {
            assert_eq!(range(other), None, "{other}");
        }
    }

    fn head(headers: &[(&str, &str)]) -> Head {
        let mut request = http::Request::builder().uri("/b/k").header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Head::parse(&request.body(()).expect("legal").into_parts().0).expect("legal")
    }

    fn me() -> Identity {
        Identity {
            account: sallyport_core::names::AccountId::new("me"),
            short_id: "123456789012".into(),
            display_name: "Me".into(),
            payload: None,
            seed: None,
        }
    }

    #[test]
    fn what_is_not_honoured_is_refused_by_name() {
        for (name, value, code) in [
            ("x-amz-server-side-encryption", "AES256", Code::NotImplemented),
            ("x-amz-server-side-encryption-customer-key", "k", Code::NotImplemented),
            ("x-amz-object-lock-mode", "GOVERNANCE", Code::NotImplemented),
            ("x-amz-grant-read", "id=1", Code::NotImplemented),
            ("x-amz-acl", "public-read", Code::NotImplemented),
            ("x-amz-acl", "nonsense", Code::InvalidArgument),
            ("x-amz-bucket-object-lock-enabled", "true", Code::NotImplemented),
            ("x-amz-expected-bucket-owner", "other", Code::AccessDenied),
            ("x-amz-source-expected-bucket-owner", "123456789013", Code::AccessDenied),
        ] {
            assert_eq!(refuse_unhonoured(&head(&[(name, value)]), &me()).expect_err(name).code, code, "{name}");
        }
        for (name, value) in [
            ("x-amz-acl", "private"),
            ("x-amz-expected-bucket-owner", "me"),
            ("x-amz-expected-bucket-owner", "123456789012"),
        ] {
            assert_eq!(refuse_unhonoured(&head(&[(name, value)]), &me()), Ok(()), "{name}");
        }
    }

    #[test]
    fn an_objects_headers_are_taken_apart() {
        let headers = ObjectHeaders::parse(&head(&[
            ("content-encoding", "aws-chunked,gzip"),
            ("x-amz-meta-a", "1"),
            ("x-amz-meta-scal-location-constraint", "aws-test"),
        ]))
        .expect("legal");
        assert_eq!(headers.object.content, [("content-encoding".to_owned(), "gzip".to_owned())]);
        let location = ("scal-location-constraint".to_owned(), "aws-test".to_owned());
        assert_eq!(headers.object.metadata, [("a".to_owned(), "1".to_owned()), location]);
        assert_eq!(headers.location.as_deref(), Some("aws-test"));
        let large = "x".repeat(2048);
        let error = ObjectHeaders::parse(&head(&[("x-amz-meta-a", &large)])).err().expect("too large");
        assert_eq!(error.code, Code::MetadataTooLarge);
        let error = ObjectHeaders::parse(&head(&[("x-amz-storage-class", "GLACIER")])).err().expect("refused");
        assert_eq!(error.code, Code::InvalidStorageClass);
    }

    #[test]
    fn etags_lose_quotes_and_weakness() {
        assert_eq!(etags("*"), EtagCondition::Any);
        assert_eq!(etags("\"a\", W/\"b\",c"), EtagCondition::OneOf(vec!["a".into(), "b".into(), "c".into()]));
    }
}
