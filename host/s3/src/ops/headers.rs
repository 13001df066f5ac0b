//! What headers say of an object, and which of them are not honoured.

use crate::auth::{ALGORITHM, Head, Identity};
use crate::dates;
use crate::error::{Code, S3Error};
use crate::ops::{object_lock, tags};
use http::{HeaderName, HeaderValue};
use sallyport_core::access::SignaturePlace;
use sallyport_core::backend::{LOCATION_METADATA, Projection};
use sallyport_core::metadata::{Attributes, EtagCondition, WriteConditions};
use sallyport_core::storage_class::STANDARD;
use sallyport_core::{ByteRange, RangeCondition, ReadConditions};

/// Content headers that are stored and given back.
pub(crate) const CONTENT: &[&str] =
    &["content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires"];
/// Prefix of user metadata.
pub(crate) const METADATA: &str = "x-amz-meta-";
/// All user metadata together, names and values, in bytes.
const MAX_METADATA: usize = 2048;
/// All headers of a request together, names and values, in bytes.
const MAX_HEADERS: usize = 8192;
/// Headers whose meaning is not there yet.
const UNHONOURED: &[&str] = &["x-amz-mfa", "x-amz-write-offset-bytes", "x-scal-s3-version-id"];

/// Headers beside S3's own that have one value.
const SINGLE: &[&str] = &[
    "authorization",
    "content-md5",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
];
/// S3's headers that are read as bytes.
const TAKES_UTF8: &[&str] = &["x-amz-copy-source", "x-amz-tagging", "x-amz-website-redirect-location"];
/// Parameters of a presigned URL that say how it is signed, or how its body travels.
const OF_SIGNATURES: &[&str] = &[
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-expires",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-amz-trailer",
];

/// What a write stores beside the bytes.
pub(crate) struct ObjectHeaders {
    pub(crate) object: Projection,
    pub(crate) attributes: Attributes,
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
                    value.split(',').filter(|coding| !matches!(coding.trim(), "aws-chunked" | "")).collect();
                value = codings.join(",").trim().to_owned();
            }
            if !value.is_empty() {
                content.push(((*name).to_owned(), value));
            }
        }
        let tags = head.header("x-amz-tagging").map(tags::parse_header).transpose()?.unwrap_or_default();
        let metadata = metadata(head)?;
        let location = metadata.iter().find(|(name, _)| name == LOCATION_METADATA).map(|(_, value)| value.clone());
        let attributes = Attributes {
            website_redirect: website_redirect(head)?,
            lock: object_lock::header(head)?,
            ..Attributes::default()
        };
        let object = Projection { content, metadata, tags };
        Ok(Self { object, storage_class: storage_class(head), location, attributes })
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

/// `x-amz-website-redirect-location`.
fn website_redirect(head: &Head) -> Result<Option<String>, S3Error> {
    let Some(target) = head.header("x-amz-website-redirect-location").filter(|target| !target.is_empty()) else {
        return Ok(None);
    };
    let is_legal = ["/", "http://", "https://"].iter().any(|start| target.starts_with(start));
    if !is_legal || target.len() > MAX_METADATA {
        return Err(Code::InvalidRedirectLocation.into());
    }
    Ok(Some(target.to_owned()))
}

/// `x-amz-storage-class`; which classes there are, the gateway knows.
fn storage_class(head: &Head) -> String {
    head.header("x-amz-storage-class").unwrap_or(STANDARD).to_owned()
}

/// Refuses a request whose headers are larger than S3 takes, whatever it asks for.
pub(crate) fn refuse_oversized(head: &Head) -> Result<(), S3Error> {
    let size: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size <= MAX_HEADERS {
        return Ok(());
    }
    Err(S3Error::new(Code::RequestHeaderSectionTooLarge).with("MaxSizeAllowed", MAX_HEADERS.to_string()))
}

/// Refuses a header that the operation would read otherwise than a policy does: one that comes
/// twice, of which S3 knows no list, and one that is not text, which would count as absent.
pub(crate) fn refuse_ambiguous(head: &Head) -> Result<(), S3Error> {
    for name in head.headers.keys().map(http::HeaderName::as_str).filter(|name| is_single(name)) {
        let mut values = head.headers.get_all(name).iter();
        let is_text = values.next().is_none_or(|value| value.to_str().is_ok());
        if values.next().is_some() {
            return Err(S3Error::argument(name, "", format!("The header {name} is given more than once.")));
        }
        if !is_text && !TAKES_UTF8.contains(&name) {
            return Err(S3Error::argument(name, "", format!("The header {name} has characters beyond ASCII.")));
        }
    }
    Ok(())
}

fn is_single(name: &str) -> bool {
    let is_list =
        name.starts_with(METADATA) || matches!(name, "x-amz-object-attributes" | "x-amz-optional-object-attributes");
    (name.starts_with("x-amz-") && !is_list) || SINGLE.contains(&name)
}

/// A presigned URL may bring what would be headers, and signs it: they count as headers, as they
/// do [for S3](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html). Its
/// checksum does not: SDKs sign that of an empty body, before they know the one to come.
pub(crate) fn with_signed_query(mut head: Head, identity: &Identity) -> Result<Head, S3Error> {
    let is_presigned = identity
        .signature
        .is_some_and(|signature| signature.place == SignaturePlace::Query && signature.version == ALGORITHM);
    if !is_presigned {
        return Ok(head);
    }
    let parameters = head.query.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let is_header = |name: &str| match name.strip_prefix("x-amz-") {
        Some(rest) if rest.starts_with("checksum-") => rest == "checksum-mode",
        Some(_) => !OF_SIGNATURES.contains(&name),
        None => false,
    };
    let hoisted: Vec<(String, String)> = parameters.filter(|(name, _)| is_header(name)).collect();
    for (name, value) in hoisted {
        let refused = |why: &str| S3Error::argument(&name, "", format!("The query parameter {name} {why}."));
        if name.contains("-sse-customer-") || name.contains("-encryption-customer-") {
            return Err(refused("belongs into a header: a URL is no place for a key"));
        }
        let unfit = |_| refused("cannot be a header");
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused("cannot be a header"))?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(unfit)?;
        if head.headers.get(&header).is_some_and(|other| *other != value) {
            return Err(refused("says something else than the header of this name, or than another parameter"));
        }
        head.headers.insert(header, value);
    }
    Ok(head)
}

/// Refuses what would be promised and not kept.
pub(crate) fn refuse_unhonoured(head: &Head) -> Result<(), S3Error> {
    for name in head.headers.keys().map(http::HeaderName::as_str) {
        if UNHONOURED.contains(&name) {
            return Err(S3Error::not_implemented(format!("The header {name}")).with("Header", name));
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
        // Of a read alone: a copy's range has no condition.
        if_range: head.header("if-range").filter(|_| prefix.is_empty()).map(range_condition),
    }
}

/// `If-Range`: a date, or one ETag.
fn range_condition(text: &str) -> RangeCondition {
    match dates::parse_header(text) {
        Some(time) => RangeCondition::Modified(time),
        None if text.trim().starts_with("W/") => RangeCondition::Etag(text.to_owned()),
        None => RangeCondition::Etag(etag(text)),
    }
}

/// Conditions of writes and deletions.
pub(crate) fn write_conditions(head: &Head) -> Result<WriteConditions, S3Error> {
    let size = head.header("x-amz-if-match-size").map(|text| {
        text.parse().map_err(|_| S3Error::argument("x-amz-if-match-size", text, "The size is not a number"))
    });
    let time = head.header("x-amz-if-match-last-modified-time").map(|text| {
        let wrong = || S3Error::argument("x-amz-if-match-last-modified-time", text, "The time is no HTTP date");
        dates::parse_header(text).ok_or_else(wrong)
    });
    Ok(WriteConditions {
        if_match: head.header("if-match").map(etags),
        if_none_match: head.header("if-none-match").map(etags),
        if_last_modified: time.transpose()?,
        if_size: size.transpose()?,
    })
}

/// A list of ETags, quoted or not.
pub(crate) fn etags(text: &str) -> EtagCondition {
    if text.trim() == "*" {
        return EtagCondition::Any;
    }
    let mut quoted = false;
    // A comma between quotes is one of the ETag's characters.
    let separates = |character: char| {
        quoted ^= character == '"';
        character == ',' && !quoted
    };
    EtagCondition::OneOf(text.split(separates).map(etag).collect())
}

/// An ETag without quotes and weakness.
pub(crate) fn etag(text: &str) -> String {
    let text = text.trim();
    text.strip_prefix("W/").unwrap_or(text).trim_matches('"').to_owned()
}

/// A `Range` of one range; every other form asks for the whole object, as HTTP has it.
pub(crate) fn range(text: &str) -> Option<ByteRange> {
    let (unit, range) = text.trim().split_once('=')?;
    let (first, last) = range.trim().split_once('-').filter(|_| unit.eq_ignore_ascii_case("bytes"))?;
    match (first, last) {
        ("", length) => position(length).map(ByteRange::Last),
        (first, "") => position(first).map(ByteRange::From),
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            (first <= last).then_some(ByteRange::FromTo(first, last))
        }
    }
}

/// Digits, and nothing else. What no `u64` holds is beyond every object.
pub(crate) fn position(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_of_one_range_are_read() {
        assert_eq!(range("bytes=0-0"), Some(ByteRange::FromTo(0, 0)));
        assert_eq!(range("bytes=5-"), Some(ByteRange::From(5)));
        assert_eq!(range("bytes=-5"), Some(ByteRange::Last(5)));
        assert_eq!(range("Bytes=0-1"), Some(ByteRange::FromTo(0, 1)));
        assert_eq!(range("bytes=99999999999999999999-"), Some(ByteRange::From(u64::MAX)), "416, not the whole object");
        for other in
            ["bytes=5-2", "bytes=0-1,3-4", "items=0-1", "bytes=", "bytes=-", "bytes=a-b", "bytes=+1-+5", "bytes=0 - 1"]
        {
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

    #[test]
    fn what_is_not_honoured_is_refused_by_name() {
        for name in UNHONOURED {
            let error = refuse_unhonoured(&head(&[(name, "1")])).expect_err(name);
            assert_eq!((error.code, error.message.contains(name)), (Code::NotImplemented, true));
        }
        assert_eq!(refuse_unhonoured(&head(&[("x-amz-acl", "private")])), Ok(()));
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
    }

    #[test]
    fn a_request_with_more_than_eight_kibibytes_of_headers_is_refused() {
        let sized = |method: &str, size: usize| {
            let request =
                http::Request::builder().method(method).uri("/b/k").header("host", "h").header("a", "x".repeat(size));
            refuse_oversized(&Head::parse(&request.body(()).expect("legal").into_parts().0).expect("legal"))
        };
        for method in ["PUT", "GET", "OPTIONS"] {
            assert_eq!(sized(method, 8192 - 6), Ok(()));
            assert_eq!(sized(method, 8192 - 5).expect_err("refused").code, Code::RequestHeaderSectionTooLarge);
        }
    }

    #[test]
    fn a_condition_that_cannot_be_read_is_no_missing_one() {
        for (name, value) in [("x-amz-if-match-size", "many"), ("x-amz-if-match-last-modified-time", "yesterday")] {
            let error = write_conditions(&head(&[(name, value)])).expect_err("refused");
            assert_eq!(error.code, Code::InvalidArgument, "{name}");
        }
        let time = ("x-amz-if-match-last-modified-time", "Mon, 12 Oct 2009 17:50:30 GMT");
        assert_eq!(write_conditions(&head(&[time])).expect("legal").if_last_modified, Some(1_255_369_830_000));
    }

    #[test]
    fn a_range_is_of_one_object() {
        let of = |value: &str| read_conditions(&head(&[("if-range", value)]), "").if_range;
        assert_eq!(of("\"a\""), Some(RangeCondition::Etag("a".to_owned())));
        assert_eq!(of("W/\"a\""), Some(RangeCondition::Etag("W/\"a\"".to_owned())));
        assert_eq!(of("Mon, 12 Oct 2009 17:50:30 GMT"), Some(RangeCondition::Modified(1_255_369_830_000)));
        assert_eq!(read_conditions(&head(&[("if-range", "a")]), "x-amz-copy-source-").if_range, None);
    }

    #[test]
    fn etags_lose_quotes_and_weakness() {
        assert_eq!(etags("*"), EtagCondition::Any);
        assert_eq!(etags("\"a\", W/\"b\",c"), EtagCondition::OneOf(vec!["a".into(), "b".into(), "c".into()]));
        assert_eq!(etags("\"a,b\",c"), EtagCondition::OneOf(vec!["a,b".into(), "c".into()]));
    }

    proptest! {
        #[test]
        fn a_list_of_etags_has_just_these(list in proptest::collection::vec("[!#-~]{1,12}", 1..4), blanks in " {0,2}") {
            let quoted: Vec<String> = list.iter().map(|one| format!("{blanks}\"{one}\"{blanks}")).collect();
            prop_assert_eq!(etags(&quoted.join(",")), EtagCondition::OneOf(list));
        }

        #[test]
        fn a_range_is_read_as_it_is_written(first in any::<u64>(), last in any::<u64>()) {
            let (first, last) = (first.min(last), first.max(last));
            prop_assert_eq!(range(&format!("bytes={first}-{last}")), Some(ByteRange::FromTo(first, last)));
            prop_assert_eq!(range(&format!("bytes={first}-")), Some(ByteRange::From(first)));
            prop_assert_eq!(range(&format!("bytes=-{last}")), Some(ByteRange::Last(last)));
            prop_assert_eq!(range(&format!("bytes={first}-{last},0-0")), None);
        }
    }
}
