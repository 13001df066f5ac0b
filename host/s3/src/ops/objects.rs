//! Objects: put, get, head, delete.

use crate::dates;
use crate::error::S3Error;
use crate::ops::acl;
use crate::ops::answer::{self, Answer, quoted};
use crate::ops::call::Call;
use crate::ops::encryption;
use crate::ops::headers::{self, CONTENT, METADATA, ObjectHeaders};
use crate::ops::{lifecycle, object_lock};
use crate::payload::{Payload, parse_algorithm};
use http::{HeaderValue, StatusCode};
use sallyport_core::body::Body;
use sallyport_core::metadata::Deleted;
use sallyport_core::{DeleteObject, Found, GetObject, PutObject};

/// What S3 answers for an object that was stored without a type.
const DEFAULT_TYPE: &str = "binary/octet-stream";

/// PutObject.
pub(crate) async fn put(call: &Call, body: Body) -> Result<Answer, S3Error> {
    refuse_queries(call)?;
    let (bucket, key) = (call.bucket()?, call.key()?);
    let headers = ObjectHeaders::parse(&call.head)?;
    let payload = Payload::parse(&call.head, &call.identity)?;
    payload.known_size()?;
    object_lock::require_digest(&headers.attributes.lock, &payload)?;
    let request = PutObject {
        caller: call.caller(),
        bucket,
        key,
        object: headers.object,
        attributes: headers.attributes,
        acl: acl::from_headers(call)?,
        encryption: encryption::parameters(|name| call.head.header(name)),
        storage_class: headers.storage_class,
        location: headers.location,
        conditions: headers::write_conditions(&call.head)?,
        incoming: payload.open(body, &call.identity, call.idle),
    };
    let stored = call.gateway.put_object(request).await?;
    let mut answer = answer::empty(StatusCode::OK);
    answer::set(&mut answer, "etag", quoted(&stored.etag));
    answer::set_version(&mut answer, stored.version.as_ref());
    lifecycle::show(&mut answer, stored.expiry.as_ref());
    answer::set_checksums(&mut answer, &stored.checksums);
    encryption::show(&mut answer, stored.encryption.as_ref(), &call.head);
    Ok(answer)
}

/// Half of UploadPart's query is not PutObject.
pub(crate) fn refuse_queries(call: &Call) -> Result<(), S3Error> {
    for name in ["uploadId", "partNumber", "versionId"] {
        if let Some(value) = call.head.query.value(name) {
            return Err(S3Error::argument(name, value, format!("This operation does not accept {name} alone.")));
        }
    }
    Ok(())
}

/// What a read asks for.
pub(crate) fn read_request(call: &Call) -> Result<GetObject, S3Error> {
    encryption::refuse_on_reads(&call.head)?;
    refuse_anonymous_overrides(call)?;
    let part = call.number("partNumber")?;
    let range = call.head.header("range").and_then(headers::range);
    if let Some(number) = part.filter(|number| !(1..=10_000).contains(number)) {
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        return Err(S3Error::argument("partNumber", &number.to_string(), message));
    }
    if part.is_some() && range.is_some() {
        let message = "Cannot specify both Range header and partNumber query parameter";
        return Err(S3Error::because(crate::error::Code::InvalidRequest, message));
    }
    Ok(GetObject {
        caller: call.caller(),
        bucket: call.bucket()?,
        key: call.key()?,
        version: call.version()?,
        range,
        part,
        conditions: headers::read_conditions(&call.head, ""),
        customer: encryption::customer(&call.head),
        is_visit: false,
    })
}

/// Who could have a browser take an object for something else has to be known.
fn refuse_anonymous_overrides(call: &Call) -> Result<(), S3Error> {
    let overrides = CONTENT.iter().any(|name| call.head.query.has(&format!("response-{name}")));
    if overrides && call.caller.is_anonymous() {
        let message = "Request specific response headers cannot be used for anonymous GET requests.";
        return Err(S3Error::because(crate::error::Code::InvalidRequest, message));
    }
    Ok(())
}

/// GetObject.
pub(crate) async fn get(call: &Call) -> Result<Answer, S3Error> {
    let (found, body) = call.gateway.get_object(&read_request(call)?).await?;
    require_location(call, &found).await?;
    Ok(show(call, &found).map(|_| body))
}

/// HeadObject.
pub(crate) async fn head(call: &Call) -> Result<Answer, S3Error> {
    let found = call.gateway.head_object(&read_request(call)?).await?;
    require_location(call, &found).await?;
    Ok(show(call, &found))
}

/// `x-amz-location-constraint` asks for the bytes of one location, as CloudServer's replicas
/// need it. There are no replicas: it has to be where the object is.
async fn require_location(call: &Call, found: &Found) -> Result<(), S3Error> {
    let Some(asked) = call.head.header("x-amz-location-constraint") else { return Ok(()) };
    let is_there = found.version.segments.iter().all(|segment| segment.location.as_str() == asked);
    if is_there && call.gateway.has_location(&found.version.bucket, asked).await? {
        return Ok(());
    }
    // The same of a location that is not for the owner to know of.
    let message = format!("The specified location-constraint is not valid: the object is not in the location {asked}");
    Err(S3Error::because(crate::error::Code::InvalidLocationConstraint, message).with("LocationConstraint", asked))
}

/// All that an answer says of an object.
pub(crate) fn show(call: &Call, found: &Found) -> Answer {
    let version = &found.version;
    let mut answer = answer::empty(StatusCode::OK);
    answer::set(&mut answer, "content-type", DEFAULT_TYPE);
    for (name, value) in &version.object.content {
        answer::set(&mut answer, name, value);
    }
    for (name, value) in &version.object.metadata {
        answer::set(&mut answer, &format!("{METADATA}{name}"), value);
    }
    answer::set(&mut answer, "etag", quoted(&version.etag));
    answer::set(&mut answer, "last-modified", dates::header(version.last_modified));
    answer::set(&mut answer, "accept-ranges", "bytes");
    let length = found.span.map_or(version.size, |span| span.length);
    answer.headers_mut().insert("content-length", HeaderValue::from(length));
    if let Some(span) = found.span {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        // There is no way to write the range of a part that is empty.
        if let Some(last) = (span.offset + span.length).checked_sub(1).filter(|_| span.length > 0) {
            answer::set(&mut answer, "content-range", format!("bytes {}-{last}/{}", span.offset, version.size));
        }
    }
    answer::set_version(&mut answer, found.version_id.as_ref());
    if !version.object.tags.is_empty() {
        answer::set(&mut answer, "x-amz-tagging-count", version.object.tags.len().to_string());
    }
    if let Some(target) = &version.attributes.website_redirect {
        answer::set(&mut answer, "x-amz-website-redirect-location", target);
    }
    if let Some(count) = found.parts_count {
        answer::set(&mut answer, "x-amz-mp-parts-count", count.to_string());
    }
    if version.storage_class != "STANDARD" {
        answer::set(&mut answer, "x-amz-storage-class", &version.storage_class);
    }
    object_lock::show(&mut answer, &version.attributes.lock);
    lifecycle::show(&mut answer, found.expiry.as_ref());
    let encryption = version.attributes.encryption.as_ref();
    encryption::show(&mut answer, encryption.map(|encryption| &encryption.method), &call.head);
    set_read_checksums(call, found, &mut answer);
    override_headers(call, &mut answer);
    answer
}

/// A checksum of the whole says nothing of a range: clients would compare the two.
fn set_read_checksums(call: &Call, found: &Found, answer: &mut Answer) {
    let wanted = call.head.header("x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"));
    if !wanted {
        return;
    }
    let whole = found.span.is_none_or(|span| span.length == found.version.size);
    if !found.part_checksums.is_empty() {
        answer::set_checksums(answer, &found.part_checksums);
        // The values are the part's, the type is the object's.
        if let Some(whole) = found.version.checksums.first() {
            answer::set(answer, "x-amz-checksum-type", answer::kind(whole.kind));
        }
    } else if whole {
        answer::set_checksums(answer, &found.version.checksums);
    }
}

fn override_headers(call: &Call, answer: &mut Answer) {
    for name in CONTENT {
        if let Some(value) = call.head.query.value(&format!("response-{name}")) {
            answer::set(answer, name, value);
        }
    }
}

/// DeleteObject.
pub(crate) async fn delete(call: &Call) -> Result<Answer, S3Error> {
    let request = DeleteObject {
        caller: call.caller(),
        bucket: call.bucket()?,
        key: call.key()?,
        version: call.version()?,
        conditions: headers::write_conditions(&call.head)?,
        bypass_governance: object_lock::bypass(&call.head),
    };
    let asked = request.version.clone();
    let deleted = call.gateway.delete_object(request).await?;
    let mut answer = answer::empty(StatusCode::NO_CONTENT);
    match deleted {
        Deleted::Version { id, was_marker } => {
            answer::set_version(&mut answer, Some(&id));
            if was_marker {
                answer::set(&mut answer, "x-amz-delete-marker", "true");
            }
        }
        Deleted::Marker { id } => {
            answer::set_version(&mut answer, Some(&id));
            answer::set(&mut answer, "x-amz-delete-marker", "true");
        }
        Deleted::Nothing => answer::set_version(&mut answer, asked.as_ref()),
        Deleted::Object | Deleted::Refused(_) => {}
    }
    Ok(answer)
}

/// GetObjectAttributes.
pub(crate) async fn attributes(call: &Call) -> Result<Answer, S3Error> {
    let asked: Vec<String> = call
        .head
        .joined("x-amz-object-attributes")
        .unwrap_or_default()
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect();
    const KNOWN: &[&str] = &["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];
    if let Some(unknown) = asked.iter().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(S3Error::argument("x-amz-object-attributes", unknown, "Invalid attribute name specified."));
    }
    let wants = |name: &str| asked.iter().any(|one| one == name);
    // It is told of the whole object.
    let request = GetObject { range: None, ..read_request(call)? };
    let found = call.gateway.object_attributes(&request).await?;
    let version = &found.version;
    let document = crate::xml::Document::s3("GetObjectAttributesResponse", |root| {
        if wants("ETag") {
            root.text("ETag", &version.etag);
        }
        if wants("Checksum") && !version.checksums.is_empty() {
            root.nest("Checksum", |element| checksums(element, &version.checksums));
        }
        if wants("ObjectParts") && !version.parts.is_empty() {
            root.nest("ObjectParts", |element| parts(call, element, version));
        }
        if wants("StorageClass") {
            root.text("StorageClass", &version.storage_class);
        }
        if wants("ObjectSize") {
            root.number("ObjectSize", version.size);
        }
    });
    let mut answer = answer::xml(document);
    answer::set(&mut answer, "last-modified", dates::header(version.last_modified));
    answer::set_version(&mut answer, found.version_id.as_ref());
    Ok(answer)
}

fn parts(call: &Call, element: &mut crate::xml::Document, version: &sallyport_core::metadata::Version) {
    let number = |name: &str| call.head.header(name).and_then(|text| text.parse::<usize>().ok());
    let limit = number("x-amz-max-parts").unwrap_or(1000).min(1000);
    let after = number("x-amz-part-number-marker").unwrap_or_default();
    element.number("PartsCount", version.parts.len());
    let shown = version.parts.iter().enumerate().map(|(index, part)| (index + 1, part)).skip(after);
    let last = after.saturating_add(limit).min(version.parts.len());
    element.number("PartNumberMarker", after);
    element.number("NextPartNumberMarker", last);
    element.number("MaxParts", limit);
    element.text("IsTruncated", (last < version.parts.len()).to_string());
    for (number, part) in shown.take(limit) {
        element.nest("Part", |element| {
            element.number("PartNumber", number);
            element.number("Size", part.size);
            checksums_only(element, &part.checksums);
        });
    }
}

/// `ChecksumCRC32` and so on, with the type.
pub(crate) fn checksums(element: &mut crate::xml::Document, checksums: &[sallyport_core::metadata::ObjectChecksum]) {
    checksums_only(element, checksums);
    if let Some(checksum) = checksums.first() {
        element.text("ChecksumType", answer::kind(checksum.kind));
    }
}

/// `ChecksumCRC32` and so on.
pub(crate) fn checksums_only(
    element: &mut crate::xml::Document,
    checksums: &[sallyport_core::metadata::ObjectChecksum],
) {
    for checksum in checksums {
        element.text(&format!("Checksum{}", checksum.algorithm.to_ascii_uppercase()), &checksum.value);
    }
}

/// `x-amz-checksum-algorithm`.
pub(crate) fn checksum_algorithm(call: &Call) -> Result<Option<sallyport_core::checksum::Algorithm>, S3Error> {
    parse_algorithm(&call.head, "x-amz-checksum-algorithm")
}
