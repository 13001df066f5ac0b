//! The backend's answer to a request.

use super::failure_of;
use crate::bindings::sallyport::plugin::http;
use crate::bindings::wasi::http::types::{ErrorCode, Trailers};
use crate::failure;
use crate::storage::Body;
use crate::types::Failure;
use wit_bindgen::rt::async_support::{FutureReader, StreamResult};

/// How a body went.
type End = FutureReader<Result<Option<Trailers>, ErrorCode>>;

/// Status and headers, with a body that nobody read yet. Dropping it drops the body.
#[derive(Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    contents: Contents,
}

#[derive(Debug)]
enum Contents {
    Host(Body, End),
    /// For tests.
    Bytes(Vec<u8>),
}

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

impl Response {
    pub(super) fn from_host((response, body, end): (http::Response, Body, End)) -> Self {
        Self { status: response.status, headers: response.headers, contents: Contents::Host(body, end) }
    }

    /// An answer that no backend gave, to test what a plugin makes of it.
    pub fn canned(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        Self {
            status,
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
            contents: Contents::Bytes(body.as_bytes().to_vec()),
        }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header's first value, when it is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| std::str::from_utf8(value).ok())
            .map(str::trim)
    }

    /// All headers, names in lower case.
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    /// The body's length, when the backend says it.
    pub fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// First byte and length of a 206's body, and the whole object's size when it is known.
    pub fn content_range(&self) -> Option<(u64, u64, Option<u64>)> {
        let range = self.header("content-range")?.strip_prefix("bytes ")?;
        let (span, whole) = range.split_once('/')?;
        let (first, last) = span.trim().split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let length = last.checked_sub(first)?.checked_add(1)?;
        Some((first, length, whole.trim().parse().ok()))
    }

    /// First byte and length of the body of a 200 or 206 that answers a read of an object of
    /// `size` bytes.
    ///
    /// `changed` when the answer says that the object has another size; `internal` when it
    /// does not say what it holds.
    pub fn extent(&self, size: u64) -> Result<(u64, u64), Failure> {
        let (offset, length, whole) = if self.status == 206 {
            self.content_range().ok_or_else(|| failure::internal("a part of an object without its range"))?
        } else {
            let length = self.content_length().ok_or_else(|| failure::internal("an answer without its length"))?;
            (0, length, Some(length))
        };
        match whole {
            Some(whole) if whole != size => Err(failure::changed(format!("{whole} bytes are there instead of {size}"))),
            _ => Ok((offset, length)),
        }
    }

    /// The seconds of a `retry-after` header, in milliseconds.
    pub fn retry_after(&self) -> Option<u64> {
        let seconds: u64 = self.header("retry-after")?.parse().ok()?;
        seconds.checked_mul(1000)
    }

    /// Hands the body on, unread.
    pub fn into_stream(self) -> Result<Body, Failure> {
        match self.contents {
            Contents::Host(body, _) => Ok(body),
            Contents::Bytes(_) => Err(failure::unsupported("a canned body has no stream")),
        }
    }

    /// Reads a small body, such as an error's XML, of at most `limit` bytes.
    ///
    /// A longer one is `too-large`; one that breaks off is `unavailable`.
    pub async fn read_to_limit(self, limit: usize) -> Result<Vec<u8>, Failure> {
        let expected = self.content_length();
        let (mut stream, end) = match self.contents {
            Contents::Host(body, end) => (body, end),
            Contents::Bytes(bytes) if bytes.len() > limit => return Err(over(limit)),
            Contents::Bytes(bytes) => return Ok(bytes),
        };
        let mut bytes = Vec::new();
        loop {
            let (result, chunk) = stream.read(Vec::with_capacity(CHUNK)).await;
            bytes.extend_from_slice(&chunk);
            if bytes.len() > limit {
                return Err(over(limit));
            }
            match result {
                StreamResult::Complete(_) => {}
                StreamResult::Dropped | StreamResult::Cancelled => break,
            }
        }
        // A stream has no error end: the future beside it says how it went.
        drop(stream);
        end.await.map_err(|error| failure_of(&error))?;
        match expected {
            Some(expected) if expected > bytes.len() as u64 && !bytes.is_empty() => {
                Err(failure::unavailable(format!("{} of {expected} bytes came", bytes.len())))
            }
            _ => Ok(bytes),
        }
    }
}

fn over(limit: usize) -> Failure {
    failure::too_large(format!("an answer of more than {limit} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_ignore_case() {
        let response = Response::canned(200, &[("ETag", "\"x\"")], "");
        assert_eq!(response.header("etag"), Some("\"x\""));
    }

    #[test]
    fn a_content_range_is_offset_length_and_size() {
        let response = Response::canned(206, &[("content-range", "bytes 5-9/100")], "hello");
        assert_eq!(response.content_range(), Some((5, 5, Some(100))));
        let response = Response::canned(206, &[("content-range", "bytes 0-0/*")], "h");
        assert_eq!(response.content_range(), Some((0, 1, None)));
        let response = Response::canned(206, &[("content-range", "bytes 9-5/100")], "");
        assert_eq!(response.content_range(), None);
    }

    #[test]
    fn an_answer_says_where_its_bytes_are_and_of_how_many() {
        let part = Response::canned(206, &[("content-range", "bytes 5-9/100")], "hello");
        assert_eq!(part.extent(100), Ok((5, 5)));
        assert_eq!(part.extent(99).unwrap_err().code, "changed");
        let unknown = Response::canned(206, &[("content-range", "bytes 5-9/*")], "hello");
        assert_eq!(unknown.extent(100), Ok((5, 5)));
        let whole = Response::canned(200, &[("content-length", "5")], "hello");
        assert_eq!(whole.extent(5), Ok((0, 5)));
        assert_eq!(whole.extent(6).unwrap_err().code, "changed");
        assert_eq!(Response::canned(206, &[], "").extent(5).unwrap_err().code, "internal");
        assert_eq!(Response::canned(200, &[], "").extent(5).unwrap_err().code, "internal");
    }

    #[test]
    fn seconds_of_retry_after_become_milliseconds() {
        let response = Response::canned(503, &[("retry-after", "2")], "");
        assert_eq!(response.retry_after(), Some(2000));
    }
}
