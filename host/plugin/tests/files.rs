//! Locations on a folder, through the `local` plugin and the host's files.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

mod support;

use bytes::Bytes;
use sallyport_core::backend::{BackendError, FailureCode, Span};
use sallyport_core::body::{self, BodyError};
use serde_json::json;
use support::{TestHost, collected, name, put, read, store};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_is_read_whole_and_in_spans_until_it_is_deleted() {
    let test = TestHost::new();
    let backend = test.open("local", json!({})).await.backend;
    let stored = store(&backend, "a/key", "0123456789").await.unwrap();
    assert_eq!(backend.head(&stored.locator).await.unwrap(), 10);
    assert_eq!(read(&backend, &stored.locator, 10, None).await.unwrap(), "0123456789");
    let span = Some(Span { offset: 2, length: 3 });
    assert_eq!(read(&backend, &stored.locator, 10, span).await.unwrap(), "234");
    backend.delete(&stored.locator).await.unwrap();
    backend.delete(&stored.locator).await.unwrap();
    let gone = backend.head(&stored.locator).await.unwrap_err();
    assert_eq!(gone.code(), Some(FailureCode::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_passes_unchanged() {
    let test = TestHost::new();
    let backend = test.open("local", json!({})).await.backend;
    let chunk = Bytes::from((0..=255_u8).cycle().take(100_000).collect::<Vec<u8>>());
    let size = chunk.len() as u64 * 50;
    let chunks = futures::stream::iter((0..50).map({
        let chunk = chunk.clone();
        move |_| Ok(chunk.clone())
    }));
    let stored = backend.put(put("large", size), body::from_stream(chunks)).await.unwrap();
    let bytes = read(&backend, &stored.locator, size, None).await.unwrap();
    assert_eq!(bytes.len() as u64, size);
    assert!(bytes.chunks(chunk.len()).all(|part| part == chunk));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_leaves_nothing_and_its_error_is_the_answer() {
    for size in [10_u64, 3 << 20] {
        let test = TestHost::new();
        let backend = test.open("local", json!({})).await.backend;
        let chunks = vec![Ok(Bytes::from_static(b"abc")), Err(BodyError::Client("gone".to_owned()))];
        let request = put("torn", size);
        let write_id = request.write_id.clone();
        let error = backend.put(request, body::from_stream(futures::stream::iter(chunks))).await.unwrap_err();
        assert!(matches!(error, BackendError::Body(BodyError::Client(_))), "{error:?}");
        assert!(backend.find(&name("torn"), Some(&write_id)).await.unwrap().is_none());
        assert_eq!(files_below(test.folder.path()), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_shorter_or_longer_than_announced_is_refused() {
    let test = TestHost::new();
    let backend = test.open("local", json!({})).await.backend;
    for size in [2, 4] {
        let error = backend.put(put("k", size), body::full("abc")).await.unwrap_err();
        assert!(matches!(error, BackendError::Body(BodyError::Length { .. })), "{error:?}");
    }
    assert_eq!(files_below(test.folder.path()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_object_is_an_object() {
    let test = TestHost::new();
    let backend = test.open("local", json!({})).await.backend;
    let stored = store(&backend, "empty", "").await.unwrap();
    assert_eq!(backend.head(&stored.locator).await.unwrap(), 0);
    assert_eq!(read(&backend, &stored.locator, 0, None).await.unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_nobody_finishes_disturbs_nobody() {
    let test = TestHost::new();
    let backend = test.open("local", json!({})).await.backend;
    let stored = store(&backend, "k", vec![7; 4 << 20]).await.unwrap();
    for _ in 0..20 {
        let request = sallyport_core::backend::Get { locator: stored.locator.clone(), size: 4 << 20, span: None };
        drop(backend.get(request.clone()).await.unwrap());
        assert_eq!(collected(backend.get(request).await.unwrap()).await.len(), 4 << 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_a_time_are_all_answered() {
    let test = TestHost::new();
    let backend = test.open("local", json!({})).await.backend;
    let puts = (0..200).map(|index| {
        let backend = backend.clone();
        tokio::spawn(async move {
            store(&backend, &format!("k{index}"), format!("value {index}")).await.map(|stored| (index, stored))
        })
    });
    for put in puts.collect::<Vec<_>>() {
        let (index, stored) = put.await.unwrap().unwrap();
        let value = format!("value {index}");
        assert_eq!(read(&backend, &stored.locator, value.len() as u64, None).await.unwrap(), value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_type_is_named_with_the_file_that_is_missing() {
    let test = TestHost::new();
    let Err(error) = test.host.open(support::spec("no_such", json!({}))).await else { panic!("opened") };
    assert!(error.to_string().contains("no_such.wasm"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_component_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("odd.wasm"), "hello").unwrap();
    let options = sallyport_plugin::HostOptions {
        plugin_folders: vec![folder.path().to_owned()],
        cache_folder: folder.path().join("cache"),
        ..Default::default()
    };
    let host = sallyport_plugin::PluginHost::new(options).unwrap();
    let error = host.description("odd").await.unwrap_err();
    assert!(error.to_string().contains("not a WebAssembly component"), "{error}");
}

fn files_below(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.filter_map(Result::ok).map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 }).sum()
}
