//! Asks whether the bucket is there and keeps versions.

use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::http::Method;
use sallyport_plugin_sdk::objects::{CheckRequest, CheckResponse};
use sallyport_plugin_sdk::types::Failure;
use serde::Deserialize;

use crate::backend::{Backend, unversioned};

/// More than any versioning configuration.
const LONGEST_ANSWER: usize = 64 * 1024;
const ENABLED: &str = "Enabled";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct VersioningConfiguration {
    status: Option<String>,
}

pub(crate) async fn check(backend: &Backend, request: CheckRequest) -> Result<CheckResponse, Failure> {
    backend.bucket_exists().await?;
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

/// The bucket's versioning status; absent when it was never configured. Read here and not
/// by the SDK, which takes the one root element that AWS sends: some stores send another.
async fn versioning(backend: &Backend) -> Result<Option<String>, Failure> {
    let answer = backend.repeat(|| backend.request(Method::Get, "", &[("versioning", "")])).await?;
    let body = answer.read_to_limit(LONGEST_ANSWER).await?;
    let text = std::str::from_utf8(&body).map_err(|_| unreadable())?;
    let configuration: VersioningConfiguration = quick_xml::de::from_str(text).map_err(|_| unreadable())?;
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
            let read: VersioningConfiguration = quick_xml::de::from_str(&text).unwrap();
            assert_eq!(read.status.as_deref(), Some(ENABLED));
        }
        let unset: VersioningConfiguration = quick_xml::de::from_str("<VersioningConfiguration/>").unwrap();
        assert_eq!(unset.status, None);
    }
}
