//! The `http` that a plugin imports: what takes some twenty calls and two futures of `wasi:http`, in one call.
//!
//! It is made of the host's side of those calls, so that there is one way out, with one set of limits.

use crate::bindings::base::sallyport::plugin::http::{Host, HostWithStore, Request, Response};
use crate::state::State;
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};
use wasmtime_wasi_http::p3::bindings::http::client::HostWithStore as Client;
use wasmtime_wasi_http::p3::bindings::http::types::{
    ErrorCode, FieldSizePayload, HeaderError, HostFields, HostRequest, HostRequestWithStore, HostResponseWithStore,
    Method, Trailers,
};
use wasmtime_wasi_http::{WasiHttp, WasiHttpView, p3};

/// How a body went, once it is over.
type End = FutureReader<Result<Option<Resource<Trailers>>, ErrorCode>>;

const LENGTH: &str = "content-length";

impl Host for State {}

impl HostWithStore<State> for HasSelf<State> {
    async fn send(
        accessor: &Accessor<State, Self>,
        request: Request,
        body: Option<StreamReader<u8>>,
    ) -> wasmtime::Result<Result<(Response, StreamReader<u8>, End), ErrorCode>> {
        let http = accessor.with_getter::<WasiHttp>(State::http);
        let request = match outgoing(&http, request, body)? {
            Ok(request) => request,
            Err(error) => return Ok(Err(error)),
        };
        let response = match <WasiHttp as Client<State>>::send(&http, request).await {
            Ok(response) => response,
            Err(error) => return error.downcast().map(Err),
        };
        http.with(|mut access| {
            let p3::Response { status, headers, .. } = access.get().table.get(&response)?;
            let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
            let told = Response { status: status.as_u16(), headers: headers.collect(), attributes: Vec::new() };
            let taken = async { wasmtime::Result::<Result<(), ErrorCode>>::Ok(Ok(())) };
            let taken = FutureReader::new(&mut access, taken)?;
            let (body, end) = <WasiHttp as HostResponseWithStore<State>>::consume_body(access, response, taken)?;
            Ok(Ok((told, body, end)))
        })
    }
}

/// The same as a request of `wasi:http`.
fn outgoing(
    http: &Accessor<State, WasiHttp>,
    request: Request,
    body: Option<StreamReader<u8>>,
) -> wasmtime::Result<Result<Resource<p3::Request>, ErrorCode>> {
    let Request { method, scheme, authority, path_with_query, mut headers, attributes: _ } = request;
    let may_have_body = !matches!(method, Method::Get | Method::Head | Method::Connect);
    // Not every server takes the empty chunked body that a DELETE or MOVE would get.
    if body.is_none() && may_have_body && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(LENGTH)) {
        headers.push((LENGTH.to_owned(), b"0".to_vec()));
    }
    let begun = http.with(|mut access| -> wasmtime::Result<_> {
        let headers = match HostFields::from_list(&mut access.get(), headers) {
            Ok(headers) => headers,
            Err(error) => return Ok(Err(error.downcast()?)),
        };
        let no_trailers = async { wasmtime::Result::<Result<_, ErrorCode>>::Ok(Ok(None)) };
        Ok(Ok((headers, FutureReader::new(&mut access, no_trailers)?)))
    })?;
    let (headers, trailers) = match begun {
        Ok(begun) => begun,
        Err(why) => {
            if let Some(mut body) = body {
                http.with(|access| body.close(access))?;
            }
            let why = match why {
                HeaderError::Forbidden | HeaderError::Immutable => "forbidden",
                HeaderError::SizeExceeded => "too long",
                HeaderError::InvalidSyntax | HeaderError::Other(_) => "illegal",
            };
            let payload = FieldSizePayload { field_name: Some(why.to_owned()), field_size: None };
            return Ok(Err(ErrorCode::HttpRequestHeaderSize(Some(payload))));
        }
    };
    let (made, mut sent) =
        http.with(|access| <WasiHttp as HostRequestWithStore<State>>::new(access, headers, body, trailers, None))?;
    http.with(|access| sent.close(access))?;
    let refused = http.with(|mut access| -> wasmtime::Result<_> {
        let (it, mut view) = (|| Resource::new_borrow(made.rep()), access.get());
        Ok(if view.set_method(it(), method)?.is_err() {
            Some(ErrorCode::HttpRequestMethodInvalid)
        } else if view.set_scheme(it(), Some(scheme))?.is_err()
            || view.set_authority(it(), Some(authority))?.is_err()
            || view.set_path_with_query(it(), Some(path_with_query))?.is_err()
        {
            Some(ErrorCode::HttpRequestUriInvalid)
        } else {
            None
        })
    })?;
    let Some(refused) = refused else { return Ok(Ok(made)) };
    http.with(|access| <WasiHttp as HostRequestWithStore<State>>::drop(access, made))?;
    Ok(Err(refused))
}
