//! Object lock.

use super::*;
use sallyport_core::object_lock::{ObjectLock, Retention, RetentionMode};

fn locked(id: VersionId, lock: ObjectLock) -> NewVersion {
    NewVersion { attributes: Attributes { lock, ..Attributes::default() }, ..new_version(id, "e1") }
}

async fn put_locked(store: &Store, id: VersionId, lock: ObjectLock) {
    let write = new_write("k", Some(locked(id, lock)));
    let write_id = write.id.clone();
    let (name, _) = started(store.begin(write).await.unwrap());
    store.commit(&write_id, vec![segment(&write_id, &name, "e1")]).await.unwrap();
}

fn retained(mode: RetentionMode) -> ObjectLock {
    // The deletion's clock says 2,000.
    ObjectLock { retention: Some(Retention { mode, until: 2_001 }), legal_hold: None }
}

pub async fn a_protected_version_does_not_go_for_good(store: &Store) {
    make_bucket(store, "bucket").await;
    store.set_versioning(&bucket_name("bucket"), Versioning::Enabled).await.unwrap();
    let id = VersionId::random();
    put_locked(store, id.clone(), retained(RetentionMode::Governance)).await;
    let by_id = deletion("k", Some(id.clone()));
    let refused = Deleted::Refused(ConditionFailure::Protected);
    assert_eq!(store.delete(&by_id).await.unwrap(), refused);
    // A marker hides it, and protects nobody.
    let Deleted::Marker { id: marker } = store.delete(&deletion("k", None)).await.unwrap() else {
        panic!("no marker");
    };
    assert_eq!(store.delete(&by_id).await.unwrap(), refused);
    store.delete(&deletion("k", Some(marker))).await.unwrap();
    assert!(due_deletions(store).await.is_empty());
    let bypassing = Deletion { bypass_governance: true, ..by_id.clone() };
    assert_eq!(store.delete(&bypassing).await.unwrap(), Deleted::Version { id, was_marker: false });
    assert_eq!(due_deletions(store).await, ["e1"]);
}

pub async fn compliance_and_legal_hold_know_no_bypass_but_time(store: &Store) {
    make_bucket(store, "bucket").await;
    store.set_versioning(&bucket_name("bucket"), Versioning::Enabled).await.unwrap();
    for lock in [retained(RetentionMode::Compliance), ObjectLock { retention: None, legal_hold: Some(true) }] {
        let id = VersionId::random();
        put_locked(store, id.clone(), lock).await;
        let bypassing = Deletion { bypass_governance: true, ..deletion("k", Some(id.clone())) };
        assert_eq!(store.delete(&bypassing).await.unwrap(), Deleted::Refused(ConditionFailure::Protected));
        let later = Deletion { now: 2_001, ..bypassing };
        let gone = store.delete(&later).await.unwrap() == Deleted::Version { id, was_marker: false };
        assert_eq!(gone, lock.legal_hold.is_none());
    }
}

pub async fn a_write_from_before_does_not_replace_a_protected_null_version(store: &Store) {
    make_bucket(store, "bucket").await;
    put_locked(store, VersionId::null(), ObjectLock { retention: None, legal_hold: Some(true) }).await;
    let small = new_write("k", Some(new_version(VersionId::null(), "e2")));
    assert!(matches!(store.begin(small).await.unwrap(), Begun::Refused(ConditionFailure::Protected)));
    let large = new_write("k", None);
    let id = large.id.clone();
    started(store.begin(large).await.unwrap());
    let version = new_version(VersionId::null(), "e2");
    let prepared = store.prepare(&id, version, &WriteConditions::default()).await.unwrap();
    assert_eq!(prepared, Prepared::Refused(ConditionFailure::Protected));
    // A new version beside it is welcome.
    let beside = new_write("k", Some(new_version(VersionId::random(), "e3")));
    assert!(matches!(store.begin(beside).await.unwrap(), Begun::Started { .. }));
}

pub async fn what_is_forgotten_frees_nothing(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "e1").await;
    let sequence = current(store, "k").await.unwrap().sequence;
    let forget = async |sequence| store.forget(&bucket_name("bucket"), &key("k"), sequence, 2_000).await.unwrap();
    assert!(!forget(sequence + 1).await);
    assert!(forget(sequence).await);
    assert!(current(store, "k").await.is_none() && keys(store).await.is_empty());
    assert!(due_deletions(store).await.is_empty());
    assert!(!store.is_known(&location(), &locator("e1"), None).await.unwrap());
    assert!(!forget(sequence).await);
    assert_eq!(store.delete_bucket(&bucket_name("bucket")).await.unwrap(), BucketDeletion::Deleted);
}

pub async fn only_a_keys_only_version_is_forgotten(store: &Store) {
    make_bucket(store, "bucket").await;
    put_locked(store, VersionId::null(), retained(RetentionMode::Governance)).await;
    let forget = async |now| {
        let sequence = current(store, "k").await.unwrap().sequence;
        store.forget(&bucket_name("bucket"), &key("k"), sequence, now).await.unwrap()
    };
    assert!(!forget(2_000).await);
    store.set_versioning(&bucket_name("bucket"), Versioning::Enabled).await.unwrap();
    put(store, "k", VersionId::random(), "e2").await;
    assert!(!forget(3_000).await);
    let newest = current(store, "k").await.unwrap();
    assert_eq!(newest.etag, "e2");
    store.delete(&deletion("k", Some(newest.id))).await.unwrap();
    assert!(forget(3_000).await);
    assert_eq!(due_deletions(store).await, ["e2"]);
}
