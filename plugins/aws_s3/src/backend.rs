//! The location's bucket: its requests, sent unsigned, and what its answers say.

use std::cell::OnceCell;

use aws_sdk_s3::Client;
use sallyport_plugin_sdk::http::{Method, Origin, Request, Response};
use sallyport_plugin_sdk::naming::Naming;
use sallyport_plugin_sdk::retry::Retry;
use sallyport_plugin_sdk::types::{Checksum, Failure};
use sallyport_plugin_sdk::{checksum, failure, path};

use crate::details::Details;
use crate::locator::Locator;
use crate::projection::WRITE_ID;
use crate::{client, errors};

/// An opened location.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) details: Details,
    pub(crate) naming: Naming,
    origin: Origin,
    client: OnceCell<Client>,
}

/// An object as the backend describes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) locator: Locator,
    pub(crate) size: u64,
    pub(crate) checksums: Vec<Checksum>,
}

impl Backend {
    /// Prepares what requests need; no request is made.
    pub(crate) fn new(details: Details) -> Result<Self, Failure> {
        let (origin, _) = Origin::parse(&details.origin(), details.endpoint.tls)
            .map_err(|error| failure::invalid(format!("awsEndpoint: {error:?}")))?;
        let naming = Naming::s3(details.bucket_match);
        Ok(Self { details, naming, origin, client: OnceCell::new() })
    }

    /// The SDK's client, made when first needed: most instances only read and write objects.
    pub(crate) fn client(&self) -> &Client {
        self.client.get_or_init(|| client::new(&self.details))
    }

    /// A request for one key; the host signs it on its way out.
    pub(crate) fn request(&self, method: Method, key: &str, query: &[(&str, &str)]) -> Request {
        let path = [&self.details.base_path(), "/", &path::encode(key), &path::query(query)].concat();
        Request::new(method, &self.origin, path).header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    }

    /// A request for the bucket itself.
    pub(crate) fn request_for_bucket(&self, method: Method, query: &[(&str, &str)]) -> Request {
        let base = self.details.base_path();
        let path = if base.is_empty() { "/" } else { &base };
        Request::new(method, &self.origin, format!("{path}{}", path::query(query)))
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    }

    /// A request for the version that a locator names.
    pub(crate) fn request_for(&self, method: Method, locator: &Locator) -> Request {
        let version = locator.version.as_deref().map(|version| ("versionId", version));
        self.request(method, &locator.key, version.as_slice())
    }

    /// Sends a request that may be repeated until it is answered, and tells success from refusal.
    pub(crate) async fn repeat(&self, request: impl Fn() -> Request) -> Result<Response, Failure> {
        Retry::default().run(|| self.send(request())).await
    }

    /// Sends a request once.
    pub(crate) async fn send(&self, request: Request) -> Result<Response, Failure> {
        let response = request.send().await?;
        if response.is_success() { Ok(response) } else { Err(errors::refusal(response).await) }
    }

    /// What is there; nothing is an answer, a missing bucket a failure.
    pub(crate) async fn look(&self, key: &str, version: Option<&str>) -> Result<Option<Seen>, Failure> {
        let query = version.map(|version| ("versionId", version));
        let answer = self.head(|| self.request(Method::Head, key, query.as_slice())).await?;
        answer.map(|response| self.seen(key, &response)).transpose()
    }

    /// The answer to a look; nothing is an answer, a missing bucket a failure.
    pub(crate) async fn head(&self, request: impl Fn() -> Request) -> Result<Option<Response>, Failure> {
        let retry = Retry::default();
        let answer = retry.run(|| async {
            let response = request().send().await?;
            match response.status() {
                200..300 => Ok(Some(response)),
                404 => Ok(None),
                // What is there is a delete marker.
                405 if response.header("x-amz-delete-marker") == Some("true") => Ok(None),
                _ => Err(errors::refusal(response).await),
            }
        });
        match answer.await? {
            Some(response) => Ok(Some(response)),
            None => {
                // No body says which of the two is missing, and lost data must not be
                // concluded from a lost bucket.
                self.bucket_exists().await?;
                Ok(None)
            }
        }
    }

    /// A failure that names the cause when the bucket cannot be asked.
    pub(crate) async fn bucket_exists(&self) -> Result<(), Failure> {
        let bucket = &self.details.bucket;
        match self.repeat(|| self.request_for_bucket(Method::Head, &[])).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.code == "not-found" => Err(failure::unavailable(format!(
                "the bucket '{bucket}' does not exist on {}: create it, or correct bucketName",
                self.details.endpoint
            ))),
            Err(failure) => Err(Failure {
                message: format!("bucket '{bucket}' on {}: {}", self.details.endpoint, failure.message),
                ..failure
            }),
        }
    }

    /// Fails unless the bytes that a locator without a version names are still at its key.
    pub(crate) async fn unchanged(&self, locator: &Locator) -> Result<Seen, Failure> {
        let seen = self.look(&locator.key, locator.version.as_deref()).await?;
        let seen = seen.ok_or_else(|| failure::not_found("the backend has no such object"))?;
        if same_bytes(locator, &seen.locator) { Ok(seen) } else { Err(other_bytes()) }
    }

    /// Whether bytes are pinned by version ids.
    pub(crate) fn versions(&self) -> bool {
        self.details.versions
    }

    /// Names what a write stored, or undoes it when the backend gave it no version id.
    pub(crate) async fn stored(
        &self,
        key: &str,
        etag: Option<&str>,
        version: Option<&str>,
        write: &str,
    ) -> Result<Locator, Failure> {
        // Whoever answers like this has stored nothing that could be named.
        let etag = etag.filter(|etag| !etag.is_empty()).ok_or_else(|| {
            failure::unavailable("the backend's answer to a write has no ETag, so it is hardly an S3 server's")
        })?;
        let mut locator =
            Locator { key: key.to_owned(), version: None, etag: etag.to_owned(), write: Some(write.to_owned()) };
        if !self.versions() {
            return Ok(locator);
        }
        match version {
            Some(version) if version != "null" => {
                locator.version = Some(version.to_owned());
                Ok(locator)
            }
            _ => {
                locator.version = version.map(str::to_owned);
                self.undo(&locator).await;
                // Undoing may have failed: then it is found by its write id and freed.
                let unversioned = failure::unavailable(unversioned(&self.details.bucket));
                Err(Failure { retry_after: None, ..unversioned })
            }
        }
    }

    /// Removes what a write left. The failure that led here is the one to report.
    async fn undo(&self, locator: &Locator) {
        if self.unchanged(locator).await.is_ok() {
            let _ = self.repeat(|| self.request_for(Method::Delete, locator)).await;
        }
    }

    /// What an answer to a look says.
    pub(crate) fn seen(&self, key: &str, response: &Response) -> Result<Seen, Failure> {
        let size =
            response.content_length().ok_or_else(|| failure::internal("the backend did not say the object's size"))?;
        // Taken for other bytes, this would make ours count as gone.
        let etag = response.header("etag").filter(|etag| !etag.is_empty()).ok_or_else(|| {
            failure::unavailable("the backend's answer to a look has no ETag, so it is hardly an S3 server's")
        })?;
        let version = response.header("x-amz-version-id").filter(|version| *version != "null");
        Ok(Seen {
            locator: Locator {
                key: key.to_owned(),
                version: version.filter(|_| self.versions()).map(str::to_owned),
                etag: etag.to_owned(),
                write: response.header(&format!("x-amz-meta-{WRITE_ID}")).map(str::to_owned),
            },
            size,
            checksums: checksums(response),
        })
    }
}

/// What the operator can do about a bucket that keeps no versions.
pub(crate) fn unversioned(bucket: &str) -> String {
    format!(
        "versioning is not enabled on the bucket '{bucket}': run `aws s3api put-bucket-versioning --bucket {bucket} \
         --versioning-configuration Status=Enabled`, or write \"supportsVersioning\": false into details"
    )
}

/// The failure for a place that holds other bytes.
pub(crate) fn other_bytes() -> Failure {
    failure::changed("the backend holds other bytes under this name")
}

/// Equal bytes of another write are other bytes: deleting one must not delete the other.
fn same_bytes(expected: &Locator, found: &Locator) -> bool {
    let same_write = match (&expected.write, &found.write) {
        (Some(expected), Some(found)) => expected == found,
        _ => true,
    };
    same_write && checksum::unquote(&expected.etag) == checksum::unquote(&found.etag)
}

/// The digests that S3 computes beside the MD5, with their headers.
const CHECKSUMS: [(&str, &str); 5] = [
    ("crc32", "x-amz-checksum-crc32"),
    ("crc32c", "x-amz-checksum-crc32c"),
    ("crc64nvme", "x-amz-checksum-crc64nvme"),
    ("sha1", "x-amz-checksum-sha1"),
    ("sha256", "x-amz-checksum-sha256"),
];

/// The digests that the backend computed of the whole object.
pub(crate) fn checksums(response: &Response) -> Vec<Checksum> {
    let encryption = response.header("x-amz-server-side-encryption");
    // With other encryption an entity tag has the shape of an MD5 and is none.
    let is_md5 = matches!(encryption, None | Some("AES256"))
        && response.header("x-amz-server-side-encryption-customer-algorithm").is_none();
    let md5 = response.header("etag").filter(|_| is_md5).and_then(checksum::md5_of_etag);
    let others =
        CHECKSUMS.iter().filter_map(|(algorithm, header)| checksum::from_base64(algorithm, response.header(header)?));
    md5.into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locator(etag: &str, write: Option<&str>) -> Locator {
        Locator { key: "k".to_owned(), version: None, etag: etag.to_owned(), write: write.map(str::to_owned) }
    }

    #[test]
    fn equal_bytes_of_another_write_are_other_bytes() {
        assert!(same_bytes(&locator("\"e\"", Some("w")), &locator("e", Some("w"))));
        assert!(!same_bytes(&locator("\"e\"", Some("w")), &locator("\"e\"", Some("x"))));
        assert!(!same_bytes(&locator("\"e\"", None), &locator("\"f\"", None)));
    }

    #[test]
    fn an_entity_tag_under_other_encryption_is_no_digest() {
        let etag = ("etag", "\"d41d8cd98f00b204e9800998ecf8427e\"");
        assert_eq!(checksums(&Response::canned(200, &[etag], "")).len(), 1);
        let kms = ("x-amz-server-side-encryption", "aws:kms");
        assert_eq!(checksums(&Response::canned(200, &[etag, kms], "")), []);
    }

    #[test]
    fn a_composite_checksum_is_no_digest_of_the_object() {
        let headers = [("x-amz-checksum-crc32", "AAAAAA==-3"), ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")];
        let found = checksums(&Response::canned(200, &headers, ""));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].algorithm, "crc64nvme");
    }
}
