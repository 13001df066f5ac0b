//! Answers the contract's calls in terms of OpenDAL's operations.

use crate::description;
use crate::listing;
use crate::place::Stored;
use crate::service::Settings;
use crate::transport::Exchange;
use futures::StreamExt;
use opendal_core::raw::OpRead;
use opendal_core::raw::oio::ReadDyn;
use opendal_core::{BytesRange, Entry, Operator};
use sallyport_plugin_sdk::http::Response;
use sallyport_plugin_sdk::listing::{ListRequest, ListResponse};
use sallyport_plugin_sdk::objects::{
    CheckRequest, CheckResponse, DeleteRequest, DeleteResponse, Description, FindRequest, FindResponse, Found,
    GetRequest, GetResponse, HeadRequest, HeadResponse, NamespaceRequest, NamespaceResponse, OpenRequest, PutRequest,
    Validation, ValidationRequest,
};
use sallyport_plugin_sdk::retry::Retry;
use sallyport_plugin_sdk::types::{self, Expectation, Failure, Span};
use sallyport_plugin_sdk::{Body, Complete, Listing, Storage, failure};
use std::fmt;

/// A service of OpenDAL's that was opened as a location.
pub struct Store {
    settings: Settings,
    operator: Operator,
}

impl Storage for Store {
    fn describe() -> Description {
        description::describe()
    }

    fn validate(request: ValidationRequest) -> Validation {
        description::validate(&request)
    }

    async fn open(request: OpenRequest) -> Result<Self, Failure> {
        let settings = description::settings(&request.details)?;
        let operator = settings.operator()?;
        Ok(Self { settings, operator })
    }

    async fn check(&self, request: CheckRequest) -> Result<CheckResponse, Failure> {
        // A container is somebody else's to make, a folder is ours.
        if request.thorough && !self.settings.service.has_container() {
            self.ask(async |operator| operator.create_dir("/").await).await?;
        }
        self.ask(async |operator| operator.check().await).await?;
        Ok(CheckResponse { warnings: Vec::new(), attributes: Vec::new() })
    }

    /// No two writes share a place, so the buckets of one location never meet.
    fn namespace(&self, request: NamespaceRequest) -> NamespaceResponse {
        let namespace = format!("{}#{}/", self.settings.target(), request.bucket);
        NamespaceResponse { namespace, attributes: Vec::new() }
    }

    async fn put(
        &self,
        request: PutRequest,
        body: Body,
        // The body is handed on: the host cuts the request when the upload fails.
        _: Complete,
    ) -> Result<types::Stored, Failure> {
        let stored = Stored::new(&request.write_id, request.size)?;
        match &request.expect {
            // A write's file is a place of its own, where nothing was before.
            Expectation::Anything | Expectation::Nothing => {}
            Expectation::Bytes(locator) => self.present(&Stored::read(locator)?).await?,
        }
        let is_atomic = self.settings.service.is_atomic();
        let path = if is_atomic { stored.file() } else { stored.unfinished() };
        let mut written = self.write(&path, body, request.size).await;
        if written.is_ok() && !is_atomic {
            written = self.once(async |operator| operator.rename(&path, &stored.file()).await).await;
        }
        if let Err(failure) = written {
            if !is_atomic {
                // Best effort: what stays behind is no object, only a file that nobody asks for.
                let _ = self.once(async |operator| operator.delete(&path).await).await;
            }
            return Err(unwritten(failure));
        }
        Ok(types::Stored { locator: stored.locator(), checksums: Vec::new(), attributes: Vec::new() })
    }

    async fn get(&self, request: GetRequest) -> Result<(GetResponse, Body), Failure> {
        let stored = Stored::read(&request.locator)?;
        let answer = Retry::default().run(|| self.read(&stored, request.span)).await?;
        let (offset, length) = answer.extent(stored.size)?;
        let span = request.span.unwrap_or(Span { offset: 0, length: stored.size });
        if (offset, length) != (span.offset, span.length) {
            return Err(failure::unavailable("the backend answered another span than was asked for"));
        }
        Ok((GetResponse { offset, length, attributes: Vec::new() }, answer.into_stream()?))
    }

    async fn head(&self, request: HeadRequest) -> Result<HeadResponse, Failure> {
        let stored = Stored::read(&request.locator)?;
        self.present(&stored).await?;
        Ok(HeadResponse { size: stored.size, attributes: Vec::new() })
    }

    async fn delete(&self, request: DeleteRequest) -> Result<DeleteResponse, Failure> {
        let path = Stored::read(&request.locator)?.file();
        self.ask(async |operator| operator.delete(&path).await).await?;
        Ok(DeleteResponse { attributes: Vec::new() })
    }

    /// Without a write id there is nothing to find: a name has no place of its own.
    async fn find(&self, request: FindRequest) -> Result<FindResponse, Failure> {
        let nothing = FindResponse { found: None, attributes: Vec::new() };
        let Some(write_id) = &request.write_id else { return Ok(nothing) };
        let size = match self.size(&Stored::new(write_id, 0)?).await {
            Ok(size) => size,
            Err(failure) if failure.code == "not-found" => return Ok(nothing),
            Err(failure) => return Err(failure),
        };
        let locator = Stored::new(write_id, size)?.locator();
        Ok(FindResponse { found: Some(Found { locator, size, checksums: Vec::new() }), attributes: Vec::new() })
    }
}

/// With it, `sallyport fsck` sees files that no object refers to.
impl Listing for Store {
    async fn list(&self, request: ListRequest) -> Result<ListResponse, Failure> {
        Retry::default().run(|| listing::list(&request, async |folder, entry| self.visit(folder, entry).await)).await
    }
}

impl Store {
    /// One operation, tried again when that may help.
    async fn ask<T>(&self, operation: impl AsyncFn(Operator) -> opendal_core::Result<T>) -> Result<T, Failure> {
        Retry::default().run(|| self.once(&operation)).await
    }

    async fn once<T>(&self, operation: impl AsyncFn(Operator) -> opendal_core::Result<T>) -> Result<T, Failure> {
        let exchange = Exchange::new();
        let done = operation(exchange.operator(&self.operator)).await;
        done.map_err(|error| exchange.failure(&error))
    }

    /// Writes a client's body. Once: after the first try it is gone.
    async fn write(&self, path: &str, body: Body, size: u64) -> Result<(), Failure> {
        let exchange = Exchange::writing(body, size);
        let operator = exchange.operator(&self.operator);
        let written = operator.write(path, Exchange::stand_in()).await;
        if written.is_ok() && !exchange.was_sent() {
            // Best effort: what was written is nobody's bytes.
            let _ = self.once(async |operator| operator.delete(path).await).await;
            return Err(failure::internal("the service wrote something else than the body"));
        }
        written.map(|_| ()).map_err(|error| exchange.failure(&error))
    }

    /// The answer that has the bytes, of which OpenDAL saw the headers.
    async fn read(&self, stored: &Stored, span: Option<Span>) -> Result<Response, Failure> {
        let exchange = Exchange::reading();
        let (context, service) = exchange.operator(&self.operator).into_parts();
        let range = span.map_or_else(BytesRange::default, |span| BytesRange::new(span.offset, Some(span.length)));
        let opened = match service.read_dyn(&context, &stored.file(), OpRead::new()) {
            Ok(reader) => reader.open_dyn(range).await,
            Err(error) => Err(error),
        };
        opened.map_err(|error| exchange.failure(&error))?;
        exchange.downloaded().ok_or_else(|| failure::internal("the service read something else than the object"))
    }

    async fn present(&self, stored: &Stored) -> Result<(), Failure> {
        stored.verify_size(self.size(stored).await?)
    }

    async fn size(&self, stored: &Stored) -> Result<u64, Failure> {
        let path = stored.file();
        let asked = self.ask(async |operator| operator.stat(&path).await).await;
        let is_absent = asked.as_ref().is_err_and(|failure| failure.code == "not-found");
        if is_absent && self.settings.service.has_container() {
            // The answer to a HEAD does not say what is not there: the file, or the container.
            self.ask(async |operator| operator.check().await).await?;
        }
        let metadata = asked?;
        if metadata.is_file() { Ok(metadata.content_length()) } else { Err(failure::changed("there is no file")) }
    }

    /// Calls `each` with what a folder has.
    async fn visit(&self, folder: &str, each: &mut dyn FnMut(&Entry)) -> Result<(), Failure> {
        let exchange = Exchange::new();
        let operator = exchange.operator(&self.operator);
        let mut lister = operator.lister(folder).await.map_err(|error| exchange.failure(&error))?;
        while let Some(entry) = lister.next().await {
            each(&entry.map_err(|error| exchange.failure(&error))?);
        }
        Ok(())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What is missing or in the way while a file is written says nothing of an object.
fn unwritten(failure: Failure) -> Failure {
    match failure.code.as_str() {
        "not-found" | "changed" | "invalid" => failure::unavailable(failure.message),
        _ => failure,
    }
}
