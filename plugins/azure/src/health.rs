//! Whether the container is there and lets us in.

use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::http::{Method, Response};
use sallyport_plugin_sdk::naming::RESERVED;
use sallyport_plugin_sdk::objects::CheckResponse;
use sallyport_plugin_sdk::types::Failure;

use crate::details::Details;
use crate::errors;
use crate::plugin::Azure;
use crate::requests::repeat;

/// Looks for the container; a thorough check makes it when it is missing. A failure says which
/// container is meant, and where.
pub(crate) async fn check(azure: &Azure, thorough: bool) -> Result<CheckResponse, Failure> {
    look(azure, thorough).await.map_err(|failure| named(&azure.details, failure))
}

fn named(details: &Details, failure: Failure) -> Failure {
    let message = format!("container '{}' on {}: {}", details.container, details.endpoint.url(), failure.message);
    Failure { message, ..failure }
}

async fn look(azure: &Azure, thorough: bool) -> Result<CheckResponse, Failure> {
    let warnings = match repeat(|| azure.container.request(Method::Head, &[])).await {
        Ok(response) => warnings(&response),
        Err(failure) if is_missing(&failure) && thorough => {
            create(azure).await?;
            Vec::new()
        }
        Err(failure) if is_missing(&failure) => return Err(missing(&failure)),
        Err(failure) if may_not_ask(&failure) => {
            probe(azure, thorough).await?;
            Vec::new()
        }
        Err(failure) => return Err(failure),
    };
    Ok(CheckResponse { warnings, attributes: Vec::new() })
}

/// Some signatures and roles reach the blobs and not the container: a blob that is not there
/// tells as much, since Azure says whether the blob is missing or all of the container.
async fn probe(azure: &Azure, thorough: bool) -> Result<(), Failure> {
    let blob = format!("{RESERVED}/check");
    match repeat(|| azure.container.blob(Method::Head, &blob, &[])).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.code == "not-found" => Ok(()),
        Err(failure) if is_missing(&failure) && thorough => create(azure).await,
        Err(failure) if is_missing(&failure) => Err(missing(&failure)),
        Err(failure) => Err(failure),
    }
}

async fn create(azure: &Azure) -> Result<(), Failure> {
    match repeat(|| azure.container.request(Method::Put, &[]).header("content-length", "0")).await {
        Ok(_) => Ok(()),
        Err(failure) if errors::is(&failure, "ContainerAlreadyExists") => Ok(()),
        Err(failure) if failure.code == "denied" => Err(failure::denied(format!(
            "it does not exist, and these credentials may not create it: create it, or allow that; {}",
            failure.message
        ))),
        Err(failure) => Err(failure),
    }
}

fn is_missing(failure: &Failure) -> bool {
    errors::is(failure, "ContainerNotFound")
}

fn may_not_ask(failure: &Failure) -> bool {
    ["AuthorizationPermissionMismatch", "AuthorizationResourceTypeMismatch", "AuthorizationFailure"]
        .iter()
        .any(|code| errors::is(failure, code))
}

fn missing(failure: &Failure) -> Failure {
    failure::unavailable(format!("{}; the next thorough check creates it", failure.message))
}

fn warnings(response: &Response) -> Vec<String> {
    let mut warnings = Vec::new();
    if response.header("x-ms-blob-public-access").is_some() {
        warnings.push("anybody can read this container without credentials".to_owned());
    }
    if [response.header("x-ms-has-immutability-policy"), response.header("x-ms-has-legal-hold")].contains(&Some("true"))
    {
        warnings
            .push("the container has an immutability policy or a legal hold: deleted objects stay in it".to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_which_container_is_meant() {
        let details = r#"{ "azureContainerName": "container", "azureStorageAccountName": "acc",
            "azureStorageAccessKey": "c2VjcmV0" }"#;
        let failure = named(&Details::parse(details).unwrap(), failure::unavailable("no answer: it was refused"));
        assert_eq!(
            failure.message,
            "container 'container' on https://acc.blob.core.windows.net: no answer: it was refused"
        );
    }

    #[test]
    fn a_public_container_deserves_a_look() {
        let response = Response::canned(200, &[("x-ms-blob-public-access", "blob")], "");
        assert_eq!(warnings(&response).len(), 1);
        let response = Response::canned(200, &[("x-ms-has-legal-hold", "false")], "");
        assert!(warnings(&response).is_empty());
    }
}
