//! A small S3 client that can do what libraries forbid: wrong digests, cut bodies, raw answers.

use crate::signing::{Signer, Subject, encode, sha256};
use crate::tls::trusting;
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client as Pool, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::path::Path;

/// Signs every request for one account.
#[derive(Debug, Clone)]
pub struct Client {
    endpoint: String,
    host: String,
    /// Sent in place of the endpoint's own.
    host_header: Option<String>,
    signer: Signer,
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// One request, described from its bucket and key.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Bytes,
    digest: Option<String>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The protocol that was spoken.
    pub version: http::Version,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body, read to its end.
    pub body: Bytes,
}

impl Call {
    /// A call on `bucket/key`, on `bucket`, or on nothing (ListBuckets).
    #[must_use]
    pub fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: format!("/{}", encode(path, false)),
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            digest: None,
        }
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((encode(name, true), encode(value, true)));
        self
    }

    /// Adds a header, which is signed.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Claims this payload digest instead of the body's own.
    #[must_use]
    pub fn digest(mut self, digest: &str) -> Self {
        self.digest = Some(digest.to_owned());
        self
    }

    fn canonical_query(&self) -> String {
        let mut pairs = self.query.clone();
        pairs.sort();
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}

impl Client {
    /// A client for a path-style endpoint.
    ///
    /// # Errors
    /// When the endpoint is not a URL.
    pub fn new(endpoint: &str, access_key: &str, secret_key: &str) -> Result<Self> {
        Self::speaking(endpoint, [access_key, secret_key], Speaks::Either, None)
    }

    /// A client that trusts the authority in a PEM file, and of the protocols speaks these.
    ///
    /// # Errors
    /// When the endpoint is not a URL, or the file is no certificate.
    pub fn speaking(endpoint: &str, keys: [&str; 2], speaks: Speaks, authority: Option<&Path>) -> Result<Self> {
        let uri: Uri = endpoint.parse()?;
        let host = uri.authority().context("the endpoint has no host")?.to_string();
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            host,
            host_header: None,
            signer: Signer::new(keys[0], keys[1]),
            pool: pool(speaks, authority)?,
        })
    }

    /// The same client, that asks for another host than the one it connects to.
    #[must_use]
    pub fn at_host(&self, host: &str) -> Self {
        Self { host: host.to_owned(), host_header: Some(host.to_owned()), ..self.clone() }
    }

    /// Sends a call, signed in its headers.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn send(&self, call: Call) -> Result<Answer> {
        let query = call.canonical_query();
        let digest = call.digest.clone().unwrap_or_else(|| sha256(&call.body));
        let subject = Subject { method: call.method.as_str(), path: &call.path, query: &query, host: &self.host };
        let signed = self.signer.headers(subject, &call.headers, &digest);
        let mut request = Request::builder().method(call.method.clone()).uri(self.uri(&call.path, &query));
        for (name, value) in call.headers.iter().chain(&signed) {
            request = request.header(name, value);
        }
        if let Some(host) = &self.host_header {
            request = request.header("host", host);
        }
        self.exchange(request.body(Full::new(call.body))?).await
    }

    /// Sends a call without a signature.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn send_unsigned(&self, call: Call) -> Result<Answer> {
        let query = call.canonical_query();
        let mut request = Request::builder().method(call.method.clone()).uri(self.uri(&call.path, &query));
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(host) = &self.host_header {
            request = request.header("host", host);
        }
        self.exchange(request.body(Full::new(call.body))?).await
    }

    /// Sends a call through its presigned URL.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn send_presigned(&self, call: Call, seconds: u32) -> Result<Answer> {
        let request = Request::builder().method(call.method.clone()).uri(self.presign(&call, seconds));
        self.exchange(request.body(Full::new(call.body))?).await
    }

    /// The presigned URL of a call.
    #[must_use]
    pub fn presign(&self, call: &Call, seconds: u32) -> String {
        let query = call.canonical_query();
        let subject = Subject { method: call.method.as_str(), path: &call.path, query: &query, host: &self.host };
        self.uri(&call.path, &self.signer.presigned(subject, seconds))
    }

    /// `PUT bucket/key`.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn put(&self, path: &str, body: impl Into<Bytes>) -> Result<Answer> {
        self.send(Call::new(Method::PUT, path).body(body)).await
    }

    /// `GET bucket/key`.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Call::new(Method::GET, path)).await
    }

    /// `HEAD bucket/key`.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn head(&self, path: &str) -> Result<Answer> {
        self.send(Call::new(Method::HEAD, path)).await
    }

    /// `DELETE bucket/key`.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(Call::new(Method::DELETE, path)).await
    }

    /// Creates a bucket, in a location unless it is empty.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn create_bucket(&self, bucket: &str, location: &str) -> Result<Answer> {
        let body = if location.is_empty() {
            String::new()
        } else {
            format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <LocationConstraint>{location}</LocationConstraint></CreateBucketConfiguration>"
            )
        };
        self.send(Call::new(Method::PUT, bucket).body(body)).await
    }

    /// Keys of a bucket (the first thousand).
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn keys(&self, bucket: &str) -> Result<Vec<String>> {
        let answer = self.send(Call::new(Method::GET, bucket).query("list-type", "2")).await?;
        Ok(answer.elements("Key"))
    }

    fn uri(&self, path: &str, query: &str) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{query}", self.endpoint)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer> {
        let (head, body) = self.pool.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status, version: head.version, headers: head.headers, body })
    }
}

/// The protocols that a client offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/2 where TLS agrees on it, else HTTP/1.1.
    Either,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone: without TLS by prior knowledge.
    Http2,
}

fn pool(speaks: Speaks, authority: Option<&Path>) -> Result<Pool<HttpsConnector<HttpConnector>, Full<Bytes>>> {
    let builder = HttpsConnectorBuilder::new().with_tls_config(trusting(authority)?).https_or_http();
    let connector = match speaks {
        Speaks::Either => builder.enable_http1().enable_http2().build(),
        Speaks::Http1 => builder.enable_http1().build(),
        Speaks::Http2 => builder.enable_http2().build(),
    };
    Ok(Pool::builder(TokioExecutor::new()).http2_only(speaks == Speaks::Http2).build(connector))
}

impl Answer {
    /// A header's value, empty when absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The `Code` of an S3 error, empty when there is none.
    #[must_use]
    pub fn code(&self) -> String {
        self.elements("Code").into_iter().next().unwrap_or_default()
    }

    /// The texts of all elements with this name.
    #[must_use]
    pub fn elements(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let text = self.text();
        let found = text.split(&open).skip(1).filter_map(|rest| rest.split(&close).next());
        found.map(ToOwned::to_owned).collect()
    }
}
