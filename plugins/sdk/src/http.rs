//! Talks HTTP to the backend through the host.

pub mod date;
mod origin;
mod request;
mod response;

pub use origin::{InvalidOrigin, Origin};
pub use request::Request;
pub use response::Response;

pub use crate::bindings::wasi::http::types::{ErrorCode, Method, Scheme};

use crate::failure;
use crate::types::Failure;

/// The failure that stands for a request without an answer.
pub fn failure_of(error: &ErrorCode) -> Failure {
    let message = format!("no answer: {}", words(error));
    match error {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited | ErrorCode::TlsCertificateError => {
            failure::denied(message)
        }
        ErrorCode::DnsTimeout
        | ErrorCode::DnsError(_)
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTerminated
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::ConnectionLimitReached
        | ErrorCode::TlsProtocolError
        | ErrorCode::TlsAlertReceived(_)
        | ErrorCode::HttpResponseIncomplete
        | ErrorCode::HttpResponseTimeout
        | ErrorCode::HttpProtocolError
        | ErrorCode::InternalError(_) => failure::unavailable(message),
        ErrorCode::HttpRequestLengthRequired
        | ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::HttpRequestTrailerSectionSize(_)
        | ErrorCode::HttpRequestTrailerSize(_) => failure::invalid(message),
        ErrorCode::HttpResponseHeaderSectionSize(_)
        | ErrorCode::HttpResponseHeaderSize(_)
        | ErrorCode::HttpResponseBodySize(_)
        | ErrorCode::HttpResponseTrailerSectionSize(_)
        | ErrorCode::HttpResponseTrailerSize(_)
        | ErrorCode::HttpResponseTransferCoding(_)
        | ErrorCode::HttpResponseContentCoding(_)
        | ErrorCode::HttpUpgradeFailed
        | ErrorCode::LoopDetected
        | ErrorCode::ConfigurationError => failure::internal(message),
    }
}

/// What an operator reads of the failures that happen where nothing is wrong with a plugin.
fn words(error: &ErrorCode) -> String {
    let words = match error {
        ErrorCode::ConnectionRefused => "the connection was refused",
        ErrorCode::ConnectionTerminated => "the connection broke",
        ErrorCode::ConnectionTimeout => "connecting took too long",
        ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => "nothing came in time",
        ErrorCode::DestinationNotFound => "the host's name has no address",
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) => "the host's name cannot be looked up",
        ErrorCode::DestinationIpProhibited => "the host's address is not one that may be connected to",
        ErrorCode::HttpRequestDenied => "the location's details do not name this host",
        ErrorCode::TlsCertificateError => "the server's certificate is not trusted",
        ErrorCode::HttpProtocolError => "the answer is no HTTP",
        ErrorCode::InternalError(Some(text)) => text,
        other => return format!("{other:?}"),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_may_pass_and_a_denied_one_does_not() {
        assert!(failure::is_retryable(&failure_of(&ErrorCode::ConnectionRefused)));
        assert_eq!(failure_of(&ErrorCode::HttpRequestDenied).code, "denied");
    }

    #[test]
    fn an_operator_reads_words() {
        assert_eq!(failure_of(&ErrorCode::ConnectionRefused).message, "no answer: the connection was refused");
    }
}
