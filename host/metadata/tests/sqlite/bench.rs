//! Writes per second, on demand: `cargo test --release -p sallyport-metadata -- --ignored --nocapture`.

use super::contract::{make_bucket, new_version, new_write, segment, started};
use sallyport_core::metadata::{MetadataStore, WriteConditions};
use sallyport_core::names::VersionId;
use sallyport_metadata::{SqliteOptions, SqliteStore};
use std::time::Duration;
use tokio::time::Instant;

async fn run(callers: usize, is_born_prepared: bool) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(SqliteOptions::new(folder.path())).await.unwrap();
    make_bucket(&store, "bucket").await;
    let end = Instant::now() + Duration::from_secs(3);
    let done = futures::future::join_all((0..callers).map(|caller| {
        let store = &store;
        async move {
            let mut done = 0;
            while Instant::now() < end {
                let version = new_version(VersionId::null(), "etag");
                let prepared = is_born_prepared.then(|| version.clone());
                let write = new_write(&format!("folder/{caller}/{done}"), prepared);
                let id = write.id.clone();
                let (name, _) = started(store.begin(write).await.unwrap());
                if !is_born_prepared {
                    store.prepare(&id, version, &WriteConditions::default()).await.unwrap();
                }
                store.commit(&id, vec![segment(&id, &name, id.as_str())]).await.unwrap();
                done += 1;
            }
            done
        }
    }))
    .await;
    done.iter().sum::<usize>() / 3
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute"]
async fn writes_per_second() {
    for is_born_prepared in [true, false] {
        for callers in [1, 16, 64] {
            let rate = run(callers, is_born_prepared).await;
            println!("born prepared: {is_born_prepared}, {callers} callers: {rate} puts/s");
        }
    }
}
