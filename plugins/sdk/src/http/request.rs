//! One request to the backend.

use super::{Method, Origin, Response, failure_of};
use crate::bindings::sallyport::plugin::http;
use crate::body;
use crate::storage::Body;
use crate::types::Failure;
use std::fmt;

/// A request that is being put together.
///
/// The host adds `host`, and what authenticates the request.
pub struct Request {
    method: Method,
    origin: Origin,
    path_and_query: String,
    headers: Vec<(String, Vec<u8>)>,
    contents: Contents,
}

enum Contents {
    Nothing,
    Bytes(Vec<u8>),
    Stream(Body),
}

impl Request {
    /// A request without a body; path and query are encoded, and begin with a slash.
    pub fn new(method: Method, origin: &Origin, path_and_query: impl Into<String>) -> Self {
        Self {
            method,
            origin: origin.clone(),
            path_and_query: path_and_query.into(),
            headers: Vec::new(),
            contents: Contents::Nothing,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into().into_bytes()));
        self
    }

    /// Adds a header when there is a value for it.
    #[must_use]
    pub fn maybe_header(self, name: impl Into<String>, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// Adds the `range` header for a span.
    #[must_use]
    pub fn span(self, span: Option<crate::types::Span>) -> Self {
        self.maybe_header("range", span.map(range))
    }

    /// Hands a body of `size` bytes on, unread.
    #[must_use]
    pub fn stream(mut self, body: Body, size: u64) -> Self {
        self.contents = Contents::Stream(body);
        self.header("content-length", size.to_string())
    }

    /// Sends a small body that the plugin made itself.
    #[must_use]
    pub fn bytes(mut self, body: Vec<u8>) -> Self {
        let size = body.len();
        self.contents = if body.is_empty() { Contents::Nothing } else { Contents::Bytes(body) };
        self.header("content-length", size.to_string())
    }

    /// Path and query as they will be sent.
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// The value of a header that was added.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// Sends it; the answer is here when its headers are.
    ///
    /// Any status is an answer. A failure means that there was none.
    pub async fn send(self) -> Result<Response, Failure> {
        let contents = match self.contents {
            Contents::Nothing => None,
            Contents::Bytes(bytes) => Some(body::written(async move |mut writer| {
                // What is left over was not wanted: the request ended early, and its answer says why.
                writer.write(bytes).await;
            })),
            Contents::Stream(body) => Some(body),
        };
        let request = http::Request {
            method: self.method,
            scheme: self.origin.scheme(),
            authority: self.origin.authority().to_owned(),
            path_with_query: self.path_and_query,
            headers: self.headers,
            attributes: Vec::new(),
        };
        match http::send(request, contents).await {
            Ok(answer) => Ok(Response::from_host(answer)),
            Err(error) => Err(failure_of(&error)),
        }
    }
}

/// Shows no header's value, which might be a secret.
impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        formatter
            .debug_struct("Request")
            .field("method", &self.method)
            .field("origin", &self.origin)
            .field("path", &path)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

fn range(span: crate::types::Span) -> String {
    let last = span.offset.saturating_add(span.length).saturating_sub(1);
    format!("bytes={}-{last}", span.offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Span;

    fn request() -> Request {
        let (origin, _) = Origin::parse("http://127.0.0.1:9000", true).unwrap();
        Request::new(Method::Put, &origin, "/bucket/key?sig=placeholder")
    }

    #[test]
    fn a_span_becomes_an_inclusive_range() {
        let request = request().span(Some(Span { offset: 5, length: 1 }));
        assert_eq!(request.header_value("Range"), Some("bytes=5-5"));
    }

    #[test]
    fn bytes_bring_their_length() {
        let request = request().bytes(b"<x/>".to_vec());
        assert_eq!(request.header_value("content-length"), Some("4"));
        let request = self::request().bytes(Vec::new());
        assert_eq!(request.header_value("content-length"), Some("0"));
    }

    #[test]
    fn debug_output_shows_neither_header_values_nor_the_query() {
        let shown = format!("{:?}", request().header("authorization", "s3cr3t"));
        assert!(!shown.contains("s3cr3t"), "{shown}");
        assert!(!shown.contains("placeholder"), "{shown}");
        assert!(shown.contains("authorization"), "{shown}");
    }
}
