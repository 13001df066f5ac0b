//! Copies within the location, on the backend.

use aws_sdk_s3::types::{MetadataDirective, TaggingDirective};
use sallyport_plugin_sdk::copy::{CopyPartRequest, CopyRequest};
use sallyport_plugin_sdk::retry::Retry;
use sallyport_plugin_sdk::types::{Expectation, Failure, Stored, StoredPart};
use sallyport_plugin_sdk::{checksum, failure, path};

use crate::backend::Backend;
use crate::locator::{Locator, encode_part};
use crate::multipart::{read_upload, signed, written_headers};
use crate::objects::{condition, read_locator, unmet, warnings};
use crate::projection::Fitted;
use crate::{client, errors};

/// What S3 copies in one request.
const LARGEST: u64 = 5 << 30;

pub(crate) async fn copy(backend: &Backend, request: CopyRequest) -> Result<Stored, Failure> {
    if request.size > LARGEST {
        return Err(failure::unsupported("S3 copies at most 5 GiB at once; larger objects are copied in parts"));
    }
    let source = read_locator(&request.source)?;
    let key = backend.naming.place(&request.name);
    let (mut headers, left_out) = written_headers(backend, Fitted::of(&request.object, &request.write_id));
    if let Some((name, value)) = condition(backend, &key, &request.expect).await? {
        headers.push((name.to_owned(), value));
    }
    let call = || {
        let copy = backend.client().copy_object().bucket(&backend.details.bucket).key(&key);
        copy.copy_source(source_of(&backend.details.bucket, &source))
            .set_copy_source_if_match(pinned(&source))
            .metadata_directive(MetadataDirective::Replace)
            .tagging_directive(TaggingDirective::Replace)
            .customize()
            .mutate_request(client::with_headers(headers.clone()))
            .send()
    };
    let must_be_absent = matches!(request.expect, Expectation::Nothing);
    // Once: under a condition, a copy that was carried out unheard would fail when repeated,
    // and where versions are kept it would leave one that nobody knows of.
    let answer = call().await.map_err(|error| unmet(errors::failure_of_call(error), must_be_absent))?;
    let etag = answer.copy_object_result().and_then(|result| result.e_tag());
    let locator = backend.stored(&key, etag, answer.version_id(), &request.write_id).await?;
    Ok(Stored { locator: locator.encode(), checksums: Vec::new(), attributes: warnings(left_out) })
}

pub(crate) async fn copy_part(backend: &Backend, request: CopyPartRequest) -> Result<StoredPart, Failure> {
    let length = request.span.map_or(request.source_size, |span| span.length);
    if length > LARGEST {
        return Err(failure::unsupported("S3 takes parts of at most 5 GiB"));
    }
    let source = read_locator(&request.source)?;
    let upload = read_upload(&request.upload)?;
    let number = signed(request.number)?;
    let range = request.span.map(|span| {
        let last = span.offset.saturating_add(span.length).saturating_sub(1);
        format!("bytes={}-{last}", span.offset)
    });
    let call = || {
        let copy = backend.client().upload_part_copy().bucket(&backend.details.bucket).key(&upload.key);
        copy.upload_id(&upload.id)
            .part_number(number)
            .copy_source(source_of(&backend.details.bucket, &source))
            .set_copy_source_if_match(pinned(&source))
            .set_copy_source_range(range.clone())
            .send()
    };
    let answer = Retry::default().run(|| async { call().await.map_err(errors::failure_of_call) }).await?;
    let etag = answer.copy_part_result().and_then(|result| result.e_tag());
    let etag = etag.ok_or_else(|| failure::internal("the backend gave the part no entity tag"))?;
    Ok(StoredPart { part: encode_part(etag), checksums: Vec::new(), attributes: Vec::new() })
}

/// `x-amz-copy-source`: encoded, and naming the version, so that it is the bytes meant.
fn source_of(bucket: &str, source: &Locator) -> String {
    let version = source.version.as_deref().map(|version| ("versionId", version));
    format!("{bucket}/{}{}", path::encode(&source.key), path::query(version.as_slice()))
}

/// Without versions the entity tag is what tells the bytes meant from others.
fn pinned(source: &Locator) -> Option<String> {
    (source.version.is_none() && !source.etag.is_empty()).then(|| checksum::quote(&source.etag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_names_the_version_and_encodes_the_key() {
        let mut source = Locator {
            key: "b/a+b?ü".to_owned(),
            version: Some("v=1".to_owned()),
            etag: "\"e\"".to_owned(),
            write: None,
        };
        assert_eq!(source_of("bucket", &source), "bucket/b/a%2Bb%3F%C3%BC?versionId=v%3D1");
        assert_eq!(pinned(&source), None);
        source.version = None;
        assert_eq!(pinned(&source).as_deref(), Some("\"e\""));
    }
}
