//! Stores, reads and frees objects, each with one unsigned request.

use sallyport_plugin_sdk::http::{Method, Request, Response};
use sallyport_plugin_sdk::objects::{
    DeleteRequest, FindRequest, FindResponse, Found, GetRequest, GetResponse, HeadRequest, HeadResponse, PutRequest,
};
use sallyport_plugin_sdk::types::{Attributes, Checksum, Expectation, Failure, Stored};
use sallyport_plugin_sdk::{Body, checksum, failure, shown as sdk_shown};

use crate::backend::{Backend, Seen, checksums, other_bytes};
use crate::locator::Locator;
use crate::projection::Fitted;
use crate::{shown, versions};

/// The header that asks the backend to encrypt.
pub(crate) const ENCRYPT: (&str, &str) = ("x-amz-server-side-encryption", "AES256");

pub(crate) async fn put(backend: &Backend, request: PutRequest, body: Body) -> Result<Stored, Failure> {
    let key = backend.naming.place(&request.name);
    let (headers, left_out) = Fitted::of(&request.object, &request.write_id).into_headers();
    let mut sent = backend.request(Method::Put, &key, &[]);
    for (name, value) in headers {
        sent = sent.header(name, value);
    }
    if backend.details.encrypt {
        sent = sent.header(ENCRYPT.0, ENCRYPT.1);
    }
    let must_be_absent = matches!(request.expect, Expectation::Nothing);
    if let Some((name, value)) = condition(backend, &key, &request.expect).await? {
        sent = sent.header(name, value);
    }
    sent = verified(sent, &request.checksums).stream(body, request.size);
    let response = backend.send(sent).await.map_err(|failure| unmet(failure, must_be_absent))?;
    let locator =
        backend.stored(&key, response.header("etag"), response.header("x-amz-version-id"), &request.write_id).await?;
    Ok(Stored { locator: locator.encode(), checksums: checksums(&response), attributes: warnings(left_out) })
}

pub(crate) async fn get(backend: &Backend, request: GetRequest) -> Result<(GetResponse, Body), Failure> {
    let locator = read_locator(&request.locator)?;
    let sent = || {
        let etag = Some(checksum::quote(&locator.etag)).filter(|_| !locator.etag.is_empty());
        backend.request_for(Method::Get, &locator).maybe_header("if-match", etag).span(request.span)
    };
    let response = backend.repeat(sent).await.map_err(|failure| {
        // The span lies within what was stored, so whatever is shorter is something else.
        if failure.message.contains("answered 416") { other_bytes() } else { failure }
    })?;
    is_the_one(&response, &locator)?;
    let (offset, length) = if response.status() == 206 {
        let (offset, length, size) =
            response.content_range().ok_or_else(|| failure::internal("a 206 without a content-range"))?;
        if size.is_some_and(|size| size != request.size) {
            return Err(other_bytes());
        }
        (offset, length)
    } else {
        let length =
            response.content_length().ok_or_else(|| failure::internal("the backend did not say the body's length"))?;
        if length != request.size {
            return Err(other_bytes());
        }
        (0, length)
    };
    Ok((GetResponse { offset, length, attributes: Vec::new() }, response.into_stream()?))
}

/// Not every server heeds conditions, and what a captive portal answers has no ETag at all.
fn is_the_one(response: &Response, locator: &Locator) -> Result<(), Failure> {
    if locator.etag.is_empty() {
        return Ok(());
    }
    match response.header("etag") {
        Some(etag) if checksum::unquote(etag) == checksum::unquote(&locator.etag) => Ok(()),
        Some(_) => Err(other_bytes()),
        None => Err(failure::unavailable("the backend's answer to a read has no ETag, so it is hardly an S3 server's")),
    }
}

pub(crate) async fn head(backend: &Backend, request: HeadRequest) -> Result<HeadResponse, Failure> {
    let seen = backend.unchanged(&read_locator(&request.locator)?).await?;
    let attributes = if sdk_shown::is_identity_asked_for(&request) {
        sdk_shown::identity(seen.locator.write.as_deref(), &seen.locator.encode())
    } else {
        Vec::new()
    };
    Ok(HeadResponse { size: seen.size, attributes })
}

pub(crate) async fn delete(backend: &Backend, request: DeleteRequest) -> Result<(), Failure> {
    let locator = read_locator(&request.locator)?;
    if locator.version.is_none() {
        match backend.unchanged(&locator).await {
            Ok(_) => {}
            Err(failure) if failure.code == "not-found" => return Ok(()),
            Err(failure) => return Err(failure),
        }
    }
    removed(backend.repeat(|| backend.request_for(Method::Delete, &locator)).await)
}

/// Whether something is gone: by S3's own word, since a captive portal says 200 to anything.
pub(crate) fn removed(answer: Result<Response, Failure>) -> Result<(), Failure> {
    match answer {
        Ok(response) if response.status() == 204 || response.header("x-amz-request-id").is_some() => Ok(()),
        Ok(response) => Err(failure::unavailable(format!(
            "the backend answered a removal with {} and not as an S3 server does",
            response.status()
        ))),
        Err(failure) if failure.code == "not-found" => Ok(()),
        Err(failure) => Err(failure),
    }
}

pub(crate) async fn find(backend: &Backend, request: FindRequest) -> Result<FindResponse, Failure> {
    let key = backend.naming.place(&request.name);
    if request.write_id.is_none() && sdk_shown::is_asked_for(&request) {
        return shown::find(backend, &key).await;
    }
    let mut seen = backend.look(&key, None).await?;
    if let Some(write) = request.write_id.as_deref() {
        seen = seen.filter(|seen| wrote(seen, write));
        if seen.is_none() && backend.versions() {
            seen = versions::find(backend, &key, write).await?;
        }
    }
    let found = seen.map(|seen| Found { locator: seen.locator.encode(), size: seen.size, checksums: seen.checksums });
    Ok(FindResponse { found, attributes: Vec::new() })
}

/// Whether the object is what a write stored.
pub(crate) fn wrote(seen: &Seen, write: &str) -> bool {
    seen.locator.write.as_deref() == Some(write)
}

/// The locator that the host handed back.
pub(crate) fn read_locator(bytes: &[u8]) -> Result<Locator, Failure> {
    Locator::decode(bytes).ok_or_else(|| failure::invalid("a locator of an unknown format"))
}

/// Sentences for the operator beside an answer.
pub(crate) fn warnings(sentences: Vec<String>) -> Attributes {
    sentences.into_iter().map(|sentence| ("warning".to_owned(), sentence)).collect()
}

/// What is known of the bytes beforehand, for the backend to verify.
pub(crate) fn verified(request: Request, checksums: &[Checksum]) -> Request {
    request.maybe_header("content-md5", checksum::find(checksums, "md5").map(checksum::to_base64))
}

/// The condition of a write, as a header. Without versions a write loses what it replaces,
/// and not every such store heeds conditions: there the place is looked at before, too.
pub(crate) async fn condition(
    backend: &Backend,
    key: &str,
    expect: &Expectation,
) -> Result<Option<(&'static str, String)>, Failure> {
    match expect {
        Expectation::Anything => Ok(None),
        Expectation::Nothing => {
            if !backend.versions() {
                insist_on_nothing(backend, key).await?;
            }
            Ok(Some(("if-none-match", "*".to_owned())))
        }
        // With versions nothing is replaced, so the gateway's own order is what counts.
        Expectation::Bytes(_) if backend.versions() => Ok(None),
        Expectation::Bytes(bytes) => {
            let locator = read_locator(bytes)?;
            let here = locator.key == key && !locator.etag.is_empty();
            if here {
                backend.unchanged(&locator).await?;
            }
            Ok(here.then(|| ("if-match", checksum::quote(&locator.etag))))
        }
    }
}

async fn insist_on_nothing(backend: &Backend, key: &str) -> Result<(), Failure> {
    match backend.look(key, None).await {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(failure::exists("something is at the object's name already")),
        // Keys that may not list are told this of what is absent, too: the header has to do.
        Err(failure) if failure.code == "denied" => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// What an unmet condition means depends on what the condition was.
pub(crate) fn unmet(failure: Failure, must_be_absent: bool) -> Failure {
    if must_be_absent && failure.code == "changed" { failure::exists(failure.message) } else { failure }
}
