//! Multipart uploads: create, parts, complete, abort, and their two listings.

use crate::dates;
use crate::error::S3Error;
use crate::ops::acl;
use crate::ops::answer::{self, Answer, quoted};
use crate::ops::call::Call;
use crate::ops::encryption;
use crate::ops::headers::{self, ObjectHeaders};
use crate::ops::list::{MAX_PAGE, Marker, Page};
use crate::ops::objects::{checksum_algorithm, checksums, checksums_only};
use crate::ops::{lifecycle, patience};
use crate::payload::Payload;
use crate::xml::{Document, Element, malformed};
use http::StatusCode;
use sallyport_core::body::Body;
use sallyport_core::checksum::Algorithm;
use sallyport_core::metadata::{ChecksumKind, UploadQuery};
use sallyport_core::names::UploadId;
use sallyport_core::object_lock::ObjectLock;
use sallyport_core::{CompleteUpload, ListedPart, NewUpload, PutPart, UploadRef};
use std::sync::Arc;

/// 10,000 parts with two checksums each fit, in bytes.
const MAX_DOCUMENT: u64 = 8 << 20;

/// The upload that the query names.
pub(crate) fn upload(call: &Call) -> Result<UploadRef, S3Error> {
    let id = UploadId::from_client(call.head.query.value("uploadId").unwrap_or_default());
    Ok(UploadRef { caller: call.caller(), bucket: call.bucket()?, key: call.key()?, id })
}

/// `partNumber`; its limits are the gateway's.
pub(crate) fn part_number(call: &Call) -> Result<u32, S3Error> {
    let text = call.head.query.value("partNumber").unwrap_or_default();
    let message = "Part number must be an integer between 1 and 10000, inclusive";
    text.parse().map_err(|_| S3Error::argument("partNumber", text, message))
}

/// CreateMultipartUpload.
pub(crate) async fn create(call: &Call) -> Result<Answer, S3Error> {
    call.require_signature()?;
    let headers = ObjectHeaders::parse(&call.head)?;
    let kind = match call.head.header("x-amz-checksum-type") {
        None => None,
        Some("FULL_OBJECT") => Some(ChecksumKind::FullObject),
        Some("COMPOSITE") => Some(ChecksumKind::Composite),
        Some(other) => return Err(S3Error::argument("x-amz-checksum-type", other, "Unknown checksum type.")),
    };
    let request = NewUpload {
        caller: call.caller(),
        bucket: call.bucket()?,
        key: call.key()?,
        object: headers.object,
        attributes: headers.attributes,
        acl: acl::from_headers(call)?,
        encryption: encryption::parameters(|name| call.head.header(name)),
        storage_class: headers.storage_class,
        location: headers.location,
        checksum: checksum_algorithm(call)?.map(|algorithm| (algorithm, kind)),
    };
    let upload = call.gateway.create_upload(request).await?;
    let document = Document::s3("InitiateMultipartUploadResult", |root| {
        root.text("Bucket", upload.bucket.as_str());
        root.text("Key", upload.key.as_str());
        root.text("UploadId", upload.id.as_str());
    });
    let mut answer = answer::xml(document);
    if let Some((algorithm, kind)) = &upload.checksum {
        answer::set(&mut answer, "x-amz-checksum-algorithm", algorithm.to_ascii_uppercase());
        answer::set(&mut answer, "x-amz-checksum-type", answer::kind(*kind));
    }
    lifecycle::show_abort(call, &mut answer, &upload).await?;
    let encryption = upload.attributes.encryption.as_ref();
    encryption::show(&mut answer, encryption.map(|encryption| &encryption.method), &call.head);
    Ok(answer)
}

/// UploadPart.
pub(crate) async fn put_part(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let (upload, number) = (upload(call)?, part_number(call)?);
    let payload = Payload::parse(&call.head, &call.identity)?;
    payload.known_size()?;
    let incoming = payload.open(body, &call.identity, call.idle);
    let customer = encryption::customer(&call.head);
    let stored = call.gateway.put_part(PutPart { upload, number, incoming, customer }).await?;
    let mut answer = answer::empty(StatusCode::OK);
    answer::set(&mut answer, "etag", quoted(&stored.etag));
    for checksum in &stored.checksums {
        answer::set(&mut answer, &format!("x-amz-checksum-{}", checksum.algorithm), &checksum.value);
    }
    encryption::show(&mut answer, stored.encryption.as_ref(), &call.head);
    Ok(answer)
}

/// CompleteMultipartUpload.
pub(crate) async fn complete(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let upload = upload(call)?;
    // Megabytes are read only for whom they may do anything.
    call.gateway.check_put(&call.caller, (&upload.bucket, &upload.key), (&[], ObjectLock::default()), false).await?;
    // The checksum headers are the object's here, not this document's.
    let payload = Payload::parse_unchecked(&call.head, &call.identity)?;
    let parts = listed_parts(&call.collect(payload, body, MAX_DOCUMENT).await?)?;
    let checksum = Algorithm::ALL.into_iter().find_map(|algorithm| {
        let value = call.head.header(&format!("x-amz-checksum-{}", algorithm.name()))?;
        Some((algorithm, value.to_owned()))
    });
    let size = call.head.header("x-amz-mp-object-size").map(|text| {
        text.parse().map_err(|_| S3Error::argument("x-amz-mp-object-size", text, "The size is not a number"))
    });
    let request = CompleteUpload {
        upload,
        parts,
        conditions: headers::write_conditions(&call.head)?,
        checksum,
        size: size.transpose()?,
        customer: encryption::customer(&call.head),
    };
    // As the client wrote it: path or virtual-host style.
    let place = format!("{}://{}{}", call.scheme, call.head.host, call.head.path);
    let (gateway, head) = (Arc::clone(&call.gateway), Arc::clone(&call.head));
    patience::wait(call, async move {
        let (bucket, key) = (request.upload.bucket.clone(), request.upload.key.clone());
        let completed = gateway.complete_upload(request).await?.put;
        let document = Document::s3("CompleteMultipartUploadResult", |root| {
            root.text("Location", place);
            root.text("Bucket", bucket.as_str());
            root.text("Key", key.as_str());
            root.text("ETag", quoted(&completed.etag));
            checksums(root, &completed.checksums);
        });
        let mut answer = answer::xml(document);
        answer::set_version(&mut answer, completed.version.as_ref());
        lifecycle::show(&mut answer, completed.expiry.as_ref());
        encryption::show(&mut answer, completed.encryption.as_ref(), &head);
        Ok(answer)
    })
    .await
}

pub(crate) fn listed_parts(document: &[u8]) -> Result<Vec<ListedPart>, S3Error> {
    let root = Element::parse(document, "CompleteMultipartUpload")?;
    root.only(&["Part"])?;
    let parts = root.all("Part").map(listed_part).collect::<Result<Vec<_>, S3Error>>()?;
    if parts.is_empty() || parts.len() > 10_000 {
        return Err(malformed());
    }
    Ok(parts)
}

fn listed_part(part: &Element) -> Result<ListedPart, S3Error> {
    let number = part.required_text("PartNumber")?.trim().parse().map_err(|_| malformed())?;
    let etag = headers::etag(part.required_text("ETag")?);
    let mut checksums = Vec::new();
    for algorithm in Algorithm::ALL {
        let name = format!("Checksum{}", algorithm.name().to_ascii_uppercase());
        if let Some(value) = part.optional_text(&name)? {
            checksums.push((algorithm, value.trim().to_owned()));
        }
    }
    Ok(ListedPart { number, etag, checksums })
}

/// AbortMultipartUpload.
pub(crate) async fn abort(call: &Call) -> Result<Answer, S3Error> {
    call.gateway.abort_upload(&upload(call)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// ListParts.
pub(crate) async fn list_parts(call: &Call) -> Result<Answer, S3Error> {
    let page = Page::parse(call, "max-parts")?;
    let after = call.number("part-number-marker")?.unwrap_or_default();
    let (upload, parts) = call.gateway.parts(&upload(call)?, after, page.limit.min(MAX_PAGE) as usize).await?;
    let document = Document::s3("ListPartsResult", |root| {
        root.text("Bucket", upload.bucket.as_str());
        root.text("Key", page.key(upload.key.as_str()));
        root.text("UploadId", upload.id.as_str());
        if page.url {
            root.text("EncodingType", "url");
        }
        page.owner(root, "Initiator", &upload.initiator);
        page.owner(root, "Owner", &upload.owner);
        root.text("StorageClass", &upload.storage_class);
        root.number("PartNumberMarker", after);
        root.number("NextPartNumberMarker", parts.parts.last().map_or(after, |part| part.number));
        root.number("MaxParts", page.limit);
        root.text("IsTruncated", parts.is_truncated.to_string());
        if let Some((algorithm, kind)) = &upload.checksum {
            root.text("ChecksumAlgorithm", algorithm.to_ascii_uppercase());
            root.text("ChecksumType", answer::kind(*kind));
        }
        for part in &parts.parts {
            root.nest("Part", |element| {
                element.number("PartNumber", part.number);
                element.text("LastModified", dates::document(part.last_modified));
                element.text("ETag", quoted(&part.etag));
                element.number("Size", part.size);
                checksums_only(element, &part.checksums);
            });
        }
    });
    let mut answer = answer::xml(document);
    lifecycle::show_abort(call, &mut answer, &upload).await?;
    Ok(answer)
}

/// ListMultipartUploads.
pub(crate) async fn list_uploads(call: &Call) -> Result<Answer, S3Error> {
    let page = Page::parse(call, "max-uploads")?;
    let key_marker = page.marker("key-marker");
    // Without a key it says nothing, and S3 ignores it.
    let upload_marker = page.marker("upload-id-marker").filter(|_| key_marker.is_some());
    let query = UploadQuery {
        bucket: call.bucket()?,
        prefix: page.prefix.to_owned(),
        delimiter: page.delimiter.map(str::to_owned),
        key_marker: key_marker.map(str::to_owned),
        upload_marker: upload_marker.map(str::to_owned),
        limit: page.limit as usize,
    };
    let listed = call.gateway.list_uploads(&call.caller(), &query).await?;
    let document = Document::s3("ListMultipartUploadsResult", |root| {
        root.text("Bucket", query.bucket.as_str());
        let next =
            listed.next.as_ref().map(|(key, id)| Marker { key: Some(key), id: id.as_ref().map(|id| id.as_str()) });
        page.markers(root, "UploadId", Marker { key: key_marker, id: upload_marker }, next);
        root.text("Prefix", page.key(page.prefix));
        if let Some(delimiter) = page.delimiter {
            root.text("Delimiter", page.key(delimiter));
        }
        if page.url {
            root.text("EncodingType", "url");
        }
        root.number("MaxUploads", page.limit);
        for upload in &listed.uploads {
            root.nest("Upload", |element| {
                element.text("Key", page.key(upload.key.as_str()));
                element.text("UploadId", upload.id.as_str());
                page.owner(element, "Initiator", &upload.initiator);
                page.owner(element, "Owner", &upload.owner);
                element.text("StorageClass", &upload.storage_class);
                element.text("Initiated", dates::document(upload.initiated));
                if let Some((algorithm, kind)) = &upload.checksum {
                    element.text("ChecksumAlgorithm", algorithm.to_ascii_uppercase());
                    element.text("ChecksumType", answer::kind(*kind));
                }
            });
        }
        page.common_prefixes(root, listed.common_prefixes.iter().map(String::as_str));
    });
    Ok(answer::xml(document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_parts_are_read_with_their_checksums() {
        let document = b"<CompleteMultipartUpload><Part><ETag>&quot;a&quot;</ETag><PartNumber>2</PartNumber>\
                         <ChecksumCRC32C>x</ChecksumCRC32C></Part></CompleteMultipartUpload>";
        let parts = listed_parts(document).expect("legal");
        let part = parts.first().expect("one");
        assert_eq!((part.number, part.etag.as_str()), (2, "a"));
        assert_eq!(part.checksums, [(Algorithm::Crc32c, "x".to_owned())]);
        assert!(listed_parts(b"<CompleteMultipartUpload/>").is_err());
    }
}
