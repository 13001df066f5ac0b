//! Reads an Azure container directly, with the account's shared key.

use crate::client::Answer;
use crate::signing::{encode, hmac, http_date};
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::client::legacy::{Client as Pool, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::time::SystemTime;

const API_VERSION: &str = "2021-12-02";

/// A reader of one account.
#[derive(Clone)]
pub struct BlobReader {
    endpoint: String,
    account: String,
    key: Vec<u8>,
    pool: Pool<HttpConnector, Empty<Bytes>>,
}

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("BlobReader").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl BlobReader {
    /// A reader of the account at `endpoint` (which ends in the account's name on Azurite).
    ///
    /// # Errors
    /// When the key is not base64.
    pub fn new(endpoint: &str, account: &str, key: &str) -> Result<Self> {
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            account: account.to_owned(),
            key: STANDARD.decode(key)?,
            pool: Pool::builder(TokioExecutor::new()).build_http(),
        })
    }

    /// A blob with its headers.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn get(&self, container: &str, name: &str) -> Result<Answer> {
        self.send("GET", &format!("/{container}/{}", encode(name, false)), &[]).await
    }

    /// A blob's tags as XML.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn tags(&self, container: &str, name: &str) -> Result<Answer> {
        self.send("GET", &format!("/{container}/{}", encode(name, false)), &[("comp", "tags")]).await
    }

    /// Names of the blobs in a container.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn names(&self, container: &str) -> Result<Vec<String>> {
        let path = format!("/{container}");
        Ok(self.send("GET", &path, &[("comp", "list"), ("restype", "container")]).await?.elements("Name"))
    }

    /// Removes a blob, as somebody else with the key would.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn delete(&self, container: &str, name: &str) -> Result<Answer> {
        self.send("DELETE", &format!("/{container}/{}", encode(name, false)), &[]).await
    }

    /// `query` is sorted by name.
    async fn send(&self, method: &str, path: &str, query: &[(&str, &str)]) -> Result<Answer> {
        let date = http_date(SystemTime::now());
        let prefix = self.endpoint.splitn(4, '/').nth(3).map(|rest| format!("/{rest}")).unwrap_or_default();
        let mut resource = format!("/{}{prefix}{path}", self.account);
        for (name, value) in query {
            resource.push_str(&format!("\n{name}:{value}"));
        }
        let headers = format!("x-ms-date:{date}\nx-ms-version:{API_VERSION}");
        let text = format!("{method}\n\n\n\n\n\n\n\n\n\n\n\n{headers}\n{resource}");
        let signature = STANDARD.encode(hmac(&self.key, text.as_bytes()));
        let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}{mark}{}", self.endpoint, pairs.join("&")))
            .header("x-ms-date", date)
            .header("x-ms-version", API_VERSION)
            .header("authorization", format!("SharedKey {}:{signature}", self.account))
            .body(Empty::new())?;
        let (head, body) = self.pool.request(request).await?.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, body: body.collect().await?.to_bytes() })
    }
}
