//! `Backend` on the instances of one location.

use crate::bindings::base::exports::sallyport::plugin::storage as wit;
use crate::body::{Download, Upload};
use crate::convert;
use crate::handover::{self, Mover};
use crate::instance::Exports;
use crate::pool::{Kind, Pool};
use crate::run::{Work, Working};
use crate::state::State;
use async_trait::async_trait;
use http_body_util::BodyExt;
use sallyport_core::backend::{
    Backend, BackendError, Checked, CompleteUpload, Copy, CopyPart, CreateUpload, FailureCode, Found, Get, Identity,
    ListStored, Locator, Name, Projection, Put, PutPart, Shown, Span, Stored, StoredPage, StoredPart, Token, Traits,
};
use sallyport_core::body::Body;
use sallyport_core::names::{BucketName, WriteId};
use std::sync::Arc;
use wasmtime::component::{Accessor, FutureReader};
use wasmtime_wasi_http::WasiBody;

pub(crate) mod optional;

type Failure = crate::bindings::base::sallyport::plugin::types::Failure;
type Complete = FutureReader<Result<(), Failure>>;

/// The storage of one location, behind a plugin.
pub(crate) struct PluginBackend {
    pool: Arc<Pool>,
    traits: Traits,
    /// Fields of `details` that a check may find out.
    learnable: Vec<String>,
}

impl PluginBackend {
    pub(crate) fn new(pool: Arc<Pool>, traits: Traits, learnable: Vec<String>) -> Self {
        Self { pool, traits, learnable }
    }

    /// One call that carries no body.
    async fn call<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl for<'a> FnOnce(&'a Accessor<State>, Arc<Exports>) -> Working<'a, Result<T, Failure>> + Send + 'static,
    ) -> Result<T, BackendError> {
        let call = self.pool.call();
        let answer = self.pool.run(Kind { name, body: None, bytes: 0 }, call.clone(), Box::new(work)).await?;
        answer.map_err(|failure| self.pool.failure(failure, &call))
    }

    async fn head_with(
        &self,
        locator: &Locator,
        attributes: Vec<(String, String)>,
    ) -> Result<wit::HeadResponse, BackendError> {
        let request = wit::HeadRequest { locator: locator.0.clone(), attributes };
        self.call("head", move |accessor, exports| {
            Box::pin(async move { exports.base.sallyport_plugin_storage().call_head(accessor, request).await })
        })
        .await
    }

    /// What is at a place, and what the plugin says beside it.
    async fn find_at(
        &self,
        name: &Name,
        write_id: Option<&WriteId>,
        attributes: Vec<(String, String)>,
    ) -> Result<(Option<Found>, Vec<(String, String)>), BackendError> {
        let write_id = write_id.map(|id| id.as_str().to_owned());
        let request = wit::FindRequest { name: convert::name(name), write_id, attributes };
        let answer = self
            .call("find", move |accessor, exports| {
                Box::pin(async move { exports.base.sallyport_plugin_storage().call_find(accessor, request).await })
            })
            .await?;
        let found = match answer.found {
            None => None,
            Some(found) => Some(Found {
                locator: convert::locator(found.locator)?,
                size: found.size,
                checksums: convert::digests(found.checksums)?,
            }),
        };
        Ok((found, answer.attributes))
    }

    /// One call that carries a body. When it fails after the body did, the body's error is
    /// the one that counts: what the plugin makes of a broken body says nothing.
    async fn upload<T: Send + 'static>(
        &self,
        name: &'static str,
        size: u64,
        body: Body,
        work: impl for<'a> FnOnce(
            &'a Accessor<State>,
            Arc<Exports>,
            WasiBody,
            tokio::sync::oneshot::Receiver<()>,
        ) -> Working<'a, Result<T, Failure>>
        + Send
        + 'static,
    ) -> Result<T, BackendError> {
        let call = self.pool.call();
        let (body, _loan, completed) = Upload::new(body, size, call.clone());
        let body = body.boxed_unsync();
        let work: Work<Result<T, Failure>> =
            Box::new(move |accessor, exports| work(accessor, exports, body, completed));
        let answer = self.pool.run(Kind { name, body: Some(size), bytes: size }, call.clone(), work).await;
        match (answer, call.body_error()) {
            (_, Some(error)) => Err(BackendError::Body(error)),
            (Ok(Ok(_)), None) if !call.has_taken_all() => Err(convert::lie("it answered before it had the whole body")),
            (Ok(Ok(answer)), None) => Ok(answer),
            (Ok(Err(failure)), None) => Err(self.pool.failure(failure, &call)),
            (Err(error), None) => Err(error),
        }
    }
}

/// The plugin's two handles on a body: its bytes, and whether they came to a good end.
fn body_handles(
    accessor: &Accessor<State>,
    body: WasiBody,
    completed: tokio::sync::oneshot::Receiver<()>,
) -> wasmtime::Result<(wasmtime::component::StreamReader<u8>, Complete)> {
    let stream = handover::stream_of(accessor, body)?;
    let complete = accessor.with(|access| {
        FutureReader::new(access, async move {
            let broken = |_| Failure {
                code: "invalid".to_owned(),
                message: "the body broke off".to_owned(),
                retry_after: None,
                attributes: Vec::new(),
            };
            wasmtime::Result::<_>::Ok(completed.await.map_err(broken))
        })
    })?;
    Ok((stream, complete))
}

fn unsupported(what: &str) -> BackendError {
    BackendError::Answered {
        code: FailureCode::Unsupported,
        message: format!("the plugin has no {what}"),
        retry_after: None,
    }
}

#[async_trait]
impl Backend for PluginBackend {
    fn traits(&self) -> &Traits {
        &self.traits
    }

    async fn namespace(&self, bucket: &BucketName) -> Result<String, BackendError> {
        let request = wit::NamespaceRequest { bucket: bucket.as_str().to_owned(), attributes: Vec::new() };
        let answer = self
            .call("namespace", move |accessor, exports| {
                Box::pin(async move {
                    Ok(Ok(exports.base.sallyport_plugin_storage().call_namespace(accessor, request).await?))
                })
            })
            .await?;
        if answer.namespace.len() > 4096 {
            return Err(convert::lie("it answered a namespace of more than 4,096 bytes"));
        }
        Ok(answer.namespace)
    }

    async fn check(&self, thorough: bool) -> Result<Checked, BackendError> {
        let request = wit::CheckRequest { thorough, attributes: Vec::new() };
        let answer = self
            .call("check", move |accessor, exports| {
                Box::pin(async move { exports.base.sallyport_plugin_storage().call_check(accessor, request).await })
            })
            .await?;
        let learned = answer.attributes.iter().filter_map(|(name, value)| {
            let path = self.learnable.iter().find(|path| name.strip_prefix("learned:") == Some(path.as_str()))?;
            Some((path.clone(), crate::log::printable(value, 256)))
        });
        Ok(Checked {
            warnings: answer.warnings.iter().take(32).map(|warning| crate::log::printable(warning, 1024)).collect(),
            learned: learned.take(16).collect(),
        })
    }

    async fn put(&self, request: Put, body: Body) -> Result<Stored, BackendError> {
        let size = request.size;
        let request = wit::PutRequest {
            name: convert::name(&request.name),
            write_id: request.write_id.as_str().to_owned(),
            size,
            expect: convert::expectation(request.expect),
            object: convert::projection(request.object),
            checksums: convert::checksums(request.checksums),
            attributes: Vec::new(),
        };
        let answer = self
            .upload("put", size, body, move |accessor, exports, body, completed| {
                Box::pin(async move {
                    let (stream, complete) = body_handles(accessor, body, completed)?;
                    exports.base.sallyport_plugin_storage().call_put(accessor, request, stream, complete).await
                })
            })
            .await?;
        convert::stored(answer)
    }

    async fn get(&self, request: Get) -> Result<Body, BackendError> {
        let expected = request.span.unwrap_or(Span { offset: 0, length: request.size });
        let span = request.span.map(|span| crate::bindings::base::sallyport::plugin::types::Span {
            offset: span.offset,
            length: span.length,
        });
        let request = wit::GetRequest { locator: request.locator.0, size: request.size, span, attributes: Vec::new() };
        let call = self.pool.call();
        let written = call.clone();
        let work: Work<_> = Box::new(move |accessor, exports| {
            Box::pin(async move {
                match exports.base.sallyport_plugin_storage().call_get(accessor, request).await? {
                    Ok((answer, stream)) => {
                        let (body, mover) = handover::body_of(accessor, stream)?;
                        if mover == Mover::Plugin {
                            written.begin_writing();
                        }
                        Ok(Ok((answer, body)))
                    }
                    Err(failure) => Ok(Err(failure)),
                }
            })
        });
        let answer =
            self.pool.run(Kind { name: "get", body: None, bytes: expected.length }, call.clone(), work).await?;
        let (answer, body) = answer.map_err(|failure| self.pool.failure(failure, &call))?;
        let body = Download::new(body, expected.length, self.pool.idle(), call);
        if (answer.offset, answer.length) != (expected.offset, expected.length) {
            return Err(convert::lie(format!(
                "it answered {} bytes from {} where {} from {} were asked for",
                answer.length, answer.offset, expected.length, expected.offset
            )));
        }
        Ok(body.boxed_unsync())
    }

    async fn head(&self, locator: &Locator) -> Result<u64, BackendError> {
        Ok(self.head_with(locator, Vec::new()).await?.size)
    }

    async fn delete(&self, locator: &Locator) -> Result<(), BackendError> {
        let request = wit::DeleteRequest { locator: locator.0.clone(), attributes: Vec::new() };
        let answer = self
            .call("delete", move |accessor, exports| {
                Box::pin(async move { exports.base.sallyport_plugin_storage().call_delete(accessor, request).await })
            })
            .await;
        answer.map(|_| ())
    }

    async fn find(&self, name: &Name, write_id: Option<&WriteId>) -> Result<Option<Found>, BackendError> {
        Ok(self.find_at(name, write_id, Vec::new()).await?.0)
    }

    async fn look(&self, name: &Name) -> Result<Option<Shown>, BackendError> {
        let (found, attributes) = self.find_at(name, None, vec![("show".to_owned(), String::new())]).await?;
        let (write_id, object) = convert::shown(attributes);
        Ok(found.map(|found| Shown { found, write_id, object }))
    }

    async fn identify(&self, locator: &Locator) -> Result<Identity, BackendError> {
        let answer = self.head_with(locator, vec![("show".to_owned(), String::new())]).await?;
        convert::identity(locator, answer.attributes)
    }

    async fn create_upload(&self, request: CreateUpload) -> Result<Token, BackendError> {
        self.create_upload_optional(request).await
    }

    async fn put_part(&self, request: PutPart, body: Body) -> Result<StoredPart, BackendError> {
        self.put_part_optional(request, body).await
    }

    async fn complete_upload(&self, request: CompleteUpload) -> Result<Stored, BackendError> {
        self.complete_upload_optional(request).await
    }

    async fn abort_upload(&self, upload: &Token) -> Result<(), BackendError> {
        self.abort_upload_optional(upload).await
    }

    async fn keep_upload(&self, upload: &Token) -> Result<(), BackendError> {
        self.keep_upload_optional(upload).await
    }

    async fn find_uploads(&self, name: &Name, write_id: &WriteId) -> Result<Vec<Token>, BackendError> {
        self.find_uploads_optional(name, write_id).await
    }

    async fn copy(&self, request: Copy) -> Result<Stored, BackendError> {
        self.copy_optional(request).await
    }

    async fn copy_part(&self, request: CopyPart) -> Result<StoredPart, BackendError> {
        self.copy_part_optional(request).await
    }

    async fn put_tags(&self, locator: &Locator, object: &Projection) -> Result<Locator, BackendError> {
        self.put_tags_optional(locator, object).await
    }

    async fn hide(&self, name: &Name) -> Result<Locator, BackendError> {
        self.hide_optional(name).await
    }

    async fn list(&self, request: ListStored) -> Result<StoredPage, BackendError> {
        self.list_optional(request).await
    }
}
