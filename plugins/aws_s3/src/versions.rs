//! Walks the versions of a key, and leaves delete markers.

use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::http::Method;
use sallyport_plugin_sdk::retry::Retry;
use sallyport_plugin_sdk::types::Failure;
use sallyport_plugin_sdk::versions::{HideRequest, HideResponse};

use crate::backend::{Backend, Seen};
use crate::errors;
use crate::locator::Locator;
use crate::objects::wrote;

/// The version of a key that a write stored, newer ones notwithstanding.
pub(crate) async fn find(backend: &Backend, key: &str, write: &str) -> Result<Option<Seen>, Failure> {
    let (mut key_marker, mut version_marker) = (None, None);
    loop {
        let list = || {
            backend
                .client()
                .list_object_versions()
                .bucket(&backend.details.bucket)
                .prefix(key)
                .set_key_marker(key_marker.clone())
                .set_version_id_marker(version_marker.clone())
                .send()
        };
        let page = Retry::default().run(|| async { list().await.map_err(errors::failure_of_call) }).await?;
        // Keys come in order, so the first other one ends the walk.
        for version in page.versions() {
            if version.key() != Some(key) {
                return Ok(None);
            }
            let Some(id) = version.version_id() else { continue };
            if let Some(seen) = backend.look(key, Some(id)).await?.filter(|seen| wrote(seen, write)) {
                return Ok(Some(seen));
            }
        }
        if page.is_truncated() != Some(true) {
            return Ok(None);
        }
        key_marker = page.next_key_marker().map(str::to_owned);
        version_marker = page.next_version_id_marker().map(str::to_owned);
    }
}

pub(crate) async fn hide(backend: &Backend, request: HideRequest) -> Result<HideResponse, Failure> {
    if !backend.versions() {
        return Err(failure::unsupported("the location keeps no versions: supportsVersioning is false"));
    }
    let key = backend.naming.place(&request.name);
    // Repeated only when no answer came: one marker too many is harmless.
    let response = backend.repeat(|| backend.request(Method::Delete, &key, &[])).await?;
    let version = response.header("x-amz-version-id").filter(|version| *version != "null");
    let version = version.ok_or_else(|| failure::unsupported(crate::backend::unversioned(&backend.details.bucket)))?;
    let locator = Locator { key: key.clone(), version: Some(version.to_owned()), etag: String::new(), write: None };
    Ok(HideResponse { locator: locator.encode(), attributes: Vec::new() })
}
