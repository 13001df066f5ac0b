//! What every metadata store does: one function per fact, on a fresh store.

mod allowances;
mod buckets;
mod care;
mod events;
mod lifecycles;
mod locks;
mod uploads;
mod versions;
mod writes;

pub use allowances::*;
pub use buckets::*;
pub use care::*;
pub use events::*;
pub use lifecycles::*;
pub use locks::*;
pub use uploads::*;
pub use versions::*;
pub use writes::*;

use sallyport_core::access::AccessControlList;
use sallyport_core::backend::{Locator, Name, Place, Projection};
use sallyport_core::metadata::*;
use sallyport_core::names::*;

pub type Store = dyn MetadataStore;

pub fn bucket_name(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

pub fn key(key: &str) -> ObjectKey {
    ObjectKey::parse(key).unwrap()
}

pub fn location() -> LocationName {
    LocationName::parse("there").unwrap()
}

pub fn account() -> AccountId {
    AccountId::new("someone")
}

pub fn locator(text: &str) -> Locator {
    Locator(text.as_bytes().to_vec())
}

pub async fn make_bucket(store: &Store, name: &str) {
    let new = NewBucket {
        name: bucket_name(name),
        owner: account(),
        location: location(),
        created: 1,
        versioning: Versioning::Off,
        settings: BucketSettings::default(),
    };
    assert!(matches!(store.create_bucket(new).await.unwrap(), BucketCreation::Created(_)));
}

pub fn new_version(id: VersionId, etag: &str) -> NewVersion {
    NewVersion {
        id,
        etag: etag.to_owned(),
        size: 5,
        last_modified: 1_000,
        object: Projection { metadata: vec![("colour".into(), "blue".into())], ..Projection::default() },
        attributes: Attributes::default(),
        checksums: vec![ObjectChecksum {
            algorithm: "crc32".into(),
            value: "AAAA".into(),
            kind: ChecksumKind::FullObject,
        }],
        owner: account(),
        storage_class: "STANDARD".into(),
        parts: Vec::new(),
        announcement: None,
    }
}

/// A prepared exclusive write that wants the plain place of a key in `bucket`.
pub fn new_write(key_text: &str, version: Option<NewVersion>) -> NewWrite {
    NewWrite {
        id: WriteId::random(),
        bucket: bucket_name("bucket"),
        bucket_number: None,
        key: key(key_text),
        location: location(),
        wants_plain: true,
        exclusive: true,
        kind: WriteKind::Object,
        prepared: version.map(|version| (version, WriteConditions::default())),
    }
}

pub fn started(begun: Begun) -> (Name, Option<Locator>) {
    match begun {
        Begun::Started { name, replaces } => (name, replaces),
        Begun::Refused(failure) => panic!("refused: {failure:?}"),
    }
}

pub fn segment(write: &WriteId, name: &Name, bytes: &str) -> Segment {
    Segment {
        location: location(),
        name: name.clone(),
        write_id: write.clone(),
        locator: locator(bytes),
        stored_size: 5,
        offset: 0,
        length: 5,
    }
}

/// Writes a version whose locator is its etag.
pub async fn put(store: &Store, key_text: &str, id: VersionId, etag: &str) -> Name {
    let write = new_write(key_text, Some(new_version(id, etag)));
    let id = write.id.clone();
    let (name, _) = started(store.begin(write).await.unwrap());
    store.commit(&id, vec![segment(&id, &name, etag)]).await.unwrap();
    name
}

pub async fn current(store: &Store, key_text: &str) -> Option<Version> {
    store.version(&bucket_name("bucket"), &key(key_text), &Selector::Current).await.unwrap()
}

pub fn deletion(key_text: &str, version: Option<VersionId>) -> Deletion {
    Deletion {
        bucket: bucket_name("bucket"),
        key: key(key_text),
        version,
        conditions: WriteConditions::default(),
        bypass_governance: false,
        as_seen: None,
        marker_id: VersionId::random(),
        hides: Vec::new(),
        owner: account(),
        now: 2_000,
        announcement: None,
    }
}

pub async fn keys(store: &Store) -> Vec<String> {
    let query =
        ListQuery { bucket: bucket_name("bucket"), prefix: String::new(), delimiter: None, after: None, limit: 1000 };
    store.list(&query).await.unwrap().entries.iter().map(|entry| entry.name().to_owned()).collect()
}

/// Locators of deletions that are due.
pub async fn due_deletions(store: &Store) -> Vec<String> {
    let mut due = Vec::new();
    for job in store.claim_jobs(i64::MAX, 1000).await.unwrap() {
        if let JobKind::Delete { locator } = job.kind {
            due.push(String::from_utf8(locator.0).unwrap());
        }
    }
    due.sort();
    due
}

pub fn is_plain(name: &Name) -> bool {
    name.place == Place::Plain
}
