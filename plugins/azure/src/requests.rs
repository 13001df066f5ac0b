//! Puts requests to the blob service together and sends them.
//!
//! Nothing here is signed: the host authenticates what leaves.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sallyport_plugin_sdk::checksum;
use sallyport_plugin_sdk::http::{Method, Origin, Request, Response};
use sallyport_plugin_sdk::retry::Retry;
use sallyport_plugin_sdk::types::{Checksum, Failure};
use sallyport_plugin_sdk::{failure, types::Span};

use crate::details::Details;
use crate::errors;
use crate::locator::Locator;
use crate::projection::{Header, UPLOAD_ID, WRITE_ID};

/// New enough for 5,000 MiB in one Put Blob, index tags and encoded names in listings.
const VERSION: &str = "2021-12-02";

/// All but RFC 3986's unreserved characters.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same with the slashes of a path.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// Where the location's container is.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    origin: Origin,
    /// The endpoint's path and the container.
    path: String,
    url: String,
}

impl Container {
    pub(crate) fn of(details: &Details) -> Result<Self, Failure> {
        let url = details.endpoint.url();
        let (origin, path) = Origin::parse(&url, details.endpoint.secure)
            .map_err(|error| failure::invalid(format!("azureStorageEndpoint: {error}")))?;
        let path = format!("{path}/{}", details.container);
        Ok(Self { origin, path, url: format!("{url}/{}", details.container) })
    }

    /// A request about the container itself.
    pub(crate) fn request(&self, method: Method, query: &[(&str, &str)]) -> Request {
        let mut whole = vec![("restype", "container")];
        whole.extend(query);
        self.build(method, &self.path, &whole)
    }

    /// A request about one of its blobs.
    pub(crate) fn blob(&self, method: Method, blob: &str, query: &[(&str, &str)]) -> Request {
        let path = format!("{}/{}", self.path, utf8_percent_encode(blob, PATH));
        self.build(method, &path, query)
    }

    /// The URL of a blob, as the source of a copy.
    pub(crate) fn url_of(&self, blob: &str) -> String {
        format!("{}/{}", self.url, utf8_percent_encode(blob, PATH))
    }

    fn build(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Request {
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, QUERY))).collect();
        let path_and_query = if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) };
        Request::new(method, &self.origin, path_and_query).header("x-ms-version", VERSION)
    }
}

/// Adds headers to a request.
pub(crate) fn with(request: Request, headers: &[Header]) -> Request {
    headers.iter().fold(request, |request, (name, value)| request.header(name, value.clone()))
}

/// The condition that the blob is still the one of this etag.
pub(crate) fn if_match(etag: &str) -> Header {
    ("if-match".to_owned(), checksum::quote(etag))
}

/// The condition that nothing is there.
pub(crate) fn if_nothing() -> Header {
    ("if-none-match".to_owned(), "*".to_owned())
}

/// The header for a span, both ends included, also when both are 0.
pub(crate) fn range(name: &str, span: Span) -> Header {
    let last = span.offset.saturating_add(span.length).saturating_sub(1);
    (name.to_owned(), format!("bytes={}-{last}", span.offset))
}

/// Sends a request; anything but success is a failure.
pub(crate) async fn send(request: Request) -> Result<Response, Failure> {
    let response = request.send().await?;
    if !response.is_success() {
        return Err(errors::failure_of(response).await);
    }
    // A captive portal says yes to everything.
    if response.header("x-ms-request-id").is_none() {
        return Err(failure::unavailable("an answer without x-ms-request-id, which is not Azure's"));
    }
    Ok(response)
}

/// Sends a request that is safe to repeat, several times if need be.
pub(crate) async fn repeat(request: impl Fn() -> Request) -> Result<Response, Failure> {
    Retry::default().run(|| send(request())).await
}

/// What an answer says of a blob.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) etag: String,
    pub(crate) size: u64,
    /// Empty when Sallyport did not write it, or not whole.
    pub(crate) write_id: String,
    /// Empty unless parts are being collected here.
    pub(crate) upload_id: String,
    /// Empty unless it was copied: `pending`, `success`, `aborted` or `failed`.
    pub(crate) copy_status: String,
    pub(crate) copy_id: String,
    /// The headers that keep metadata and content headers when sent back.
    pub(crate) kept: Vec<Header>,
}

impl Blob {
    pub(crate) fn read(response: &Response) -> Result<Self, Failure> {
        let etag = etag(response)?;
        let text = |name: &str| response.header(name).unwrap_or_default().to_owned();
        Ok(Self {
            etag,
            size: response.content_length().unwrap_or_default(),
            write_id: text(&format!("x-ms-meta-{WRITE_ID}")),
            upload_id: text(&format!("x-ms-meta-{UPLOAD_ID}")),
            copy_status: text("x-ms-copy-status"),
            copy_id: text("x-ms-copy-id"),
            kept: kept(response),
        })
    }

    pub(crate) fn locator(&self, blob: &str) -> Locator {
        Locator { blob: blob.to_owned(), etag: self.etag.clone(), write_id: self.write_id.clone() }
    }
}

/// The blob's etag without quotes.
pub(crate) fn etag(response: &Response) -> Result<String, Failure> {
    let etag = response.header("etag").ok_or_else(|| failure::internal("Azure's answer has no ETag"))?;
    Ok(checksum::unquote(etag).to_owned())
}

/// The digest that Azure computed or keeps.
pub(crate) fn md5(response: &Response) -> Vec<Checksum> {
    response.header("content-md5").and_then(|text| checksum::from_base64("md5", text)).into_iter().collect()
}

fn kept(response: &Response) -> Vec<Header> {
    let mut headers = Vec::new();
    for (name, value) in response.headers() {
        let name = name.to_ascii_lowercase();
        let Ok(value) = std::str::from_utf8(value) else { continue };
        let header = match name.as_str() {
            "content-type" | "content-encoding" | "content-language" | "content-disposition" | "cache-control" => {
                format!("x-ms-blob-{name}")
            }
            _ if name.starts_with("x-ms-meta-") => name,
            _ => continue,
        };
        headers.push((header, value.to_owned()));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(endpoint: &str) -> Container {
        let details = serde_json::json!({
            "azureStorageEndpoint": endpoint, "azureContainerName": "container", "sasToken": "placeholder",
        });
        Container::of(&Details::parse(&details.to_string()).unwrap()).unwrap()
    }

    #[test]
    fn a_blobs_name_is_encoded_once() {
        let container = container("https://acc.blob.core.windows.net/");
        let request = container.blob(Method::Put, "b/ü %2E+'?#", &[("comp", "block"), ("blockid", "a+/=")]);
        assert_eq!(request.path_and_query(), "/container/b/%C3%BC%20%252E%2B%27%3F%23?comp=block&blockid=a%2B%2F%3D");
        assert_eq!(request.header_value("x-ms-version"), Some(VERSION));
        assert_eq!(container.url_of("b/ü"), "https://acc.blob.core.windows.net/container/b/%C3%BC");
    }

    #[test]
    fn an_emulators_account_stays_in_the_path() {
        let container = container("http://127.0.0.1:10000/devstoreaccount1");
        let request = container.request(Method::Get, &[("comp", "list")]);
        assert_eq!(request.path_and_query(), "/devstoreaccount1/container?restype=container&comp=list");
        assert_eq!(container.url_of("k"), "http://127.0.0.1:10000/devstoreaccount1/container/k");
    }

    #[test]
    fn a_range_of_the_first_byte_is_one_byte() {
        let span = Span { offset: 0, length: 1 };
        assert_eq!(range("x-ms-range", span), ("x-ms-range".to_owned(), "bytes=0-0".to_owned()));
    }

    #[test]
    fn an_answer_says_all_of_a_blob() {
        let response = Response::canned(
            200,
            &[
                ("ETag", "\"0x8D\""),
                ("Content-Length", "5"),
                ("Content-Type", "text/plain"),
                ("x-ms-meta-sallyportwriteid", "ab"),
                ("x-ms-meta-a_b", "1"),
                ("Server", "x"),
            ],
            "",
        );
        let blob = Blob::read(&response).unwrap();
        assert_eq!(blob.locator("b/k"), Locator { blob: "b/k".into(), etag: "0x8D".into(), write_id: "ab".into() });
        assert_eq!(blob.size, 5);
        let kept: Vec<&str> = blob.kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(kept, ["x-ms-blob-content-type", "x-ms-meta-sallyportwriteid", "x-ms-meta-a_b"]);
    }
}
