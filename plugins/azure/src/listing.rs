//! Lists what the container holds.

use sallyport_plugin_sdk::http::{Method, Request, date};
use sallyport_plugin_sdk::listing::{Entry, ListRequest, ListResponse};
use sallyport_plugin_sdk::types::Failure;
use sallyport_plugin_sdk::{Listing, checksum, xml};
use serde::Deserialize;
use std::collections::HashMap;

use crate::locator::Locator;
use crate::plugin::Azure;
use crate::projection::{UPLOAD_ID, WRITE_ID};
use crate::requests::repeat;

/// A page of 1,000 blobs with all the metadata that they can have.
const LONGEST_PAGE: usize = 16 * 1024 * 1024;

impl Listing for Azure {
    async fn list(&self, request: ListRequest) -> Result<ListResponse, Failure> {
        let response = repeat(|| page(self, &request)).await?;
        read(&response.read_to_limit(LONGEST_PAGE).await?)
    }
}

fn page(azure: &Azure, request: &ListRequest) -> Request {
    let limit = request.limit.clamp(1, 1000).to_string();
    let mut query = vec![("comp", "list"), ("include", "metadata"), ("maxresults", &limit)];
    let prefix = request.prefix.as_deref().unwrap_or_default();
    // What follows `target` in a namespace begins with the slash between the two.
    let prefix = prefix.strip_prefix('/').unwrap_or(prefix);
    if !prefix.is_empty() {
        query.push(("prefix", prefix));
    }
    if let Some(cursor) = &request.cursor {
        query.push(("marker", cursor));
    }
    azure.container.request(Method::Get, &query)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    blobs: Blobs,
    #[serde(default)]
    next_marker: String,
}

#[derive(Default, Deserialize)]
struct Blobs {
    #[serde(rename = "Blob", default)]
    blobs: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    name: ListedName,
    properties: Properties,
    #[serde(default)]
    metadata: Option<HashMap<String, Option<String>>>,
}

/// A name that XML cannot hold is percent-encoded and says so.
#[derive(Deserialize)]
struct ListedName {
    #[serde(rename = "@Encoded", default)]
    encoded: bool,
    #[serde(rename = "$text", default)]
    text: String,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(rename = "Etag")]
    etag: String,
    #[serde(rename = "Content-Length", default)]
    content_length: u64,
    #[serde(rename = "Last-Modified", default)]
    last_modified: String,
}

fn read(listing: &[u8]) -> Result<ListResponse, Failure> {
    let page: Page = xml::read(listing)?;
    let entries = page.blobs.blobs.into_iter().filter_map(entry).collect();
    let cursor = Some(page.next_marker).filter(|marker| !marker.is_empty());
    Ok(ListResponse { entries, cursor, attributes: Vec::new() })
}

/// `None` for a blob at which parts are being collected: that is no object.
fn entry(listed: Listed) -> Option<Entry> {
    let name = if listed.name.encoded {
        percent_encoding::percent_decode_str(&listed.name.text).decode_utf8_lossy().into_owned()
    } else {
        listed.name.text
    };
    let metadata = listed.metadata.unwrap_or_default();
    let value = |wanted: &str| {
        let found = metadata.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.and_then(|(_, value)| value.clone())
    };
    if value(UPLOAD_ID).is_some() {
        return None;
    }
    let write_id = value(WRITE_ID);
    let locator = Locator {
        blob: name.clone(),
        etag: checksum::unquote(&listed.properties.etag).to_owned(),
        write_id: write_id.clone().unwrap_or_default(),
    };
    Some(Entry {
        name,
        locator: locator.encode(),
        size: listed.properties.content_length,
        last_modified: date::milliseconds(&listed.properties.last_modified),
        write_id,
        attributes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\
        <EnumerationResults ServiceEndpoint=\"https://acc.blob.core.windows.net/\" ContainerName=\"c\">\
        <MaxResults>3</MaxResults><Blobs>\
        <Blob><Name>b/k &amp; more</Name><Properties><Creation-Time>x</Creation-Time>\
        <Last-Modified>Thu, 01 Jan 1970 00:00:01 GMT</Last-Modified><Etag>0x8D</Etag>\
        <Content-Length>5</Content-Length><Content-Type>text/plain</Content-Type><LeaseStatus>unlocked</LeaseStatus>\
        </Properties><Metadata><sallyportwriteid>ab</sallyportwriteid><empty/></Metadata><OrMetadata /></Blob>\
        <Blob><Name Encoded=\"true\">odd%EF%BF%BE</Name><Properties><Etag>\"0x8E\"</Etag>\
        <Content-Length>0</Content-Length></Properties><Metadata /></Blob>\
        <Blob><Name>upload</Name><Properties><Etag>0x8F</Etag></Properties>\
        <Metadata><sallyportupload>cd</sallyportupload></Metadata></Blob>\
        </Blobs><NextMarker>2!token</NextMarker></EnumerationResults>";

    #[test]
    fn a_page_names_objects_and_no_uploads() {
        let page = read(PAGE.as_bytes()).unwrap();
        let names: Vec<&str> = page.entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["b/k & more", "odd\u{fffe}"]);
        let first = &page.entries[0];
        assert_eq!((first.size, first.last_modified, first.write_id.as_deref()), (5, Some(1000), Some("ab")));
        let locator = Locator::decode(&page.entries[1].locator).unwrap();
        assert_eq!(locator, Locator { blob: "odd\u{fffe}".into(), etag: "0x8E".into(), write_id: String::new() });
        assert_eq!(page.cursor.as_deref(), Some("2!token"));
    }

    #[test]
    fn an_empty_container_has_one_empty_page() {
        let page = read(b"<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>").unwrap();
        assert!(page.entries.is_empty());
        assert_eq!(page.cursor, None);
        let page = read(b"<EnumerationResults><Blobs></Blobs></EnumerationResults>").unwrap();
        assert_eq!(page.cursor, None);
    }

    #[test]
    fn garbage_is_an_error() {
        assert_eq!(read(b"<html>").unwrap_err().code, "unavailable");
    }
}
