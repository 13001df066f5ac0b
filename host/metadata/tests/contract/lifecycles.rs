//! What lifecycles rely on: conditions of deletions, moves, progress.

use super::*;

async fn versioned(store: &Store) {
    make_bucket(store, "bucket").await;
    store.set_versioning(&bucket_name("bucket"), Versioning::Enabled).await.unwrap();
}

fn seen(version: &Version, newer: u32) -> Option<Seen> {
    Some(Seen { sequence: version.sequence, tags: version.object.tags.clone(), newer, is_only: false })
}

async fn by_id(store: &Store, id: &VersionId) -> Version {
    store.version(&bucket_name("bucket"), &key("k"), &Selector::Id(id.clone())).await.unwrap().unwrap()
}

pub async fn what_was_replaced_since_is_not_deleted(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "e1").await;
    let old = current(store, "k").await.unwrap();
    put(store, "k", VersionId::null(), "e2").await;
    let stale = Deletion { as_seen: seen(&old, 0), ..deletion("k", None) };
    assert_eq!(store.delete(&stale).await.unwrap(), Deleted::Nothing);
    let new = current(store, "k").await.unwrap();
    assert_eq!(new.etag, "e2");
    let fresh = Deletion { as_seen: seen(&new, 0), ..deletion("k", None) };
    let tags = vec![("keep".to_owned(), "me".to_owned())];
    store.set_tags(&bucket_name("bucket"), &key("k"), &Selector::Current, tags, None).await.unwrap();
    assert_eq!(store.delete(&fresh).await.unwrap(), Deleted::Nothing);
    let tagged = Deletion { as_seen: seen(&current(store, "k").await.unwrap(), 0), ..deletion("k", None) };
    assert_eq!(store.delete(&tagged).await.unwrap(), Deleted::Object);
}

pub async fn a_version_that_became_current_is_not_deleted_as_noncurrent(store: &Store) {
    versioned(store).await;
    let ids = [VersionId::random(), VersionId::random(), VersionId::random()];
    for (id, etag) in ids.iter().zip(["e1", "e2", "e3"]) {
        put(store, "k", id.clone(), etag).await;
    }
    let second = by_id(store, &ids[1]).await;
    let noncurrent = |version: &Version, newer| Deletion {
        as_seen: seen(version, newer),
        ..deletion("k", Some(version.id.clone()))
    };
    // Two newer ones were asked for, and there is one.
    assert_eq!(store.delete(&noncurrent(&second, 2)).await.unwrap(), Deleted::Nothing);
    store.delete(&deletion("k", Some(ids[2].clone()))).await.unwrap();
    assert_eq!(store.delete(&noncurrent(&second, 1)).await.unwrap(), Deleted::Nothing);
    let first = by_id(store, &ids[0]).await;
    let gone = Deleted::Version { id: ids[0].clone(), was_marker: false };
    assert_eq!(store.delete(&noncurrent(&first, 1)).await.unwrap(), gone);
}

pub async fn a_marker_that_hides_something_is_not_deleted_as_expired(store: &Store) {
    versioned(store).await;
    let id = VersionId::random();
    put(store, "k", id.clone(), "e1").await;
    store.delete(&deletion("k", None)).await.unwrap();
    let marker = current(store, "k").await.unwrap();
    let expired = Deletion {
        as_seen: Some(Seen { sequence: marker.sequence, tags: Vec::new(), newer: 0, is_only: true }),
        ..deletion("k", Some(marker.id.clone()))
    };
    assert_eq!(store.delete(&expired).await.unwrap(), Deleted::Nothing);
    store.delete(&deletion("k", Some(id))).await.unwrap();
    assert_eq!(store.delete(&expired).await.unwrap(), Deleted::Version { id: marker.id, was_marker: true });
}

fn relocation(version: &Version, segments: Vec<Segment>) -> Relocation {
    Relocation {
        bucket: bucket_name("bucket"),
        key: version.key.clone(),
        version: version.id.clone(),
        sequence: version.sequence,
        from: version.segments.clone(),
        segments,
        tags: version.object.tags.clone(),
        storage_class: "far".into(),
        at: 3_000,
        announcement: None,
    }
}

async fn begun(store: &Store) -> (WriteId, Segment) {
    let write = NewWrite { wants_plain: false, exclusive: false, ..new_write("k", None) };
    let id = write.id.clone();
    let (name, _) = started(store.begin(write).await.unwrap());
    (id.clone(), segment(&id, &name, "moved"))
}

pub async fn a_moved_version_is_the_same_but_for_its_place(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "e1").await;
    let before = current(store, "k").await.unwrap();
    let (write, there) = begun(store).await;
    let moved = store.relocate(Some(&write), relocation(&before, vec![there.clone()])).await.unwrap();
    assert_eq!(moved, Relocated::Done);
    let after = current(store, "k").await.unwrap();
    let expected = Version { segments: vec![there], storage_class: "far".into(), ..before };
    assert_eq!(after, expected);
    assert_eq!(due_deletions(store).await, ["e1"]);
    assert!(store.abandoned_writes(i64::MAX, None, 10).await.unwrap().is_empty());
    let listed =
        ListQuery { bucket: bucket_name("bucket"), prefix: String::new(), delimiter: None, after: None, limit: 10 };
    let page = store.list(&listed).await.unwrap();
    assert!(matches!(&page.entries[..], [Listed::Object(line)] if line.storage_class == "far"));
    // Only its name changes now.
    let renamed = Relocation { storage_class: "GLACIER".into(), ..relocation(&after, after.segments.clone()) };
    assert_eq!(store.relocate(None, renamed).await.unwrap(), Relocated::Done);
    let last = current(store, "k").await.unwrap();
    assert_eq!(last, Version { storage_class: "GLACIER".into(), ..after });
    assert!(due_deletions(store).await.is_empty());
}

pub async fn a_version_that_was_replaced_is_not_moved(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "e1").await;
    let before = current(store, "k").await.unwrap();
    let (write, there) = begun(store).await;
    put(store, "k", VersionId::null(), "e2").await;
    let moved = store.relocate(Some(&write), relocation(&before, vec![there.clone()])).await.unwrap();
    assert_eq!(moved, Relocated::Stale);
    let now = current(store, "k").await.unwrap();
    assert_eq!(now.etag, "e2");
    store.rollback(&write, Some(&there.locator)).await.unwrap();
    assert!(due_deletions(store).await.contains(&"moved".to_owned()));
    assert_eq!(current(store, "k").await, Some(now));
}

pub async fn a_version_that_was_tagged_on_its_way_shows_its_tags_there(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "e1").await;
    let before = current(store, "k").await.unwrap();
    let (write, there) = begun(store).await;
    let far = LocationName::parse("far").unwrap();
    let tags = vec![("a".to_owned(), "b".to_owned())];
    store.set_tags(&bucket_name("bucket"), &key("k"), &Selector::Current, tags, None).await.unwrap();
    let jobs = store.claim_jobs(i64::MAX, 10).await.unwrap();
    assert_eq!(jobs.iter().map(|job| &job.location).collect::<Vec<_>>(), [&location()]);
    let moved = relocation(&before, vec![Segment { location: far.clone(), ..there }]);
    assert_eq!(store.relocate(Some(&write), moved).await.unwrap(), Relocated::Done);
    let jobs = store.claim_jobs(i64::MAX, 10).await.unwrap();
    assert!(jobs.iter().any(|job| job.location == far && matches!(job.kind, JobKind::Tags { .. })), "{jobs:?}");
}

pub async fn a_version_does_not_move_where_there_is_no_room(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "e1").await;
    let before = current(store, "k").await.unwrap();
    let far = LocationName::parse("far").unwrap();
    let (write, there) = begun(store).await;
    let moved = relocation(&before, vec![Segment { location: far.clone(), ..there }]);
    store.allow_locations(vec![(far.clone(), 4)]).await.unwrap();
    assert_eq!(store.relocate(Some(&write), moved.clone()).await.unwrap(), Relocated::Full);
    assert_eq!(current(store, "k").await, Some(before));
    store.allow_locations(vec![(far.clone(), 5)]).await.unwrap();
    assert_eq!(store.relocate(Some(&write), moved).await.unwrap(), Relocated::Done);
    assert_eq!(store.location_allowance(&far).await.unwrap(), Some(Allowance { most: 5, used: 5 }));
}

pub async fn progress_is_kept_until_the_work_is_done(store: &Store) {
    assert_eq!(store.progress("work").await.unwrap(), None);
    store.note_progress("work", Some("1".into())).await.unwrap();
    store.note_progress("work", Some("2".into())).await.unwrap();
    store.note_progress("other", Some("3".into())).await.unwrap();
    assert_eq!(store.progress("work").await.unwrap(), Some("2".into()));
    store.note_progress("work", None).await.unwrap();
    assert_eq!(store.progress("work").await.unwrap(), None);
    assert_eq!(store.progress("other").await.unwrap(), Some("3".into()));
}

pub async fn everybodys_buckets_are_paged_by_name(store: &Store) {
    for name in ["bbb", "aaa", "ccc"] {
        make_bucket(store, name).await;
    }
    let names = |page: Vec<Bucket>| page.into_iter().map(|bucket| bucket.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(store.all_buckets(None, 2).await.unwrap()), ["aaa", "bbb"]);
    assert_eq!(names(store.all_buckets(Some("bbb"), 2).await.unwrap()), ["ccc"]);
}
