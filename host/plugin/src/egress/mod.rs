//! Sends a plugin's requests: where they may go, signed on the way, over pooled connections.

mod address;
mod body;
mod client;
mod connector;
mod minting;
pub(crate) mod narrow;
pub(crate) mod policy;
mod proxy;
mod redact;
mod resolver;
mod roots;
mod tasks;

pub(crate) use client::{Egress, EgressParts, Plain};
pub use connector::Diversion;
pub(crate) use proxy::Proxies;
pub use proxy::ProxySettings;
pub(crate) use resolver::LookUps;
pub use resolver::Resolver;
pub(crate) use roots::SystemRoots;

use crate::call::Call;
use std::sync::Arc;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

type Sent = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

/// What stands behind `wasi:http/client` in one store.
pub(crate) struct Hooks {
    /// `None` while a plugin is asked pure questions.
    pub(crate) egress: Option<Arc<Egress>>,
    /// The call that is being served.
    pub(crate) call: Arc<Call>,
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let (egress, call) = (self.egress.clone(), self.call.clone());
        Box::new(async move {
            let egress = egress.ok_or(Error::HttpRequestDenied)?;
            let response = tokio::select! {
                response = egress.send(request, options, &call) => response?,
                () = call.cut() => return Err(Error::ConnectionTerminated),
            };
            // Ready at once: then no task is spawned and the body is handed over as it is.
            Ok((response, Box::new(std::future::ready(Ok(()))) as Box<_>))
        })
    }

    fn p3_error_from_hyper(
        &mut self,
        error: &hyper::Error,
    ) -> wasmtime_wasi_http::p3::bindings::http::types::ErrorCode {
        use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
        if error.is_timeout() { ErrorCode::ConnectionTimeout } else { ErrorCode::ConnectionTerminated }
    }
}
