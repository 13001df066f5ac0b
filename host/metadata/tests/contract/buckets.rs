//! Buckets, namespaces, locations.

use super::*;

pub async fn a_bucket_is_created_once(store: &Store) {
    make_bucket(store, "bucket").await;
    let again = NewBucket {
        name: bucket_name("bucket"),
        owner: AccountId::new("other"),
        location: location(),
        created: 2,
        versioning: Versioning::Off,
        settings: BucketSettings::default(),
    };
    let BucketCreation::Exists(found) = store.create_bucket(again).await.unwrap() else { panic!("made twice") };
    assert_eq!(found.owner, account());
    assert_eq!(store.bucket(&bucket_name("bucket")).await.unwrap(), Some(found));
    assert_eq!(store.bucket(&bucket_name("absent")).await.unwrap(), None);
    let set = store.set_versioning(&bucket_name("absent"), Versioning::Enabled).await;
    assert!(matches!(set, Err(MetadataError::Gone(_))));
}

pub async fn a_bucket_with_objects_or_writes_stays(store: &Store) {
    make_bucket(store, "bucket").await;
    let name = bucket_name("bucket");
    put(store, "k", VersionId::null(), "a").await;
    assert_eq!(store.delete_bucket(&name).await.unwrap(), BucketDeletion::NotEmpty);
    store.delete(&deletion("k", None)).await.unwrap();
    let write = new_write("k", None);
    let id = write.id.clone();
    store.begin(write).await.unwrap();
    assert_eq!(store.delete_bucket(&name).await.unwrap(), BucketDeletion::NotEmpty);
    store.rollback(&id, None).await.unwrap();
    assert_eq!(store.delete_bucket(&name).await.unwrap(), BucketDeletion::Deleted);
    assert_eq!(store.delete_bucket(&name).await.unwrap(), BucketDeletion::Absent);
}

pub async fn a_bucket_takes_its_uploads_along(store: &Store) {
    make_bucket(store, "bucket").await;
    let name = bucket_name("bucket");
    store.create_upload(super::new_upload("k", 1)).await.unwrap();
    assert_eq!(store.delete_bucket(&name).await.unwrap(), BucketDeletion::Deleted);
    let jobs = store.claim_jobs(i64::MAX, 10).await.unwrap();
    assert!(matches!(jobs.as_slice(), [Job { kind: JobKind::Abort { .. }, .. }]), "{jobs:?}");
    make_bucket(store, "bucket").await;
    assert!(store.list_uploads(&super::upload_query()).await.unwrap().uploads.is_empty());
}

pub async fn settings_are_changed_on_what_is_there(store: &Store) {
    make_bucket(store, "bucket").await;
    let name = bucket_name("bucket");
    let acl = AccessControlList::private(account());
    let given = acl.clone();
    let change = Box::new(|settings: &mut BucketSettings| settings.acl = Some(given));
    let changed = store.change_settings(&name, change).await.unwrap();
    assert_eq!(changed.settings.acl, Some(acl));
    assert_eq!(store.bucket(&name).await.unwrap(), Some(changed));
    let unchanged = store.change_settings(&name, Box::new(|_| ())).await.unwrap();
    assert!(unchanged.settings.acl.is_some());
    let absent = store.change_settings(&bucket_name("absent"), Box::new(|_| ())).await;
    assert!(matches!(absent, Err(MetadataError::Gone(_))));
}

pub async fn attributes_are_changed_of_one_version(store: &Store) {
    make_bucket(store, "bucket").await;
    let name = bucket_name("bucket");
    put(store, "k", VersionId::from_client("one"), "a").await;
    put(store, "k", VersionId::from_client("two"), "b").await;
    let by_id = |id: &str| Selector::Id(VersionId::from_client(id));
    assert!(store.version(&name, &key("k"), &Selector::Current).await.unwrap().unwrap().attributes.acl.is_none());
    let change = |attributes: &mut Attributes| attributes.acl = Some(AccessControlList::private(account()));
    let changed = store.change_attributes(&name, &key("k"), &by_id("one"), Box::new(change)).await.unwrap();
    assert!(changed.attributes.acl.is_some());
    let other = store.version(&name, &key("k"), &by_id("two")).await.unwrap().unwrap();
    assert!(other.attributes.acl.is_none());
    store.change_attributes(&name, &key("k"), &by_id("two"), Box::new(change)).await.unwrap();
    assert!(store.version(&name, &key("k"), &Selector::Current).await.unwrap().unwrap().attributes.acl.is_some());
    let absent = store.change_attributes(&name, &key("k"), &by_id("none"), Box::new(change)).await;
    assert!(matches!(absent, Err(MetadataError::Gone(_))));
}

pub async fn buckets_are_listed_by_owner_and_name(store: &Store) {
    for name in ["ccc", "aaa", "bbb"] {
        make_bucket(store, name).await;
    }
    let names = |found: Vec<Bucket>| found.iter().map(|one| one.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(store.buckets(&account(), None, 2).await.unwrap()), ["aaa", "bbb"]);
    assert_eq!(names(store.buckets(&account(), Some("bbb"), 2).await.unwrap()), ["ccc"]);
    assert!(store.buckets(&AccountId::new("other"), None, 2).await.unwrap().is_empty());
}

pub async fn namespaces_go_to_who_came_first(store: &Store) {
    for name in ["aaa", "bbb", "ccc"] {
        make_bucket(store, name).await;
    }
    let (a, b, c) = (bucket_name("aaa"), bucket_name("bbb"), bucket_name("ccc"));
    let there = location();
    assert!(store.claim_namespace(&a, &there, "s3://x/c/").await.unwrap().plain);
    assert!(store.claim_namespace(&a, &there, "s3://x/c/").await.unwrap().plain);
    let second = store.claim_namespace(&b, &there, "s3://x/c/").await.unwrap();
    assert!(!second.plain);
    assert_eq!(second.others, [(a.clone(), there.clone())]);
    assert!(!store.claim_namespace(&c, &there, "s3://x/c/ccc/").await.unwrap().plain);
    let elsewhere = LocationName::parse("elsewhere").unwrap();
    assert!(!store.claim_namespace(&a, &elsewhere, "s3://x/c/").await.unwrap().plain);
    assert!(store.claim_namespace(&c, &elsewhere, "s3://y/").await.unwrap().plain);
    store.delete_bucket(&a).await.unwrap();
    assert!(store.claim_namespace(&b, &there, "s3://x/c/").await.unwrap().plain);
}

pub async fn a_location_with_objects_keeps_its_target(store: &Store) {
    let there = location();
    assert_eq!(store.bind_location(&there, "one", false).await.unwrap(), None);
    assert_eq!(store.bind_location(&there, "two", false).await.unwrap(), None);
    assert!(store.locations_in_use().await.unwrap().is_empty());
    assert!(!store.is_location_used(&there).await.unwrap());
    make_bucket(store, "bucket").await;
    assert!(store.is_location_used(&there).await.unwrap(), "a bucket would be lost with it");
    put(store, "k", VersionId::null(), "a").await;
    assert_eq!(store.locations_in_use().await.unwrap(), std::slice::from_ref(&there));
    assert_eq!(store.bind_location(&there, "three", false).await.unwrap(), Some("two".into()));
    assert_eq!(store.bind_location(&there, "two", false).await.unwrap(), None);
    assert_eq!(store.bind_location(&there, "three", true).await.unwrap(), Some("two".into()));
    assert_eq!(store.bind_location(&there, "three", false).await.unwrap(), None);
}
