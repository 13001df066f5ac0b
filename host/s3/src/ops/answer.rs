//! Answers in the making.

use crate::error::S3Error;
use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use sallyport_core::body::{self, Body};
use sallyport_core::metadata::{ChecksumKind, ObjectChecksum};
use sallyport_core::names::VersionId;

/// What a client gets.
pub(crate) type Answer = Response<Body>;

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(body::empty());
    *answer.status_mut() = status;
    answer
}

/// An answer with a document.
pub(crate) fn xml(document: String) -> Answer {
    let mut answer = Response::new(body::full(document));
    set(&mut answer, "content-type", "application/xml");
    answer
}

/// Sets a header; what cannot be one is left out.
pub(crate) fn set(answer: &mut Answer, name: &str, value: impl AsRef<str>) {
    let name = HeaderName::from_bytes(name.as_bytes());
    let value = HeaderValue::from_bytes(value.as_ref().as_bytes());
    if let (Ok(name), Ok(value)) = (name, value) {
        answer.headers_mut().insert(name, value);
    }
}

/// `x-amz-version-id`, when the bucket shows ids.
pub(crate) fn set_version(answer: &mut Answer, version: Option<&VersionId>) {
    if let Some(version) = version {
        set(answer, "x-amz-version-id", version.as_str());
    }
}

/// `x-amz-checksum-*`.
pub(crate) fn set_checksums(answer: &mut Answer, checksums: &[ObjectChecksum]) {
    for checksum in checksums {
        set(answer, &format!("x-amz-checksum-{}", checksum.algorithm), &checksum.value);
        set(answer, "x-amz-checksum-type", kind(checksum.kind));
    }
}

/// S3's word for a checksum's type.
pub(crate) fn kind(kind: ChecksumKind) -> &'static str {
    match kind {
        ChecksumKind::FullObject => "FULL_OBJECT",
        ChecksumKind::Composite => "COMPOSITE",
    }
}

/// An ETag with its quotes.
pub(crate) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// The document of an error.
pub(crate) fn error_document(error: &S3Error, resource: &str, request_id: &str, host_id: &str) -> String {
    crate::xml::Document::bare("Error", |document| {
        document.text("Code", error.code.name());
        document.text("Message", &error.message);
        for (name, value) in &error.fields {
            document.text(name, value);
        }
        document.text("Resource", resource);
        document.text("RequestId", request_id);
        document.text("HostId", host_id);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn an_error_reads_as_s3_words_it() {
        let error = S3Error::new(Code::NoSuchBucket).with("BucketName", "a<b");
        assert_eq!(
            error_document(&error, "/a%3Cb", "1F", "2E"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchBucket</Code><Message>The specified \
             bucket does not exist.</Message><BucketName>a&lt;b</BucketName><Resource>/a%3Cb</Resource>\
             <RequestId>1F</RequestId><HostId>2E</HostId></Error>"
        );
    }

    #[test]
    fn what_cannot_be_a_header_is_left_out() {
        let mut answer = empty(StatusCode::OK);
        set(&mut answer, "x-amz-meta-a", "line\nbreak");
        set(&mut answer, "x-amz-meta-b", "ü");
        assert!(answer.headers().get("x-amz-meta-a").is_none());
        assert_eq!(answer.headers().get("x-amz-meta-b").map(HeaderValue::as_bytes), Some("ü".as_bytes()));
    }
}
