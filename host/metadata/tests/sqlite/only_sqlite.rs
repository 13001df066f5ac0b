//! The folder's lock, restarts, groups, backup.

use super::contract::{
    bucket_name, destination, due_deletions, keys, make_bucket, new_version, new_write, put, put_told,
};
use super::{fresh, options};
use sallyport_core::metadata::{BucketDeletion, MetadataStore};
use sallyport_core::names::VersionId;
use sallyport_core::notification::EventKind;
use sallyport_metadata::{SqliteError, SqliteOptions, SqliteStore, backup, restore};

#[tokio::test]
async fn a_second_start_is_refused_by_name() {
    let fresh = fresh().await;
    let refused = SqliteStore::open(options(&fresh.folder)).await.err().unwrap();
    assert!(matches!(&refused, SqliteError::InUse { .. }));
    assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
}

#[tokio::test]
async fn a_restart_keeps_all_and_declares_open_writes_dead() {
    let first = fresh().await;
    make_bucket(&first.store, "bucket").await;
    put(&first.store, "k", VersionId::null(), "a").await;
    let write = new_write("open", Some(new_version(VersionId::null(), "b")));
    let id = write.id.clone();
    first.store.begin(write).await.unwrap();
    first.store.close().await;
    drop(first.store);
    let store = SqliteStore::open(options(&first.folder)).await.unwrap();
    assert_eq!(keys(&store).await, ["k"]);
    assert_eq!(store.abandoned_writes(i64::MAX, None, 10).await.unwrap()[0].id, id);
    store.rollback(&id, None).await.unwrap();
    put(&store, "k", VersionId::null(), "c").await;
    assert_eq!(store.segments(0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn concurrent_writes_share_transactions_and_fail_alone() {
    let fresh = fresh().await;
    make_bucket(&fresh.store, "bucket").await;
    let names: Vec<String> = (0..200).map(|number| format!("k{number:03}")).collect();
    let absent = bucket_name("absent");
    futures::future::join_all(names.iter().map(|name| async {
        put(&fresh.store, name, VersionId::null(), "a").await;
        let gone = fresh.store.set_versioning(&absent, sallyport_core::metadata::Versioning::Enabled).await;
        assert!(gone.is_err());
    }))
    .await;
    assert_eq!(keys(&fresh.store).await, names);
}

#[tokio::test]
async fn a_backup_is_taken_while_served_and_restored_with_a_mark() {
    let fresh = fresh().await;
    make_bucket(&fresh.store, "bucket").await;
    put(&fresh.store, "k", VersionId::null(), "a").await;
    let copies = tempfile::tempdir().unwrap();
    let to = copies.path().join("copy");
    backup(fresh.folder.path(), &to).await.unwrap();
    assert!(matches!(backup(fresh.folder.path(), &to).await, Err(SqliteError::Exists(_))));
    put(&fresh.store, "later", VersionId::null(), "b").await;

    let folder = copies.path().join("restored");
    restore(&to, &folder).await.unwrap();
    assert!(matches!(restore(&to, &folder).await, Err(SqliteError::Exists(_))));
    let store = SqliteStore::open(SqliteOptions::new(&folder)).await.unwrap();
    assert_eq!(keys(&store).await, ["k"]);
    assert!(store.is_restored().await.unwrap());
    let name = bucket_name("bucket");
    assert_eq!(store.delete_bucket(&name).await.unwrap(), BucketDeletion::NotEmpty);
    store.delete(&super::contract::deletion("k", None)).await.unwrap();
    assert!(due_deletions(&store).await.is_empty(), "nothing is swept before a check");
    store.mark_checked().await.unwrap();
    assert!(!store.is_restored().await.unwrap());
    assert_eq!(due_deletions(&store).await, ["a"]);
}

#[tokio::test]
async fn what_is_no_backup_is_not_restored() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("file");
    tokio::fs::write(&from, "not a database, whatever its name says").await.unwrap();
    let to = folder.path().join("to");
    assert!(matches!(restore(&from, &to).await, Err(SqliteError::Unsound { .. } | SqliteError::Sqlite(_))));
    assert!(!to.join("metadata.sqlite").exists());
    assert!(matches!(restore(&folder.path().join("absent"), &to).await, Err(SqliteError::Absent(_))));
}

#[tokio::test]
async fn more_events_than_may_wait_push_out_the_oldest_of_their_destination_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(SqliteOptions { most_events: 3, ..options(&folder) }).await.unwrap();
    make_bucket(&store, "bucket").await;
    put_told(&store, "other", VersionId::null(), &[(EventKind::CreatedByPut, "other")]).await;
    for number in 0..8 {
        put_told(&store, &number.to_string(), VersionId::null(), &[(EventKind::CreatedByPut, "hooks")]).await;
    }
    let waiting = async |store: &SqliteStore, name: &str| -> Vec<String> {
        let events = store.events(&destination(name), 100).await.unwrap();
        events.iter().map(|event| event.key.to_string()).collect()
    };
    assert_eq!(waiting(&store, "hooks").await, ["5", "6", "7"]);
    assert_eq!(waiting(&store, "other").await, ["other"]);
    store.close().await;
    drop(store);
    // A lower limit holds with the next event.
    let store = SqliteStore::open(SqliteOptions { most_events: 2, ..options(&folder) }).await.unwrap();
    put_told(&store, "8", VersionId::null(), &[(EventKind::CreatedByPut, "hooks")]).await;
    assert_eq!(waiting(&store, "hooks").await, ["7", "8"]);
    let queues = store.event_queues().await.unwrap();
    let hooks = queues.iter().find(|queue| queue.destination.as_str() == "hooks").unwrap();
    assert_eq!((hooks.pending, hooks.dropped), (2, 7));
}
