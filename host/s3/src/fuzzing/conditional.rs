//! Conditional requests and ranges, beside what RFC 9110 says of them.

use crate::auth::Head;
use crate::dates;
use crate::ops::copy;
use crate::ops::headers::{self, ObjectHeaders};
use crate::payload::Payload;
use crate::uri::Query;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use sallyport_core::backend::Projection;
use sallyport_core::metadata::{Attributes, EtagCondition, Version};
use sallyport_core::names::{AccountId, BucketName, ObjectKey, VersionId};
use sallyport_core::{ByteRange, Error};

/// Takes headers, one a line. `:etag`, `:modified` (milliseconds) and `:size` are the object's.
pub fn conditional(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some((head, object)) = head(text) else { return };
    ranges(&head, object.size);
    reads(&head, &object);
    writes(&head, &object);
    times(text, object.last_modified);
    let _ = ObjectHeaders::parse(&head);
    let _ = Payload::parse_unchecked(&head, &crate::auth::Identity::anonymous());
}

fn head(text: &str) -> Option<(Head, Version)> {
    let mut object = version()?;
    let mut headers = HeaderMap::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        match name {
            ":etag" => value.clone_into(&mut object.etag),
            ":modified" => object.last_modified = value.parse().unwrap_or_default(),
            ":size" => object.size = value.parse().unwrap_or_default(),
            _ => {
                headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
            }
        }
    }
    let query = Query::default();
    Some((Head { method: Method::PUT, path: "/b/k".to_owned(), query, headers, host: "h".to_owned() }, object))
}

fn version() -> Option<Version> {
    Some(Version {
        bucket: BucketName::parse("bucket").ok()?,
        key: ObjectKey::parse("k").ok()?,
        id: VersionId::null(),
        sequence: 1,
        is_current: true,
        is_delete_marker: false,
        etag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        size: 100,
        last_modified: 1_700_000_000_000,
        object: Projection::default(),
        attributes: Attributes::default(),
        checksums: Vec::new(),
        owner: AccountId::new("owner"),
        storage_class: "STANDARD".to_owned(),
        parts: Vec::new(),
        segments: Vec::new(),
    })
}

/// The bytes that a range means, counted so that nothing can overflow.
fn ranges(head: &Head, size: u64) {
    if let Some(text) = head.header("range") {
        let range = headers::range(text);
        assert_eq!(range.is_some(), is_one_range(text), "{text:?}");
        if let Some(range) = range {
            let wide = u128::from(size);
            let (first, end) = match range {
                ByteRange::FromTo(first, last) => (u128::from(first), u128::from(last) + 1),
                ByteRange::From(first) => (u128::from(first), wide),
                ByteRange::Last(length) => (wide.saturating_sub(u128::from(length)), wide),
            };
            let expected = (first < end.min(wide)).then(|| (first, end.min(wide) - first));
            let actual = range.resolve(size).ok().map(|span| (u128::from(span.offset), u128::from(span.length)));
            assert_eq!(actual, expected, "{text:?} of {size}");
        }
    }
    if let Some(text) = head.header("x-amz-copy-source-range")
        && let Ok((first, last)) = copy::range(text)
    {
        assert!(first <= last && is_one_range(text), "{text:?}");
    }
}

/// `bytes=` and `first-`, `first-last` or `-length` in digits.
fn is_one_range(text: &str) -> bool {
    let text = text.trim().as_bytes();
    let Some((unit, rest)) = text.split_at_checked(6) else { return false };
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return false;
    }
    let rest = rest.trim_ascii();
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    let mut parts = rest.splitn(2, |byte| *byte == b'-');
    let (Some(first), Some(last), None) = (parts.next(), parts.next(), parts.next()) else { return false };
    let significant = |part: &[u8]| {
        let zeros = part.iter().take_while(|digit| **digit == b'0').count();
        part.get(zeros..).unwrap_or_default().to_vec()
    };
    // What is longer is greater, what is as long is compared digit by digit; all beyond 64 bits is one.
    let rank = |part: &[u8]| {
        let part = significant(part);
        let most = u64::MAX.to_string().into_bytes();
        if (part.len(), part.as_slice()) > (most.len(), most.as_slice()) {
            (most.len(), most)
        } else {
            (part.len(), part)
        }
    };
    digits(first)
        && digits(last)
        && (!first.is_empty() || !last.is_empty())
        && (first.is_empty() || last.is_empty() || rank(first) <= rank(last))
}

/// The table of RFC 9110, 13.2.2, row by row.
fn reads(head: &Head, object: &Version) {
    let conditions = headers::read_conditions(head, "");
    let seconds = object.last_modified.div_euclid(1000);
    let lists = |name: &str| head.header(name).map(|text| listed(text, &object.etag));
    let (matches, none_matches) = (lists("if-match"), lists("if-none-match"));
    let time = |name: &str| head.header(name).and_then(dates::parse_header).map(|time| time.div_euclid(1000));
    let failed = match (matches, time("if-unmodified-since")) {
        (Some(matches), _) => !matches,
        (None, Some(time)) => seconds > time,
        (None, None) => false,
    };
    let fresh = match (none_matches, time("if-modified-since")) {
        (Some(matches), _) => matches,
        (None, Some(time)) => seconds <= time,
        (None, None) => false,
    };
    let expected = if failed {
        412
    } else if fresh {
        304
    } else {
        200
    };
    let actual = match conditions.decide(object, None) {
        Ok(()) => 200,
        Err(Error::NotModified { .. }) => 304,
        Err(Error::PreconditionFailed(_)) => 412,
        Err(_) => 0,
    };
    assert_eq!(actual, expected, "{conditions:?}");
}

fn writes(head: &Head, object: &Version) {
    let Ok(conditions) = headers::write_conditions(head) else { return };
    let lists = |name: &str| head.header(name).map(|text| listed(text, &object.etag));
    let holds = lists("if-match") != Some(false) && lists("if-none-match") != Some(true);
    assert_eq!(conditions.decide(Some(object)).is_ok(), holds, "{conditions:?}");
    // On nothing, `If-Match` fails and `If-None-Match` holds; a delete marker is nothing.
    let marker = Version { is_delete_marker: true, ..object.clone() };
    assert_eq!(conditions.decide(None), conditions.decide(Some(&marker)));
    assert_eq!(conditions.decide(None).is_ok(), head.header("if-match").is_none());
    assert!(conditions.decide_deletion(None).is_ok());
}

/// Whether a list of ETags has one, read character by character.
fn listed(text: &str, etag: &str) -> bool {
    if text.trim() == "*" {
        assert_eq!(headers::etags(text), EtagCondition::Any);
        return true;
    }
    let (mut one, mut quoted, mut found) = (String::new(), false, false);
    for character in text.chars().chain([',']) {
        quoted ^= character == '"';
        if character == ',' && !quoted {
            found |= headers::etag(&one) == etag;
            one.clear();
        } else {
            one.push(character);
        }
    }
    // A list whose last quote is missing goes to its end.
    one.pop();
    found | (quoted && headers::etag(&one) == etag)
}

/// What is written is read again, to the second, and any reading of a date is one that can be written.
fn times(text: &str, milliseconds: i64) {
    // Years of four digits, from where both forms begin.
    if (0..253_402_300_800_000).contains(&milliseconds) {
        let seconds = milliseconds.div_euclid(1000) * 1000;
        assert_eq!(dates::parse_header(&dates::header(milliseconds)), Some(seconds));
        assert_eq!(dates::parse_document(&dates::document(milliseconds)), Some(milliseconds));
    }
    for line in text.lines().filter_map(|line| line.split_once(": ")).map(|(_, value)| value) {
        let read = dates::parse_header(line);
        // The reader of another library: what it takes, HTTP means.
        if let Ok(time) = httpdate::parse_http_date(line)
            && let Ok(since) = time.duration_since(std::time::UNIX_EPOCH)
        {
            assert_eq!(read, i64::try_from(since.as_millis()).ok(), "{line:?}");
        }
        let _ = (read.map(dates::header), dates::parse_document(line).map(dates::document));
    }
}
