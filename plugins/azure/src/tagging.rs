//! Tags of stored objects: as JSON in the metadata, and in Azure's index when they fit there.

use sallyport_plugin_sdk::http::{Method, Request};
use sallyport_plugin_sdk::tagging::{PutTagsRequest, PutTagsResponse};
use sallyport_plugin_sdk::types::Failure;
use sallyport_plugin_sdk::{Tagging, log, xml};

use crate::locator::Locator;
use crate::objects::on_bytes;
use crate::plugin::{Azure, headers_of, projected, unreadable};
use crate::projection::{Projected, WRITE_ID};
use crate::requests::{etag, if_match, repeat, with};

impl Tagging for Azure {
    async fn put_tags(&self, request: PutTagsRequest) -> Result<PutTagsResponse, Failure> {
        let locator = Locator::decode(&request.locator).map_err(unreadable)?;
        let projected = projected(&request.object);
        let metadata = headers_of(&locator.blob, projected.metadata_headers(WRITE_ID, &locator.write_id));
        let response = on_bytes(self, &locator, async |locator: &Locator| {
            let mut headers = metadata.clone();
            headers.push(if_match(&locator.etag));
            repeat(|| with(set_metadata(self, &locator.blob), &headers)).await
        })
        .await?;
        let locator = Locator { etag: etag(&response)?, ..locator };
        set_index_tags(self, &locator.blob, &request.object.tags).await;
        Ok(PutTagsResponse { locator: locator.encode(), attributes: Vec::new() })
    }
}

fn set_metadata(azure: &Azure, blob: &str) -> Request {
    azure.container.blob(Method::Put, blob, &[("comp", "metadata")]).header("content-length", "0")
}

/// Writes the index, which is only a projection: some accounts have none, some credentials
/// may not write it, and the metadata has the tags anyway. Does not change the etag.
pub(crate) async fn set_index_tags(azure: &Azure, blob: &str, tags: &[(String, String)]) {
    let projected = Projected { tags, ..Projected::default() };
    let fitting = if projected.tags_fit_the_index() { tags } else { &[] };
    let xml = document(fitting);
    let request = || {
        azure
            .container
            .blob(Method::Put, blob, &[("comp", "tags")])
            .header("content-type", "application/xml; charset=UTF-8")
            .bytes(xml.clone().into_bytes())
    };
    if let Err(failure) = repeat(request).await {
        log::warn(&format!("blob {blob}: its tags are not in Azure's index: {}", failure.message));
    }
}

fn document(tags: &[(String, String)]) -> String {
    let tags: String = tags
        .iter()
        .map(|(key, value)| {
            let (key, value) = (xml::escape(key), xml::escape(value));
            format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>")
        })
        .collect();
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><Tags><TagSet>{tags}</TagSet></Tags>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_written_as_xml() {
        let xml = document(&[("a".to_owned(), "1 < 2".to_owned())]);
        assert!(xml.ends_with("<TagSet><Tag><Key>a</Key><Value>1 &lt; 2</Value></Tag></TagSet></Tags>"));
    }
}
