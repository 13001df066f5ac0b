//! Whole objects: put, get, head, delete, find.

use sallyport_plugin_sdk::http::{Method, Request, Response};
use sallyport_plugin_sdk::objects::{
    DeleteRequest, DeleteResponse, FindRequest, FindResponse, Found, GetRequest, GetResponse, HeadRequest,
    HeadResponse, PutRequest,
};
use sallyport_plugin_sdk::types::{Failure, Span, Stored};
use sallyport_plugin_sdk::{Body, checksum, failure, shown as sdk_shown};

use crate::locator::Locator;
use crate::plugin::{Azure, condition, headers_of, projected, refused, unreadable};
use crate::projection::WRITE_ID;
use crate::requests::{Blob, etag, if_match, md5, range, repeat, send, with};
use crate::{shown, tagging};

pub(crate) async fn put(azure: &Azure, request: PutRequest, body: Body) -> Result<Stored, Failure> {
    let blob = azure.blob_of(&request.name);
    let outgoing = put_blob(azure, &blob, &request)?.stream(body, request.size);
    let response = send(outgoing).await.map_err(|failure| refused(failure, &request.expect))?;
    let locator = Locator { blob, etag: etag(&response)?, write_id: request.write_id };
    if !azure.may_tag_in_writes() {
        tagging::set_index_tags(azure, &locator.blob, &request.object.tags).await;
    }
    Ok(Stored { locator: locator.encode(), checksums: md5(&response), attributes: Vec::new() })
}

/// Put Blob, but for its body.
fn put_blob(azure: &Azure, blob: &str, request: &PutRequest) -> Result<Request, Failure> {
    let projected = projected(&request.object);
    let md5 = checksum::find(&request.checksums, "md5").map(checksum::to_base64);
    let mut headers = headers_of(blob, projected.content_headers());
    headers.extend(headers_of(blob, projected.metadata_headers(WRITE_ID, &request.write_id)));
    headers.extend(condition(&request.expect, blob)?);
    let tags = projected.index_tags().filter(|_| azure.may_tag_in_writes());
    let outgoing = azure
        .container
        .blob(Method::Put, blob, &[])
        .header("x-ms-blob-type", "BlockBlob")
        .maybe_header("content-md5", md5)
        .maybe_header("x-ms-tags", tags);
    Ok(with(outgoing, &headers))
}

pub(crate) async fn get(azure: &Azure, request: GetRequest) -> Result<(GetResponse, Body), Failure> {
    let locator = Locator::decode(&request.locator).map_err(unreadable)?;
    let response = on_bytes(azure, &locator, async |locator: &Locator| {
        let response = repeat(|| read(azure, locator, request.span)).await?;
        // What a captive portal answers has no ETag, or one of its own.
        if etag(&response).is_ok_and(|etag| etag == locator.etag) {
            return Ok(response);
        }
        Err(failure::unavailable("the answer to a read has another ETag than was asked for, so it is not Azure's"))
    })
    .await?;
    let (offset, length) = extent(&response, request.size)?;
    let body = response.into_stream()?;
    Ok((GetResponse { offset, length, attributes: Vec::new() }, body))
}

fn read(azure: &Azure, locator: &Locator, span: Option<Span>) -> Request {
    let (name, value) = if_match(&locator.etag);
    let request = azure.container.blob(Method::Get, &locator.blob, &[]).header(&name, value);
    match span.map(|span| range("x-ms-range", span)) {
        Some((name, value)) => request.header(&name, value),
        None => request,
    }
}

/// First byte and length of an answer's body.
fn extent(response: &Response, size: u64) -> Result<(u64, u64), Failure> {
    if response.status() == 206 {
        let (offset, length, _) = response
            .content_range()
            .ok_or_else(|| failure::internal("Azure's answer to a range has no Content-Range"))?;
        return Ok((offset, length));
    }
    Ok((0, response.content_length().unwrap_or(size)))
}

pub(crate) async fn head(azure: &Azure, request: &HeadRequest) -> Result<HeadResponse, Failure> {
    let locator = Locator::decode(&request.locator).map_err(unreadable)?;
    let response = on_bytes(azure, &locator, async |locator: &Locator| {
        let (name, value) = if_match(&locator.etag);
        repeat(|| azure.container.blob(Method::Head, &locator.blob, &[]).header(&name, value.clone())).await
    })
    .await?;
    Ok(HeadResponse { size: Blob::read(&response)?.size, attributes: Vec::new() })
}

pub(crate) async fn delete(azure: &Azure, request: &DeleteRequest) -> Result<DeleteResponse, Failure> {
    let locator = Locator::decode(&request.locator).map_err(unreadable)?;
    let deleted = on_bytes(azure, &locator, async |locator: &Locator| {
        let (name, value) = if_match(&locator.etag);
        repeat(|| azure.container.blob(Method::Delete, &locator.blob, &[]).header(&name, value.clone())).await
    })
    .await;
    match deleted {
        Ok(_) => {}
        Err(failure) if failure.code == "not-found" => {}
        Err(failure) => return Err(failure),
    }
    Ok(DeleteResponse { attributes: Vec::new() })
}

pub(crate) async fn find(azure: &Azure, request: &FindRequest) -> Result<FindResponse, Failure> {
    let blob = azure.blob_of(&request.name);
    let answer = |found| Ok(FindResponse { found, attributes: Vec::new() });
    let response = match repeat(|| azure.container.blob(Method::Head, &blob, &[])).await {
        Ok(response) => response,
        Err(failure) if failure.code == "not-found" => return answer(None),
        Err(failure) => return Err(failure),
    };
    let now = Blob::read(&response)?;
    let is_other_write = request.write_id.as_ref().is_some_and(|id| *id != now.write_id);
    // Where parts are being collected there is no object yet.
    if is_other_write || !now.upload_id.is_empty() {
        return answer(None);
    }
    match now.copy_status.as_str() {
        "pending" => Err(failure::unavailable("a copy to this place is still under way")),
        "failed" | "aborted" => answer(None),
        _ => {
            let found = Found { locator: now.locator(&blob).encode(), size: now.size, checksums: md5(&response) };
            let asked = request.write_id.is_none() && sdk_shown::is_asked_for(request);
            let attributes = if asked { shown::attributes(azure, &blob, &now, &response).await? } else { Vec::new() };
            Ok(FindResponse { found: Some(found), attributes })
        }
    }
}

/// Does something to the bytes of a locator, also when only their etag has changed since.
pub(crate) async fn on_bytes<T>(
    azure: &Azure,
    locator: &Locator,
    operation: impl AsyncFn(&Locator) -> Result<T, Failure>,
) -> Result<T, Failure> {
    match operation(locator).await {
        Err(failure) if failure.code == "changed" => match azure.same_bytes(locator).await? {
            Some(now) if now.etag != locator.etag => operation(&now).await,
            Some(_) | None => Err(failure),
        },
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::details::Details;
    use crate::requests::Container;
    use sallyport_plugin_sdk::types::{Expectation, Name, Place, Projection};

    fn azure() -> Azure {
        let details = serde_json::json!({
            "azureContainerName": "container", "azureStorageAccountName": "acc", "azureStorageAccessKey": "a2V5",
        });
        let details = Details::parse(&details.to_string()).unwrap();
        Azure { container: Container::of(&details).unwrap(), details }
    }

    fn put_request(expect: Expectation) -> PutRequest {
        PutRequest {
            name: Name { bucket: "bucket".into(), key: "k".into(), place: Place::Plain },
            write_id: "ab".into(),
            size: 5,
            expect,
            object: Projection {
                content: vec![("content-type".into(), "text/plain".into())],
                metadata: vec![("a-b".into(), "1".into())],
                tags: vec![("team".into(), "x".into())],
            },
            checksums: Vec::new(),
            attributes: Vec::new(),
        }
    }

    #[test]
    fn a_put_carries_all_that_azure_can_hold() {
        let request = put_blob(&azure(), "bucket/k", &put_request(Expectation::Nothing)).unwrap();
        for (name, value) in [
            ("x-ms-blob-type", "BlockBlob"),
            ("x-ms-blob-content-type", "text/plain"),
            ("x-ms-meta-sallyportwriteid", "ab"),
            ("x-ms-meta-a_b", "1"),
            ("x-ms-meta-tags", "{\"team\":\"x\"}"),
            ("x-ms-tags", "team=x"),
            ("if-none-match", "*"),
        ] {
            assert_eq!(request.header_value(name), Some(value));
        }
        assert_eq!(request.header_value("authorization"), None);
    }

    #[test]
    fn a_put_over_known_bytes_names_their_etag() {
        let locator = Locator { blob: "bucket/k".into(), etag: "0x8D".into(), write_id: String::new() };
        let request = put_request(Expectation::Bytes(locator.encode()));
        let outgoing = put_blob(&azure(), "bucket/k", &request).unwrap();
        assert_eq!(outgoing.header_value("if-match"), Some("\"0x8D\""));
        assert_eq!(put_blob(&azure(), "bucket/other", &request).unwrap_err().code, "changed");
    }

    #[test]
    fn the_first_byte_alone_is_asked_for_alone() {
        let locator = Locator { blob: "bucket/k".into(), etag: "0x8D".into(), write_id: String::new() };
        let request = read(&azure(), &locator, Some(Span { offset: 0, length: 1 }));
        assert_eq!(request.header_value("x-ms-range"), Some("bytes=0-0"));
        assert_eq!(read(&azure(), &locator, None).header_value("x-ms-range"), None);
    }

    #[test]
    fn an_answer_says_where_its_bytes_are() {
        let part = Response::canned(206, &[("content-range", "bytes 0-0/9"), ("content-length", "1")], "h");
        assert_eq!(extent(&part, 9), Ok((0, 1)));
        let whole = Response::canned(200, &[("content-length", "9")], "");
        assert_eq!(extent(&whole, 9), Ok((0, 9)));
        assert!(extent(&Response::canned(206, &[], ""), 9).is_err());
    }
}
