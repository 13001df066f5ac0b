//! A backend in memory that fails as told, for faults that no server can be made to show.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that is set up wrongly fails by panicking")]

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt;
use sallyport_core::backend::{
    Backend, BackendError, Checked, CompleteUpload, Copy, CopyPart, CreateUpload, Expectation, FailureCode, Found, Get,
    ListStored, Location, Locations, Locator, Name, Projection, Put, PutPart, Stored, StoredPage, StoredPart, Token,
    Traits,
};
use sallyport_core::body::{self, Body};
use sallyport_core::names::{BucketName, LocationName, WriteId};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// What happens to one put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The bytes are stored, and the answer is lost.
    StoredButUnavailable,
    /// Nothing is stored, and nobody can tell.
    Unavailable,
    /// Nothing is stored until [`MemoryBackend::land`], and nobody can tell.
    Late,
    /// Nothing is stored, for certain.
    Denied,
    /// The bytes are stored, and the answer never comes; that to an opening comes with
    /// [`MemoryBackend::resume`].
    StoredAndSilent,
    /// Other bytes are stored than were sent.
    OtherBytes,
    /// Nothing is stored, and this is the reason.
    Refused(FailureCode),
}

#[derive(Debug, Clone)]
struct Object {
    write_id: WriteId,
    bytes: Bytes,
    version: u64,
}

#[derive(Default)]
struct State {
    places: HashMap<Name, Vec<Object>>,
    next_version: u64,
    faults: VecDeque<Fault>,
    late: Vec<(Put, Bytes)>,
    completion_fault: Option<Fault>,
    is_down: bool,
    hidden: Option<&'static str>,
    are_names_shared: bool,
    puts: usize,
    uploads: Vec<OpenUpload>,
}

/// An upload, with its parts by number.
struct OpenUpload {
    token: Token,
    name: Name,
    write_id: WriteId,
    parts: BTreeMap<u32, Bytes>,
    was_kept: bool,
}

/// Objects by name; newest last.
pub struct MemoryBackend {
    traits: Traits,
    state: Mutex<State>,
    resumed: Notify,
}

impl MemoryBackend {
    /// One that keeps what is overwritten, or not.
    pub fn new(keeps_overwritten: bool) -> Arc<Self> {
        let traits = Traits {
            max_put: u64::MAX,
            min_part: 0,
            max_part: 0,
            max_parts: 0,
            keeps_overwritten,
            uploads_expire_after: None,
            multipart: false,
            copy: false,
            tagging: false,
            versions: false,
            listing: false,
            target: "memory://".to_owned(),
        };
        Arc::new(Self { traits, state: Mutex::default(), resumed: Notify::new() })
    }

    /// One that also puts objects together from parts, and takes more than `max_put` bytes only
    /// so. It does not tell which write an upload is of.
    pub fn with_uploads(keeps_overwritten: bool, max_put: u64) -> Arc<Self> {
        let traits = Self::new(keeps_overwritten).traits.clone();
        let traits = Traits { max_put, max_part: 5 << 30, max_parts: 10_000, multipart: true, ..traits };
        Arc::new(Self { traits, state: Mutex::default(), resumed: Notify::new() })
    }

    /// The same, and it forgets uploads that are left alone for so long.
    pub fn with_expiring_uploads(after: Duration) -> Arc<Self> {
        let traits = Self::with_uploads(false, u64::MAX).traits.clone();
        let traits = Traits { uploads_expire_after: Some(after), ..traits };
        Arc::new(Self { traits, state: Mutex::default(), resumed: Notify::new() })
    }

    /// How many uploads were kept alive.
    pub fn kept(&self) -> usize {
        self.state.lock().unwrap().uploads.iter().filter(|upload| upload.was_kept).count()
    }

    /// The next completion of an upload fails so.
    pub fn fail_completion(&self, fault: Fault) {
        self.state.lock().unwrap().completion_fault = Some(fault);
    }

    /// The next put or opening of an upload fails so.
    pub fn fail_next(&self, fault: Fault) {
        self.state.lock().unwrap().faults.push_back(fault);
    }

    /// Carries out what came late, and answers how much of it could be.
    pub fn land(&self) -> usize {
        let late = std::mem::take(&mut self.state.lock().unwrap().late);
        late.into_iter().filter(|(request, bytes)| self.store(request, bytes.clone()).is_ok()).count()
    }

    /// Nobody can tell what is at keys that begin so, nor keep uploads of theirs.
    pub fn hide_keys(&self, prefix: &'static str) {
        self.state.lock().unwrap().hidden = Some(prefix);
    }

    /// Names do not tell their bucket any more, as with `bucketMatch`.
    pub fn share_names(&self) {
        self.state.lock().unwrap().are_names_shared = true;
    }

    /// An opening that was silent is answered.
    pub fn resume(&self) {
        self.resumed.notify_one();
    }

    /// Nothing answers until it is up again.
    pub fn set_down(&self, is_down: bool) {
        self.state.lock().unwrap().is_down = is_down;
    }

    /// How many objects are stored, versions counted.
    pub fn stored(&self) -> usize {
        self.state.lock().unwrap().places.values().map(Vec::len).sum()
    }

    /// How many puts were tried.
    pub fn puts(&self) -> usize {
        self.state.lock().unwrap().puts
    }

    /// Stores something that the gateway knows nothing of.
    pub fn plant(&self, name: &Name, bytes: &'static [u8]) {
        let mut state = self.state.lock().unwrap();
        state.next_version += 1;
        let object =
            Object { write_id: WriteId::random(), bytes: Bytes::from_static(bytes), version: state.next_version };
        state.places.entry(name.clone()).or_default().push(object);
    }

    /// Opens an upload that the gateway knows nothing of.
    pub fn plant_upload(&self, name: &Name) -> Token {
        self.open(name, &WriteId::random())
    }

    /// The uploads that are open.
    pub fn uploads(&self) -> Vec<Token> {
        self.state.lock().unwrap().uploads.iter().map(|upload| upload.token.clone()).collect()
    }

    fn open(&self, name: &Name, write_id: &WriteId) -> Token {
        let token = Token(WriteId::random().to_string().into_bytes());
        let upload = OpenUpload {
            token: token.clone(),
            name: name.clone(),
            write_id: write_id.clone(),
            parts: BTreeMap::new(),
            was_kept: false,
        };
        self.state.lock().unwrap().uploads.push(upload);
        token
    }

    /// The newest bytes at a place.
    pub fn bytes(&self, name: &Name) -> Option<Bytes> {
        let state = self.state.lock().unwrap();
        state.places.get(name)?.last().map(|object| object.bytes.clone())
    }

    fn up(&self) -> Result<(), BackendError> {
        if self.state.lock().unwrap().is_down {
            return Err(answered(FailureCode::Unavailable));
        }
        Ok(())
    }

    fn store(&self, request: &Put, bytes: Bytes) -> Result<Stored, BackendError> {
        let mut state = self.state.lock().unwrap();
        state.next_version += 1;
        let version = state.next_version;
        let keeps = self.traits.keeps_overwritten;
        let place = state.places.entry(request.name.clone()).or_default();
        let current = place.last().map(|object| locator(&request.name, object.version));
        match (&request.expect, &current) {
            (Expectation::Nothing, Some(_)) => return Err(answered(FailureCode::Exists)),
            (Expectation::Bytes(_), None) => return Err(answered(FailureCode::NotFound)),
            (Expectation::Bytes(expected), Some(current)) if expected != current => {
                return Err(answered(FailureCode::Changed));
            }
            _ => {}
        }
        if !keeps {
            place.clear();
        }
        place.push(Object { write_id: request.write_id.clone(), bytes, version });
        Ok(Stored { locator: locator(&request.name, version), checksums: Vec::new() })
    }
}

/// An answer with no.
pub fn answered(code: FailureCode) -> BackendError {
    BackendError::Answered { code, message: "as told".to_owned(), retry_after: None }
}

fn locator(name: &Name, version: u64) -> Locator {
    Locator(serde_json::to_vec(&(name, version)).unwrap())
}

fn named(locator: &Locator) -> (Name, u64) {
    serde_json::from_slice(&locator.0).unwrap()
}

fn unsupported<T>() -> Result<T, BackendError> {
    Err(answered(FailureCode::Unsupported))
}

#[async_trait]
impl Backend for MemoryBackend {
    fn traits(&self) -> &Traits {
        &self.traits
    }

    async fn namespace(&self, bucket: &BucketName) -> Result<String, BackendError> {
        Ok(if self.state.lock().unwrap().are_names_shared { "memory://".into() } else { format!("memory://{bucket}/") })
    }

    async fn check(&self, _thorough: bool) -> Result<Checked, BackendError> {
        self.up().map(|()| Checked::default())
    }

    async fn put(&self, request: Put, body: Body) -> Result<Stored, BackendError> {
        let fault = {
            let mut state = self.state.lock().unwrap();
            state.puts += 1;
            state.faults.pop_front()
        };
        self.up()?;
        if fault == Some(Fault::Denied) {
            return Err(answered(FailureCode::Denied));
        }
        if let Some(Fault::Refused(code)) = fault {
            return Err(answered(code));
        }
        let bytes = body.collect().await?.to_bytes();
        match fault {
            None | Some(Fault::Denied | Fault::Refused(_)) => self.store(&request, bytes),
            Some(Fault::Unavailable) => Err(answered(FailureCode::Unavailable)),
            Some(Fault::Late) => {
                self.state.lock().unwrap().late.push((request, bytes));
                Err(answered(FailureCode::Unavailable))
            }
            Some(Fault::StoredButUnavailable) => {
                self.store(&request, bytes)?;
                Err(answered(FailureCode::Unavailable))
            }
            Some(Fault::StoredAndSilent) => {
                self.store(&request, bytes)?;
                std::future::pending().await
            }
            Some(Fault::OtherBytes) => {
                let stored = self.store(&request, Bytes::from_static(b"something else"))?;
                let md5 = sallyport_core::backend::Digest { algorithm: "md5".to_owned(), value: vec![0; 16] };
                Ok(Stored { checksums: vec![md5], ..stored })
            }
        }
    }

    async fn get(&self, request: Get) -> Result<Body, BackendError> {
        self.up()?;
        let (name, version) = named(&request.locator);
        let state = self.state.lock().unwrap();
        let place = state.places.get(&name).ok_or_else(|| answered(FailureCode::NotFound))?;
        let object = place.iter().find(|object| object.version == version);
        let object = object.ok_or_else(|| answered(FailureCode::Changed))?;
        let bytes = match request.span {
            None => object.bytes.clone(),
            Some(span) => object.bytes.slice(span.offset as usize..(span.offset + span.length) as usize),
        };
        Ok(body::full(bytes))
    }

    async fn head(&self, locator: &Locator) -> Result<u64, BackendError> {
        self.up()?;
        let (name, version) = named(locator);
        let state = self.state.lock().unwrap();
        let objects = state.places.get(&name).map(Vec::as_slice).unwrap_or_default();
        let object = objects.iter().find(|object| object.version == version);
        object.map(|object| object.bytes.len() as u64).ok_or_else(|| answered(FailureCode::NotFound))
    }

    async fn delete(&self, locator: &Locator) -> Result<(), BackendError> {
        self.up()?;
        let (name, version) = named(locator);
        let mut state = self.state.lock().unwrap();
        if let Some(place) = state.places.get_mut(&name) {
            place.retain(|object| object.version != version);
            if place.is_empty() {
                state.places.remove(&name);
            }
        }
        Ok(())
    }

    async fn find(&self, name: &Name, write_id: Option<&WriteId>) -> Result<Option<Found>, BackendError> {
        self.up()?;
        let state = self.state.lock().unwrap();
        if state.hidden.is_some_and(|prefix| name.key.as_str().starts_with(prefix)) {
            return Err(answered(FailureCode::Unavailable));
        }
        let objects = state.places.get(name).map(Vec::as_slice).unwrap_or_default();
        let object = objects.iter().rev().find(|object| write_id.is_none_or(|id| *id == object.write_id));
        Ok(object.map(|object| Found {
            locator: locator(name, object.version),
            size: object.bytes.len() as u64,
            checksums: Vec::new(),
        }))
    }

    async fn create_upload(&self, request: CreateUpload) -> Result<Token, BackendError> {
        if !self.traits.multipart {
            return unsupported();
        }
        self.up()?;
        let fault = self.state.lock().unwrap().faults.pop_front();
        let token = self.open(&request.name, &request.write_id);
        if fault == Some(Fault::StoredAndSilent) {
            self.resumed.notified().await;
            return Ok(token);
        }
        if fault.is_some() { Err(answered(FailureCode::Unavailable)) } else { Ok(token) }
    }

    async fn put_part(&self, request: PutPart, body: Body) -> Result<StoredPart, BackendError> {
        self.up()?;
        let bytes = body.collect().await?.to_bytes();
        let mut state = self.state.lock().unwrap();
        let upload = state.uploads.iter_mut().find(|upload| upload.token == request.upload);
        upload.ok_or_else(|| answered(FailureCode::NotFound))?.parts.insert(request.number, bytes);
        Ok(StoredPart { part: Token(request.number.to_be_bytes().to_vec()), checksums: Vec::new() })
    }

    async fn complete_upload(&self, request: CompleteUpload) -> Result<Stored, BackendError> {
        self.up()?;
        match self.state.lock().unwrap().completion_fault.take() {
            Some(Fault::Refused(code)) => return Err(answered(code)),
            Some(_) => return Err(answered(FailureCode::Unavailable)),
            None => {}
        }
        let upload = {
            let mut state = self.state.lock().unwrap();
            let index = state.uploads.iter().position(|upload| upload.token == request.upload);
            state.uploads.remove(index.ok_or_else(|| answered(FailureCode::NotFound))?)
        };
        let bytes: Vec<u8> = request.parts.iter().flat_map(|part| upload.parts[&part.number].clone()).collect();
        let put = Put {
            name: upload.name,
            write_id: upload.write_id,
            size: request.size,
            expect: Expectation::Anything,
            object: Projection::default(),
            checksums: Vec::new(),
        };
        self.store(&put, bytes.into())
    }

    async fn abort_upload(&self, upload: &Token) -> Result<(), BackendError> {
        self.up()?;
        self.state.lock().unwrap().uploads.retain(|open| open.token != *upload);
        Ok(())
    }

    async fn keep_upload(&self, upload: &Token) -> Result<(), BackendError> {
        self.up()?;
        let mut state = self.state.lock().unwrap();
        let hidden = state.hidden;
        let upload = state.uploads.iter_mut().find(|open| open.token == *upload);
        let upload = upload.ok_or_else(|| answered(FailureCode::NotFound))?;
        if hidden.is_some_and(|prefix| upload.name.key.as_str().starts_with(prefix)) {
            return Err(answered(FailureCode::Unavailable));
        }
        upload.was_kept = true;
        Ok(())
    }

    async fn find_uploads(&self, name: &Name, _write_id: &WriteId) -> Result<Vec<Token>, BackendError> {
        self.up()?;
        let state = self.state.lock().unwrap();
        Ok(state.uploads.iter().filter(|upload| upload.name == *name).map(|upload| upload.token.clone()).collect())
    }

    async fn copy(&self, _request: Copy) -> Result<Stored, BackendError> {
        unsupported()
    }

    async fn copy_part(&self, _request: CopyPart) -> Result<StoredPart, BackendError> {
        unsupported()
    }

    async fn put_tags(&self, _locator: &Locator, _object: &Projection) -> Result<Locator, BackendError> {
        unsupported()
    }

    async fn hide(&self, _name: &Name) -> Result<Locator, BackendError> {
        unsupported()
    }

    async fn list(&self, _request: ListStored) -> Result<StoredPage, BackendError> {
        unsupported()
    }
}

/// One location, called `memory`, on a backend.
pub struct OneLocation(pub Arc<dyn Backend>);

impl Locations for OneLocation {
    fn location(&self, name: &LocationName) -> Option<Location> {
        (name.as_str() == "memory").then(|| Location {
            name: name.clone(),
            legacy_aws_behavior: false,
            backend: Ok(Arc::clone(&self.0)),
        })
    }

    fn names(&self) -> Vec<LocationName> {
        vec![LocationName::parse("memory").unwrap()]
    }
}
