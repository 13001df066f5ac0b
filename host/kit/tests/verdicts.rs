//! The kit passes a backend that keeps the contract, and finds each way in which one does not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt;
use sallyport_core::backend::{
    Backend, BackendError, Checked, CompleteUpload, Copy, CopyPart, CreateUpload, Expectation, FailureCode, Found, Get,
    ListStored, Locator, Name, Place, Projection, Put, PutPart, Span, Stored, StoredEntry, StoredPage, StoredPart,
    Token, Traits,
};
use sallyport_core::body::{self, Body, BodyError};
use sallyport_core::names::{BucketName, WriteId};
use sallyport_kit::{Detour, Opened, Options, Quiet, Report, Setting, Spent, Subject, Verdict, run};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// How a backend in memory breaks the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    IgnoresSpans,
    SwapsTwoBytes,
    DropsTheLastByte,
    DeletesWhateverIsThere,
    ReadsWhateverIsThere,
    FindsWhateverIsThere,
    FindsNothing,
    KeepsWhatBrokeOff,
    ForgetsConditions,
    FoldsCase,
    MixesPlaces,
    ReportsAWrongMd5,
    ListsNothing,
    ListsTwice,
    FailsADeleteOfNothing,
    RefusesMetadata,
}

struct Memory {
    defect: Defect,
    traits: Traits,
    places: Mutex<BTreeMap<String, (WriteId, Bytes)>>,
}

impl Memory {
    fn new(defect: Defect) -> Self {
        let traits = Traits {
            max_put: 1 << 40,
            min_part: 0,
            max_part: 0,
            max_parts: 0,
            keeps_overwritten: false,
            uploads_expire_after: None,
            multipart: false,
            copy: false,
            tagging: false,
            versions: false,
            listing: true,
            target: "memory://".to_owned(),
        };
        Self { defect, traits, places: Mutex::default() }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn place(&self, name: &Name) -> String {
        let key = match &name.place {
            Place::Plain => format!("plain/{}", name.key),
            Place::Derived(token) if self.is(Defect::MixesPlaces) => format!("plain/{token}"),
            Place::Derived(token) => format!("derived/{token}"),
        };
        let place = format!("{}/{key}", name.bucket);
        if self.is(Defect::FoldsCase) { place.to_lowercase() } else { place }
    }

    /// The bytes that a locator names.
    fn named(&self, locator: &Locator) -> Result<Bytes, BackendError> {
        let (write, place) = read(locator);
        let places = self.places.lock().unwrap();
        match places.get(&place) {
            None => Err(no(FailureCode::NotFound)),
            Some((other, _)) if *other != write && !self.is(Defect::ReadsWhateverIsThere) => {
                Err(no(FailureCode::Changed))
            }
            Some((_, bytes)) => Ok(bytes.clone()),
        }
    }
}

fn locator(write: &WriteId, place: &str) -> Locator {
    Locator(format!("1{write}{place}").into_bytes())
}

fn read(locator: &Locator) -> (WriteId, String) {
    let text = String::from_utf8(locator.0.clone()).unwrap();
    (WriteId::parse(&text[1..33]).unwrap(), text[33..].to_owned())
}

fn no(code: FailureCode) -> BackendError {
    BackendError::Answered { code, message: format!("{code:?}"), retry_after: None }
}

fn md5(bytes: &[u8]) -> Vec<u8> {
    let mut hashers = sallyport_core::checksum::Hashers::new(&[]);
    hashers.update(bytes);
    hashers.finish().md5.to_vec()
}

async fn collect(mut body: Body, size: u64, keeps: bool) -> Result<Bytes, BackendError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap()),
            Err(_) if keeps => return Ok(bytes.into()),
            Err(error) => return Err(BackendError::Body(error)),
        }
    }
    if bytes.len() as u64 != size && !keeps {
        return Err(BackendError::Body(BodyError::Length { expected: size, actual: bytes.len() as u64 }));
    }
    Ok(bytes.into())
}

#[async_trait]
impl Backend for Memory {
    fn traits(&self) -> &Traits {
        &self.traits
    }

    async fn namespace(&self, bucket: &BucketName) -> Result<String, BackendError> {
        Ok(format!("memory://{bucket}/"))
    }

    async fn check(&self, _: bool) -> Result<Checked, BackendError> {
        Ok(Checked::default())
    }

    async fn put(&self, request: Put, body: Body) -> Result<Stored, BackendError> {
        if self.is(Defect::RefusesMetadata) && !request.object.metadata.is_empty() {
            return Err(no(FailureCode::Invalid));
        }
        let bytes = collect(body, request.size, self.is(Defect::KeepsWhatBrokeOff)).await?;
        let place = self.place(&request.name);
        let mut places = self.places.lock().unwrap();
        let there = places.get(&place).map(|(write, _)| write);
        match (&request.expect, there) {
            _ if self.is(Defect::ForgetsConditions) => {}
            (Expectation::Anything, _) | (Expectation::Nothing, None) => {}
            (Expectation::Nothing, Some(_)) => return Err(no(FailureCode::Exists)),
            (Expectation::Bytes(expected), Some(there)) if read(expected).0 == *there => {}
            (Expectation::Bytes(_), _) => return Err(no(FailureCode::Changed)),
        }
        places.insert(place.clone(), (request.write_id.clone(), bytes.clone()));
        let digest = if self.is(Defect::ReportsAWrongMd5) { vec![0; 16] } else { md5(&bytes) };
        let checksums = vec![sallyport_core::backend::Digest { algorithm: "md5".to_owned(), value: digest }];
        Ok(Stored { locator: locator(&request.write_id, &place), checksums })
    }

    async fn get(&self, request: Get) -> Result<Body, BackendError> {
        let bytes = self.named(&request.locator)?;
        let Span { offset, length } = request.span.unwrap_or(Span { offset: 0, length: bytes.len() as u64 });
        if offset + length > bytes.len() as u64 {
            return Err(no(FailureCode::Invalid));
        }
        let mut answer = bytes.slice(offset as usize..(offset + length) as usize);
        if self.is(Defect::IgnoresSpans) {
            answer = bytes.slice(..length as usize);
        }
        if self.is(Defect::SwapsTwoBytes) && answer.len() > 70_000 {
            let mut swapped = answer.to_vec();
            swapped.swap(65_535, 65_536);
            answer = swapped.into();
        }
        if self.is(Defect::DropsTheLastByte) {
            answer = answer.slice(..answer.len().saturating_sub(1));
        }
        Ok(body::full(answer))
    }

    async fn head(&self, locator: &Locator) -> Result<u64, BackendError> {
        Ok(self.named(locator)?.len() as u64)
    }

    async fn delete(&self, locator: &Locator) -> Result<(), BackendError> {
        let (write, place) = read(locator);
        let mut places = self.places.lock().unwrap();
        match places.get(&place) {
            None if self.is(Defect::FailsADeleteOfNothing) => Err(no(FailureCode::NotFound)),
            None => Ok(()),
            Some((there, _)) if *there != write && !self.is(Defect::DeletesWhateverIsThere) => {
                Err(no(FailureCode::Changed))
            }
            Some(_) => {
                places.remove(&place);
                Ok(())
            }
        }
    }

    async fn find(&self, name: &Name, write_id: Option<&WriteId>) -> Result<Option<Found>, BackendError> {
        let place = self.place(name);
        let places = self.places.lock().unwrap();
        let there = places.get(&place).filter(|(write, _)| {
            self.is(Defect::FindsWhateverIsThere) || write_id.is_none_or(|wanted| wanted == write)
        });
        Ok(there.filter(|_| !self.is(Defect::FindsNothing)).map(|(write, bytes)| Found {
            locator: locator(write, &place),
            size: bytes.len() as u64,
            checksums: Vec::new(),
        }))
    }

    async fn list(&self, request: ListStored) -> Result<StoredPage, BackendError> {
        let prefix = request.prefix.unwrap_or_default();
        let places = self.places.lock().unwrap();
        let after = request.cursor.unwrap_or_default();
        let found = places.iter().filter(|(place, _)| place.starts_with(&prefix) && **place > after);
        let mut entries: Vec<StoredEntry> = found
            .map(|(place, (write, bytes))| StoredEntry {
                name: place.clone(),
                locator: locator(write, place),
                size: bytes.len() as u64,
                last_modified: None,
                write_id: Some(write.clone()),
            })
            .collect();
        if self.is(Defect::ListsNothing) {
            entries.clear();
        }
        if self.is(Defect::ListsTwice) {
            entries = entries.iter().flat_map(|entry| [entry.clone(), entry.clone()]).collect();
        }
        let is_last = entries.len() <= request.limit as usize;
        entries.truncate(request.limit as usize);
        let cursor = entries.last().filter(|_| !is_last).map(|entry| entry.name.clone());
        Ok(StoredPage { entries, cursor })
    }

    async fn create_upload(&self, _: CreateUpload) -> Result<Token, BackendError> {
        Err(no(FailureCode::Unsupported))
    }

    async fn put_part(&self, _: PutPart, _: Body) -> Result<StoredPart, BackendError> {
        Err(no(FailureCode::Unsupported))
    }

    async fn complete_upload(&self, _: CompleteUpload) -> Result<Stored, BackendError> {
        Err(no(FailureCode::Unsupported))
    }

    async fn abort_upload(&self, _: &Token) -> Result<(), BackendError> {
        Ok(())
    }

    async fn keep_upload(&self, _: &Token) -> Result<(), BackendError> {
        Err(no(FailureCode::Unsupported))
    }

    async fn find_uploads(&self, _: &Name, _: &WriteId) -> Result<Vec<Token>, BackendError> {
        Err(no(FailureCode::Unsupported))
    }

    async fn copy(&self, _: Copy) -> Result<Stored, BackendError> {
        Err(no(FailureCode::Unsupported))
    }

    async fn copy_part(&self, _: CopyPart) -> Result<StoredPart, BackendError> {
        Err(no(FailureCode::Unsupported))
    }

    async fn put_tags(&self, _: &Locator, _: &Projection) -> Result<Locator, BackendError> {
        Err(no(FailureCode::Unsupported))
    }

    async fn hide(&self, _: &Name) -> Result<Locator, BackendError> {
        Err(no(FailureCode::Unsupported))
    }
}

struct InMemory(Arc<Memory>);

#[async_trait]
impl Subject for InMemory {
    async fn open(&self, _: Setting, _: &Arc<Detour>) -> Result<Opened, String> {
        Ok(Opened { backend: self.0.clone(), spent: Arc::new(Spent::default) })
    }
}

async fn judged(defect: Defect, only: &[&str]) -> (Report, usize) {
    let memory = Arc::new(Memory::new(defect));
    let options = Options { only: only.iter().map(|id| (*id).to_owned()).collect(), measure: defect == Defect::None };
    let report = run(&InMemory(memory.clone()), &options, &Quiet).await.unwrap();
    let left = memory.places.lock().unwrap().len();
    (report, left)
}

#[tokio::test]
async fn a_backend_that_keeps_the_contract_passes_and_is_left_empty() {
    let (report, left) = judged(Defect::None, &[]).await;
    let failed: Vec<_> = report.cases.iter().filter(|case| case.verdict == Verdict::Failed).collect();
    assert!(failed.is_empty() && report.is_conformant(), "{failed:#?}");
    assert!(report.summary.passed > 80, "{:?}", report.summary);
    assert_eq!(left, 0, "the kit removes what it stored");
    // What has no interface or no upstream is skipped, and says so.
    for case in report.cases.iter().filter(|case| case.verdict == Verdict::Skipped) {
        let why = case.why.as_deref().unwrap();
        let expected = ["does not export", "connects to nothing", "loses what it replaces"];
        assert!(expected.iter().any(|words| why.contains(words)), "{}: {why}", case.id);
    }
    let operations: Vec<_> = report.operations.iter().map(|one| (one.operation, one.size)).collect();
    assert!(operations.contains(&("put", 4096)) && operations.contains(&("get", 8 << 20)), "{operations:?}");
}

#[tokio::test]
async fn each_way_to_break_the_contract_is_found() {
    let found_by = [
        (Defect::IgnoresSpans, "get.ranges"),
        (Defect::SwapsTwoBytes, "put.large"),
        (Defect::DropsTheLastByte, "put.lengths"),
        (Defect::DeletesWhateverIsThere, "delete.others"),
        (Defect::ReadsWhateverIsThere, "put.replaces"),
        (Defect::FindsWhateverIsThere, "find.other-write"),
        (Defect::FindsNothing, "find.write"),
        (Defect::KeepsWhatBrokeOff, "body.breaks"),
        (Defect::KeepsWhatBrokeOff, "body.short"),
        (Defect::ForgetsConditions, "expect.changed"),
        (Defect::FoldsCase, "names.case"),
        (Defect::MixesPlaces, "names.derived"),
        (Defect::ReportsAWrongMd5, "put.checksums"),
        (Defect::ListsNothing, "listing.complete"),
        (Defect::ListsTwice, "listing.complete"),
        (Defect::FailsADeleteOfNothing, "delete.frees"),
        (Defect::RefusesMetadata, "put.projection"),
    ];
    for (defect, id) in found_by {
        let (report, _) = judged(defect, &[id]).await;
        assert!(report.summary.failed > 0, "{defect:?} passes {id}: {:?}", report.cases);
        assert!(!report.is_conformant());
    }
}
