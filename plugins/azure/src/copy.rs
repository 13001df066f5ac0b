//! Copies that Azure makes itself, within the location.
//!
//! With a key or a token the same account's blobs may be sources of Copy Blob, which runs in
//! the background and takes content headers from its source. A shared access signature can
//! authorise a source by its URL, and so the requests that copy at once, which some servers
//! and sizes do without: then it is Copy Blob again.

use sallyport_plugin_sdk::bindings::wasi::clocks::monotonic_clock;
use sallyport_plugin_sdk::copy::{CopyPartRequest, CopyRequest};
use sallyport_plugin_sdk::http::{Method, Request};
use sallyport_plugin_sdk::retry::Retry;
use sallyport_plugin_sdk::types::{Failure, Projection, Span, Stored, StoredPart};
use sallyport_plugin_sdk::{ServerCopy, call, checksum, failure, log};

use crate::details::Authentication;
use crate::errors;
use crate::locator::{Locator, Part, Upload};
use crate::multipart::{block, block_id, nonce};
use crate::objects::on_bytes;
use crate::plugin::{Azure, condition, headers_of, projected, refused, unreadable};
use crate::projection::{Header, WRITE_ID};
use crate::requests::{Blob, etag, if_match, md5, range, repeat, send, with};
use crate::tagging;

/// Put Blob From URL takes no more.
const LARGEST_AT_ONCE: u64 = 5000 * 1024 * 1024;
/// Put Block From URL takes no more.
const LARGEST_BLOCK: u64 = 4000 * 1024 * 1024;
/// Time to give a copy up cleanly when it takes too long.
const RESERVE_MS: u64 = 5_000;
const LONGEST_PAUSE_MS: u64 = 2_000;

impl ServerCopy for Azure {
    async fn copy(&self, request: CopyRequest) -> Result<Stored, Failure> {
        let source = Locator::decode(&request.source).map_err(unreadable)?;
        let blob = self.blob_of(&request.name);
        if source.blob == blob {
            return Err(failure::unsupported("Azure cannot copy a blob onto itself"));
        }
        let condition = condition(&request.expect, &blob)?;
        let stored = on_bytes(self, &source, async |source: &Locator| {
            let headers = headers(self, &blob, &request, source, condition.clone());
            match &self.details.authentication {
                Authentication::SharedAccessSignature { .. } => match at_once(self, &blob, &request, &headers).await {
                    Err(failure) if failure.code == "unsupported" => {
                        in_background(self, &blob, &request, &headers).await
                    }
                    result => result,
                },
                Authentication::SharedKey { .. } | Authentication::ClientSecret { .. } => {
                    in_background(self, &blob, &request, &headers).await
                }
            }
        })
        .await
        .map_err(|failure| {
            // An unmet condition may be the source's as well.
            let is_target = errors::is(&failure, "TargetConditionNotMet");
            if is_target { refused(failure, &request.expect) } else { failure }
        })?;
        if !self.may_tag_in_writes() && !request.object.tags.is_empty() {
            tagging::set_index_tags(self, &blob, &request.object.tags).await;
        }
        Ok(stored)
    }

    async fn copy_part(&self, request: CopyPartRequest) -> Result<StoredPart, Failure> {
        let source = Locator::decode(&request.source).map_err(unreadable)?;
        let upload = Upload::decode(&request.upload).map_err(unreadable)?;
        let span = request.span.unwrap_or(Span { offset: 0, length: request.source_size });
        if span.length == 0 {
            return Ok(StoredPart { part: Part::Empty.encode(), checksums: Vec::new(), attributes: Vec::new() });
        }
        let is_signature = matches!(self.details.authentication, Authentication::SharedAccessSignature { .. });
        if !is_signature || span.length > LARGEST_BLOCK {
            return Err(failure::unsupported("only a shared access signature authorises the source of a part"));
        }
        let id = block_id(request.number, nonce());
        let response = on_bytes(self, &source, async |source: &Locator| {
            let headers = [from(self, source), if_source(source), range("x-ms-source-range", span)];
            let make = || with(block(self, &upload.blob, &id), &headers).header("content-length", "0");
            Retry::default().run(|| async { send(make()).await.map_err(source_refused) }).await
        })
        .await?;
        Ok(StoredPart { part: Part::Block(id).encode(), checksums: md5(&response), attributes: Vec::new() })
    }
}

/// What both ways to copy have in common.
fn headers(
    azure: &Azure,
    blob: &str,
    request: &CopyRequest,
    source: &Locator,
    condition: Option<Header>,
) -> Vec<Header> {
    let projected = projected(&request.object);
    let mut headers = headers_of(blob, projected.metadata_headers(WRITE_ID, &request.write_id));
    headers.extend(
        projected.index_tags().filter(|_| azure.may_tag_in_writes()).map(|tags| ("x-ms-tags".to_owned(), tags)),
    );
    headers.extend([from(azure, source), if_source(source)]);
    headers.extend(condition);
    headers
}

/// The source's URL. The host puts the signature where its placeholder is.
fn from(azure: &Azure, source: &Locator) -> Header {
    let url = azure.container.url_of(&source.blob);
    let url = match &azure.details.authentication {
        Authentication::SharedAccessSignature { placeholder } => {
            let mark = if placeholder.starts_with('?') { "" } else { "?" };
            format!("{url}{mark}{placeholder}")
        }
        Authentication::SharedKey { .. } | Authentication::ClientSecret { .. } => url,
    };
    ("x-ms-copy-source".to_owned(), url)
}

fn if_source(source: &Locator) -> Header {
    ("x-ms-source-if-match".to_owned(), checksum::quote(&source.etag))
}

/// A source that Azure will not read for us is one for the host to stream.
fn source_refused(failure: Failure) -> Failure {
    // An emulator breaks, without a code, at what it does not know.
    let about_source =
        ["", "CannotVerifyCopySource", "CopySourceNotVerified", "InvalidHeaderValue", "UnsupportedHeader"]
            .iter()
            .any(|code| errors::is(&failure, code));
    if about_source || failure.code == "denied" { failure::unsupported(failure.message) } else { failure }
}

/// Put Blob From URL: done when it answers.
async fn at_once(azure: &Azure, blob: &str, request: &CopyRequest, headers: &[Header]) -> Result<Stored, Failure> {
    if request.size > LARGEST_AT_ONCE {
        return Err(failure::unsupported("too large to be copied at once"));
    }
    let content = headers_of(blob, projected(&request.object).content_headers());
    let outgoing = with(with(azure.container.blob(Method::Put, blob, &[]), headers), &content)
        .header("x-ms-blob-type", "BlockBlob")
        .header("x-ms-copy-source-blob-properties", "false")
        .header("content-length", "0");
    let response = send(outgoing).await.map_err(source_refused)?;
    let locator = Locator { blob: blob.to_owned(), etag: etag(&response)?, write_id: request.write_id.clone() };
    Ok(Stored { locator: locator.encode(), checksums: md5(&response), attributes: Vec::new() })
}

/// Copy Blob: waits for the end, then gives the copy its own content headers.
async fn in_background(
    azure: &Azure,
    blob: &str,
    request: &CopyRequest,
    headers: &[Header],
) -> Result<Stored, Failure> {
    let outgoing = with(azure.container.blob(Method::Put, blob, &[]), headers).header("content-length", "0");
    let response = send(outgoing).await.map_err(source_refused)?;
    let mut now = Blob::read(&response)?;
    now.write_id = request.write_id.clone();
    if now.copy_status == "pending" {
        now = wait(azure, blob, &request.write_id, now.copy_id).await?;
    }
    let etag = set_content(azure, blob, &now.etag, &request.object).await?;
    let locator = Locator { blob: blob.to_owned(), etag, write_id: request.write_id.clone() };
    Ok(Stored { locator: locator.encode(), checksums: Vec::new(), attributes: Vec::new() })
}

/// Waits until a copy has ended, as long as the call may take.
async fn wait(azure: &Azure, blob: &str, write_id: &str, copy_id: String) -> Result<Blob, Failure> {
    let mut pause = 50;
    loop {
        let is_late = call::remaining().is_some_and(|left| left < pause + RESERVE_MS);
        if is_late || call::cancelled() {
            give_up(azure, blob, &copy_id).await;
            return Err(failure::unavailable("Azure did not finish the copy in time"));
        }
        monotonic_clock::wait_for(pause * 1_000_000).await;
        pause = (pause * 2).min(LONGEST_PAUSE_MS);
        let now = azure.look(blob).await?.filter(|now| now.write_id == write_id);
        let Some(now) = now else { return Err(failure::changed("another write replaced the copy")) };
        match now.copy_status.as_str() {
            "pending" => {}
            "failed" | "aborted" => {
                remove(azure, blob, &now.etag).await;
                return Err(failure::unavailable(format!("Azure's copy {}", now.copy_status)));
            }
            _ => return Ok(now),
        }
    }
}

/// Ends a copy and removes what it left, an empty blob.
async fn give_up(azure: &Azure, blob: &str, copy_id: &str) {
    let abort = || {
        azure
            .container
            .blob(Method::Put, blob, &[("comp", "copy"), ("copyid", copy_id)])
            .header("x-ms-copy-action", "abort")
            .header("content-length", "0")
    };
    if let Err(failure) = send(abort()).await {
        log::warn(&format!("blob {blob}: its copy could not be stopped: {}", failure.message));
    }
    if let Ok(Some(now)) = azure.look(blob).await
        && now.copy_id == copy_id
    {
        remove(azure, blob, &now.etag).await;
    }
}

async fn remove(azure: &Azure, blob: &str, etag: &str) {
    let (name, value) = if_match(etag);
    let delete = || azure.container.blob(Method::Delete, blob, &[]).header(&name, value.clone());
    if let Err(failure) = repeat(delete).await {
        log::warn(&format!("blob {blob}: what a copy left could not be removed: {}", failure.message));
    }
}

/// Gives a blob the object's content headers; those that it does not name go.
async fn set_content(azure: &Azure, blob: &str, etag_before: &str, object: &Projection) -> Result<String, Failure> {
    let mut headers = headers_of(blob, projected(object).content_headers());
    headers.push(if_match(etag_before));
    let response = repeat(|| with(properties(azure, blob), &headers)).await?;
    etag(&response)
}

fn properties(azure: &Azure, blob: &str) -> Request {
    azure.container.blob(Method::Put, blob, &[("comp", "properties")]).header("content-length", "0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::details::Details;
    use crate::requests::Container;

    fn azure(secret: &str, value: &str) -> Azure {
        let mut details = serde_json::json!({ "azureContainerName": "container", "azureStorageAccountName": "acc" });
        details[secret] = value.into();
        let details = Details::parse(&details.to_string()).unwrap();
        Azure { container: Container::of(&details).unwrap(), details }
    }

    fn source() -> Locator {
        Locator { blob: "b/ü".into(), etag: "0x8D".into(), write_id: "ab".into() }
    }

    #[test]
    fn a_source_is_encoded_and_pinned() {
        let (name, url) = from(&azure("azureStorageAccessKey", "a2V5"), &source());
        assert_eq!(
            (name.as_str(), url.as_str()),
            ("x-ms-copy-source", "https://acc.blob.core.windows.net/container/b/%C3%BC")
        );
        assert_eq!(if_source(&source()).1, "\"0x8D\"");
    }

    #[test]
    fn a_signature_stands_behind_its_source_as_a_placeholder() {
        for placeholder in ["p1a2", "?p1a2"] {
            let (_, url) = from(&azure("sasToken", placeholder), &source());
            assert_eq!(url, "https://acc.blob.core.windows.net/container/b/%C3%BC?p1a2");
        }
    }
}
