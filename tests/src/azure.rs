//! Reads an Azure container directly, with the account's shared key.

use crate::client::Answer;
use crate::signing::{encode, hmac, http_date};
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
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
    pool: Pool<HttpConnector, Full<Bytes>>,
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

    /// Names of the blobs in a container, and of those that only have uncommitted blocks.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn names_with_uncommitted(&self, container: &str) -> Result<Vec<String>> {
        let path = format!("/{container}");
        let query = [("comp", "list"), ("include", "uncommittedblobs"), ("restype", "container")];
        Ok(self.send("GET", &path, &query).await?.elements("Name"))
    }

    /// Removes a blob, as somebody else with the key would.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn delete(&self, container: &str, name: &str) -> Result<Answer> {
        self.send("DELETE", &format!("/{container}/{}", encode(name, false)), &[]).await
    }

    /// Writes a blob, as somebody else with the key would.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn put(&self, container: &str, name: &str, body: &str) -> Result<Answer> {
        self.put_with(container, name, body, &[]).await
    }

    /// Writes a blob with further headers whose names start with `x-ms-`.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn put_with(&self, container: &str, name: &str, body: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let path = format!("/{container}/{}", encode(name, false));
        let headers = [headers, &[("x-ms-blob-type", "BlockBlob")]].concat();
        self.send_body("PUT", &path, &[], body.to_owned().into(), &headers).await
    }

    /// Makes a container.
    ///
    /// # Errors
    /// When no whole answer arrives.
    pub async fn create(&self, container: &str) -> Result<Answer> {
        self.send("PUT", &format!("/{container}"), &[("restype", "container")]).await
    }

    async fn send(&self, method: &str, path: &str, query: &[(&str, &str)]) -> Result<Answer> {
        self.send_body(method, path, query, Bytes::new(), &[]).await
    }

    /// A shared access signature for the whole account, with which everything may be done.
    ///
    /// <https://learn.microsoft.com/rest/api/storageservices/create-account-sas>
    #[must_use]
    pub fn shared_access_signature(&self) -> String {
        let (permissions, services, kinds, expiry) = ("rwdlacuptf", "b", "sco", "2099-01-01T00:00:00Z");
        let protocols = "https,http";
        let text = format!(
            "{}\n{permissions}\n{services}\n{kinds}\n\n{expiry}\n\n{protocols}\n{API_VERSION}\n\n",
            self.account
        );
        let signature = encode(&STANDARD.encode(hmac(&self.key, text.as_bytes())), true);
        format!(
            "sv={API_VERSION}&ss={services}&srt={kinds}&sp={permissions}&se={}&spr={}&sig={signature}",
            encode(expiry, true),
            encode(protocols, true)
        )
    }

    /// `query` is sorted by name.
    async fn send_body(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Bytes,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        let date = http_date(SystemTime::now());
        let prefix = self.endpoint.splitn(4, '/').nth(3).map(|rest| format!("/{rest}")).unwrap_or_default();
        let mut resource = format!("/{}{prefix}{path}", self.account);
        for (name, value) in query {
            resource.push_str(&format!("\n{name}:{value}"));
        }
        let mut headers = [headers, &[("x-ms-date", date.as_str()), ("x-ms-version", API_VERSION)]].concat();
        headers.sort_unstable();
        let signed: Vec<_> = headers.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        let signed = signed.join("\n");
        let length = if body.is_empty() { String::new() } else { body.len().to_string() };
        let text = format!("{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n{signed}\n{resource}");
        let signature = STANDARD.encode(hmac(&self.key, text.as_bytes()));
        let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}{mark}{}", self.endpoint, pairs.join("&")))
            .header("authorization", format!("SharedKey {}:{signature}", self.account))
            .header("content-length", body.len());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Full::new(body))?;
        let (head, body) = self.pool.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status, version: head.version, headers: head.headers, body })
    }
}
