//! The same gateway with its upstream asked by native code: what the sandbox costs is the difference.

use anyhow::{Context, Result, anyhow};
use async_trait::async_trait;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sallyport::config::ConnectionLimits;
use sallyport::serving::{self, ServeOptions};
use sallyport_core::backend::{
    Backend, BackendError, Checked, CompleteUpload, Copy, CopyPart, CreateUpload, FailureCode, Found, Get, ListStored,
    Location, Locations, Locator, Name, Place, Projection, Put, PutPart, Stored, StoredPage, StoredPart, Token, Traits,
};
use sallyport_core::body::{self, Body, BodyError};
use sallyport_core::names::{AccountId, BucketName, LocationName, WriteId};
use sallyport_core::{Gateway, GatewayOptions};
use sallyport_metadata::{SqliteOptions, SqliteStore};
use sallyport_s3::{Account, Credentials, Person, S3Options, S3Service, Secret};
use sallyport_tests::gateway::{ACCESS_KEY, SECRET_KEY};
use sallyport_tests::signing::{Signer, Subject, UNSIGNED};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// The only location.
const LOCATION: &str = "us-east-1";

/// Serves until it is killed, with metadata below a folder.
///
/// # Errors
/// When the database cannot be opened or nothing can be bound.
pub(crate) async fn run(upstream: SocketAddr, folder: &Path) -> Result<()> {
    let metadata = Arc::new(SqliteStore::open(SqliteOptions::new(folder)).await?);
    let backend: Arc<dyn Backend> = Arc::new(Native::new(upstream));
    let gateway = Gateway::new(metadata, Arc::new(Only(backend)), GatewayOptions::default());
    let service = S3Service::new(Arc::new(gateway), S3Options::new(Arc::new(OneAccount)));
    let listening = serving::bind(&["127.0.0.1:0".parse()?]).await?;
    let address = *listening.addresses().first().context("no address")?;
    let options = ServeOptions { limits: ConnectionLimits::default(), tls: None };
    let serving = listening.serve(options, move |request, peer| {
        let service = service.clone();
        async move { service.handle(request, Some(peer.address)).await }
    });
    super::announce(address);
    std::future::pending::<()>().await;
    serving.drain().await;
    Ok(())
}

struct OneAccount;

impl Credentials for OneAccount {
    fn lookup(&self, access_key: &str) -> Option<Account> {
        (access_key == ACCESS_KEY).then(|| Account {
            id: AccountId::new("bench"),
            short_id: "000000000000".to_owned(),
            display_name: "bench".to_owned(),
            secret: Secret::new(SECRET_KEY),
        })
    }

    fn account(&self, _: &AccountId) -> Option<Person> {
        None
    }

    fn by_email(&self, _: &str) -> Option<Person> {
        None
    }
}

struct Only(Arc<dyn Backend>);

impl Locations for Only {
    fn location(&self, name: &LocationName) -> Option<Location> {
        let backend = Ok(Arc::clone(&self.0));
        (name.as_str() == LOCATION).then(|| Location { name: name.clone(), legacy_aws_behavior: true, backend })
    }

    fn names(&self) -> Vec<LocationName> {
        LocationName::parse(LOCATION).into_iter().collect()
    }
}

/// An S3 upstream, asked as the `aws_s3` plugin asks it.
struct Native {
    traits: Traits,
    upstream: SocketAddr,
    signer: Signer,
    client: Client<HttpConnector, Body>,
}

impl Native {
    fn new(upstream: SocketAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let traits = Traits {
            max_put: 5 << 30,
            min_part: 0,
            max_part: 0,
            max_parts: 0,
            keeps_overwritten: true,
            uploads_expire_after: None,
            multipart: false,
            copy: false,
            tagging: false,
            versions: false,
            listing: false,
            target: "native".to_owned(),
        };
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(128).build(connector);
        Self { traits, upstream, signer: Signer::new("key", "secret"), client }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &str,
        mut headers: Vec<(String, String)>,
        body: Body,
    ) -> Result<Response<Incoming>, BackendError> {
        let host = self.upstream.to_string();
        let subject = Subject { method: method.as_str(), path, query, host: &host };
        headers.extend(self.signer.headers(subject, &headers, UNSIGNED));
        let mark = if query.is_empty() { "" } else { "?" };
        let mut request = Request::builder().method(method).uri(format!("http://{host}{path}{mark}{query}"));
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(failed)?;
        let response = self.client.request(request).await.map_err(failed)?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err(answered(FailureCode::NotFound, "not found")),
            status => Err(answered(FailureCode::Internal, &status.to_string())),
        }
    }
}

fn answered(code: FailureCode, message: &str) -> BackendError {
    BackendError::Answered { code, message: message.to_owned(), retry_after: None }
}

fn failed(error: impl std::fmt::Display) -> BackendError {
    answered(FailureCode::Unavailable, &error.to_string())
}

fn unsupported<T>() -> Result<T, BackendError> {
    Err(answered(FailureCode::Unsupported, "not measured"))
}

/// `path?versionId=...`, kept as text.
fn parts(locator: &Locator) -> Result<(String, String), BackendError> {
    let text = String::from_utf8(locator.0.clone()).map_err(failed)?;
    let (path, version) = text.split_once('?').ok_or_else(|| failed(anyhow!("a foreign locator")))?;
    Ok((path.to_owned(), format!("versionId={version}")))
}

fn header(response: &Response<Incoming>, name: &str) -> String {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

#[async_trait]
impl Backend for Native {
    fn traits(&self) -> &Traits {
        &self.traits
    }

    async fn namespace(&self, bucket: &BucketName) -> Result<String, BackendError> {
        Ok(format!("{}/", bucket.as_str()))
    }

    async fn check(&self, _: bool) -> Result<Checked, BackendError> {
        Ok(Checked::default())
    }

    async fn put(&self, request: Put, body: Body) -> Result<Stored, BackendError> {
        let key = sallyport_tests::signing::encode(&request.name.key.to_string(), false);
        let aside = match &request.name.place {
            Place::Plain => String::new(),
            Place::Derived(token) => format!(".{token}"),
        };
        let path = format!("/bench/{}/{key}{aside}", request.name.bucket.as_str());
        let headers = vec![
            (header::CONTENT_LENGTH.to_string(), request.size.to_string()),
            ("x-amz-meta-sallyport-write".to_owned(), request.write_id.as_str().to_owned()),
        ];
        let response = self.send(Method::PUT, &path, "", headers, body).await?;
        let locator = Locator(format!("{path}?{}", header(&response, "x-amz-version-id")).into_bytes());
        Ok(Stored { locator, checksums: Vec::new() })
    }

    async fn get(&self, request: Get) -> Result<Body, BackendError> {
        let (path, query) = parts(&request.locator)?;
        let range = request.span.map(|span| format!("bytes={}-{}", span.offset, span.offset + span.length - 1));
        let headers = range.map(|range| ("range".to_owned(), range)).into_iter().collect();
        let response = self.send(Method::GET, &path, &query, headers, body::empty()).await?;
        let body = response.into_body().map_err(|error| BodyError::Backend(error.to_string()));
        Ok(body.boxed_unsync())
    }

    async fn head(&self, locator: &Locator) -> Result<u64, BackendError> {
        let (path, query) = parts(locator)?;
        let response = self.send(Method::HEAD, &path, &query, Vec::new(), body::empty()).await?;
        header(&response, "content-length").parse().map_err(failed)
    }

    async fn delete(&self, locator: &Locator) -> Result<(), BackendError> {
        let (path, query) = parts(locator)?;
        self.send(Method::DELETE, &path, &query, Vec::new(), body::empty()).await.map(|_| ())
    }

    async fn find(&self, _: &Name, _: Option<&WriteId>) -> Result<Option<Found>, BackendError> {
        Ok(None)
    }

    async fn create_upload(&self, _: CreateUpload) -> Result<Token, BackendError> {
        unsupported()
    }

    async fn put_part(&self, _: PutPart, _: Body) -> Result<StoredPart, BackendError> {
        unsupported()
    }

    async fn complete_upload(&self, _: CompleteUpload) -> Result<Stored, BackendError> {
        unsupported()
    }

    async fn abort_upload(&self, _: &Token) -> Result<(), BackendError> {
        unsupported()
    }

    async fn keep_upload(&self, _: &Token) -> Result<(), BackendError> {
        unsupported()
    }

    async fn find_uploads(&self, _: &Name, _: &WriteId) -> Result<Vec<Token>, BackendError> {
        unsupported()
    }

    async fn copy(&self, _: Copy) -> Result<Stored, BackendError> {
        unsupported()
    }

    async fn copy_part(&self, _: CopyPart) -> Result<StoredPart, BackendError> {
        unsupported()
    }

    async fn put_tags(&self, _: &Locator, _: &Projection) -> Result<Locator, BackendError> {
        unsupported()
    }

    async fn hide(&self, _: &Name) -> Result<Locator, BackendError> {
        unsupported()
    }

    async fn list(&self, _: ListStored) -> Result<StoredPage, BackendError> {
        unsupported()
    }
}
