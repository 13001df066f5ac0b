//! Lists what the bucket holds, one page at a time.

use aws_sdk_s3::types::EncodingType;
use sallyport_plugin_sdk::listing::{Entry, ListRequest, ListResponse};
use sallyport_plugin_sdk::retry::Retry;
use sallyport_plugin_sdk::types::Failure;
use sallyport_plugin_sdk::{failure, path};

use crate::backend::Backend;
use crate::errors;
use crate::locator::Locator;

pub(crate) async fn list(backend: &Backend, request: ListRequest) -> Result<ListResponse, Failure> {
    // A namespace goes on from its target with a slash that is no part of a key.
    let prefix = request.prefix.as_deref().map(|prefix| prefix.strip_prefix('/').unwrap_or(prefix).to_owned());
    let page = Page {
        prefix: prefix.filter(|prefix| !prefix.is_empty()),
        cursor: request.cursor,
        limit: i32::try_from(request.limit.clamp(1, 1000)).unwrap_or(1000),
        all: request.versions,
    };
    // Where versions are recorded, a locator without one would name no bytes for sure.
    if backend.versions() { versions(backend, page).await } else { objects(backend, page).await }
}

struct Page {
    prefix: Option<String>,
    cursor: Option<String>,
    limit: i32,
    all: bool,
}

async fn objects(backend: &Backend, page: Page) -> Result<ListResponse, Failure> {
    let call = || {
        let list = backend.client().list_objects_v2().bucket(&backend.details.bucket).max_keys(page.limit);
        list.set_prefix(page.prefix.clone())
            .set_continuation_token(page.cursor.clone())
            .encoding_type(EncodingType::Url)
            .send()
    };
    let answer = Retry::default().run(|| async { call().await.map_err(errors::failure_of_call) }).await?;
    let encoded = answer.encoding_type().is_some();
    let entries = answer.contents().iter().map(|object| {
        let seen = (object.e_tag(), object.size(), object.last_modified());
        entry(decoded(object.key(), encoded)?, None, seen)
    });
    Ok(ListResponse {
        entries: entries.collect::<Result<_, _>>()?,
        cursor: answer.next_continuation_token().map(str::to_owned),
        attributes: Vec::new(),
    })
}

async fn versions(backend: &Backend, page: Page) -> Result<ListResponse, Failure> {
    let (key_marker, version_marker) = match page.cursor.as_deref() {
        None => (None, None),
        Some(cursor) => {
            let marker: (String, Option<String>) =
                serde_json::from_str(cursor).map_err(|_| failure::invalid("a cursor that no page ended with"))?;
            (Some(marker.0), marker.1)
        }
    };
    let call = || {
        let list = backend.client().list_object_versions().bucket(&backend.details.bucket).max_keys(page.limit);
        list.set_prefix(page.prefix.clone())
            .set_key_marker(key_marker.clone())
            .set_version_id_marker(version_marker.clone())
            .encoding_type(EncodingType::Url)
            .send()
    };
    let answer = Retry::default().run(|| async { call().await.map_err(errors::failure_of_call) }).await?;
    let encoded = answer.encoding_type().is_some();
    let shown = answer.versions().iter().filter(|version| page.all || version.is_latest() == Some(true));
    let entries = shown.map(|version| {
        let seen = (version.e_tag(), version.size(), version.last_modified());
        entry(decoded(version.key(), encoded)?, version.version_id(), seen)
    });
    let entries = entries.collect::<Result<_, _>>()?;
    let cursor = match answer.next_key_marker() {
        Some(_) if answer.is_truncated() == Some(true) => {
            let marker = (decoded(answer.next_key_marker(), encoded)?, answer.next_version_id_marker());
            Some(serde_json::to_string(&marker).map_err(|error| failure::internal(error.to_string()))?)
        }
        _ => None,
    };
    Ok(ListResponse { entries, cursor, attributes: Vec::new() })
}

type Seen<'a> = (Option<&'a str>, Option<i64>, Option<&'a aws_sdk_s3::primitives::DateTime>);

fn entry(key: String, version: Option<&str>, (etag, size, modified): Seen<'_>) -> Result<Entry, Failure> {
    let locator = Locator {
        key: key.clone(),
        version: version.map(str::to_owned),
        etag: etag.unwrap_or_default().to_owned(),
        write: None,
    };
    let modified = modified.and_then(|time| time.to_millis().ok()).and_then(|time| u64::try_from(time).ok());
    Ok(Entry {
        name: key,
        locator: locator.encode(),
        size: size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        last_modified: modified,
        write_id: None,
        attributes: Vec::new(),
    })
}

/// Keys come encoded, since XML cannot hold all of them; a plus sign stands for a blank.
fn decoded(key: Option<&str>, encoded: bool) -> Result<String, Failure> {
    let key = key.ok_or_else(|| failure::internal("the backend lists an object without a key"))?;
    if !encoded {
        return Ok(key.to_owned());
    }
    path::decode(&key.replace('+', " ")).ok_or_else(|| failure::internal("the backend lists a key that is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_keys_are_decoded_when_they_say_they_are_encoded() {
        assert_eq!(decoded(Some("a+b%2Bc"), true).unwrap(), "a b+c");
        assert_eq!(decoded(Some("a+b%2Bc"), false).unwrap(), "a+b%2Bc");
    }
}
