//! Makes failures in the contract's words.

use crate::types::Failure;

/// How long to wait before an `unavailable` or `throttled` operation is tried again, when the
/// backend did not say.
pub const RETRY_AFTER_MS: u64 = 200;

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $retry:expr;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(message: impl Into<String>) -> Failure {
                failure($code, message.into(), $retry)
            }
        )*
    };
}

failures! {
    /// Nothing is there.
    not_found = "not-found", None;
    /// Other bytes are there.
    changed = "changed", None;
    /// Something is there where nothing should be.
    exists = "exists", None;
    /// The backend, or the host, refuses it.
    denied = "denied", None;
    /// The backend asks for less at a time.
    throttled = "throttled", Some(RETRY_AFTER_MS);
    /// The backend does not answer, or answers that it cannot right now.
    unavailable = "unavailable", Some(RETRY_AFTER_MS);
    /// The backend is full.
    no_space = "no-space", None;
    /// The backend does not take that much.
    too_large = "too-large", None;
    /// A part but the last of an upload is smaller than the backend takes.
    too_small = "too-small", None;
    /// The backend cannot do it.
    unsupported = "unsupported", None;
    /// The request makes no sense.
    invalid = "invalid", None;
    /// The backend, or the plugin, did something that it should not.
    internal = "internal", None;
}

/// The failure that an HTTP status stands for when nothing in the body says it better.
pub fn of_status(status: u16, message: impl Into<String>) -> Failure {
    let message = message.into();
    match status {
        401 | 403 => denied(message),
        404 | 410 => not_found(message),
        412 => changed(message),
        413 => too_large(message),
        400 | 405 | 409 | 411 | 414 | 416 | 431 => invalid(message),
        // 423: somebody else writes there at this moment.
        423 | 429 => throttled(message),
        503 => unavailable(message),
        501 => unsupported(message),
        507 => no_space(message),
        408 | 500 | 502 | 504 => unavailable(message),
        _ => internal(format!("unexpected status {status}: {message}")),
    }
}

/// Whether trying again may help.
pub fn is_retryable(failure: &Failure) -> bool {
    failure.retry_after.is_some()
}

/// At most this many bytes of a message are kept by the host.
const LONGEST_MESSAGE: usize = 1024;

fn failure(code: &str, mut message: String, retry_after: Option<u64>) -> Failure {
    let mut end = message.len().min(LONGEST_MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    Failure { code: code.to_owned(), message, retry_after, attributes: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_says_when_to_try_again() {
        assert!(is_retryable(&unavailable("down")));
        assert!(is_retryable(&of_status(503, "slow down")));
        assert!(!is_retryable(&not_found("gone")));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let cut = invalid("é".repeat(1000)).message;
        assert_eq!(cut.len(), 1024);
        let cut = invalid(format!("x{}", "é".repeat(1000))).message;
        assert_eq!(cut.len(), 1023);
    }

    #[test]
    fn an_unknown_status_is_internal() {
        assert_eq!(of_status(418, "teapot").code, "internal");
    }
}
