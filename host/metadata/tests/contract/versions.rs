//! Versions: which is current, how they go, how they are paged.

use super::*;

async fn set(store: &Store, versioning: Versioning) {
    store.set_versioning(&bucket_name("bucket"), versioning).await.unwrap();
}

async fn by_id(store: &Store, id: &VersionId) -> Option<Version> {
    store.version(&bucket_name("bucket"), &key("k"), &Selector::Id(id.clone())).await.unwrap()
}

pub async fn versions_stay_and_the_newest_is_current(store: &Store) {
    make_bucket(store, "bucket").await;
    set(store, Versioning::Enabled).await;
    let (first, second) = (VersionId::random(), VersionId::random());
    put(store, "k", first.clone(), "a").await;
    put(store, "k", second.clone(), "b").await;
    let (old, new) = (by_id(store, &first).await.unwrap(), by_id(store, &second).await.unwrap());
    assert!(!old.is_current && new.is_current && old.sequence < new.sequence);
    assert_eq!(current(store, "k").await.unwrap(), new);
    assert!(due_deletions(store).await.is_empty());
}

pub async fn deleting_without_versioning_removes_for_good(store: &Store) {
    make_bucket(store, "bucket").await;
    assert_eq!(store.delete(&deletion("k", None)).await.unwrap(), Deleted::Nothing);
    put(store, "k", VersionId::null(), "a").await;
    let mut refused = deletion("k", None);
    refused.conditions.if_match = Some(EtagCondition::OneOf(vec!["b".into()]));
    let failure = Deleted::Refused(ConditionFailure::PreconditionFailed);
    assert_eq!(store.delete(&refused).await.unwrap(), failure);
    assert_eq!(store.delete(&deletion("k", None)).await.unwrap(), Deleted::Object);
    assert!(current(store, "k").await.is_none() && keys(store).await.is_empty());
    assert_eq!(due_deletions(store).await, ["a"]);
}

pub async fn deleting_with_versioning_leaves_a_marker(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "a").await;
    set(store, Versioning::Enabled).await;
    let delete = deletion("k", None);
    let marker = delete.marker_id.clone();
    assert_eq!(store.delete(&delete).await.unwrap(), Deleted::Marker { id: marker.clone() });
    assert!(keys(store).await.is_empty() && due_deletions(store).await.is_empty());
    let found = current(store, "k").await.unwrap();
    assert!(found.is_delete_marker && found.id == marker && found.segments.is_empty());
    let gone = store.delete(&deletion("k", Some(marker.clone()))).await.unwrap();
    assert_eq!(gone, Deleted::Version { id: marker, was_marker: true });
    assert_eq!(keys(store).await, ["k"]);
}

pub async fn a_marker_is_left_on_the_backend_and_freed_with_ours(store: &Store) {
    make_bucket(store, "bucket").await;
    set(store, Versioning::Enabled).await;
    put(store, "k", VersionId::random(), "a").await;
    let delete = Deletion { hides: vec![location()], ..deletion("k", None) };
    let marker = delete.marker_id.clone();
    store.delete(&delete).await.unwrap();
    let jobs = store.claim_jobs(i64::MAX, 10).await.unwrap();
    let wanted = JobKind::Hide { bucket: bucket_name("bucket"), key: key("k"), marker: marker.clone() };
    assert_eq!(jobs.iter().map(|job| job.kind.clone()).collect::<Vec<_>>(), [wanted]);
    let name = Name { bucket: bucket_name("bucket"), key: key("k"), place: Place::Plain };
    let theirs = Segment { stored_size: 0, length: 0, ..segment(&WriteId::random(), &name, "their marker") };
    store.mark_hidden(&bucket_name("bucket"), &key("k"), &marker, theirs.clone()).await.unwrap();
    assert_eq!(current(store, "k").await.unwrap().segments, std::slice::from_ref(&theirs));
    let again = store.mark_hidden(&bucket_name("bucket"), &key("k"), &marker, theirs).await;
    assert!(matches!(again, Err(MetadataError::Gone(_))), "it has one");
    assert_eq!(store.segments(0, 10).await.unwrap().len(), 1, "a check looks for bytes");
    store.delete(&deletion("k", Some(marker))).await.unwrap();
    assert_eq!(due_deletions(store).await, ["their marker"]);
    assert_eq!(keys(store).await, ["k"]);
}

pub async fn nothing_is_left_on_a_backend_that_does_not_show_the_key(store: &Store) {
    make_bucket(store, "bucket").await;
    set(store, Versioning::Enabled).await;
    put(store, "elsewhere", VersionId::random(), "a").await;
    let here = Deletion { hides: vec![location()], ..deletion("absent", None) };
    store.delete(&here).await.unwrap();
    store.delete(&deletion("elsewhere", None)).await.unwrap();
    assert!(store.claim_jobs(i64::MAX, 10).await.unwrap().is_empty());
}

pub async fn deleting_while_suspended_replaces_the_null_version(store: &Store) {
    make_bucket(store, "bucket").await;
    set(store, Versioning::Enabled).await;
    let kept = VersionId::random();
    put(store, "k", kept.clone(), "kept").await;
    set(store, Versioning::Suspended).await;
    put(store, "k", VersionId::null(), "null").await;
    for _ in 0..2 {
        let deleted = store.delete(&deletion("k", None)).await.unwrap();
        assert_eq!(deleted, Deleted::Marker { id: VersionId::null() });
    }
    assert_eq!(due_deletions(store).await, ["null"]);
    assert!(by_id(store, &kept).await.is_some());
    assert!(by_id(store, &VersionId::null()).await.unwrap().is_delete_marker);
    put(store, "k", VersionId::null(), "again").await;
    assert!(!current(store, "k").await.unwrap().is_delete_marker);
}

pub async fn deleting_the_current_version_uncovers_the_next(store: &Store) {
    make_bucket(store, "bucket").await;
    set(store, Versioning::Enabled).await;
    let (first, second) = (VersionId::random(), VersionId::random());
    put(store, "k", first.clone(), "a").await;
    put(store, "k", second.clone(), "b").await;
    let gone = store.delete(&deletion("k", Some(second.clone()))).await.unwrap();
    assert_eq!(gone, Deleted::Version { id: second.clone(), was_marker: false });
    assert_eq!(current(store, "k").await.unwrap().id, first);
    assert_eq!(keys(store).await, ["k"]);
    assert_eq!(store.delete(&deletion("k", Some(second))).await.unwrap(), Deleted::Nothing);
    store.delete(&deletion("k", Some(first))).await.unwrap();
    assert!(keys(store).await.is_empty() && current(store, "k").await.is_none());
}

pub async fn tags_are_replaced_and_projected(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "a").await;
    let tags = vec![("a".to_owned(), "b".to_owned())];
    let bucket = bucket_name("bucket");
    let tagged = store.set_tags(&bucket, &key("k"), &Selector::Current, tags.clone(), None).await.unwrap();
    assert_eq!(tagged.object.tags, tags);
    assert_eq!(current(store, "k").await.unwrap(), tagged);
    let job = store.claim_jobs(i64::MAX, 10).await.unwrap().remove(0);
    let expected = JobKind::Tags { bucket: bucket.clone(), key: key("k"), version: VersionId::null() };
    assert_eq!((job.kind, job.location), (expected, location()));
    let gone = store.set_tags(&bucket, &key("absent"), &Selector::Current, tags, None).await;
    assert!(matches!(gone, Err(MetadataError::Gone(_))));
}

pub async fn a_locator_is_replaced_when_it_is_still_the_old_one(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "a").await;
    store.replace_locator(&location(), &locator("other"), &locator("c")).await.unwrap();
    store.replace_locator(&location(), &locator("a"), &locator("b")).await.unwrap();
    assert_eq!(current(store, "k").await.unwrap().segments[0].locator, locator("b"));
}

pub async fn versions_are_paged_without_gaps(store: &Store) {
    make_bucket(store, "bucket").await;
    set(store, Versioning::Enabled).await;
    for etag in ["1", "2", "3"] {
        for name in ["a", "b/1", "b/2", "c"] {
            put(store, name, VersionId::random(), etag).await;
        }
    }
    for (limit, delimiter) in [(1, None), (2, None), (5, None), (1, Some("/")), (3, Some("/")), (100, Some("/"))] {
        let mut seen = Vec::new();
        let mut query = VersionQuery {
            bucket: bucket_name("bucket"),
            prefix: String::new(),
            delimiter: delimiter.map(str::to_owned),
            key_marker: None,
            version_marker: None,
            limit,
        };
        loop {
            let page = store.list_versions(&query).await.unwrap();
            for entry in &page.entries {
                query.key_marker = Some(entry.name().to_owned());
                (query.version_marker, _) = match entry {
                    Listed::Object(version) => {
                        seen.push(format!(
                            "{}={}{}",
                            version.key,
                            version.etag,
                            if version.is_current { "*" } else { "" }
                        ));
                        (Some(version.id.clone()), ())
                    }
                    Listed::CommonPrefix(prefix) => {
                        seen.push(prefix.clone());
                        (None, ())
                    }
                };
            }
            if !page.is_truncated {
                break;
            }
        }
        let expected: &[&str] = match delimiter {
            Some(_) => &["a=3*", "a=2", "a=1", "b/", "c=3*", "c=2", "c=1"],
            None => {
                &["a=3*", "a=2", "a=1", "b/1=3*", "b/1=2", "b/1=1", "b/2=3*", "b/2=2", "b/2=1", "c=3*", "c=2", "c=1"]
            }
        };
        assert_eq!(seen, expected, "limit {limit}");
    }
}
