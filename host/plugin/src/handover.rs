//! Bodies pass the sandbox, not through it: the two ends of the native hand-over.
//!
//! wasi-http takes the body out of a `stream<u8>` that it made itself. So an upload becomes
//! the body of one of its requests, and a download the body of one of its responses.

use crate::state::State;
use std::sync::Arc;
use wasmtime::component::{Accessor, FutureReader, HasData, Resource, StreamReader};
use wasmtime_wasi_http::p3::bindings::http::types::{ErrorCode, HostRequestWithStore, HostResponseWithStore, Trailers};
use wasmtime_wasi_http::{FieldMap, WasiBody, WasiHttp, WasiHttpView};

/// Makes a native body into a stream that a plugin can hand on unread.
pub(crate) fn stream_of<D: HasData + ?Sized>(
    accessor: &Accessor<State, D>,
    body: WasiBody,
) -> wasmtime::Result<StreamReader<u8>> {
    let http = accessor.with_getter::<WasiHttp>(State::http);
    let (request, finished) = http.with(|mut access| {
        let headers = FieldMap::new_immutable(access.get().hooks, http::HeaderMap::new());
        let (request, _) =
            wasmtime_wasi_http::p3::Request::new(http::Method::PUT, None, None, None, headers, None, body);
        let request = access.get().table.push(request)?;
        let finished = FutureReader::new(&mut access, async { wasmtime::Result::<Result<(), ErrorCode>>::Ok(Ok(())) })?;
        wasmtime::Result::<_>::Ok((request, finished))
    })?;
    let (stream, mut trailers) =
        http.with(|access| <WasiHttp as HostRequestWithStore<State>>::consume_body(access, request, finished))?;
    http.with(|access| trailers.close(access))?;
    Ok(stream)
}

/// Who moves a body's bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mover {
    /// Its source, wherever it is read.
    Native,
    /// The plugin: it moves only while its store is driven, and so does the word of its end.
    Plugin,
}

/// Takes the native body out of a stream, or makes one that reads a plugin's stream.
pub(crate) fn body_of<D: HasData + ?Sized>(
    accessor: &Accessor<State, D>,
    stream: StreamReader<u8>,
) -> wasmtime::Result<(WasiBody, Mover)> {
    let http = accessor.with_getter::<WasiHttp>(State::http);
    // wasi-http has no use for the trailers of a native body, and drops them.
    let mark = Arc::new(());
    let kept = mark.clone();
    let (headers, trailers) = http.with(|mut access| {
        let headers = access.get().table.push(FieldMap::new_mutable(1 << 10))?;
        let none = async move {
            drop(kept);
            wasmtime::Result::<Result<Option<Resource<Trailers>>, ErrorCode>>::Ok(Ok(None))
        };
        wasmtime::Result::<_>::Ok((headers, FutureReader::new(&mut access, none)?))
    })?;
    let (response, mut outcome) =
        http.with(|access| <WasiHttp as HostResponseWithStore<State>>::new(access, headers, Some(stream), trailers))?;
    let mover = if Arc::strong_count(&mark) > 1 { Mover::Plugin } else { Mover::Native };
    http.with(|access| outcome.close(access))?;
    let response = http.with(|mut access| access.get().table.delete(response))?;
    accessor.with(|mut access| Ok((response.into_http(&mut access, async { Ok(()) })?.into_body(), mover)))
}
