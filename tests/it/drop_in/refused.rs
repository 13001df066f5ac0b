//! What is dropped in and is no plugin is refused with a sentence, and the one before serves on.

use super::{ORDINARY, Stage, drop_in, release};
use sallyport_tests::gateway::compiled_plugins;

#[tokio::test]
async fn whatever_is_no_plugin_is_refused_with_a_sentence_while_the_old_one_serves() {
    let stage = Stage::start().await;
    let client = stage.bucket("steady", "web").await;
    let good = release("0.2.0", ORDINARY).await;
    let future = replaced(&good, b"sallyport:plugin/storage@0.1.0", b"sallyport:plugin/storage@0.9.0");
    let cases = [
        (b"not a plugin at all".to_vec(), "not a WebAssembly component"),
        (b"\0asm\x01\0\0\0".to_vec(), "core module"),
        (native_code(), "native code"),
        (good[..good.len() / 2].to_vec(), "copy"),
        (good[..4].to_vec(), "not a WebAssembly component"),
        (Vec::new(), "not a WebAssembly component"),
        (future, "sallyport:plugin/storage@0.9.0"),
    ];
    for (component, why) in cases {
        drop_in(stage.plugins.path(), &component);
        let said = stage.is_rejected(why).await;
        assert!(said.contains("webstore.wasm"), "{said}");
        assert_eq!(stage.status().await["version"], "0.1.0");
        let put = client.put("steady/key", said.clone()).await.unwrap();
        assert_eq!(put.status, 200, "{}", put.text());
        assert_eq!(client.get("steady/key").await.unwrap().text(), said);
    }
    assert!(stage.metrics().await.contains("sallyport_plugin_refused_total{plugin=\"webstore\"}"));

    // A file that was taken for half of one is looked at again when the rest has come.
    drop_in(stage.plugins.path(), &good);
    stage.serves("0.2.0").await;
    assert!(stage.status().await["rejected"].is_null());
}

/// What a server like this one compiled a plugin to, behind its authentication.
fn native_code() -> Vec<u8> {
    let mut files = std::fs::read_dir(compiled_plugins()).unwrap().map(|entry| entry.unwrap().path());
    let compiled = files.find(|path| path.extension().is_some_and(|extension| extension == "native")).unwrap();
    std::fs::read(compiled).unwrap().split_off(32)
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut bytes = bytes.to_vec();
    let places: Vec<_> = (0..bytes.len()).filter(|place| bytes[*place..].starts_with(old)).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place..place + new.len()].copy_from_slice(new);
    }
    bytes
}
