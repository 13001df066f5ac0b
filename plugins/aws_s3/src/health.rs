//! Asks whether the bucket is there and keeps versions.

use sallyport_plugin_sdk::http::Method;
use sallyport_plugin_sdk::objects::{CheckRequest, CheckResponse};
use sallyport_plugin_sdk::types::Failure;
use sallyport_plugin_sdk::{failure, xml};
use serde::Deserialize;

use crate::backend::{Backend, unversioned};
use crate::errors;

/// More than any versioning configuration.
const LONGEST_ANSWER: usize = 64 * 1024;
const ENABLED: &str = "Enabled";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct VersioningConfiguration {
    status: Option<String>,
}

pub(crate) async fn check(backend: &Backend, request: CheckRequest) -> Result<CheckResponse, Failure> {
    if let Err(failure) = backend.bucket_exists().await {
        return match region(backend).await {
            Some(region) => {
                Ok(CheckResponse { warnings: Vec::new(), attributes: vec![("learned:region".to_owned(), region)] })
            }
            None => Err(failure),
        };
    }
    let mut warnings = Vec::new();
    if request.thorough {
        let status = versioning(backend).await;
        match (backend.versions(), status) {
            (true, Ok(Some(status))) if status == ENABLED => {}
            (true, Ok(_)) => return Err(failure::unsupported(unversioned(&backend.details.bucket))),
            (true, Err(failure)) => return Err(failure),
            (false, Ok(Some(status))) if status == ENABLED => warnings.push(format!(
                "the bucket '{}' keeps versions, but supportsVersioning is false: deleted and overwritten bytes \
                 stay on the backend",
                backend.details.bucket
            )),
            // A store without versions may not know the question.
            (false, _) => {}
        }
    }
    Ok(CheckResponse { warnings, attributes: Vec::new() })
}

/// The bucket's region, when nothing here names one and the backend, which refuses requests
/// signed for another, does. Answers to HEAD have it in a header, others in their body too.
async fn region(backend: &Backend) -> Option<String> {
    if backend.details.knows_region {
        return None;
    }
    for (method, query) in [(Method::Head, None), (Method::Get, Some(("location", "")))] {
        let answer = backend.request_for_bucket(method, query.as_slice()).send().await.ok()?;
        if answer.is_success() {
            return None;
        }
        let named = answer.header("x-amz-bucket-region").map(str::to_owned);
        let named = match named {
            Some(region) => Some(region),
            None => errors::Said::parse(&answer.read_to_limit(LONGEST_ANSWER).await.ok()?).region,
        };
        if let Some(region) = named.filter(|region| *region != backend.details.region) {
            return Some(region);
        }
    }
    None
}

/// The bucket's versioning status; absent when it was never configured. Read here and not
/// by the SDK, which takes the one root element that AWS sends: some stores send another.
async fn versioning(backend: &Backend) -> Result<Option<String>, Failure> {
    let answer = backend.repeat(|| backend.request(Method::Get, "", &[("versioning", "")])).await?;
    let body = answer.read_to_limit(LONGEST_ANSWER).await?;
    let configuration: VersioningConfiguration = xml::read(&body).map_err(|_| unreadable())?;
    Ok(configuration.status)
}

fn unreadable() -> Failure {
    failure::unavailable("the backend's answer about the bucket's versioning is no XML")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_whatever_the_root_is_called() {
        for root in ["VersioningConfiguration", "GetBucketVersioningResponse"] {
            let text = format!("<?xml version=\"1.0\"?>\n<{root} xmlns=\"x\"><Status>Enabled</Status></{root}>");
            let read: VersioningConfiguration = xml::read(text.as_bytes()).unwrap();
            assert_eq!(read.status.as_deref(), Some(ENABLED));
        }
        let unset: VersioningConfiguration = xml::read(b"<VersioningConfiguration/>").unwrap();
        assert_eq!(unset.status, None);
    }
}
