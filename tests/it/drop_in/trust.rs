//! Pins and signatures decide which build of a plugin may serve a location.

use super::{ORDINARY, Stage, drop_in, location, release};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use sallyport_tests::signing::sha256;
use sallyport_tests::wait::until;
use serde_json::json;

/// A key pair in minisign's form.
pub(crate) struct Publisher {
    pair: Ed25519KeyPair,
    id: [u8; 8],
}

impl Publisher {
    pub(crate) fn new(id: u8) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { pair: Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap(), id: [id; 8] }
    }

    pub(crate) fn key(&self) -> String {
        STANDARD.encode([b"Ed".as_slice(), &self.id, self.pair.public_key().as_ref()].concat())
    }

    /// The text of a `.minisig`.
    pub(crate) fn sign(&self, bytes: &[u8]) -> String {
        let signature = self.pair.sign(bytes);
        let comment = "timestamp:1\tfile:webstore.wasm";
        let all = self.pair.sign(&[signature.as_ref(), comment.as_bytes()].concat());
        let signature = STANDARD.encode([b"Ed".as_slice(), &self.id, signature.as_ref()].concat());
        format!(
            "untrusted comment: made by a test\n{signature}\ntrusted comment: {comment}\n{}\n",
            STANDARD.encode(all.as_ref())
        )
    }
}

impl Stage {
    fn put_beside(&self, name: &str, text: &str) {
        let path = self.plugins.path().join(name);
        std::fs::write(path.with_extension("new"), text).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    }
}

#[tokio::test]
async fn a_pinned_location_is_served_by_that_file_alone() {
    let pinned = release("0.1.0", ORDINARY).await;
    let digest = sha256(&pinned);
    let stage = Stage::with_location(Some(pinned), |mut location| {
        location["plugin"] = json!({ "sha256": digest });
        location
    })
    .await;
    let client = stage.bucket("pinned", "web").await;
    drop_in(stage.plugins.path(), &release("0.2.0", ORDINARY).await);
    let said = stage.is_rejected("takes only").await;
    assert!(said.contains("plugin.sha256") && said.contains(&digest), "{said}");
    assert_eq!(client.put("pinned/key", "bytes").await.unwrap().status, 200);
    assert_eq!(stage.status().await["version"], "0.1.0");
}

#[tokio::test]
async fn where_signatures_are_required_only_a_good_one_lets_a_plugin_serve() {
    let (trusted, other) = (Publisher::new(1), Publisher::new(2));
    let first = release("0.1.0", ORDINARY).await;
    let policy = json!({ "publicKeys": [trusted.key()], "requireSignature": true });
    let only_this = policy.clone();
    let stage = Stage::with_location(Some(first.clone()), |mut location| {
        location["plugin"] = only_this;
        location
    })
    .await;
    let client = stage.bucket("signed", "web").await;
    let refused = client.put("signed/key", "bytes").await.unwrap();
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("plugin.requireSignature") && refused.text().contains("not signed"));

    stage.put_beside("webstore.wasm.minisig", &other.sign(&first));
    until("another's signature is refused", async || {
        client.put("signed/key", "bytes").await.unwrap().text().contains("none of the keys")
    })
    .await;
    stage.put_beside("webstore.wasm.minisig", &trusted.sign(&first));
    until("it is served", async || client.put("signed/key", "bytes").await.unwrap().status == 200).await;

    // The old signature does not vouch for new bytes; the new one may come before them.
    let second = release("0.2.0", ORDINARY).await;
    drop_in(stage.plugins.path(), &second);
    stage.is_rejected("none of the keys").await;
    assert_eq!(client.put("signed/key", "bytes").await.unwrap().status, 200);
    stage.put_beside("webstore.wasm.minisig", &trusted.sign(&second));
    stage.serves("0.2.0").await;

    // A release signs its list once.
    let third = release("0.3.0", ORDINARY).await;
    let list = format!("{}  webstore.wasm\n", sha256(&third));
    std::fs::remove_file(stage.plugins.path().join("webstore.wasm.minisig")).unwrap();
    stage.put_beside("SHA256SUMS", &list);
    stage.put_beside("SHA256SUMS.minisig", &trusted.sign(list.as_bytes()));
    drop_in(stage.plugins.path(), &third);
    stage.serves("0.3.0").await;
    assert_eq!(client.put("signed/key", "bytes").await.unwrap().status, 200);
}

#[tokio::test]
async fn what_config_json_asks_of_plugins_holds_for_every_location() {
    let stage = Stage::with(Some(release("0.1.0", ORDINARY).await), |setup| {
        setup.config("plugins", json!({ "publicKeys": [Publisher::new(1).key()], "requireSignature": true }))
    })
    .await;
    let client = stage.gateway.client().unwrap();
    for (bucket, location) in [("one", "web"), ("two", "us-east-1")] {
        let bucket = format!("bucket-{bucket}");
        assert_eq!(client.create_bucket(&bucket, location).await.unwrap().status, 200);
        let refused = client.put(&format!("{bucket}/key"), "bytes").await.unwrap();
        assert_eq!(refused.status, 503, "{location}");
        assert!(refused.text().contains("requireSignature"), "{}", refused.text());
    }
    let entry = location(&stage.web, 0);
    assert!(entry["plugin"].is_null(), "the location itself asks for nothing");
}
