//! Multipart uploads.

use super::*;
use sallyport_core::backend::Token;

pub fn new_upload(key_text: &str, initiated: i64) -> Upload {
    let name = Name { bucket: bucket_name("bucket"), key: key(key_text), place: Place::Plain };
    Upload {
        id: UploadId::random(),
        bucket: bucket_name("bucket"),
        key: key(key_text),
        owner: account(),
        initiator: account(),
        initiated,
        object: Projection::default(),
        attributes: Attributes::default(),
        storage_class: "STANDARD".into(),
        checksum: Some(("crc32".into(), ChecksumKind::Composite)),
        location: location(),
        write_id: WriteId::random(),
        backend: Some((name, Token(b"token".to_vec()))),
        kept: initiated,
    }
}

pub fn upload_query() -> UploadQuery {
    UploadQuery {
        bucket: bucket_name("bucket"),
        prefix: String::new(),
        delimiter: None,
        key_marker: None,
        upload_marker: None,
        limit: 1000,
    }
}

fn new_part(number: u32, bytes: Option<&str>) -> Part {
    let write = WriteId::random();
    let name = Name { bucket: bucket_name("bucket"), key: key("k"), place: Place::Derived(write.as_str().to_owned()) };
    Part {
        number,
        etag: format!("e{number}"),
        size: 5,
        last_modified: 3,
        checksums: Vec::new(),
        pieces: vec![(number, Token(vec![1, 2]), 5)],
        segment: bytes.map(|bytes| segment(&write, &name, bytes)),
        run: None,
    }
}

pub async fn a_part_replaces_one_of_its_number(store: &Store) {
    make_bucket(store, "bucket").await;
    let upload = new_upload("k", 1);
    store.create_upload(upload.clone()).await.unwrap();
    let bucket = bucket_name("bucket");
    assert_eq!(store.upload(&bucket, &key("k"), &upload.id).await.unwrap(), Some(upload.clone()));
    assert_eq!(store.upload(&bucket, &key("other"), &upload.id).await.unwrap(), None);
    let mut write = new_write("k", None);
    write.kind = WriteKind::Part { upload: upload.id.clone(), number: 1 };
    let id = write.id.clone();
    store.begin(write).await.unwrap();
    for (number, bytes) in [(1, "a"), (2, "b"), (3, "c")] {
        store.put_part(&upload.id, new_part(number, Some(bytes)), None).await.unwrap();
    }
    store.put_part(&upload.id, new_part(1, Some("d")), Some(&id)).await.unwrap();
    assert_eq!(due_deletions(store).await, ["a"]);
    let page = store.parts(&upload.id, 1, 1).await.unwrap();
    assert_eq!((page.parts[0].number, page.parts.len(), page.is_truncated), (2, 1, true));
    assert!(!store.parts(&upload.id, 0, 3).await.unwrap().is_truncated);
    store.abandon(&id).await.unwrap();
    assert!(store.abandoned_writes(i64::MAX, None, 1).await.unwrap().is_empty(), "its intent went along");
    let gone = store.put_part(&UploadId::random(), new_part(1, None), None).await;
    assert!(matches!(gone, Err(MetadataError::Gone(_))));
}

pub async fn a_completion_takes_the_upload_with_it(store: &Store) {
    make_bucket(store, "bucket").await;
    let upload = new_upload("k", 1);
    store.create_upload(upload.clone()).await.unwrap();
    store.put_part(&upload.id, new_part(1, Some("used")), None).await.unwrap();
    store.put_part(&upload.id, new_part(2, Some("unused")), None).await.unwrap();
    let (name, token) = upload.backend.clone().unwrap();
    let mut write = new_write("k", Some(new_version(VersionId::null(), "a")));
    write.kind = WriteKind::Completion { upload: upload.id.clone(), name: name.clone(), token };
    let id = write.id.clone();
    assert_eq!(started(store.begin(write).await.unwrap()).0, name);
    store.commit(&id, vec![segment(&id, &name, "used")]).await.unwrap();
    assert_eq!(store.upload(&bucket_name("bucket"), &key("k"), &upload.id).await.unwrap(), None);
    assert_eq!(due_deletions(store).await, ["unused"]);
    assert_eq!(keys(store).await, ["k"]);
    let bucket = bucket_name("bucket");
    let became = store.completed_upload(&bucket, &key("k"), &upload.id).await.unwrap();
    assert_eq!(became, current(store, "k").await);
    assert_eq!(store.completed_upload(&bucket, &key("other"), &upload.id).await.unwrap(), None);
    put(store, "k", VersionId::null(), "b").await;
    assert_eq!(store.completed_upload(&bucket, &key("k"), &upload.id).await.unwrap(), None, "it was overwritten");
}

pub async fn an_aborted_upload_queues_what_it_held(store: &Store) {
    make_bucket(store, "bucket").await;
    let upload = new_upload("k", 1);
    store.create_upload(upload.clone()).await.unwrap();
    store.put_part(&upload.id, new_part(1, Some("bytes")), None).await.unwrap();
    let bucket = bucket_name("bucket");
    assert!(!store.abort_upload(&bucket, &key("other"), &upload.id).await.unwrap());
    assert!(store.abort_upload(&bucket, &key("k"), &upload.id).await.unwrap());
    assert!(!store.abort_upload(&bucket, &key("k"), &upload.id).await.unwrap());
    let kinds: Vec<_> = store.claim_jobs(i64::MAX, 10).await.unwrap().into_iter().map(|job| job.kind).collect();
    assert!(kinds.contains(&JobKind::Abort { upload: Token(b"token".to_vec()) }));
    assert!(kinds.contains(&JobKind::Delete { locator: locator("bytes") }));
}

pub async fn uploads_are_listed_by_key_then_initiation(store: &Store) {
    make_bucket(store, "bucket").await;
    for (name, initiated) in [("b", 2), ("a/1", 5), ("b", 1), ("b", 3), ("a/2", 4)] {
        store.create_upload(new_upload(name, initiated)).await.unwrap();
    }
    for (delimiter, limit) in [(None, 1), (None, 2), (None, 9), (Some("/"), 1), (Some("/"), 2), (Some("/"), 9)] {
        let mut seen = Vec::new();
        let mut query = UploadQuery { delimiter: delimiter.map(str::to_owned), limit, ..upload_query() };
        loop {
            let page = store.list_uploads(&query).await.unwrap();
            seen.extend(page.common_prefixes);
            seen.extend(page.uploads.iter().map(|one| format!("{}@{}", one.key, one.initiated)));
            let Some((key, id)) = page.next else { break };
            (query.key_marker, query.upload_marker) = (Some(key), id);
        }
        let expected: &[&str] = match delimiter {
            Some(_) => &["a/", "b@1", "b@2", "b@3"],
            None => &["a/1@5", "a/2@4", "b@1", "b@2", "b@3"],
        };
        assert_eq!(seen, expected, "limit {limit}");
    }
}

pub async fn uploads_are_kept_alive(store: &Store) {
    make_bucket(store, "bucket").await;
    let mut own = new_upload("k", 1);
    own.backend = None;
    store.create_upload(own).await.unwrap();
    let upload = new_upload("k", 2);
    store.create_upload(upload.clone()).await.unwrap();
    assert_eq!(store.uploads_to_keep(10, 10).await.unwrap(), std::slice::from_ref(&upload));
    store.upload_kept(&upload.id, 20).await.unwrap();
    assert!(store.uploads_to_keep(10, 10).await.unwrap().is_empty());
}
