//! Answers the contract's calls: with those of `aws_s3`, and bodies that are sealed and opened in between.

use crate::description;
use crate::keys::Keys;
use crate::layout::{self, CHUNK, HEADER, Run, TAG_LENGTH};
use crate::locator::Locator;
use crate::sealing::{Cipher, Header, NONCE};
use aws_s3::AwsS3;
use sallyport_plugin_sdk::body::{self, Reader, Writer};
use sallyport_plugin_sdk::copy::{CopyPartRequest, CopyRequest};
use sallyport_plugin_sdk::objects::{
    CheckRequest, CheckResponse, DeleteRequest, DeleteResponse, Description, FindRequest, FindResponse, Found,
    GetRequest, GetResponse, HeadRequest, HeadResponse, NamespaceRequest, NamespaceResponse, OpenRequest, PutRequest,
    Validation, ValidationRequest,
};
use sallyport_plugin_sdk::types::{Expectation, Failure, Projection, Span, Stored, StoredPart};
use sallyport_plugin_sdk::{Body, Complete, ServerCopy, Storage, failure, log, random};

/// A location whose objects are sealed in a bucket that speaks S3.
#[derive(Debug)]
pub struct SealedS3 {
    stored: AwsS3,
    keys: Keys,
}

impl Storage for SealedS3 {
    fn describe() -> Description {
        description::describe()
    }

    fn validate(request: ValidationRequest) -> Validation {
        description::validate(request)
    }

    async fn open(request: OpenRequest) -> Result<Self, Failure> {
        let keys = description::keys(&request.details)
            .map_err(|problem| failure::invalid(format!("details.key {}", problem.message)))?;
        Ok(Self { stored: AwsS3::open(request).await?, keys })
    }

    async fn check(&self, request: CheckRequest) -> Result<CheckResponse, Failure> {
        self.stored.check(request).await
    }

    fn namespace(&self, request: NamespaceRequest) -> NamespaceResponse {
        self.stored.namespace(request)
    }

    async fn put(&self, request: PutRequest, body: Body, complete: Complete) -> Result<Stored, Failure> {
        let size = request.size;
        let cipher = self.keys.sealing(&random::get_random_bytes(NONCE as u64))?;
        let header = *cipher.header();
        let request = PutRequest {
            size: sealed_size(size)?,
            expect: expected(request.expect)?,
            // In the clear beside the object: the server's database has it.
            object: nothing_shown(),
            // Of the plain bytes.
            checksums: Vec::new(),
            ..request
        };
        let sealed = body::written(move |writer| seal(cipher, size, Reader::new(body), complete, writer));
        let stored = self.stored.put(request, sealed, body::complete()).await?;
        Ok(with_header(stored, header))
    }

    async fn get(&self, request: GetRequest) -> Result<(GetResponse, Body), Failure> {
        let locator = Locator::decode(&request.locator)?;
        let cipher = self.keys.opening(locator.header)?;
        let size = request.size;
        let run = Run::of(request.size, request.span).ok_or_else(|| failure::invalid("a span beyond the object"))?;
        let request = GetRequest {
            locator: locator.stored,
            size: sealed_size(request.size)?,
            span: Some(run.stored),
            attributes: request.attributes,
        };
        let (answer, body) = self.stored.get(request).await?;
        if (answer.offset, answer.length) != (run.stored.offset, run.stored.length) {
            return Err(failure::unavailable("the backend answered another span than was asked for"));
        }
        let mut opening = Opening { cipher, body: Reader::new(body), run, next: run.first, size };
        // Before the answer: what was sealed with another key is a failure and no body that breaks off.
        let first = opening.next().await?.unwrap_or_default();
        let offset = run.first * CHUNK + run.skip as u64;
        let body = body::written(move |writer| opening.write(first, writer));
        Ok((GetResponse { offset, length: run.length, attributes: Vec::new() }, body))
    }

    async fn head(&self, request: HeadRequest) -> Result<HeadResponse, Failure> {
        let locator = Locator::decode(&request.locator)?.stored;
        let head = self.stored.head(HeadRequest { locator, ..request }).await?;
        // What it says of locators is of the inner plugin's own.
        Ok(HeadResponse { size: plain_size(head.size)?, attributes: Vec::new() })
    }

    async fn delete(&self, request: DeleteRequest) -> Result<DeleteResponse, Failure> {
        let locator = Locator::decode(&request.locator)?.stored;
        self.stored.delete(DeleteRequest { locator, ..request }).await
    }

    async fn find(&self, request: FindRequest) -> Result<FindResponse, Failure> {
        let answer = self.stored.find(request).await?;
        let found = match answer.found {
            Some(found) => Some(self.recognise(found).await?),
            None => None,
        };
        Ok(FindResponse { found, ..answer })
    }
}

impl ServerCopy for SealedS3 {
    /// The copy is the same bytes, and opens with the same key and nonce.
    async fn copy(&self, request: CopyRequest) -> Result<Stored, Failure> {
        let source = Locator::decode(&request.source)?;
        let request = CopyRequest {
            source: source.stored,
            size: sealed_size(request.size)?,
            expect: expected(request.expect)?,
            object: nothing_shown(),
            ..request
        };
        Ok(with_header(self.stored.copy(request).await?, source.header))
    }

    async fn copy_part(&self, _: CopyPartRequest) -> Result<StoredPart, Failure> {
        Err(failure::unsupported("parts are objects of their own"))
    }
}

impl SealedS3 {
    /// What was found has a locator once its header was read.
    async fn recognise(&self, found: Found) -> Result<Found, Failure> {
        let size = plain_size(found.size)?;
        let request = GetRequest {
            locator: found.locator.clone(),
            size: found.size,
            span: Some(Span { offset: 0, length: HEADER }),
            attributes: Vec::new(),
        };
        let (_, body) = self.stored.get(request).await?;
        let bytes = Reader::new(body).take(HEADER as usize).await;
        if bytes.len() < HEADER as usize {
            return Err(failure::unavailable("the backend's answer broke off"));
        }
        let header = Header::decode(&bytes).ok_or_else(foreign)?;
        let locator = Locator { stored: found.locator, header }.encode();
        Ok(Found { locator, size, checksums: Vec::new() })
    }
}

/// Seals a client's body. Its last chunk waits for the word that everything came and agrees: without it the request ends
/// short of its length, and the backend stores nothing.
async fn seal(cipher: Cipher, size: u64, mut body: Reader, complete: Complete, mut writer: Writer) {
    let count = layout::chunks(size);
    let mut before = cipher.header().encode();
    for index in 0..count {
        let length = Run::chunk_length(size, index);
        let chunk = body.take(length).await;
        if chunk.len() < length {
            return;
        }
        let Ok(sealed) = cipher.seal(index, index + 1 == count, chunk) else { return };
        if !writer.write(std::mem::replace(&mut before, sealed)).await {
            return;
        }
    }
    // One byte more than was announced is one too many.
    if body.take(1).await.is_empty() && complete.await.is_ok() {
        writer.write(before).await;
    }
}

/// Opens what the backend has, chunk by chunk.
struct Opening {
    cipher: Cipher,
    body: Reader,
    run: Run,
    /// The index of the next chunk.
    next: u64,
    /// The whole object's, in plain bytes.
    size: u64,
}

impl Opening {
    /// Plain bytes of the next chunk; `None` behind the last one that is needed.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if self.next > self.run.last {
            return Ok(None);
        }
        let index = self.next;
        // Never beyond what is there, so that nothing waits for the stream's end.
        let length = Run::chunk_length(self.size, index) + TAG_LENGTH;
        let sealed = self.body.take(length).await;
        if sealed.len() < length {
            return Err(failure::unavailable("the backend's answer broke off"));
        }
        self.next += 1;
        self.cipher.open(index, self.next == layout::chunks(self.size), sealed).map(Some)
    }

    /// Writes the bytes that were asked for, of which `first` has the first ones. Ends early when a chunk does not open:
    /// whoever reads then misses bytes that were announced.
    async fn write(mut self, first: Vec<u8>, mut writer: Writer) {
        let mut rest = self.run.length;
        let mut chunk = first.get(self.run.skip..).unwrap_or_default().to_vec();
        loop {
            chunk.truncate(usize::try_from(rest).unwrap_or(usize::MAX));
            rest -= chunk.len() as u64;
            if !chunk.is_empty() && !writer.write(chunk).await {
                return;
            }
            chunk = match self.next().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return,
                Err(failure) => return log::warn(&format!("a read breaks off: {}", failure.message)),
            };
        }
    }
}

fn sealed_size(size: u64) -> Result<u64, Failure> {
    layout::sealed(size).ok_or_else(|| failure::too_large("no object is that large"))
}

fn plain_size(stored: u64) -> Result<u64, Failure> {
    layout::plain(stored).ok_or_else(foreign)
}

fn foreign() -> Failure {
    failure::changed("what is there was not sealed by this plugin")
}

fn expected(expect: Expectation) -> Result<Expectation, Failure> {
    Ok(match expect {
        Expectation::Bytes(locator) => Expectation::Bytes(Locator::decode(&locator)?.stored),
        other => other,
    })
}

fn nothing_shown() -> Projection {
    Projection { content: Vec::new(), metadata: Vec::new(), tags: Vec::new() }
}

fn with_header(stored: Stored, header: Header) -> Stored {
    // The backend's digests are of sealed bytes.
    Stored { locator: Locator { stored: stored.locator, header }.encode(), checksums: Vec::new(), ..stored }
}
