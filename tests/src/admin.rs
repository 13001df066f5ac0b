//! Asks a gateway's admin port.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Method, Request};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// The status and text that a path answers with.
///
/// # Errors
/// When nobody answers.
pub async fn ask(endpoint: &str, method: Method, path: &str) -> Result<(u16, String)> {
    let pool: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder().method(method).uri(format!("{endpoint}{path}")).body(Empty::new())?;
    let answer = pool.request(request).await?;
    let status = answer.status().as_u16();
    Ok((status, String::from_utf8_lossy(&answer.into_body().collect().await?.to_bytes()).into_owned()))
}

/// How one location is; null when there is none of that name.
///
/// # Errors
/// When nobody answers, or not in JSON.
pub async fn location(endpoint: &str, name: &str) -> Result<Value> {
    let (_, text) = ask(endpoint, Method::GET, "/status").await?;
    let all: Vec<Value> = serde_json::from_str(&text)?;
    Ok(all.into_iter().find(|one| one["name"] == name).unwrap_or_default())
}

/// What a reload reports.
///
/// # Errors
/// When nobody answers, or not in JSON.
pub async fn reload(endpoint: &str) -> Result<Value> {
    let (_, text) = ask(endpoint, Method::POST, "/reload").await?;
    Ok(serde_json::from_str(&text)?)
}
