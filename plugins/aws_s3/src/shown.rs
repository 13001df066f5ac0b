//! Finds what others stored, with what it shows beside its bytes.

use sallyport_plugin_sdk::http::Method;
use sallyport_plugin_sdk::objects::{FindResponse, Found};
use sallyport_plugin_sdk::retry::Retry;
use sallyport_plugin_sdk::types::Failure;
use sallyport_plugin_sdk::{log, shown};

use crate::backend::Backend;
use crate::errors;
use crate::locator::Locator;
use crate::projection;

/// Whatever is at a key. Its tags take a request of their own, since not every server says in
/// the answer to a look whether there are any.
pub(crate) async fn find(backend: &Backend, key: &str) -> Result<FindResponse, Failure> {
    let request = || backend.request(Method::Head, key, &[]).header("x-amz-checksum-mode", "ENABLED");
    let Some(response) = backend.head(request).await? else {
        return Ok(FindResponse { found: None, attributes: Vec::new() });
    };
    let seen = backend.seen(key, &response)?;
    let headers = response.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str(), std::str::from_utf8(value).ok()?.trim())));
    let (write_id, mut object) = projection::shown(headers);
    object.tags = tags(backend, &seen.locator).await?;
    Ok(FindResponse {
        found: Some(Found { locator: seen.locator.encode(), size: seen.size, checksums: seen.checksums }),
        attributes: shown::attributes(write_id.as_deref(), &object),
    })
}

/// Who may not read tags, or asks a server without them, sees none.
async fn tags(backend: &Backend, locator: &Locator) -> Result<Vec<(String, String)>, Failure> {
    let call = || {
        let get = backend.client().get_object_tagging().bucket(&backend.details.bucket).key(&locator.key);
        get.set_version_id(locator.version.clone()).send()
    };
    let answer = Retry::default().run(|| async { call().await.map_err(errors::failure_of_call) }).await;
    match answer {
        Ok(answer) => {
            let tags = answer.tag_set().iter();
            Ok(tags.map(|tag| (projection::shown_tag(tag.key()), projection::shown_tag(tag.value()))).collect())
        }
        Err(failure) if ["unavailable", "throttled"].contains(&failure.code.as_str()) => Err(failure),
        Err(failure) => {
            log::debug(&format!("the tags of {} are not shown: {}", locator.key, failure.message));
            Ok(Vec::new())
        }
    }
}
