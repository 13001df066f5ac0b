//! Writes from intent to commit.

use super::*;
use sallyport_core::backend::Token;

pub async fn a_prepared_write_becomes_the_current_version(store: &Store) {
    make_bucket(store, "bucket").await;
    let name = put(store, "k", VersionId::null(), "a").await;
    assert!(is_plain(&name));
    let found = current(store, "k").await.unwrap();
    assert_eq!((found.etag.as_str(), found.size, found.is_current), ("a", 5, true));
    assert_eq!(found.object.metadata, [("colour".to_owned(), "blue".to_owned())]);
    assert_eq!(found.segments.len(), 1);
    assert_eq!(found.segments[0].name, name);
    assert_eq!(keys(store).await, ["k"]);
    assert!(store.abandoned_writes(i64::MAX, None, 10).await.unwrap().is_empty());
    let mut elsewhere = new_write("k", None);
    elsewhere.bucket = bucket_name("absent");
    assert!(matches!(store.begin(elsewhere).await, Err(MetadataError::Gone(_))));
}

pub async fn an_unprepared_write_does_not_commit(store: &Store) {
    make_bucket(store, "bucket").await;
    let write = new_write("k", None);
    let id = write.id.clone();
    let (name, _) = started(store.begin(write).await.unwrap());
    assert!(store.commit(&id, vec![segment(&id, &name, "a")]).await.is_err());
    let ready = store.prepare(&id, new_version(VersionId::null(), "a"), &WriteConditions::default()).await;
    assert_eq!(ready.unwrap(), Prepared::Ready);
    store.commit(&id, vec![segment(&id, &name, "a")]).await.unwrap();
    assert!(matches!(store.commit(&id, Vec::new()).await, Err(MetadataError::Gone(_))));
    let gone = store.prepare(&id, new_version(VersionId::null(), "a"), &WriteConditions::default()).await;
    assert!(matches!(gone, Err(MetadataError::Gone(_))));
}

pub async fn conditions_are_decided_before_the_bytes_leave(store: &Store) {
    make_bucket(store, "bucket").await;
    let absent = WriteConditions { if_none_match: Some(EtagCondition::Any), ..WriteConditions::default() };
    let is_a = WriteConditions { if_match: Some(EtagCondition::OneOf(vec!["a".into()])), ..WriteConditions::default() };
    let mut write = new_write("k", None);
    write.prepared = Some((new_version(VersionId::null(), "b"), is_a.clone()));
    let begun = store.begin(write).await.unwrap();
    assert!(matches!(begun, Begun::Refused(ConditionFailure::NoSuchKey)));
    put(store, "k", VersionId::null(), "a").await;
    let mut write = new_write("k", None);
    write.prepared = Some((new_version(VersionId::null(), "b"), absent.clone()));
    let begun = store.begin(write).await.unwrap();
    assert!(matches!(begun, Begun::Refused(ConditionFailure::PreconditionFailed)));
    let write = new_write("k", None);
    let id = write.id.clone();
    let (name, _) = started(store.begin(write).await.unwrap());
    assert!(is_plain(&name), "a refused write holds no place");
    let refused = store.prepare(&id, new_version(VersionId::null(), "b"), &absent).await.unwrap();
    assert_eq!(refused, Prepared::Refused(ConditionFailure::PreconditionFailed));
    let ready = store.prepare(&id, new_version(VersionId::null(), "b"), &is_a).await.unwrap();
    assert_eq!(ready, Prepared::Ready);
}

pub async fn an_overwrite_frees_what_it_replaced_unless_in_place(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "a").await;
    let write = new_write("k", Some(new_version(VersionId::null(), "b")));
    let id = write.id.clone();
    let (name, replaces) = started(store.begin(write).await.unwrap());
    assert_eq!((is_plain(&name), replaces), (true, Some(locator("a"))));
    store.commit(&id, vec![segment(&id, &name, "b")]).await.unwrap();
    assert!(due_deletions(store).await.is_empty());
    let mut write = new_write("k", Some(new_version(VersionId::null(), "c")));
    write.wants_plain = false;
    let id = write.id.clone();
    let (name, replaces) = started(store.begin(write).await.unwrap());
    assert_eq!((name.place.clone(), replaces), (Place::Derived(id.to_string()), None));
    store.commit(&id, vec![segment(&id, &name, "c")]).await.unwrap();
    assert_eq!(due_deletions(store).await, ["b"]);
    // A backend that keeps what it overwrites has to be told to free it.
    let mut write = new_write("free", Some(new_version(VersionId::null(), "d")));
    write.exclusive = false;
    for etag in ["d", "e"] {
        let again = NewWrite { id: WriteId::random(), ..write.clone() };
        let id = again.id.clone();
        let (name, replaces) = started(store.begin(again).await.unwrap());
        assert_eq!((is_plain(&name), replaces), (true, None));
        store.commit(&id, vec![segment(&id, &name, etag)]).await.unwrap();
    }
    assert_eq!(due_deletions(store).await, ["d"]);
}

pub async fn an_exclusive_place_has_one_writer(store: &Store) {
    make_bucket(store, "bucket").await;
    let (first, second) = (new_write("k", None), new_write("k", None));
    let id = first.id.clone();
    assert!(is_plain(&started(store.begin(first).await.unwrap()).0));
    assert!(!is_plain(&started(store.begin(second).await.unwrap()).0));
    assert!(is_plain(&started(store.begin(new_write("other", None)).await.unwrap()).0));
    store.rollback(&id, None).await.unwrap();
    assert!(is_plain(&started(store.begin(new_write("k", None)).await.unwrap()).0));
}

pub async fn a_tried_deletion_keeps_its_place(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "a").await;
    store.delete(&deletion("k", None)).await.unwrap();
    let job = store.claim_jobs(i64::MAX, 10).await.unwrap().remove(0);
    assert!(!is_plain(&started(store.begin(new_write("k", None)).await.unwrap()).0));
    store.retry_job(job.id, 5, "down").await.unwrap();
    assert!(!is_plain(&started(store.begin(new_write("k", None)).await.unwrap()).0));
    store.finish_job(job.id).await.unwrap();
    assert!(is_plain(&started(store.begin(new_write("k", None)).await.unwrap()).0));
}

pub async fn a_pending_deletion_of_an_overwritten_place_goes(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "a").await;
    store.delete(&deletion("k", None)).await.unwrap();
    let write = new_write("k", Some(new_version(VersionId::null(), "b")));
    let id = write.id.clone();
    let (name, replaces) = started(store.begin(write).await.unwrap());
    assert_eq!((is_plain(&name), replaces), (true, None));
    assert!(due_deletions(store).await.is_empty(), "an open write holds the place");
    store.commit(&id, vec![segment(&id, &name, "b")]).await.unwrap();
    assert_eq!(store.queue_depth().await.unwrap(), (0, None));
}

pub async fn a_non_null_version_never_overwrites_the_null_one(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "a").await;
    let write = new_write("k", None);
    let id = write.id.clone();
    let (name, _) = started(store.begin(write).await.unwrap());
    store.set_versioning(&bucket_name("bucket"), Versioning::Enabled).await.unwrap();
    // Its bytes go over the null version's already: it becomes the null version.
    store.prepare(&id, new_version(VersionId::random(), "b"), &WriteConditions::default()).await.unwrap();
    let committed = store.commit(&id, vec![segment(&id, &name, "b")]).await.unwrap();
    assert!(committed.id.is_null());
    let version = new_version(VersionId::random(), "c");
    let name = put(store, "k", version.id.clone(), "c").await;
    assert!(!is_plain(&name));
    let null = store.version(&bucket_name("bucket"), &key("k"), &Selector::Id(VersionId::null())).await.unwrap();
    assert_eq!(null.unwrap().etag, "b");
    let name = put(store, "fresh", VersionId::random(), "d").await;
    assert!(is_plain(&name));
    store.set_versioning(&bucket_name("bucket"), Versioning::Suspended).await.unwrap();
    assert!(!is_plain(&put(store, "fresh", VersionId::null(), "e").await), "a version lives there for ever");
}

pub async fn an_abandoned_write_is_found(store: &Store) {
    make_bucket(store, "bucket").await;
    let write = new_write("k", Some(new_version(VersionId::null(), "a")));
    let id = write.id.clone();
    let (name, _) = started(store.begin(write).await.unwrap());
    assert!(store.abandoned_writes(i64::MAX, None, 10).await.unwrap().is_empty());
    store.abandon(&id).await.unwrap();
    let open = store.abandoned_writes(i64::MAX, None, 10).await.unwrap().remove(0);
    assert_eq!((&open.id, &open.name, &open.kind), (&id, &name, &WriteKind::Object));
    assert_eq!(open.prepared, Some(new_version(VersionId::null(), "a")));
    store.commit(&id, vec![segment(&id, &name, "a")]).await.unwrap();
    assert_eq!(keys(store).await, ["k"]);
    assert!(store.abandoned_writes(i64::MAX, None, 10).await.unwrap().is_empty());
}

pub async fn a_rolled_back_write_queues_its_orphan(store: &Store) {
    make_bucket(store, "bucket").await;
    let write = new_write("k", None);
    let id = write.id.clone();
    store.begin(write).await.unwrap();
    store.rollback(&id, Some(&locator("orphan"))).await.unwrap();
    assert_eq!(due_deletions(store).await, ["orphan"]);
    assert!(keys(store).await.is_empty());
    store.rollback(&id, None).await.unwrap();
}

pub async fn an_unheard_write_holds_its_place_while_it_may_still_arrive(store: &Store) {
    make_bucket(store, "bucket").await;
    let unheard = async |key_text: &str| {
        let mut write = new_write(key_text, Some(new_version(VersionId::null(), "unheard")));
        write.exclusive = true;
        let id = write.id.clone();
        let (name, _) = started(store.begin(write).await.unwrap());
        store.abandon(&id).await.unwrap();
        (id, name)
    };
    let next_is_plain = async |key_text: &str| {
        let mut write = new_write(key_text, None);
        write.exclusive = true;
        let id = write.id.clone();
        let (name, _) = started(store.begin(write).await.unwrap());
        store.rollback(&id, None).await.unwrap();
        is_plain(&name)
    };

    let (id, _) = unheard("kept").await;
    store.postpone(&id, 5, 100).await.unwrap();
    store.postpone(&id, 7, 200).await.unwrap();
    assert!(store.abandoned_writes(199, None, 10).await.unwrap().is_empty(), "not due yet");
    let open = store.abandoned_writes(200, None, 10).await.unwrap().remove(0);
    assert_eq!((open.id, open.holds, open.unheard), (id.clone(), true, Some(5)));
    assert!(open.prepared.is_some());
    let bucket = bucket_name("bucket");
    assert_eq!(store.abandoned_writes_of(&bucket, None).await.unwrap().len(), 1, "due or not");
    assert_eq!(store.abandoned_writes_of(&bucket, Some(&key("kept"))).await.unwrap().len(), 1);
    assert!(store.abandoned_writes_of(&bucket, Some(&key("other"))).await.unwrap().is_empty());
    assert!(!next_is_plain("kept").await);
    store.rollback(&id, None).await.unwrap();
    assert!(next_is_plain("kept").await);

    let (id, name) = unheard("gone").await;
    store.rollback_unheard(&id, 50).await.unwrap();
    assert!(store.abandoned_writes_of(&bucket, None).await.unwrap().is_empty());
    assert!(!next_is_plain("gone").await);
    assert!(store.claim_jobs(49, 10).await.unwrap().is_empty());
    let job = store.claim_jobs(50, 10).await.unwrap().remove(0);
    assert_eq!(job.kind, JobKind::Recheck { name, write: id });
    assert_eq!(store.queue_depth().await.unwrap().0, 0, "looking is nothing that waits");
    store.found_late(job.id, &locator("late")).await.unwrap();
    assert!(!next_is_plain("gone").await);
    assert_eq!(due_deletions(store).await, ["late"]);
}

pub async fn segments_keep_their_order(store: &Store) {
    make_bucket(store, "bucket").await;
    let write = new_write("k", Some(new_version(VersionId::null(), "a")));
    let id = write.id.clone();
    let (name, _) = started(store.begin(write).await.unwrap());
    let mut segments: Vec<_> = (0..20).map(|n| segment(&id, &name, &format!("s{n}"))).collect();
    segments[3].name.key = key("elsewhere");
    store.commit(&id, segments.clone()).await.unwrap();
    assert_eq!(current(store, "k").await.unwrap().segments, segments);
    let empty = new_write("empty", Some(new_version(VersionId::null(), "b")));
    let id = empty.id.clone();
    store.begin(empty).await.unwrap();
    store.commit(&id, Vec::new()).await.unwrap();
    assert!(current(store, "empty").await.unwrap().segments.is_empty());
}

pub async fn an_abandoned_write_never_comes_after_a_later_one(store: &Store) {
    make_bucket(store, "bucket").await;
    let abandoned = async |key_text: &str, exclusive: bool| {
        let mut write = new_write(key_text, Some(new_version(VersionId::null(), "early")));
        write.exclusive = exclusive;
        let id = write.id.clone();
        store.begin(write).await.unwrap();
        store.abandon(&id).await.unwrap();
        id
    };
    let may_roll_forward = async |id: &WriteId| {
        let left = store.abandoned_writes(i64::MAX, None, 100).await.unwrap();
        left.iter().find(|write| write.id == *id).is_some_and(|write| write.prepared.is_some())
    };
    for exclusive in [false, true] {
        let id = abandoned("put", exclusive).await;
        let other = abandoned("other", exclusive).await;
        assert!(may_roll_forward(&id).await);
        put(store, "put", VersionId::null(), "late").await;
        assert!(!may_roll_forward(&id).await && may_roll_forward(&other).await, "exclusive: {exclusive}");
        assert!(store.commit(&id, Vec::new()).await.is_err());
        assert_eq!(current(store, "put").await.unwrap().etag, "late");
        // Also where a delete finds nothing, because the write never showed.
        let id = abandoned("deleted", exclusive).await;
        assert_eq!(store.delete(&deletion("deleted", None)).await.unwrap(), Deleted::Nothing);
        assert!(!may_roll_forward(&id).await, "exclusive: {exclusive}");
        // Also where the null version alone is deleted, there or not.
        let null = || Some(VersionId::null());
        let id = abandoned("by id", exclusive).await;
        assert_eq!(store.delete(&deletion("by id", null())).await.unwrap(), Deleted::Nothing);
        assert!(!may_roll_forward(&id).await, "exclusive: {exclusive}");
        put(store, "by id", VersionId::null(), "null").await;
        let id = abandoned("by id", exclusive).await;
        store.delete(&deletion("by id", null())).await.unwrap();
        assert!(!may_roll_forward(&id).await, "exclusive: {exclusive}");
    }
    // Its bytes went over those of the null version, which a later version leaves.
    put(store, "null", VersionId::null(), "null").await;
    let id = abandoned("null", true).await;
    put(store, "null", VersionId::random(), "late").await;
    assert!(may_roll_forward(&id).await);
}

pub async fn a_write_that_is_taken_back_queues_the_abort_of_its_upload(store: &Store) {
    make_bucket(store, "bucket").await;
    let aborts = async || {
        let jobs = store.claim_jobs(i64::MAX, 10).await.unwrap().into_iter().map(|job| job.kind);
        jobs.filter(|kind| matches!(kind, JobKind::Abort { .. })).collect::<Vec<_>>()
    };
    let token = Token(b"token".to_vec());
    let gone = store.note_upload(&WriteId::random(), &token).await;
    assert!(matches!(gone, Err(MetadataError::Gone(_))));
    for commits in [true, false] {
        let write = new_write("k", Some(new_version(VersionId::null(), "a")));
        let id = write.id.clone();
        let (name, _) = started(store.begin(write).await.unwrap());
        store.note_upload(&id, &token).await.unwrap();
        if commits {
            store.commit(&id, vec![segment(&id, &name, "a")]).await.unwrap();
            assert!(aborts().await.is_empty());
        } else {
            store.rollback(&id, None).await.unwrap();
            assert_eq!(aborts().await, [JobKind::Abort { upload: token.clone() }]);
        }
    }
}

pub async fn abandoned_writes_come_in_pages(store: &Store) {
    make_bucket(store, "bucket").await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let write = new_write(&format!("k{number}"), None);
        ids.push(write.id.clone());
        store.begin(write).await.unwrap();
    }
    for id in &ids {
        store.abandon(id).await.unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.abandoned_writes(i64::MAX, after.take(), 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.place_in_line());
        seen.extend(page.into_iter().map(|write| write.id));
    }
    seen.sort();
    ids.sort();
    assert_eq!(seen, ids);
}

pub async fn a_write_is_for_the_bucket_that_it_was_allowed_in(store: &Store) {
    make_bucket(store, "bucket").await;
    let allowed = store.bucket(&bucket_name("bucket")).await.unwrap().unwrap().number;
    store.delete_bucket(&bucket_name("bucket")).await.unwrap();
    make_bucket(store, "bucket").await;
    let now = store.bucket(&bucket_name("bucket")).await.unwrap().unwrap().number;
    assert_ne!(now, allowed);
    for exclusive in [true, false] {
        let write = |number| NewWrite { exclusive, bucket_number: Some(number), ..new_write("k", None) };
        let refused = store.begin(write(allowed)).await;
        assert!(matches!(refused, Err(MetadataError::Gone(_))), "{refused:?}");
        started(store.begin(NewWrite { wants_plain: false, ..write(now) }).await.unwrap());
    }
}

pub async fn a_completion_that_was_given_up_is_taken_over(store: &Store) {
    make_bucket(store, "bucket").await;
    let name = Name { bucket: bucket_name("bucket"), key: key("k"), place: Place::Derived("upload".to_owned()) };
    let token = Token(b"token".to_vec());
    let kind = WriteKind::Completion { upload: UploadId::random(), name, token };
    let first = NewWrite { kind, exclusive: false, ..new_write("k", Some(new_version(VersionId::null(), "a"))) };
    let again =
        NewWrite { prepared: Some((new_version(VersionId::null(), "b"), WriteConditions::default())), ..first.clone() };
    started(store.begin(first.clone()).await.unwrap());
    assert!(matches!(store.begin(again.clone()).await, Err(MetadataError::Busy)), "it is under way");
    store.abandon(&first.id).await.unwrap();
    started(store.begin(again).await.unwrap());
    assert!(store.abandoned_writes(0, None, 10).await.unwrap().is_empty(), "it is under way again");
}
