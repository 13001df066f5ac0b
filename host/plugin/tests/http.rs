//! Locations behind HTTP, through the `azure` plugin and a server that remembers blobs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use sallyport_core::backend::{BackendError, FailureCode, Span};
use sallyport_core::body::{self, BodyError};
use sallyport_plugin::Limits;
use serde_json::json;
use std::time::Duration;
use support::{BlobServer, TestHost, read, store};

const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

fn details(address: &str) -> serde_json::Value {
    json!({
        "azureStorageEndpoint": format!("http://{address}/account"),
        "azureStorageAccountName": "account",
        "azureStorageAccessKey": KEY,
        "azureContainerName": "container",
        "bucketMatch": false,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_put_read_and_deleted_over_signed_requests() {
    let (test, server) = (TestHost::new(), BlobServer::default());
    let address = server.start().await;
    let backend = test.open("azure", details(&address)).await.backend;
    let stored = store(&backend, "key", "0123456789").await.unwrap();
    assert_eq!(read(&backend, &stored.locator, 10, None).await.unwrap(), "0123456789");
    let span = Some(Span { offset: 3, length: 4 });
    assert_eq!(read(&backend, &stored.locator, 10, span).await.unwrap(), "3456");
    backend.delete(&stored.locator).await.unwrap();
    assert_eq!(
        backend
            .get(sallyport_core::backend::Get { locator: stored.locator, size: 10, span: None })
            .await
            .err()
            .and_then(|error| error.code()),
        Some(FailureCode::NotFound)
    );
    let seen = server.seen.lock().unwrap();
    for request in seen.iter() {
        let authorization = request.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        assert!(authorization.is_some_and(|value| value.starts_with("SharedKey account:")), "{request:?}");
        assert!(request.headers.contains_key("x-ms-date"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_serves_many_calls_and_a_large_body_arrives_whole() {
    let (test, server) = (TestHost::new(), BlobServer::default());
    let address = server.start().await;
    let backend = test.open("azure", details(&address)).await.backend;
    let bytes = vec![5_u8; 8 << 20];
    let stored = store(&backend, "large", bytes.clone()).await.unwrap();
    assert_eq!(read(&backend, &stored.locator, 8 << 20, None).await.unwrap(), bytes);
    assert!(server.seen.lock().unwrap().iter().any(|request| request.length == 8 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_endpoint_is_unavailable_and_not_a_broken_plugin() {
    let test = TestHost::new();
    // Nothing listens on a port that was just given back.
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let backend = test.open("azure", details(&address.to_string())).await.backend;
    let error = store(&backend, "key", "value").await.unwrap_err();
    assert_eq!(error.code(), Some(FailureCode::Unavailable), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_never_answers_costs_one_call_its_time_and_no_more() {
    let limits = Limits { wall: Duration::from_millis(300), first_byte: Duration::from_secs(60), ..Limits::default() };
    let test = TestHost::with(limits);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let backend = test.open("azure", details(&address)).await.backend;
    for _ in 0..3 {
        let started = tokio::time::Instant::now();
        assert!(backend.check(false).await.is_err());
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_secret_is_added_outside_the_plugin() {
    let (test, server) = (TestHost::new(), BlobServer::default());
    let address = server.start().await;
    let details = json!({
        "azureStorageEndpoint": format!("http://{address}/account"),
        "azureStorageAccountName": "account",
        "sasToken": "?sv=2024-11-04&ss=b&srt=sco&sp=rwdlacx&se=2099-01-01T00:00:00Z&sig=the%2Breal%2Bsignature%3D",
        "azureContainerName": "container",
    });
    let backend = test.open("azure", details).await.backend;
    let stored = store(&backend, "key", "0123456789").await.unwrap();
    assert_eq!(read(&backend, &stored.locator, 10, None).await.unwrap(), "0123456789");
    for request in server.seen.lock().unwrap().iter() {
        assert_eq!(request.path.matches("sig=the%2Breal%2Bsignature%3D").count(), 1, "{}", request.path);
        assert!(!request.headers.contains_key("authorization"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_cut_at_the_upstream() {
    let (test, server) = (TestHost::new(), BlobServer::default());
    let address = server.start().await;
    let backend = test.open("azure", details(&address)).await.backend;
    let chunks = vec![Ok(bytes::Bytes::from_static(b"abc")), Err(BodyError::Client("gone".to_owned()))];
    let error =
        backend.put(support::put("torn", 1000), body::from_stream(futures::stream::iter(chunks))).await.unwrap_err();
    assert!(matches!(error, BackendError::Body(BodyError::Client(_))), "{error:?}");
    assert!(server.seen.lock().unwrap().is_empty());
}

/// Not a test of a fact but of a figure: prints the time of a small call.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints a figure"]
async fn the_cost_of_a_small_get() {
    let (test, server) = (TestHost::new(), BlobServer::default());
    let address = server.start().await;
    let backend = test.open("azure", details(&address)).await.backend;
    let stored = store(&backend, "key", vec![1; 4096]).await.unwrap();
    for round in 0..3 {
        let started = tokio::time::Instant::now();
        for _ in 0..2000 {
            read(&backend, &stored.locator, 4096, None).await.unwrap();
        }
        println!("round {round}: {:?} per get", started.elapsed() / 2000);
    }
}
