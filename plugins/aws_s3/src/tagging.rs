//! Replaces the tags of an object on the backend.

use aws_sdk_s3::types::{Tag, Tagging};
use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::retry::Retry;
use sallyport_plugin_sdk::tagging::PutTagsRequest;
use sallyport_plugin_sdk::types::{Attributes, Failure};

use crate::backend::Backend;
use crate::errors;
use crate::objects::{read_locator, warnings};
use crate::projection::fit_tags;

pub(crate) async fn put_tags(backend: &Backend, request: &PutTagsRequest) -> Result<Attributes, Failure> {
    let locator = read_locator(&request.locator)?;
    if locator.version.is_none() {
        // Tagging has no condition, and other bytes are not ours to tag.
        backend.unchanged(&locator).await?;
    }
    let mut left_out = Vec::new();
    let mut tags = Vec::new();
    for (key, value) in fit_tags(&request.object.tags, &mut left_out) {
        let tag = Tag::builder().key(key).value(value).build();
        tags.push(tag.map_err(|error| failure::internal(error.to_string()))?);
    }
    let bucket = &backend.details.bucket;
    let retry = Retry::default();
    if tags.is_empty() {
        let call = || {
            let delete = backend.client().delete_object_tagging().bucket(bucket).key(&locator.key);
            delete.set_version_id(locator.version.clone()).send()
        };
        retry.run(|| async { call().await.map_err(errors::failure_of_call) }).await?;
    } else {
        let tagging = Tagging::builder().set_tag_set(Some(tags)).build();
        let tagging = tagging.map_err(|error| failure::internal(error.to_string()))?;
        let call = || {
            let put = backend.client().put_object_tagging().bucket(bucket).key(&locator.key);
            put.set_version_id(locator.version.clone()).tagging(tagging.clone()).send()
        };
        retry.run(|| async { call().await.map_err(errors::failure_of_call) }).await?;
    }
    Ok(warnings(left_out))
}
