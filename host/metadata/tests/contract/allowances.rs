//! Quotas of buckets and limits of locations.

use super::*;

async fn try_put(store: &Store, key_text: &str, id: VersionId, size: u64) -> Result<(), ConditionFailure> {
    let version = NewVersion { size, ..new_version(id, key_text) };
    let write = new_write(key_text, Some(version));
    let id = write.id.clone();
    match store.begin(write).await.unwrap() {
        Begun::Refused(failure) => Err(failure),
        Begun::Started { name, .. } => {
            let segment = Segment { stored_size: size, length: size, ..segment(&id, &name, key_text) };
            store.commit(&id, vec![segment]).await.unwrap();
            Ok(())
        }
    }
}

async fn used(store: &Store) -> Option<(u64, u64)> {
    let allowance = store.bucket_allowance(&bucket_name("bucket")).await.unwrap();
    allowance.map(|allowance| (allowance.used, allowance.most))
}

pub async fn a_bucket_takes_no_more_than_its_quota(store: &Store) {
    make_bucket(store, "bucket").await;
    let name = bucket_name("bucket");
    try_put(store, "a", VersionId::null(), 40).await.unwrap();
    assert_eq!(used(store).await, None);
    store.allow_bucket(&name, Some(100)).await.unwrap();
    assert_eq!(used(store).await, Some((40, 100)));
    try_put(store, "b", VersionId::null(), 60).await.unwrap();
    assert_eq!(try_put(store, "c", VersionId::null(), 1).await, Err(ConditionFailure::BucketFull));
    // What is replaced makes room, and what is deleted does.
    try_put(store, "b", VersionId::null(), 59).await.unwrap();
    store.delete(&deletion("a", None)).await.unwrap();
    assert_eq!(used(store).await, Some((59, 100)));
    try_put(store, "c", VersionId::null(), 41).await.unwrap();
    store.allow_bucket(&name, None).await.unwrap();
    try_put(store, "d", VersionId::null(), 1_000).await.unwrap();
    assert_eq!(used(store).await, None);
    let absent = store.allow_bucket(&bucket_name("absent"), Some(1)).await;
    assert!(matches!(absent, Err(MetadataError::Gone(_))));
}

pub async fn writes_under_way_count_for_a_quota(store: &Store) {
    make_bucket(store, "bucket").await;
    store.allow_bucket(&bucket_name("bucket"), Some(100)).await.unwrap();
    let first = new_write("a", Some(NewVersion { size: 60, ..new_version(VersionId::null(), "a") }));
    let id = first.id.clone();
    started(store.begin(first).await.unwrap());
    // The other one learns its size when its bytes have come.
    let second = new_write("b", None);
    let other = second.id.clone();
    started(store.begin(second).await.unwrap());
    let version = NewVersion { size: 41, ..new_version(VersionId::null(), "b") };
    let none = WriteConditions::default();
    let refused = store.prepare(&other, version.clone(), &none).await.unwrap();
    assert_eq!(refused, Prepared::Refused(ConditionFailure::BucketFull));
    store.rollback(&id, None).await.unwrap();
    assert_eq!(store.prepare(&other, version, &none).await.unwrap(), Prepared::Ready);
}

pub async fn a_location_takes_no_more_than_its_limit(store: &Store) {
    make_bucket(store, "bucket").await;
    try_put(store, "a", VersionId::null(), 40).await.unwrap();
    store.allow_locations(vec![(location(), 100)]).await.unwrap();
    assert_eq!(try_put(store, "b", VersionId::null(), 61).await, Err(ConditionFailure::LocationFull));
    try_put(store, "b", VersionId::null(), 60).await.unwrap();
    // What is replaced makes room.
    assert_eq!(try_put(store, "b", VersionId::null(), 61).await, Err(ConditionFailure::LocationFull));
    try_put(store, "b", VersionId::null(), 60).await.unwrap();
    // A start with the same limit counts nothing twice.
    store.allow_locations(vec![(location(), 101)]).await.unwrap();
    assert_eq!(try_put(store, "c", VersionId::null(), 2).await, Err(ConditionFailure::LocationFull));
    try_put(store, "c", VersionId::null(), 1).await.unwrap();
    store.delete(&deletion("a", None)).await.unwrap();
    try_put(store, "d", VersionId::null(), 40).await.unwrap();
    store.allow_locations(Vec::new()).await.unwrap();
    try_put(store, "e", VersionId::null(), 1_000).await.unwrap();
}
