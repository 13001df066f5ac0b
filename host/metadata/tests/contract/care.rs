//! The queue, and what checks ask.

use super::*;

pub async fn jobs_are_claimed_once_and_retried(store: &Store) {
    store.queue_deletion(&location(), &locator("a")).await.unwrap();
    assert_eq!(store.queue_depth().await.unwrap().0, 1);
    assert!(store.claim_jobs(0, 10).await.unwrap().is_empty(), "not due yet");
    let job = store.claim_jobs(i64::MAX, 10).await.unwrap().remove(0);
    assert_eq!((job.attempts, &job.kind), (0, &JobKind::Delete { locator: locator("a") }));
    assert!(store.claim_jobs(i64::MAX, 10).await.unwrap().is_empty(), "it runs");
    store.retry_job(job.id, 100, "down").await.unwrap();
    assert!(store.claim_jobs(99, 10).await.unwrap().is_empty());
    assert_eq!(store.claim_jobs(100, 10).await.unwrap()[0].attempts, 1);
    store.finish_job(job.id).await.unwrap();
    assert_eq!(store.queue_depth().await.unwrap(), (0, None));
}

pub async fn live_bytes_are_never_due(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "live").await;
    store.queue_deletion(&location(), &locator("live")).await.unwrap();
    assert!(due_deletions(store).await.is_empty());
}

pub async fn a_copy_shares_no_bytes_that_are_being_freed(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "a").await;
    let source = current(store, "k").await.unwrap().segments;
    let begin = async |key: &str| {
        let mut write = new_write(key, Some(new_version(VersionId::null(), "a")));
        (write.kind, write.exclusive) = (WriteKind::Copy, false);
        let id = write.id.clone();
        started(store.begin(write).await.unwrap());
        id
    };
    let (first, second, late) = (begin("first").await, begin("second").await, begin("late").await);
    store.commit(&first, source.clone()).await.unwrap();
    // As long as its deletion waits, what was superseded can be shared, and is not deleted then.
    store.delete(&deletion("k", None)).await.unwrap();
    assert_eq!(store.queue_depth().await.unwrap(), (0, None), "whoever is the last frees them");
    store.delete(&deletion("first", None)).await.unwrap();
    assert_eq!(store.queue_depth().await.unwrap().0, 1);
    store.commit(&second, source.clone()).await.unwrap();
    assert!(due_deletions(store).await.is_empty());
    store.delete(&deletion("second", None)).await.unwrap();
    let job = store.claim_jobs(i64::MAX, 1).await.unwrap().remove(0);
    for when in ["while it runs", "when it is to be tried again", "afterwards"] {
        let refused = store.commit(&late, source.clone()).await;
        assert!(matches!(refused, Err(MetadataError::Gone(_))), "{when}: {refused:?}");
        match when {
            "while it runs" => store.retry_job(job.id, i64::MAX, "down").await.unwrap(),
            _ => store.finish_job(job.id).await.unwrap(),
        }
    }
}

pub async fn bytes_are_known_while_something_refers_to_them(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "a").await;
    let write = new_write("k", None);
    let id = write.id.clone();
    store.begin(write).await.unwrap();
    let there = location();
    assert!(store.is_known(&there, &locator("a"), None).await.unwrap());
    assert!(!store.is_known(&there, &locator("b"), None).await.unwrap());
    assert!(store.is_known(&there, &locator("b"), Some(&id)).await.unwrap());
    assert!(!store.is_known(&there, &locator("b"), Some(&WriteId::random())).await.unwrap());
    store.queue_deletion(&there, &locator("b")).await.unwrap();
    assert!(store.is_known(&there, &locator("b"), None).await.unwrap());
    let write = current(store, "k").await.unwrap().segments.remove(0).write_id;
    assert!(store.has_bytes_of(&write).await.unwrap());
    assert!(!store.has_bytes_of(&id).await.unwrap());
    put(store, "l", VersionId::null(), "c").await;
    let page = store.segments(0, 1).await.unwrap();
    assert_eq!((page[0].1.key.as_str(), &page[0].2.locator), ("k", &locator("a")));
    let rest = store.segments(page[0].0, 10).await.unwrap();
    assert_eq!((rest.len(), rest[0].1.key.as_str()), (1, "l"));
}
