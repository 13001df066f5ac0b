//! Uploads of the backend's own: which ones are taken back, and what its refusals mean.

use super::*;
use sallyport_core::backend::FailureCode;
use sallyport_core::metadata::{UploadQuery, VersionQuery};
use sallyport_tests::wait::until;

/// A bench on a backend that puts objects together from parts.
async fn bench(keeps_overwritten: bool) -> Bench {
    Bench::on(MemoryBackend::with_uploads(keeps_overwritten, 100_000)).await
}

#[tokio::test]
async fn an_upload_that_somebody_else_opened_at_the_same_name_stays() {
    let bench = bench(true).await;
    bench.backend.share_names();
    let theirs = bench.backend.plant_upload(&plain("key"));
    bench.backend.fail_next(Fault::Unavailable);
    assert!(matches!(bench.open_upload("key").await, Err(Error::LocationUnavailable { .. })));
    bench.gateway.sweep_once().await.unwrap();
    assert!(bench.backend.uploads().contains(&theirs));
    assert!(
        bench.gateway.metadata().abandoned_writes(i64::MAX, None, 10).await.unwrap().is_empty(),
        "and the write is settled"
    );
}

#[tokio::test]
async fn an_upload_at_names_that_are_the_buckets_own_is_taken_back_but_for_a_clients() {
    let bench = bench(true).await;
    let open = bench.open_upload("key").await.unwrap();
    let clients = bench.backend.uploads();
    bench.backend.fail_next(Fault::Unavailable);
    assert!(bench.open_upload("key").await.is_err());
    assert_eq!(bench.backend.uploads().len(), 2);
    bench.gateway.sweep_once().await.unwrap();
    assert_eq!(bench.backend.uploads(), clients);
    let part = bench.put_part(&open, 1, b"part".to_vec()).await.unwrap();
    bench.complete(&open, vec![part]).await.unwrap();
    assert_eq!(bench.get("key").await.unwrap(), "part");
}

#[tokio::test]
async fn an_upload_in_a_place_of_its_own_is_taken_back_when_its_answer_is_lost() {
    let bench = bench(false).await;
    bench.backend.fail_next(Fault::Unavailable);
    assert!(bench.open_upload("key").await.is_err());
    assert_eq!(bench.backend.uploads().len(), 1);
    bench.gateway.sweep_once().await.unwrap();
    assert!(bench.backend.uploads().is_empty());
}

#[tokio::test]
async fn a_large_write_that_fails_takes_back_its_own_upload_and_no_other() {
    for keeps in [true, false] {
        let bench = bench(keeps).await;
        bench.backend.share_names();
        let theirs = bench.backend.plant_upload(&plain("key"));
        for fault in [Fault::Unavailable, Fault::Refused(FailureCode::Denied), Fault::Refused(FailureCode::NotFound)] {
            // The opening goes well.
            bench.backend.fail_completion(fault);
            assert!(matches!(bench.put("key", large(1)).await, Err(Error::LocationUnavailable { .. })));
            // At a place that is overwritten it may still be completed late, and goes after that.
            let what = format!("{fault:?}, keeps: {keeps}: only theirs is left");
            bench.swept(&what, |bench| bench.backend.uploads() == std::slice::from_ref(&theirs)).await;
        }
        bench.put("key", large(2)).await.unwrap();
        assert_eq!(bench.get("key").await.unwrap(), large(2));
        assert_eq!(bench.backend.uploads(), [theirs]);
    }
}

#[tokio::test]
async fn a_completion_that_the_backend_refuses_says_why() {
    let bench = bench(true).await;
    let upload = bench.open_upload("key").await.unwrap();
    let parts = vec![
        bench.put_part(&upload, 1, b"small".to_vec()).await.unwrap(),
        bench.put_part(&upload, 2, b"last".to_vec()).await.unwrap(),
    ];
    let refused = async |code| {
        bench.backend.fail_completion(Fault::Refused(code));
        bench.complete(&upload, parts.clone()).await.unwrap_err()
    };
    let small = refused(FailureCode::TooSmall).await;
    assert!(matches!(small, Error::EntityTooSmall { number: 1, size: 5, .. }), "{small:?}");
    assert!(matches!(refused(FailureCode::Changed).await, Error::InvalidPart(None)));
    assert!(matches!(refused(FailureCode::TooLarge).await, Error::TooLargeForLocation));
    assert!(matches!(refused(FailureCode::NotFound).await, Error::NoSuchUpload));
    // What a client cannot help.
    assert!(matches!(refused(FailureCode::Invalid).await, Error::LocationUnavailable { .. }));
    assert!(matches!(refused(FailureCode::Denied).await, Error::LocationUnavailable { .. }));
    bench.complete(&upload, parts.clone()).await.unwrap();
    assert_eq!(bench.get("key").await.unwrap(), "smalllast");
}

#[tokio::test]
async fn a_part_of_an_upload_that_the_backend_forgot_has_no_upload() {
    let bench = bench(true).await;
    let upload = bench.open_upload("key").await.unwrap();
    for token in bench.backend.uploads() {
        bench.backend.abort_upload(&token).await.unwrap();
    }
    let part = bench.put_part(&upload, 1, b"part".to_vec()).await;
    assert!(matches!(part, Err(Error::NoSuchUpload)), "{part:?}");
}

#[tokio::test]
async fn a_completion_that_is_sent_twice_at_a_time_makes_one_version() {
    for bench in [Bench::new(true).await, bench(true).await, bench(false).await] {
        bench.gateway.set_versioning(&caller(), &bucket(), Versioning::Enabled).await.unwrap();
        let upload = bench.open_upload("key").await.unwrap();
        let parts = vec![bench.put_part(&upload, 1, large(1)).await.unwrap()];
        let (first, second) =
            tokio::join!(bench.complete(&upload, parts.clone()), bench.complete(&upload, parts.clone()));
        let (first, second) = (first.unwrap().put, second.unwrap().put);
        assert_eq!((first.version, first.etag), (second.version, second.etag));
        let query = VersionQuery {
            bucket: bucket(),
            prefix: String::new(),
            delimiter: None,
            key_marker: None,
            version_marker: None,
            limit: 10,
        };
        assert_eq!(bench.gateway.list_versions(&caller(), &query).await.unwrap().entries.len(), 1);
    }
}

#[tokio::test]
async fn an_upload_whose_client_goes_away_is_there_all_the_same() {
    for keeps in [true, false] {
        let bench = bench(keeps).await;
        bench.backend.fail_next(Fault::StoredAndSilent);
        let opening = bench.open_upload("key");
        assert!(tokio::time::timeout(Duration::from_millis(300), opening).await.is_err());
        bench.backend.resume();
        let query = UploadQuery {
            bucket: bucket(),
            prefix: String::new(),
            delimiter: None,
            key_marker: None,
            upload_marker: None,
            limit: 10,
        };
        let listed = async || bench.gateway.list_uploads(&caller(), &query).await.unwrap().uploads;
        until("the upload is recorded", async || listed().await.len() == 1).await;
        let upload = listed().await.remove(0);
        let reference = UploadRef { caller: caller(), bucket: bucket(), key: key("key"), id: upload.id };
        bench.gateway.abort_upload(&reference).await.unwrap();
        // Nothing is open that would hold the bucket.
        let deleted = async || bench.gateway.delete_bucket(&caller(), &bucket()).await.is_ok();
        until("the bucket is empty", deleted).await;
        bench.gateway.sweep_once().await.unwrap();
        assert!(bench.backend.uploads().is_empty());
    }
}

#[tokio::test]
async fn uploads_that_cannot_be_kept_alive_hold_up_no_other() {
    let bench = Bench::on(MemoryBackend::with_expiring_uploads(Duration::from_millis(3))).await;
    for number in 0..70 {
        bench.open_upload(&format!("dead/{number}")).await.unwrap();
    }
    bench.open_upload("alive").await.unwrap();
    bench.backend.hide_keys("dead/");
    let kept = async || {
        bench.gateway.sweep_once().await.unwrap();
        bench.backend.kept() == 1
    };
    until("the other upload is kept", kept).await;
}
