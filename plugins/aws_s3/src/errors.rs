//! Says in the contract's words what the backend answered with no.

use std::fmt;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use sallyport_plugin_sdk::http::Response;
use sallyport_plugin_sdk::types::Failure;
use sallyport_plugin_sdk::{failure, xml};
use serde::Deserialize;

/// More than any error's XML.
const LONGEST_ERROR: usize = 64 * 1024;

/// What the backend said in an error's body.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Said {
    /// S3's code, such as `NoSuchKey`.
    pub(crate) code: Option<String>,
    /// A sentence for a person.
    pub(crate) message: Option<String>,
    /// The region to ask instead.
    pub(crate) region: Option<String>,
}

impl Said {
    /// Reads an error's XML; nothing when it is none.
    pub(crate) fn parse(document: &[u8]) -> Self {
        xml::read(document).unwrap_or_default()
    }
}

/// The failure for an answer that is no success.
pub(crate) async fn refusal(response: Response) -> Failure {
    let (status, retry_after) = (response.status(), response.retry_after());
    let region = response.header("x-amz-bucket-region").map(str::to_owned);
    let mut said = match response.read_to_limit(LONGEST_ERROR).await {
        Ok(body) => Said::parse(&body),
        // The status says enough.
        Err(_) => Said::default(),
    };
    said.region = said.region.or(region);
    let mut failure = failure_of(status, &said);
    if failure.retry_after.is_some() {
        failure.retry_after = failure.retry_after.max(retry_after);
    }
    failure
}

/// The failure for a status and what was said beside it.
pub(crate) fn failure_of(status: u16, said: &Said) -> Failure {
    let code = said.code.as_deref().unwrap_or_default();
    let mut message = format!("the backend answered {status}");
    for text in [Some(code).filter(|code| !code.is_empty()), said.message.as_deref()].into_iter().flatten() {
        message.push_str(": ");
        message.push_str(text);
    }
    match code {
        "NoSuchKey" | "NoSuchVersion" | "NoSuchUpload" => failure::not_found(message),
        "NoSuchBucket" => failure::unavailable(format!("{message}; the location's bucketName names no bucket there")),
        // Of a completion: a part is not as it was when it was stored.
        "PreconditionFailed" | "InvalidPart" => failure::changed(message),
        "EntityTooSmall" => failure::too_small(message),
        "AccessDenied"
        | "AccountProblem"
        | "AllAccessDisabled"
        | "ExpiredToken"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch" => failure::denied(message),
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "XMinioServerBusy" => failure::throttled(message),
        // Known as 400, although trying again helps.
        "RequestTimeout"
        | "InternalError"
        | "ServiceUnavailable"
        | "OperationAborted"
        | "ConditionalRequestConflict" => failure::unavailable(message),
        "EntityTooLarge" | "MaxMessageLengthExceeded" => failure::too_large(message),
        "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage" => failure::no_space(message),
        "NotImplemented" | "MethodNotAllowed" => failure::unsupported(message),
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "Redirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => elsewhere(&message, said),
        _ if matches!(status, 301 | 307 | 308) => elsewhere(&message, said),
        // An answer to HEAD has no code; a region is named where requests are signed for another.
        "" if status == 400 && said.region.is_some() => elsewhere(&message, said),
        _ if status == 405 => failure::unsupported(message),
        _ => failure::of_status(status, message),
    }
}

/// The failure for a call of the SDK.
pub(crate) fn failure_of_call<E>(error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match &error {
        SdkError::ServiceError(answer) => {
            let said = Said {
                code: answer.err().code().map(str::to_owned),
                message: answer.err().message().map(str::to_owned),
                region: answer.raw().headers().get("x-amz-bucket-region").map(str::to_owned),
            };
            // An error may come in a body under the status 200.
            let status = answer.raw().status().as_u16();
            failure_of(if status < 300 { 500 } else { status }, &said)
        }
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => {
            no_answer(&error).unwrap_or_else(|| failure::unavailable(chain(&error)))
        }
        SdkError::ConstructionFailure(_) => failure::invalid(chain(&error)),
        _ => failure::unavailable(chain(&error)),
    }
}

/// Carries a failure through the SDK, which wants an error.
#[derive(Debug)]
pub(crate) struct NoAnswer(pub(crate) Failure);

impl fmt::Display for NoAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl std::error::Error for NoAnswer {}

fn elsewhere(message: &str, said: &Said) -> Failure {
    let fix = said.region.as_ref().map_or_else(
        || "write the bucket's region and endpoint into details".to_owned(),
        |region| format!("the bucket is in {region}: write \"region\": \"{region}\" into details"),
    );
    let mut failure = failure::unavailable(format!("{message}; {fix}"));
    failure.retry_after = None;
    failure
}

fn no_answer(error: &(dyn std::error::Error + 'static)) -> Option<Failure> {
    let mut error = Some(error);
    while let Some(current) = error {
        if let Some(NoAnswer(failure)) = current.downcast_ref() {
            return Some(failure.clone());
        }
        error = current.source();
    }
    None
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(status: u16, code: &str) -> String {
        failure_of(status, &Said { code: Some(code.to_owned()), ..Said::default() }).code
    }

    #[test]
    fn an_error_is_read_from_its_xml() {
        let xml = b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>gone</Message><Key>k</Key></Error>";
        let said = Said::parse(xml);
        assert_eq!((said.code.as_deref(), said.message.as_deref()), (Some("NoSuchKey"), Some("gone")));
        assert_eq!(Said::parse(b"<html>nginx"), Said::default());
    }

    #[test]
    fn a_missing_bucket_is_no_missing_object() {
        assert_eq!(code(404, "NoSuchBucket"), "unavailable");
        assert_eq!(code(404, "NoSuchKey"), "not-found");
    }

    #[test]
    fn codes_say_more_than_the_status() {
        assert_eq!(code(503, "SlowDown"), "throttled");
        assert_eq!(code(503, ""), "unavailable");
        assert_eq!(code(400, "RequestTimeout"), "unavailable");
        assert_eq!(code(400, "ExpiredToken"), "denied");
        assert_eq!(code(400, "EntityTooLarge"), "too-large");
        assert_eq!(code(400, "InvalidPart"), "changed");
        assert_eq!(code(400, "EntityTooSmall"), "too-small");
        assert_eq!(code(400, "InvalidArgument"), "invalid");
        assert_eq!(code(412, ""), "changed");
    }

    #[test]
    fn a_bucket_in_another_region_names_the_region_and_is_not_tried_again() {
        let said = Said { region: Some("eu-west-1".to_owned()), ..Said::default() };
        let failure = failure_of(301, &said);
        assert!(failure.message.contains("\"region\": \"eu-west-1\""));
        assert_eq!(failure.retry_after, None);
    }
}
