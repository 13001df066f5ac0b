//! A certificate that is renewed while the server runs.

use hyper::Method;
use sallyport_tests::client::{Call, Client, Speaks};
use sallyport_tests::gateway::{ACCESS_KEY, Gateway, SECRET_KEY, Setup};
use sallyport_tests::tls::{Authority, Issued};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let (old, new) = (Authority::new().unwrap(), Authority::new().unwrap());
    let folder = tempfile::tempdir().unwrap();
    install(&old.issue(&["127.0.0.1"]).unwrap(), folder.path());
    let paths = json!({ "key": folder.path().join("tls.key"), "cert": folder.path().join("tls.crt") });
    let mut gateway = Setup::with_locations(json!({})).config("certFilePaths", paths).start().await.unwrap();
    let open = client(&gateway, &old);
    assert_eq!(open.create_bucket("bucket", "").await.unwrap().status, 200);
    assert!(client(&gateway, &new).get("bucket").await.is_err());

    // A file that is only half there changes nothing.
    std::fs::write(folder.path().join("tls.crt"), "-----BEGIN CERTIFICATE-----\n").unwrap();
    hang_up(&gateway).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !gateway.log().contains("the certificate was not renewed") {
        assert!(tokio::time::Instant::now() < deadline, "{}", gateway.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client(&gateway, &old).head("bucket").await.unwrap().status, 200);

    install(&new.issue(&["127.0.0.1"]).unwrap(), folder.path());
    hang_up(&gateway).await;
    becomes_trusted(&gateway, &new).await;
    assert!(client(&gateway, &old).head("bucket").await.is_err(), "the old certificate is still served");
    assert_eq!(open.send(Call::new(Method::HEAD, "bucket")).await.unwrap().status, 200, "open connections go on");

    // Files that are replaced are noticed without a word, too.
    install(&old.issue(&["127.0.0.1"]).unwrap(), folder.path());
    becomes_trusted(&gateway, &old).await;
}

fn install(issued: &Issued, folder: &Path) {
    std::fs::copy(&issued.key, folder.join("tls.key")).unwrap();
    std::fs::copy(&issued.certificate, folder.join("tls.crt")).unwrap();
}

fn client(gateway: &Gateway, authority: &Authority) -> Client {
    Client::speaking(gateway.endpoint(), [ACCESS_KEY, SECRET_KEY], Speaks::Http1, Some(&authority.file())).unwrap()
}

async fn hang_up(gateway: &Gateway) {
    let id = gateway.process_id().unwrap().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().await.unwrap().success());
}

async fn becomes_trusted(gateway: &Gateway, authority: &Authority) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while client(gateway, authority).head("bucket").await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the certificate was not renewed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
