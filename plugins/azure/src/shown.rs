//! Tells what a blob that others stored shows beside its bytes.

use sallyport_plugin_sdk::http::{Method, Response};
use sallyport_plugin_sdk::types::{Attributes, Failure, Projection};
use sallyport_plugin_sdk::{log, shown, xml};
use serde::Deserialize;

use crate::plugin::Azure;
use crate::projection;
use crate::requests::{Blob, repeat};

/// Ten tags of the longest kind, escaped, in bytes.
const LONGEST_TAGS: usize = 64 * 1024;

#[derive(Deserialize)]
struct Tags {
    #[serde(rename = "TagSet", default)]
    set: TagSet,
}

#[derive(Default, Deserialize)]
struct TagSet {
    #[serde(rename = "Tag", default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

/// The attributes of an answer that found a blob.
pub(crate) async fn attributes(
    azure: &Azure,
    name: &str,
    blob: &Blob,
    response: &Response,
) -> Result<Attributes, Failure> {
    let headers = response.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str(), std::str::from_utf8(value).ok()?.trim())));
    let (content, metadata) = projection::shown(headers, !blob.write_id.is_empty());
    let tags = match response.header("x-ms-meta-tags").and_then(projection::shown_tags) {
        Some(tags) => tags,
        None if response.header("x-ms-tag-count").is_some_and(|count| count != "0") => index_tags(azure, name).await?,
        None => Vec::new(),
    };
    let write_id = Some(blob.write_id.as_str()).filter(|id| !id.is_empty());
    Ok(shown::attributes(write_id, &Projection { content, metadata, tags }))
}

/// Who may not read the index sees no tags.
async fn index_tags(azure: &Azure, name: &str) -> Result<Vec<(String, String)>, Failure> {
    let answer = repeat(|| azure.container.blob(Method::Get, name, &[("comp", "tags")])).await;
    match answer {
        Ok(response) => read(&response.read_to_limit(LONGEST_TAGS).await?),
        Err(failure) if ["unavailable", "throttled"].contains(&failure.code.as_str()) => Err(failure),
        Err(failure) => {
            log::debug(&format!("blob {name}: its tags are not shown: {}", failure.message));
            Ok(Vec::new())
        }
    }
}

fn read(document: &[u8]) -> Result<Vec<(String, String)>, Failure> {
    let tags: Tags = xml::read(document)?;
    Ok(tags.set.tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_of_the_index_are_read() {
        let xml = "\u{feff}<?xml version=\"1.0\"?><Tags><TagSet><Tag><Key>a</Key><Value>1 &lt; 2</Value></Tag>\
            <Tag><Key>b</Key><Value></Value></Tag></TagSet></Tags>";
        let expected = [("a".to_owned(), "1 < 2".to_owned()), ("b".to_owned(), String::new())];
        assert_eq!(read(xml.as_bytes()).unwrap(), expected);
        assert!(read(b"<Tags><TagSet></TagSet></Tags>").unwrap().is_empty());
        assert!(read(b"<html").is_err());
    }
}
