//! Locations behind HTTP, through the `azure` plugin and a server that remembers blobs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use sallyport_core::backend::{FailureCode, Span};
use serde_json::json;
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
    assert_eq!(backend.get(sallyport_core::backend::Get { locator: stored.locator, size: 10, span: None }).await.err().and_then(|error| error.code()), Some(FailureCode::NotFound));
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
