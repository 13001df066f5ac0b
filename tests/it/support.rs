//! The support library does what the other tests rely on.

use hyper::Method;
use sallyport_tests::chaos::{Chaos, Mood};
use sallyport_tests::client::{Call, Client};
use sallyport_tests::upstream::{Azurite, CEPH_ACCESS_KEY, Ceph, Moto, Rclone};

#[tokio::test]
async fn our_signatures_are_accepted_by_a_server_that_checks_them() {
    let rclone = Rclone::start().await.unwrap();
    let client = rclone.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    assert_eq!(client.put("bucket/a key+ä/x", "bytes").await.unwrap().status, 200);
    assert_eq!(client.get("bucket/a key+ä/x").await.unwrap().text(), "bytes");
    let wrong = Client::new(&format!("http://127.0.0.1:{}", rclone.port()), "rcloneKey", "wrong").unwrap();
    assert_eq!(wrong.get("bucket/a key+ä/x").await.unwrap().status, 403);
    let presigned = client.send_presigned(Call::new(Method::GET, "bucket/a key+ä/x"), 60).await.unwrap();
    assert_eq!(presigned.text(), "bytes");
}

#[tokio::test]
async fn ceph_checks_signatures_and_has_versions() {
    if !Ceph::is_installed() {
        eprintln!("skipped: Ceph's packages are not installed");
        return;
    }
    let ceph = Ceph::start().await.unwrap();
    let client = ceph.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let versioning = Call::new(Method::PUT, "bucket").query("versioning", "").body(enabled);
    assert_eq!(client.send(versioning).await.unwrap().status, 200);
    assert_ne!(client.put("bucket/key", "bytes").await.unwrap().header("x-amz-version-id"), "");
    let wrong = Client::new(&format!("http://127.0.0.1:{}", ceph.port()), CEPH_ACCESS_KEY, "wrong").unwrap();
    assert_eq!(wrong.get("bucket/key").await.unwrap().code(), "SignatureDoesNotMatch");
    ceph.stop().await.unwrap();
}

#[tokio::test]
async fn azurite_accepts_our_shared_key() {
    let azurite = Azurite::start().await.unwrap();
    let answer = azurite.reader().unwrap().get("absent", "blob").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "ContainerNotFound"));
}

#[tokio::test]
async fn chaos_passes_cuts_answers_and_refuses() {
    let moto = Moto::start().await.unwrap();
    moto.client().unwrap().create_bucket("bucket", "").await.unwrap();
    let large = vec![7; 100_000];
    moto.client().unwrap().put("bucket/key", large.clone()).await.unwrap();
    let chaos = Chaos::before(moto.port()).await.unwrap();
    // A client for each mood, since a pooled connection keeps the mood that it was made in.
    let client = || Client::new(&format!("http://127.0.0.1:{}", chaos.port()), "testing", "testing").unwrap();
    assert_eq!(client().get("bucket/key").await.unwrap().body, large);
    chaos.turn(Mood::CutAnswer(50_000));
    assert!(client().get("bucket/key").await.is_err());
    chaos.turn(Mood::CutRequest(50_000));
    assert!(client().put("bucket/other", large).await.is_err());
    chaos.turn(Mood::status(503));
    assert_eq!(client().get("bucket/key").await.unwrap().status, 503);
    chaos.turn(Mood::Refuse);
    assert!(client().get("bucket/key").await.is_err());
    chaos.turn(Mood::Honest);
    assert_eq!(client().head("bucket/key").await.unwrap().status, 200);
}
