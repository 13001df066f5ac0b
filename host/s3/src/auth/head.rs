//! What authentication and routing read of a request.

use crate::error::{Code, S3Error};
use crate::uri::Query;
use http::{HeaderMap, Method};

/// The head of a request, taken apart once.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The method.
    pub(crate) method: Method,
    /// As it was sent, still encoded.
    pub(crate) path: String,
    /// Decoded.
    pub(crate) query: Query,
    /// All headers.
    pub(crate) headers: HeaderMap,
    /// As it was sent, with its port: the Host header or HTTP/2's authority.
    pub(crate) host: String,
}

impl Head {
    /// Takes the head of a request apart.
    pub(crate) fn parse(parts: &http::request::Parts) -> Result<Self, S3Error> {
        let host = match parts.headers.get(http::header::HOST) {
            Some(host) => host.to_str().ok().map(str::to_owned),
            None => parts.uri.authority().map(|authority| authority.as_str().to_owned()),
        };
        let host = host
            .filter(|host| !host.is_empty())
            .ok_or_else(|| S3Error::because(Code::BadRequest, "The request has no Host header."))?;
        Ok(Self {
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query: Query::parse(parts.uri.query().unwrap_or_default())?,
            headers: parts.headers.clone(),
            host,
        })
    }

    /// The one value of a header; `None` when it is absent or not text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All values of a header joined by commas, as signatures take them; UTF-8 passes.
    pub(crate) fn joined(&self, name: &str) -> Option<String> {
        if name == "host" {
            return Some(self.host.clone());
        }
        let mut values = self.headers.get_all(name).iter().peekable();
        values.peek()?;
        let values: Vec<String> = values.map(|value| squeeze(&String::from_utf8_lossy(value.as_bytes()))).collect();
        Some(values.join(","))
    }
}

/// Trims, and makes runs of blanks one.
fn squeeze(value: &str) -> String {
    let mut squeezed = String::with_capacity(value.len());
    for word in value.split([' ', '\t']).filter(|word| !word.is_empty()) {
        if !squeezed.is_empty() {
            squeezed.push(' ');
        }
        squeezed.push_str(word);
    }
    squeezed
}
