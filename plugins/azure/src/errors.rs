//! What Azure's refusals mean in the contract's words.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes>

use sallyport_plugin_sdk::http::Response;
use sallyport_plugin_sdk::types::Failure;
use sallyport_plugin_sdk::{failure, xml};
use serde::Deserialize;

/// The attribute of a failure that says Azure's own code.
const CODE: &str = "backend-code";
/// More of an error's body is not worth reading.
const LONGEST_BODY: usize = 64 * 1024;

/// Reads an answer that is not a success.
pub(crate) async fn failure_of(response: Response) -> Failure {
    let status = response.status();
    let retry_after = response.retry_after();
    let code = response.header("x-ms-error-code").map(str::to_owned);
    let body = response.read_to_limit(LONGEST_BODY).await.unwrap_or_default();
    let (code_in_body, message) = read_body(&body);
    let code = code.or(code_in_body).unwrap_or_default();
    let mut failure = translate(status, &code, &message);
    if failure.retry_after.is_some() && retry_after.is_some() {
        failure.retry_after = retry_after;
    }
    failure
}

/// Whether Azure gave this code; an empty one for an answer without any, which is hardly
/// Azure's own.
pub(crate) fn is(failure: &Failure, code: &str) -> bool {
    failure.attributes.iter().any(|(name, value)| name == CODE && value == code)
}

fn translate(status: u16, code: &str, message: &str) -> Failure {
    let text = match (code, message) {
        ("", "") => format!("Azure answered {status}"),
        (code, "") => format!("Azure answered {status} {code}"),
        (code, message) => format!("Azure answered {status} {code}: {message}"),
    };
    let mut failure = match code {
        "BlobNotFound" | "ResourceNotFound" => failure::not_found(text),
        "ContainerNotFound" => failure::unavailable(format!("the container does not exist; {text}")),
        "ContainerDisabled" => failure::unavailable(format!("the container is disabled; {text}")),
        "ContainerBeingDeleted" => {
            failure::unavailable(format!("the container is being deleted, which takes Azure some minutes; {text}"))
        }
        "AccountBeingCreated" | "OperationTimedOut" | "InternalError" => failure::unavailable(text),
        "ServerBusy" => failure::throttled(text),
        "BlobAlreadyExists" => failure::exists(text),
        "ConditionNotMet" | "TargetConditionNotMet" | "SourceConditionNotMet" | "CannotVerifyCopySourceCondition" => {
            failure::changed(text)
        }
        "AuthenticationFailed"
        | "AuthorizationFailure"
        | "AuthorizationPermissionMismatch"
        | "AuthorizationProtocolMismatch"
        | "AuthorizationResourceTypeMismatch"
        | "AuthorizationServiceMismatch"
        | "AuthorizationSourceIPMismatch"
        | "InvalidAuthenticationInfo"
        | "InsufficientAccountPermissions"
        | "NoAuthenticationInformation"
        | "AccountIsDisabled"
        | "PublicAccessNotPermitted"
        | "KeyBasedAuthenticationNotPermitted" => failure::denied(text),
        "BlobImmutableDueToPolicy"
        | "BlobImmutableDueToLegalHold"
        | "SnapshotsPresent"
        | "LeaseIdMissing"
        | "BlobArchived" => failure::denied(text),
        "RequestBodyTooLarge" | "MetadataTooLarge" | "BlockCountExceedsLimit" => failure::too_large(text),
        "CannotVerifyCopySource"
        | "CopyAcrossAccountsNotSupported"
        | "NotImplemented"
        | "FeatureNotYetSupportedForHierarchicalNamespaceAccounts"
        | "APINotImplemented" => failure::unsupported(text),
        // Anything else says enough by its status. A 404 without a code may well come from
        // a proxy or the wrong service, and would pass for a lost object.
        "" if status == 404 => failure::unavailable(text),
        _ => failure::of_status(status, text),
    };
    if matches!(code, "ContainerNotFound" | "ContainerDisabled" | "ContainerBeingDeleted") {
        // This passes when somebody does something about it, not within one call.
        failure.retry_after = None;
    }
    failure.attributes.push((CODE.to_owned(), code.to_owned()));
    failure
}

/// Code and first line of the message of an error's XML. What stands beside them, such as
/// the string that was to be signed, nobody needs in a log.
fn read_body(body: &[u8]) -> (Option<String>, String) {
    let error: ErrorBody = xml::read(body).unwrap_or_default();
    let message = error.message.lines().next().unwrap_or_default().trim().to_owned();
    (error.code.filter(|code| !code.is_empty()), message)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorBody {
    code: Option<String>,
    #[serde(default)]
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_meaning() {
        for (status, code, meaning) in [
            (404, "BlobNotFound", "not-found"),
            (404, "ContainerNotFound", "unavailable"),
            (404, "", "unavailable"),
            (409, "BlobAlreadyExists", "exists"),
            (412, "ConditionNotMet", "changed"),
            (412, "", "changed"),
            (403, "AuthenticationFailed", "denied"),
            (403, "", "denied"),
            (503, "ServerBusy", "throttled"),
            (500, "InternalError", "unavailable"),
            (500, "", "unavailable"),
            (413, "RequestBodyTooLarge", "too-large"),
            (400, "InvalidBlockList", "invalid"),
        ] {
            assert_eq!(translate(status, code, "").code, meaning, "{status} {code}");
        }
    }

    #[test]
    fn a_missing_container_is_not_asked_for_again_at_once() {
        assert_eq!(translate(404, "ContainerNotFound", "").retry_after, None);
        assert!(translate(500, "InternalError", "").retry_after.is_some());
    }

    #[test]
    fn a_body_gives_its_code_and_the_first_line_of_its_message() {
        let body = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>AuthenticationFailed</Code>\
            <Message>Server failed to authenticate.\nRequestId:1</Message>\
            <AuthenticationErrorDetail>string to sign</AuthenticationErrorDetail></Error>";
        let (code, message) = read_body(body.as_bytes());
        assert_eq!(code.as_deref(), Some("AuthenticationFailed"));
        assert_eq!(message, "Server failed to authenticate.");
        let failure = translate(403, "AuthenticationFailed", &message);
        assert!(is(&failure, "AuthenticationFailed"));
        assert_eq!(failure.message, "Azure answered 403 AuthenticationFailed: Server failed to authenticate.");
    }

    #[test]
    fn garbage_is_no_code() {
        assert_eq!(read_body(b"<html><b>no</html>"), (None, String::new()));
        assert_eq!(read_body(&[0xFF, 0xFE]), (None, String::new()));
    }
}
