//! Uploads in parts: each part is a block, and the object is the list of its blocks.
//!
//! Azure keeps nothing with blocks that are not committed. So an upload begins as an empty
//! blob that has the object's metadata and content headers and the id of the upload; to
//! complete it is to put the list of blocks there with the same headers, and the id of the
//! write instead. Azure ties uncommitted blocks to a blob's name and drops them when that
//! blob is written: an upload needs a place that nothing else writes to.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sallyport_plugin_sdk::bindings::wasi::random::random;
use sallyport_plugin_sdk::http::{Method, Request, Response};
use sallyport_plugin_sdk::multipart::{
    AbortRequest, AbortResponse, CompleteRequest, CreateRequest, CreateResponse, FindUploadsRequest,
    FindUploadsResponse, KeepRequest, KeepResponse, PartRequest,
};
use sallyport_plugin_sdk::types::{Expectation, Failure, Stored, StoredPart};
use sallyport_plugin_sdk::{Body, Complete, Multipart, checksum, failure, xml};

use crate::errors;
use crate::locator::{Locator, Part, Upload};
use crate::plugin::{Azure, headers_of, projected, refused, unreadable};
use crate::projection::{Header, UPLOAD_ID, WRITE_ID};
use crate::requests::{Blob, etag, if_match, if_nothing, md5, repeat, send, with};
use crate::tagging;

const EMPTY_LIST: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList></BlockList>";

impl Multipart for Azure {
    async fn create(&self, request: CreateRequest) -> Result<CreateResponse, Failure> {
        let blob = self.blob_of(&request.name);
        let projected = projected(&request.object);
        let mut headers = headers_of(&blob, projected.content_headers());
        headers.extend(headers_of(&blob, projected.metadata_headers(UPLOAD_ID, &request.write_id)));
        headers.push(if_nothing());
        match repeat(|| with(empty(self, &blob), &headers)).await {
            Ok(_) => {}
            // The first try may have succeeded unheard.
            Err(failure) if matches!(failure.code.as_str(), "exists" | "changed") => {
                let now = self.look(&blob).await?.unwrap_or_default();
                if now.upload_id != request.write_id {
                    return Err(refused(failure, &Expectation::Nothing));
                }
            }
            Err(failure) => return Err(failure),
        }
        let upload = Upload { blob, write_id: request.write_id };
        Ok(CreateResponse { upload: upload.encode(), attributes: Vec::new() })
    }

    async fn put_part(&self, request: PartRequest, body: Body, complete: Complete) -> Result<StoredPart, Failure> {
        // The body is handed on: the host cuts the request when the upload fails.
        drop(complete);
        let upload = Upload::decode(&request.upload).map_err(unreadable)?;
        if request.size == 0 {
            // Nobody reads a body of nothing.
            drop(body);
            return Ok(StoredPart { part: Part::Empty.encode(), checksums: Vec::new(), attributes: Vec::new() });
        }
        let id = block_id(request.number, nonce());
        let md5_before = checksum::find(&request.checksums, "md5").map(checksum::to_base64);
        let outgoing =
            block(self, &upload.blob, &id).maybe_header("content-md5", md5_before).stream(body, request.size);
        let response = send(outgoing).await?;
        Ok(StoredPart { part: Part::Block(id).encode(), checksums: md5(&response), attributes: Vec::new() })
    }

    async fn complete(&self, request: CompleteRequest) -> Result<Stored, Failure> {
        let upload = Upload::decode(&request.upload).map_err(unreadable)?;
        let list = block_list(&request)?;
        let now = open(self, &upload).await?;
        let tags = tags_in(&now.kept);
        let mut headers = completed(now.kept, &upload.write_id);
        headers.push(if_match(&now.etag));
        let committed = repeat(|| commit(self, &upload.blob, &headers, &list)).await;
        let etag = match committed {
            Ok(response) => etag(&response)?,
            Err(failure) if failure.code == "changed" => completed_before(self, &upload, failure).await?,
            // A block that is not there any more, or never was: the upload cannot be completed.
            Err(failure) if errors::is(&failure, "InvalidBlockList") => {
                return Err(failure::not_found(failure.message));
            }
            Err(failure) => return Err(failure),
        };
        if !tags.is_empty() {
            tagging::set_index_tags(self, &upload.blob, &tags).await;
        }
        let locator = Locator { blob: upload.blob, etag, write_id: upload.write_id };
        Ok(Stored { locator: locator.encode(), checksums: Vec::new(), attributes: Vec::new() })
    }

    async fn abort(&self, request: AbortRequest) -> Result<AbortResponse, Failure> {
        let upload = Upload::decode(&request.upload).map_err(unreadable)?;
        let done = AbortResponse { attributes: Vec::new() };
        let Some(now) = self.look(&upload.blob).await? else { return Ok(done) };
        if now.upload_id != upload.write_id {
            return Ok(done);
        }
        match free(self, &upload, now).await {
            Ok(_) => Ok(done),
            // Somebody else finished with it in between.
            Err(failure) if matches!(failure.code.as_str(), "not-found" | "changed") => Ok(done),
            Err(failure) => Err(failure),
        }
    }

    async fn keep(&self, request: KeepRequest) -> Result<KeepResponse, Failure> {
        let upload = Upload::decode(&request.upload).map_err(unreadable)?;
        open(self, &upload).await?;
        // Each block starts the week again for all of them, and this one replaces itself.
        let id = block_id(u32::MAX, 0);
        repeat(|| block(self, &upload.blob, &id).bytes(vec![0])).await?;
        Ok(KeepResponse { attributes: Vec::new() })
    }

    async fn find_uploads(&self, request: FindUploadsRequest) -> Result<FindUploadsResponse, Failure> {
        let blob = self.blob_of(&request.name);
        let mut uploads = Vec::new();
        if let Some(now) = self.look(&blob).await?
            && now.upload_id == request.write_id
        {
            uploads.push(Upload { blob, write_id: request.write_id }.encode());
        }
        Ok(FindUploadsResponse { uploads, attributes: Vec::new() })
    }
}

/// An upload that is still open.
pub(crate) async fn open(azure: &Azure, upload: &Upload) -> Result<Blob, Failure> {
    match azure.look(&upload.blob).await? {
        Some(now) if now.upload_id == upload.write_id => Ok(now),
        _ => Err(failure::not_found("the upload was completed or aborted")),
    }
}

/// Committing an empty list drops the blocks, which deleting the blob does not promise.
async fn free(azure: &Azure, upload: &Upload, now: Blob) -> Result<Response, Failure> {
    let mark = (format!("x-ms-meta-{UPLOAD_ID}"), upload.write_id.clone());
    let headers = [mark, if_match(&now.etag)];
    let emptied = repeat(|| commit(azure, &upload.blob, &headers, EMPTY_LIST)).await?;
    let (name, value) = if_match(&etag(&emptied)?);
    repeat(|| azure.container.blob(Method::Delete, &upload.blob, &[]).header(&name, value.clone())).await
}

/// The etag that an earlier try left, of which nobody heard the answer.
async fn completed_before(azure: &Azure, upload: &Upload, failure: Failure) -> Result<String, Failure> {
    match azure.look(&upload.blob).await? {
        Some(now) if now.write_id == upload.write_id => Ok(now.etag),
        Some(_) => Err(failure),
        None => Err(failure::not_found("the upload was aborted")),
    }
}

fn empty(azure: &Azure, blob: &str) -> Request {
    azure.container.blob(Method::Put, blob, &[]).header("x-ms-blob-type", "BlockBlob").header("content-length", "0")
}

/// Put Block List.
fn commit(azure: &Azure, blob: &str, headers: &[Header], list: &str) -> Request {
    let request = azure.container.blob(Method::Put, blob, &[("comp", "blocklist")]);
    with(request, headers).header("content-type", "application/xml").bytes(list.as_bytes().to_vec())
}

/// Put Block, but for its body or source.
pub(crate) fn block(azure: &Azure, blob: &str, id: &str) -> Request {
    azure.container.blob(Method::Put, blob, &[("comp", "block"), ("blockid", id)])
}

/// A block of its own for each try of each part; all ids of a blob have the same length.
pub(crate) fn block_id(number: u32, nonce: u128) -> String {
    let mut id = number.to_be_bytes().to_vec();
    id.extend(nonce.to_be_bytes());
    // 21 bytes are whole groups of Base64, so no id needs padding.
    id.push(0);
    STANDARD.encode(id)
}

pub(crate) fn nonce() -> u128 {
    u128::from(random::get_random_u64()) << 64 | u128::from(random::get_random_u64())
}

fn block_list(request: &CompleteRequest) -> Result<String, Failure> {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
    for completed in &request.parts {
        match Part::decode(&completed.part).map_err(unreadable)? {
            Part::Block(id) => {
                xml.push_str("<Uncommitted>");
                xml.push_str(&xml::escape(&id));
                xml.push_str("</Uncommitted>");
            }
            Part::Empty => {}
        }
    }
    xml.push_str("</BlockList>");
    Ok(xml)
}

/// The headers of the upload, with the id of the write in the place of its own.
fn completed(kept: Vec<Header>, write_id: &str) -> Vec<Header> {
    let mark = format!("x-ms-meta-{UPLOAD_ID}");
    let mut headers: Vec<Header> = kept.into_iter().filter(|(name, _)| *name != mark).collect();
    headers.push((format!("x-ms-meta-{WRITE_ID}"), write_id.to_owned()));
    headers
}

/// The tags that the upload was created with.
fn tags_in(kept: &[Header]) -> Vec<(String, String)> {
    kept.iter()
        .find(|(name, _)| name == "x-ms-meta-tags")
        .and_then(|(_, json)| serde_json::from_str::<std::collections::BTreeMap<String, String>>(json).ok())
        .map(|tags| tags.into_iter().collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sallyport_plugin_sdk::multipart::CompletedPart;

    fn part(number: u32, part: &Part) -> CompletedPart {
        CompletedPart { number, part: part.encode(), size: 1 }
    }

    #[test]
    fn block_ids_have_one_length_and_differ() {
        let ids = [block_id(1, 0), block_id(1, 1), block_id(50_000, 0), block_id(u32::MAX, u128::MAX)];
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(id.len(), 28);
            assert!(!id.contains('='));
            assert!(!ids[..at].contains(id));
        }
    }

    #[test]
    fn the_list_has_the_blocks_in_order_and_no_empty_part() {
        let parts = vec![part(1, &Part::Block("YQ".into())), part(2, &Part::Empty), part(9, &Part::Block("Yg".into()))];
        let request = CompleteRequest { upload: Vec::new(), parts, size: 2, attributes: Vec::new() };
        let xml = block_list(&request).unwrap();
        assert!(xml.ends_with("<BlockList><Uncommitted>YQ</Uncommitted><Uncommitted>Yg</Uncommitted></BlockList>"));
    }

    #[test]
    fn completing_replaces_the_upload_by_the_write() {
        let kept = vec![
            ("x-ms-meta-sallyportupload".to_owned(), "ab".to_owned()),
            ("x-ms-meta-tags".to_owned(), "{\"a\":\"1\"}".to_owned()),
        ];
        assert_eq!(tags_in(&kept), [("a".to_owned(), "1".to_owned())]);
        let names: Vec<String> = completed(kept, "ab").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["x-ms-meta-tags", "x-ms-meta-sallyportwriteid"]);
    }
}
