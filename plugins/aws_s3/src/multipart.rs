//! Assembles objects from parts on the backend.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use sallyport_plugin_sdk::http::Method;
use sallyport_plugin_sdk::multipart::{
    AbortRequest, CompleteRequest, CreateRequest, FindUploadsRequest, KeepRequest, PartRequest,
};
use sallyport_plugin_sdk::retry::Retry;
use sallyport_plugin_sdk::types::{Attributes, Failure, Stored, StoredPart, Token};
use sallyport_plugin_sdk::{Body, failure};

use crate::backend::{Backend, checksums};
use crate::locator::{Upload, decode_part, encode_part};
use crate::objects::{ENCRYPT, removed, verified, warnings};
use crate::projection::Fitted;
use crate::{client, errors};

pub(crate) async fn create(backend: &Backend, request: CreateRequest) -> Result<(Token, Attributes), Failure> {
    let key = backend.naming.place(&request.name);
    let (headers, left_out) = written_headers(backend, Fitted::of(&request.object, &request.write_id));
    let call = || {
        let create = backend.client().create_multipart_upload().bucket(&backend.details.bucket).key(&key);
        create.customize().mutate_request(client::with_headers(headers.clone())).send()
    };
    // Once: each try that the backend heard leaves an upload, and one too many would stay.
    let answer = call().await.map_err(errors::failure_of_call)?;
    let id = answer.upload_id().ok_or_else(|| failure::internal("the backend did not name the upload"))?;
    let upload = Upload { key, id: id.to_owned(), write: Some(request.write_id) };
    Ok((upload.encode(), warnings(left_out)))
}

pub(crate) async fn put_part(backend: &Backend, request: PartRequest, body: Body) -> Result<StoredPart, Failure> {
    let upload = read_upload(&request.upload)?;
    let number = request.number.to_string();
    let query = [("partNumber", number.as_str()), ("uploadId", upload.id.as_str())];
    let sent = backend.request(Method::Put, &upload.key, &query);
    let response = backend.send(verified(sent, &request.checksums).stream(body, request.size)).await?;
    let etag = response.header("etag").ok_or_else(|| failure::internal("the backend gave the part no entity tag"))?;
    Ok(StoredPart { part: encode_part(etag), checksums: checksums(&response), attributes: Vec::new() })
}

pub(crate) async fn complete(backend: &Backend, request: CompleteRequest) -> Result<Stored, Failure> {
    let upload = read_upload(&request.upload)?;
    let mut parts = Vec::with_capacity(request.parts.len());
    for part in &request.parts {
        let etag = decode_part(&part.part).ok_or_else(|| failure::invalid("a part of an unknown format"))?;
        parts.push(CompletedPart::builder().part_number(signed(part.number)?).e_tag(etag).build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let call = || {
        let complete = backend.client().complete_multipart_upload().bucket(&backend.details.bucket);
        complete.key(&upload.key).upload_id(&upload.id).multipart_upload(parts.clone()).send()
    };
    // Repeating is safe: of a completed upload the backend knows nothing, or answers the same.
    let answer = Retry::default().run(|| async { call().await.map_err(errors::failure_of_call) }).await?;
    let write = upload.write.as_deref().unwrap_or_default();
    let locator = backend.stored(&upload.key, answer.e_tag(), answer.version_id(), write).await?;
    Ok(Stored { locator: locator.encode(), checksums: Vec::new(), attributes: Vec::new() })
}

pub(crate) async fn abort(backend: &Backend, request: AbortRequest) -> Result<(), Failure> {
    let upload = read_upload(&request.upload)?;
    let query = [("uploadId", upload.id.as_str())];
    removed(backend.repeat(|| backend.request(Method::Delete, &upload.key, &query)).await)
}

/// S3 forgets no upload, unless a lifecycle rule of the operator says so.
pub(crate) fn keep(request: &KeepRequest) -> Result<(), Failure> {
    read_upload(&request.upload).map(|_| ())
}

/// Uploads do not show their metadata, hence all that are open at the place.
pub(crate) async fn find_uploads(backend: &Backend, request: FindUploadsRequest) -> Result<Vec<Token>, Failure> {
    let key = backend.naming.place(&request.name);
    let mut found = Vec::new();
    let (mut key_marker, mut id_marker) = (None, None);
    loop {
        let call = || {
            let list = backend.client().list_multipart_uploads().bucket(&backend.details.bucket).prefix(&key);
            list.set_key_marker(key_marker.clone()).set_upload_id_marker(id_marker.clone()).send()
        };
        let page = Retry::default().run(|| async { call().await.map_err(errors::failure_of_call) }).await?;
        for upload in page.uploads() {
            if let (Some(at), Some(id)) = (upload.key(), upload.upload_id())
                && at == key
            {
                let write = Some(request.write_id.clone());
                found.push(Upload { key: key.clone(), id: id.to_owned(), write }.encode());
            }
        }
        if page.is_truncated() != Some(true) || page.next_key_marker() != Some(key.as_str()) {
            return Ok(found);
        }
        key_marker = page.next_key_marker().map(str::to_owned);
        id_marker = page.next_upload_id_marker().map(str::to_owned);
    }
}

/// The headers of a request that makes an object, and sentences about what was left out.
pub(crate) fn written_headers(backend: &Backend, fitted: Fitted) -> (Vec<(String, String)>, Vec<String>) {
    let (mut headers, left_out) = fitted.into_headers();
    if backend.details.encrypt {
        headers.push((ENCRYPT.0.to_owned(), ENCRYPT.1.to_owned()));
    }
    (headers, left_out)
}

pub(crate) fn read_upload(token: &[u8]) -> Result<Upload, Failure> {
    Upload::decode(token).ok_or_else(|| failure::invalid("an upload of an unknown format"))
}

pub(crate) fn signed(number: u32) -> Result<i32, Failure> {
    i32::try_from(number).map_err(|_| failure::invalid(format!("no part has the number {number}")))
}
