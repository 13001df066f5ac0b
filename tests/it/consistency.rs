//! Metadata and bytes agree, whatever a backend does and wherever a process dies.

mod uploads;

use bytes::Bytes;
use http_body_util::BodyExt;
use sallyport_core::access::Caller;
use sallyport_core::backend::{Backend, Name, Place, Projection};
use sallyport_core::body;
use sallyport_core::encryption::{CustomerParameters, EncryptionParameters, EncryptionRefusal};
use sallyport_core::metadata::{
    Attributes, BucketSettings, Deleted, EtagCondition, MetadataStore, Versioning, WriteConditions,
};
use sallyport_core::names::{AccountId, BucketName, ObjectKey};
use sallyport_core::{
    CompleteOutcome, CompleteUpload, CopyObject, CreateBucket, DeleteObject, Error, Gateway, GatewayOptions, GetObject,
    Incoming, ListedPart, NewUpload, PutObject, PutOutcome, PutPart, ReadConditions, Source, UploadRef,
};
use sallyport_metadata::{SqliteOptions, SqliteStore};
use sallyport_tests::memory::{Fault, MemoryBackend, OneLocation};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const LARGE: usize = 300_000;

struct Bench {
    gateway: Arc<Gateway>,
    backend: Arc<MemoryBackend>,
    folder: TempDir,
}

fn caller() -> Caller {
    Caller::of_account(AccountId::new("owner"))
}

fn bucket() -> BucketName {
    BucketName::parse("bucket").unwrap()
}

fn key(key: &str) -> ObjectKey {
    ObjectKey::parse(key).unwrap()
}

fn plain(name: &str) -> Name {
    Name { bucket: bucket(), key: key(name), place: Place::Plain }
}

async fn gateway(folder: &TempDir, backend: &Arc<MemoryBackend>) -> Arc<Gateway> {
    let options = SqliteOptions { deletion_delay: Duration::ZERO, ..SqliteOptions::new(folder.path()) };
    let store: Arc<dyn MetadataStore> = Arc::new(SqliteStore::open(options).await.unwrap());
    let backend: Arc<dyn Backend> = Arc::clone(backend) as Arc<dyn Backend>;
    let recheck_after = Duration::from_millis(50);
    let options = GatewayOptions { min_part: 0, recheck_after, ..GatewayOptions::default() };
    Arc::new(Gateway::new(store, Arc::new(OneLocation(backend)), options))
}

impl Bench {
    async fn new(keeps_overwritten: bool) -> Self {
        Self::on(MemoryBackend::new(keeps_overwritten)).await
    }

    async fn on(backend: Arc<MemoryBackend>) -> Self {
        let folder = TempDir::new().unwrap();
        let gateway = gateway(&folder, &backend).await;
        let request = CreateBucket {
            caller: caller(),
            bucket: bucket(),
            location: "memory".to_owned(),
            acl: None,
            settings: BucketSettings::default(),
        };
        gateway.create_bucket(request).await.unwrap();
        Self { gateway, backend, folder }
    }

    /// What a new process finds: the old one is gone without a word.
    async fn restart(self) -> Self {
        let Self { gateway: old, backend, folder } = self;
        drop(old);
        let mut tries = 0;
        while std::fs::exists(folder.path().join("metadata.sqlite-wal")).unwrap_or(false) && tries < 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            tries += 1;
        }
        let gateway = gateway(&folder, &backend).await;
        Self { gateway, backend, folder }
    }

    fn request(&self, name: &str, bytes: Vec<u8>) -> PutObject {
        PutObject {
            caller: caller(),
            bucket: bucket(),
            key: key(name),
            object: Projection::default(),
            attributes: Attributes::default(),
            acl: None,
            encryption: EncryptionParameters::default(),
            storage_class: "STANDARD".to_owned(),
            location: None,
            conditions: WriteConditions::default(),
            incoming: incoming(bytes),
        }
    }

    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<PutOutcome, Error> {
        self.gateway.put_object(self.request(name, bytes)).await
    }

    async fn get(&self, name: &str) -> Result<Bytes, Error> {
        let (_, body) = self.gateway.get_object(&self.read(name)).await?;
        Ok(body.collect().await?.to_bytes())
    }

    fn read(&self, name: &str) -> GetObject {
        GetObject {
            caller: caller(),
            bucket: bucket(),
            key: key(name),
            version: None,
            range: None,
            part: None,
            conditions: ReadConditions::default(),
            customer: CustomerParameters::default(),
            is_visit: false,
        }
    }

    /// Sweeps until it holds, for as long as a late write is expected.
    async fn swept(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..400 {
            self.gateway.sweep_once().await.unwrap();
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it never came to that: {what}");
    }

    async fn open_upload(&self, name: &str) -> Result<UploadRef, Error> {
        let request = NewUpload {
            caller: caller(),
            bucket: bucket(),
            key: key(name),
            object: Projection::default(),
            attributes: Attributes::default(),
            acl: None,
            encryption: EncryptionParameters::default(),
            storage_class: "STANDARD".to_owned(),
            location: None,
            checksum: None,
        };
        let upload = self.gateway.create_upload(request).await?;
        Ok(UploadRef { caller: caller(), bucket: bucket(), key: key(name), id: upload.id })
    }

    async fn put_part(&self, upload: &UploadRef, number: u32, bytes: Vec<u8>) -> Result<ListedPart, Error> {
        let request = PutPart {
            upload: upload.clone(),
            number,
            incoming: incoming(bytes),
            customer: CustomerParameters::default(),
        };
        let put = self.gateway.put_part(request).await?;
        Ok(ListedPart { number, etag: put.etag, checksums: Vec::new() })
    }

    async fn complete(&self, upload: &UploadRef, parts: Vec<ListedPart>) -> Result<CompleteOutcome, Error> {
        let request = CompleteUpload {
            upload: upload.clone(),
            parts,
            conditions: WriteConditions::default(),
            checksum: None,
            size: None,
            customer: CustomerParameters::default(),
        };
        self.gateway.complete_upload(request).await
    }

    async fn delete(&self, name: &str) -> Result<Deleted, Error> {
        let request = DeleteObject {
            caller: caller(),
            bucket: bucket(),
            key: key(name),
            version: None,
            conditions: WriteConditions::default(),
            bypass_governance: false,
        };
        self.gateway.delete_object(request).await
    }
}

fn incoming(bytes: Vec<u8>) -> Incoming {
    let size = bytes.len() as u64;
    let chunks: Vec<_> = bytes.chunks(16 << 10).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let body = body::from_stream(futures::stream::iter(chunks));
    Incoming { body, size, md5: None, checksums: Vec::new(), trailer: None, compute: None }
}

fn large(seed: u8) -> Vec<u8> {
    (0..LARGE).map(|index| (index as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

#[tokio::test]
async fn small_and_large_objects_come_back_as_they_were_put() {
    for keeps in [true, false] {
        let bench = Bench::new(keeps).await;
        for (name, bytes) in [("empty", vec![]), ("small", b"hello".to_vec()), ("large", large(1))] {
            bench.put(name, bytes.clone()).await.unwrap();
            assert_eq!(bench.get(name).await.unwrap(), bytes);
        }
    }
}

#[tokio::test]
async fn an_overwrite_frees_what_it_replaces_and_a_delete_the_rest() {
    for keeps in [true, false] {
        let bench = Bench::new(keeps).await;
        for seed in 0..3 {
            bench.put("key", large(seed)).await.unwrap();
        }
        bench.gateway.sweep_once().await.unwrap();
        assert_eq!(bench.backend.stored(), 1, "keeps: {keeps}");
        assert_eq!(bench.get("key").await.unwrap(), large(2));
        assert_eq!(bench.delete("key").await.unwrap(), Deleted::Object);
        bench.gateway.sweep_once().await.unwrap();
        assert_eq!(bench.backend.stored(), 0);
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_rolled_forward() {
    for bytes in [b"small".to_vec(), large(7)] {
        let bench = Bench::new(true).await;
        bench.backend.fail_next(Fault::StoredButUnavailable);
        assert!(matches!(bench.put("key", bytes.clone()).await, Err(Error::LocationUnavailable { .. })));
        bench.gateway.sweep_once().await.unwrap();
        assert_eq!(bench.get("key").await.unwrap(), bytes);
        assert_eq!(bench.backend.stored(), 1);
    }
}

#[tokio::test]
async fn writes_that_cannot_be_settled_hold_up_no_other() {
    let bench = Bench::new(true).await;
    for number in 0..300 {
        bench.backend.fail_next(Fault::Unavailable);
        assert!(bench.put(&format!("dead/{number}"), b"bytes".to_vec()).await.is_err());
    }
    bench.backend.hide_keys("dead/");
    bench.backend.fail_next(Fault::StoredButUnavailable);
    assert!(bench.put("alive", b"bytes".to_vec()).await.is_err());
    bench.gateway.sweep_once().await.unwrap();
    assert_eq!(bench.get("alive").await.unwrap(), "bytes");
    assert_eq!(bench.gateway.metadata().abandoned_writes(i64::MAX, None, 1000).await.unwrap().len(), 300);
}

#[tokio::test]
async fn an_encrypted_write_whose_answer_is_lost_is_rolled_forward_too() {
    // The 32 bytes "0123456789abcdef0123456789abcdef" and their MD5.
    let customer = CustomerParameters {
        algorithm: Some("AES256".to_owned()),
        key: Some("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned().into()),
        md5: Some("hRasmdxgYDKV3nvbahU1MA==".to_owned()),
    };
    for bytes in [b"small".to_vec(), large(7)] {
        let bench = Bench::new(true).await;
        bench.backend.fail_next(Fault::StoredButUnavailable);
        let encryption = EncryptionParameters { customer: customer.clone(), ..EncryptionParameters::default() };
        let request = PutObject { encryption, ..bench.request("key", bytes.clone()) };
        assert!(matches!(bench.gateway.put_object(request).await, Err(Error::LocationUnavailable { .. })));
        bench.gateway.sweep_once().await.unwrap();
        assert!(matches!(bench.get("key").await, Err(Error::Encryption(EncryptionRefusal::KeyNeeded))));
        let request = GetObject { customer: customer.clone(), ..bench.read("key") };
        let (_, body) = bench.gateway.get_object(&request).await.unwrap();
        assert_eq!(body.collect().await.unwrap().to_bytes(), bytes);
        let stored = bench.backend.bytes(&plain("key")).unwrap();
        assert_ne!(stored, bytes);
        assert_eq!(bench.backend.stored(), 1);
    }
}

#[tokio::test]
async fn a_write_that_stored_nothing_leaves_the_old_object() {
    let bench = Bench::new(false).await;
    bench.put("key", b"old".to_vec()).await.unwrap();
    for fault in [Fault::Unavailable, Fault::Denied] {
        for bytes in [b"new".to_vec(), large(3)] {
            bench.backend.fail_next(fault);
            assert!(bench.put("key", bytes).await.is_err());
            assert_eq!(bench.get("key").await.unwrap(), "old");
            bench.gateway.sweep_once().await.unwrap();
            assert_eq!(bench.get("key").await.unwrap(), "old");
            assert_eq!(bench.backend.stored(), 1);
        }
    }
}

#[tokio::test]
async fn what_a_backend_stores_late_is_removed_where_versions_are_kept() {
    let bench = Bench::new(true).await;
    bench.put("key", b"old".to_vec()).await.unwrap();
    bench.backend.fail_next(Fault::Late);
    assert!(bench.put("key", b"late".to_vec()).await.is_err());
    bench.gateway.sweep_once().await.unwrap();
    assert_eq!(bench.backend.land(), 1);
    assert_eq!(bench.backend.stored(), 2);
    bench.swept("the late one is gone", |bench| bench.backend.stored() == 1).await;
    assert_eq!(bench.get("key").await.unwrap(), "old");
}

#[tokio::test]
async fn a_late_overwrite_takes_its_turn_where_nothing_else_was_acknowledged_since() {
    let bench = Bench::new(false).await;
    bench.put("key", b"old".to_vec()).await.unwrap();
    bench.backend.fail_next(Fault::Late);
    assert!(bench.put("key", b"late".to_vec()).await.is_err());
    bench.gateway.sweep_once().await.unwrap();
    assert_eq!(bench.get("key").await.unwrap(), "old");
    assert_eq!(bench.backend.land(), 1);
    // The old bytes are gone from the backend: whoever reads has the new ones, at once.
    assert_eq!(bench.get("key").await.unwrap(), "late");
    assert_eq!(bench.backend.stored(), 1);
}

#[tokio::test]
async fn a_late_overwrite_takes_nothing_from_what_was_acknowledged_since() {
    let bench = Bench::new(false).await;
    bench.put("key", b"old".to_vec()).await.unwrap();
    bench.backend.fail_next(Fault::Late);
    assert!(bench.put("key", b"late".to_vec()).await.is_err());
    bench.gateway.sweep_once().await.unwrap();
    bench.put("key", b"acknowledged".to_vec()).await.unwrap();
    bench.backend.land();
    assert_eq!(bench.get("key").await.unwrap(), "acknowledged");
    bench.swept("only the acknowledged one is left", |bench| bench.backend.stored() == 1).await;
    assert_eq!(bench.get("key").await.unwrap(), "acknowledged");
    // The plain place is free again.
    bench.put("key", b"next".to_vec()).await.unwrap();
    assert_eq!(bench.backend.bytes(&plain("key")).unwrap(), "next");
}

#[tokio::test]
async fn a_late_first_write_is_removed_though_its_bucket_is_gone() {
    let bench = Bench::new(false).await;
    bench.backend.fail_next(Fault::Late);
    assert!(bench.put("key", b"late".to_vec()).await.is_err());
    bench.gateway.sweep_once().await.unwrap();
    bench.gateway.delete_bucket(&caller(), &bucket()).await.unwrap();
    assert_eq!(bench.backend.land(), 1);
    bench.swept("nothing is left", |bench| bench.backend.stored() == 0).await;
}

#[tokio::test]
async fn a_process_that_dies_before_the_answer_finishes_the_write_after_its_restart() {
    let bench = Bench::new(true).await;
    bench.put("key", b"old".to_vec()).await.unwrap();
    bench.backend.fail_next(Fault::StoredAndSilent);
    let put = bench.put("key", large(9));
    assert!(tokio::time::timeout(Duration::from_millis(500), put).await.is_err());
    // The write's task is still waiting, as it would in a process about to be killed: its
    // database is closed under it.
    let folder = bench.folder.path().to_owned();
    let copy = TempDir::new().unwrap();
    sallyport_metadata::backup(&folder, &copy.path().join("copy.sqlite")).await.unwrap();
    let restored = TempDir::new().unwrap();
    sallyport_metadata::restore(&copy.path().join("copy.sqlite"), restored.path()).await.unwrap();
    let gateway = gateway(&restored, &bench.backend).await;
    assert!(gateway.metadata().is_restored().await.unwrap());
    gateway.sweep_once().await.unwrap();
    let bench = Bench { gateway, backend: Arc::clone(&bench.backend), folder: restored };
    assert_eq!(bench.get("key").await.unwrap(), "old", "nothing is swept before the check");
    bench.gateway.metadata().mark_checked().await.unwrap();
    bench.gateway.sweep_once().await.unwrap();
    assert_eq!(bench.get("key").await.unwrap(), large(9));
}

#[tokio::test]
async fn acknowledged_objects_survive_a_restart() {
    let bench = Bench::new(true).await;
    bench.put("key", b"kept".to_vec()).await.unwrap();
    let bench = bench.restart().await;
    assert_eq!(bench.get("key").await.unwrap(), "kept");
}

#[tokio::test]
async fn a_backend_that_stores_other_bytes_is_found_out() {
    let bench = Bench::new(true).await;
    bench.backend.fail_next(Fault::OtherBytes);
    assert!(matches!(bench.put("key", b"bytes".to_vec()).await, Err(Error::Internal(_))));
    assert!(matches!(bench.get("key").await, Err(Error::NoSuchKey { .. })));
    bench.gateway.sweep_once().await.unwrap();
    assert_eq!(bench.backend.stored(), 0);
}

#[tokio::test]
async fn a_delete_succeeds_while_the_backend_is_down_and_frees_the_bytes_later() {
    let bench = Bench::new(true).await;
    bench.put("key", b"bytes".to_vec()).await.unwrap();
    bench.backend.set_down(true);
    assert_eq!(bench.delete("key").await.unwrap(), Deleted::Object);
    bench.gateway.sweep_once().await.unwrap();
    assert_eq!(bench.backend.stored(), 1);
    bench.backend.set_down(false);
    let mut rounds = 0;
    while bench.backend.stored() > 0 && rounds < 50 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        bench.gateway.sweep_once().await.unwrap();
        rounds += 1;
    }
    assert_eq!(bench.backend.stored(), 0);
}

#[tokio::test]
async fn what_was_on_the_backend_before_is_neither_overwritten_nor_deleted() {
    let bench = Bench::new(false).await;
    for (name, bytes) in [("small", b"ours".to_vec()), ("large", large(5))] {
        bench.backend.plant(&plain(name), b"theirs");
        bench.put(name, bytes.clone()).await.unwrap();
        assert_eq!(bench.get(name).await.unwrap(), bytes);
        assert_eq!(bench.backend.bytes(&plain(name)).unwrap(), "theirs");
        bench.delete(name).await.unwrap();
        bench.gateway.sweep_once().await.unwrap();
        assert_eq!(bench.backend.bytes(&plain(name)).unwrap(), "theirs");
    }
}

#[tokio::test]
async fn bytes_that_somebody_replaced_are_lost_not_served() {
    let bench = Bench::new(false).await;
    bench.put("key", b"ours".to_vec()).await.unwrap();
    bench.backend.plant(&plain("key"), b"theirs");
    // The memory backend keeps both; the newest is theirs, and ours goes with a delete.
    let (found, _) = bench.gateway.get_object(&bench.read("key")).await.unwrap();
    bench.backend.delete(&found.version.segments[0].locator).await.unwrap();
    assert!(matches!(bench.get("key").await, Err(Error::LocationLost { .. })));
    bench.put("key", b"again".to_vec()).await.unwrap();
    assert_eq!(bench.get("key").await.unwrap(), "again");
    assert_eq!(bench.backend.bytes(&plain("key")).unwrap(), "theirs");
}

#[tokio::test]
async fn of_writers_that_race_to_create_a_key_one_wins() {
    let bench = Bench::new(false).await;
    let mut writers = Vec::new();
    for seed in 0..8_u8 {
        let mut request = bench.request("key", if seed % 2 == 0 { vec![seed; 10] } else { large(seed) });
        request.conditions.if_none_match = Some(EtagCondition::Any);
        let gateway = Arc::clone(&bench.gateway);
        writers.push(tokio::spawn(async move { gateway.put_object(request).await }));
    }
    let mut won = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(_) => won += 1,
            Err(Error::PreconditionFailed(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(won, 1);
    bench.gateway.sweep_once().await.unwrap();
    assert_eq!(bench.backend.stored(), 1, "the others left nothing behind");
}

#[tokio::test]
async fn versions_live_side_by_side_on_a_backend_without_them() {
    let bench = Bench::new(false).await;
    bench.put("key", b"null".to_vec()).await.unwrap();
    bench.gateway.set_versioning(&caller(), &bucket(), Versioning::Enabled).await.unwrap();
    let first = bench.put("key", b"first".to_vec()).await.unwrap().version.unwrap();
    let second = bench.put("key", large(2)).await.unwrap().version.unwrap();
    assert!(matches!(bench.delete("key").await.unwrap(), Deleted::Marker { .. }));
    assert!(matches!(bench.get("key").await, Err(Error::NoSuchKey { marker: Some(_) })));
    for (version, bytes) in [(first, b"first".to_vec()), (second, large(2))] {
        let request = GetObject { version: Some(version), ..bench.read("key") };
        let (_, body) = bench.gateway.get_object(&request).await.unwrap();
        assert_eq!(body.collect().await.unwrap().to_bytes(), bytes);
    }
    bench.gateway.sweep_once().await.unwrap();
    assert_eq!(bench.backend.bytes(&plain("key")).unwrap(), "null");
    assert_eq!(bench.backend.stored(), 3);
}

#[tokio::test]
async fn an_upload_completes_by_reference_and_its_copy_shares_the_bytes() {
    let bench = Bench::new(true).await;
    let reference = bench.open_upload("parts").await.unwrap();
    let mut parts = Vec::new();
    for (number, bytes) in [(1, large(1)), (4, b"tail".to_vec())] {
        parts.push(bench.put_part(&reference, number, bytes).await.unwrap());
    }
    let complete = bench.complete(&reference, parts).await.unwrap();
    assert!(complete.put.etag.ends_with("-2"));
    let expected = [large(1), b"tail".to_vec()].concat();
    assert_eq!(bench.get("parts").await.unwrap(), expected);
    let puts = bench.backend.puts();
    let source = Source {
        bucket: bucket(),
        key: key("parts"),
        version: None,
        conditions: ReadConditions::default(),
        customer: CustomerParameters::default(),
    };
    let copy = CopyObject {
        caller: caller(),
        attributes: Attributes::default(),
        acl: None,
        encryption: EncryptionParameters::default(),
        source,
        bucket: bucket(),
        key: key("copy"),
        replace_metadata: None,
        replace_tags: None,
        storage_class: "STANDARD".to_owned(),
        location: None,
        checksum: None,
        conditions: WriteConditions::default(),
    };
    bench.gateway.copy_object(copy).await.unwrap();
    assert_eq!(bench.backend.puts(), puts);
    bench.delete("parts").await.unwrap();
    bench.gateway.sweep_once().await.unwrap();
    assert_eq!(bench.get("copy").await.unwrap(), expected);
    bench.delete("copy").await.unwrap();
    bench.gateway.sweep_once().await.unwrap();
    assert_eq!(bench.backend.stored(), 0);
}
