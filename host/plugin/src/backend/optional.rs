//! The calls of interfaces that a plugin may not have.

use super::{PluginBackend, body_handles, unsupported};
use crate::bindings::copy::exports::sallyport::plugin::copy as wit_copy;
use crate::bindings::listing::exports::sallyport::plugin::listing as wit_listing;
use crate::bindings::multipart::exports::sallyport::plugin::multipart as wit_multipart;
use crate::bindings::tagging::exports::sallyport::plugin::tagging as wit_tagging;
use crate::bindings::versions::exports::sallyport::plugin::versions as wit_versions;
use crate::convert;
use sallyport_core::backend::{
    BackendError, CompleteUpload, Copy, CopyPart, CreateUpload, ListStored, Locator, Name, Projection, PutPart, Stored,
    StoredEntry, StoredPage, StoredPart, Token,
};
use sallyport_core::body::Body;
use sallyport_core::names::WriteId;

/// Makes the call of an optional export: what `traits` promise is there.
macro_rules! optional_call {
    ($backend:expr, $call:literal, $field:ident, $interface:ident, $function:ident, $request:expr) => {{
        if !$backend.traits.$field {
            return Err(unsupported(stringify!($field)));
        }
        let request = $request;
        $backend
            .call($call, move |accessor, exports| {
                Box::pin(async move {
                    let exported =
                        exports.$field.as_ref().ok_or_else(|| wasmtime::Error::msg("the interface is gone"))?;
                    exported.$interface().$function(accessor, request).await
                })
            })
            .await?
    }};
}

impl PluginBackend {
    pub(super) async fn create_upload_optional(&self, request: CreateUpload) -> Result<Token, BackendError> {
        let request = wit_multipart::CreateRequest {
            name: convert::name(&request.name),
            write_id: request.write_id.as_str().to_owned(),
            object: convert::projection(request.object),
            attributes: Vec::new(),
        };
        let answer = optional_call!(self, "create", multipart, sallyport_plugin_multipart, call_create, request);
        convert::token(answer.upload)
    }

    pub(super) async fn put_part_optional(&self, request: PutPart, body: Body) -> Result<StoredPart, BackendError> {
        if !self.traits.multipart {
            return Err(unsupported("multipart"));
        }
        let size = request.size;
        let request = wit_multipart::PartRequest {
            upload: request.upload.0,
            number: request.number,
            size,
            checksums: convert::checksums(request.checksums),
            attributes: Vec::new(),
        };
        let answer = self
            .upload("put-part", size, body, move |accessor, exports, body, completed| {
                Box::pin(async move {
                    let exported = exports.multipart.as_ref();
                    let exported = exported.ok_or_else(|| wasmtime::Error::msg("the interface is gone"))?;
                    let (stream, complete) = body_handles(accessor, body, completed)?;
                    exported.sallyport_plugin_multipart().call_put_part(accessor, request, stream, complete).await
                })
            })
            .await?;
        convert::stored_part(answer)
    }

    pub(super) async fn complete_upload_optional(&self, request: CompleteUpload) -> Result<Stored, BackendError> {
        let part = |part: sallyport_core::backend::CompletedPart| wit_multipart::CompletedPart {
            number: part.number,
            part: part.part.0,
            size: part.size,
        };
        let request = wit_multipart::CompleteRequest {
            upload: request.upload.0,
            parts: request.parts.into_iter().map(part).collect(),
            size: request.size,
            attributes: Vec::new(),
        };
        let answer = optional_call!(self, "complete", multipart, sallyport_plugin_multipart, call_complete, request);
        convert::stored(answer)
    }

    pub(super) async fn abort_upload_optional(&self, upload: &Token) -> Result<(), BackendError> {
        let request = wit_multipart::AbortRequest { upload: upload.0.clone(), attributes: Vec::new() };
        optional_call!(self, "abort", multipart, sallyport_plugin_multipart, call_abort, request);
        Ok(())
    }

    pub(super) async fn keep_upload_optional(&self, upload: &Token) -> Result<(), BackendError> {
        let request = wit_multipart::KeepRequest { upload: upload.0.clone(), attributes: Vec::new() };
        optional_call!(self, "keep", multipart, sallyport_plugin_multipart, call_keep, request);
        Ok(())
    }

    pub(super) async fn find_uploads_optional(
        &self,
        name: &Name,
        write_id: &WriteId,
    ) -> Result<Vec<Token>, BackendError> {
        let request = wit_multipart::FindUploadsRequest {
            name: convert::name(name),
            write_id: write_id.as_str().to_owned(),
            attributes: Vec::new(),
        };
        let answer =
            optional_call!(self, "find-uploads", multipart, sallyport_plugin_multipart, call_find_uploads, request);
        if answer.uploads.len() > 1000 {
            return Err(convert::lie("it answered more than 1,000 uploads of one write"));
        }
        answer.uploads.into_iter().map(convert::token).collect()
    }

    pub(super) async fn copy_optional(&self, request: Copy) -> Result<Stored, BackendError> {
        let request = wit_copy::CopyRequest {
            source: request.source.0,
            size: request.size,
            name: convert::name(&request.name),
            write_id: request.write_id.as_str().to_owned(),
            expect: convert::expectation(request.expect),
            object: convert::projection(request.object),
            attributes: Vec::new(),
        };
        convert::stored(optional_call!(self, "copy", copy, sallyport_plugin_copy, call_copy, request))
    }

    pub(super) async fn copy_part_optional(&self, request: CopyPart) -> Result<StoredPart, BackendError> {
        let span = request.span.map(|span| crate::bindings::base::sallyport::plugin::types::Span {
            offset: span.offset,
            length: span.length,
        });
        let request = wit_copy::CopyPartRequest {
            source: request.source.0,
            source_size: request.source_size,
            span,
            upload: request.upload.0,
            number: request.number,
            attributes: Vec::new(),
        };
        convert::stored_part(optional_call!(self, "copy-part", copy, sallyport_plugin_copy, call_copy_part, request))
    }

    pub(super) async fn put_tags_optional(
        &self,
        locator: &Locator,
        object: &Projection,
    ) -> Result<Locator, BackendError> {
        let request = wit_tagging::PutTagsRequest {
            locator: locator.0.clone(),
            object: convert::projection(object.clone()),
            attributes: Vec::new(),
        };
        let answer = optional_call!(self, "put-tags", tagging, sallyport_plugin_tagging, call_put_tags, request);
        convert::locator(answer.locator)
    }

    pub(super) async fn hide_optional(&self, name: &Name) -> Result<Locator, BackendError> {
        let request = wit_versions::HideRequest { name: convert::name(name), attributes: Vec::new() };
        let answer = optional_call!(self, "hide", versions, sallyport_plugin_versions, call_hide, request);
        convert::locator(answer.locator)
    }

    pub(super) async fn list_optional(&self, request: ListStored) -> Result<StoredPage, BackendError> {
        let limit = request.limit.clamp(1, 1000);
        let cursor = request.cursor.clone();
        let request = wit_listing::ListRequest {
            prefix: request.prefix,
            cursor: request.cursor,
            limit,
            versions: request.versions,
            attributes: Vec::new(),
        };
        let answer = optional_call!(self, "list", listing, sallyport_plugin_listing, call_list, request);
        page(answer, limit, cursor.as_deref())
    }
}

/// A page of a listing that was asked for behind `cursor`.
pub(crate) fn page(
    answer: wit_listing::ListResponse,
    limit: u32,
    cursor: Option<&str>,
) -> Result<StoredPage, BackendError> {
    if answer.entries.len() > limit as usize {
        return Err(convert::lie(format!("it answered {} entries where {limit} were asked for", answer.entries.len())));
    }
    if answer.cursor.as_ref().is_some_and(|cursor| cursor.len() > 8192) {
        return Err(convert::lie("it answered a cursor of more than 8,192 bytes"));
    }
    if answer.cursor.is_some() && answer.cursor.as_deref() == cursor {
        return Err(convert::lie("its listing does not move on"));
    }
    let entries = answer.entries.into_iter().map(entry).collect::<Result<_, _>>()?;
    Ok(StoredPage { entries, cursor: answer.cursor })
}

fn entry(entry: wit_listing::Entry) -> Result<StoredEntry, BackendError> {
    if entry.name.len() > 8192 || entry.name.contains('\0') {
        return Err(convert::lie("it answered a name that no backend has"));
    }
    Ok(StoredEntry {
        name: entry.name,
        locator: convert::locator(entry.locator)?,
        size: entry.size,
        last_modified: entry.last_modified,
        write_id: entry.write_id.as_deref().and_then(|id| WriteId::parse(id).ok()),
    })
}
