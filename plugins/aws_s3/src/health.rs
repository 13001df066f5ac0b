//! Asks whether the bucket is there and keeps versions.

use aws_sdk_s3::types::BucketVersioningStatus;
use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::objects::{CheckRequest, CheckResponse};
use sallyport_plugin_sdk::retry::Retry;
use sallyport_plugin_sdk::types::Failure;

use crate::backend::{Backend, unversioned};
use crate::errors;

pub(crate) async fn check(backend: &Backend, request: CheckRequest) -> Result<CheckResponse, Failure> {
    backend.bucket_exists().await?;
    let mut warnings = Vec::new();
    if request.thorough {
        let status = versioning(backend).await;
        match (backend.versions(), status) {
            (true, Ok(Some(BucketVersioningStatus::Enabled))) => {}
            (true, Ok(_)) => return Err(failure::unsupported(unversioned(&backend.details.bucket))),
            (true, Err(failure)) => return Err(failure),
            (false, Ok(Some(BucketVersioningStatus::Enabled))) => warnings.push(format!(
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

async fn versioning(backend: &Backend) -> Result<Option<BucketVersioningStatus>, Failure> {
    let call = || backend.client().get_bucket_versioning().bucket(&backend.details.bucket).send();
    let answer = Retry::default().run(|| async { call().await.map_err(errors::failure_of_call) }).await?;
    Ok(answer.status().cloned())
}
