//! `sallyport plugin inspect`, and what `new` refuses.

use crate::drop_in::Publisher;
use crate::third_party;
use sallyport_tests::gateway::{Ran, compiled_plugins};
use sallyport_tests::signing::sha256;
use sallyport_tests::tools;
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;
use tokio::process::Command;

async fn plugin(arguments: &[&str], file: Option<&Path>) -> Ran {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(tools::sallyport().unwrap());
    command.arg("plugin").args(arguments).args(file).current_dir(folder.path());
    Ran::of(command.env("SALLYPORT_CACHE_DIR", compiled_plugins())).await.unwrap()
}

async fn inspected(file: &Path) -> Value {
    let ran = plugin(&["inspect", "--json"], Some(file)).await;
    assert_eq!(ran.code, Some(0), "{}", ran.errors);
    serde_json::from_str(&ran.output).unwrap()
}

#[tokio::test]
async fn inspect_says_what_a_plugin_is_and_which_fields_are_secret() {
    let file = tools::plugins().unwrap().join("aws_s3.wasm");
    let bytes = std::fs::read(&file).unwrap();
    let said = inspected(&file).await;
    assert_eq!((&said["name"], &said["contract"]), (&Value::from("aws_s3"), &Value::from("0.1.0")));
    assert_eq!(said["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (said["sha256"].as_str().unwrap(), said["size"].as_u64().unwrap()),
        (sha256(&bytes).as_str(), bytes.len() as u64)
    );
    let exports = said["exports"].as_array().unwrap();
    for interface in ["storage", "multipart", "copy", "tagging", "versions", "listing"] {
        let name = Value::from(format!("sallyport:plugin/{interface}@0.1.0"));
        assert!(exports.contains(&name), "{exports:?}");
    }
    assert!(said["imports"].as_array().unwrap().contains(&"sallyport:plugin/http@0.1.0".into()), "{}", said["imports"]);
    let role = |path: &str| {
        let fields = said["fields"].as_array().unwrap();
        fields.iter().find(|field| field["path"] == path).unwrap()["role"].as_str().unwrap().to_owned()
    };
    assert_eq!(role("awsEndpoint"), "endpoint");
    assert_eq!(role("credentials.secretKey"), "secret");
    assert_eq!(role("credentialsProfile"), "profile");
    assert_eq!(role("bucketName"), "plain");
    let fields = said["fields"].as_array().unwrap();
    let profile = &fields.iter().find(|field| field["path"] == "credentialsProfile").unwrap()["profile"];
    assert_eq!(profile["file"], "~/.aws/credentials");
    assert_eq!(profile["fileEnvironment"], "AWS_SHARED_CREDENTIALS_FILE");
    let key = serde_json::json!({ "key": "aws_secret_access_key", "path": "credentials.secretKey" });
    assert!(profile["keys"].as_array().unwrap().contains(&key), "{profile}");

    let text = plugin(&["inspect"], Some(&file)).await;
    assert_eq!(text.code, Some(0), "{}", text.errors);
    for part in [
        "aws_s3 ",
        "sallyport:plugin 0.1.0",
        "credentials.secretKey: string, secret",
        "reads ~/.aws/credentials, or the file that AWS_SHARED_CREDENTIALS_FILE names: aws_access_key_id as",
        sha256(&bytes).as_str(),
    ] {
        assert!(text.output.contains(part), "{part} is not in\n{}", text.output);
    }
}

#[tokio::test]
async fn inspect_knows_a_plugin_under_any_name_and_a_signature_beside_it() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("download (1).wasm");
    std::fs::copy(third_party::built().await, &file).unwrap();
    let said = inspected(&file).await;
    assert_eq!(
        (&said["name"], &said["signature"], &said["ownOfRelease"]),
        (&Value::from("webstore"), &Value::Null, &Value::from(false))
    );
    assert_eq!(said["exports"], serde_json::json!(["sallyport:plugin/storage@0.1.0"]));
    std::fs::write(folder.path().join("download (1).wasm.minisig"), "untrusted comment: x\n").unwrap();
    let text = plugin(&["inspect"], Some(&file)).await.output;
    assert!(text.contains("download (1).wasm.minisig, not verified: give --public-key"), "{text}");
    assert!(text.contains("under the name webstore.wasm only"), "{text}");
}

#[tokio::test]
async fn inspect_verifies_the_signature_beside_a_plugin_with_the_keys_that_it_is_given() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("webstore.wasm");
    std::fs::copy(third_party::built().await, &file).unwrap();
    let (signer, other) = (Publisher::new(1), Publisher::new(2));
    let verify = async |key: &str| {
        let text = plugin(&["inspect", "--public-key", key], Some(&file)).await;
        let json = plugin(&["inspect", "--json", "--public-key", key], Some(&file)).await;
        assert_eq!(text.code, json.code, "{}", text.errors);
        let json: Value = serde_json::from_str(&json.output).unwrap();
        (text.code, json["vouched"].as_str().unwrap().to_owned(), text.output)
    };
    let (code, vouched, _) = verify(&signer.key()).await;
    assert_eq!((code, vouched.as_str()), (Some(1), "unsigned"));
    let beside = folder.path().join("webstore.wasm.minisig");
    std::fs::write(&beside, signer.sign(&std::fs::read(&file).unwrap())).unwrap();
    assert_eq!(inspected(&file).await["vouched"], "unverified");
    let (code, vouched, text) = verify(&signer.key()).await;
    assert_eq!((code, vouched.as_str()), (Some(0), "good"));
    assert!(text.contains("webstore.wasm.minisig, good"), "{text}");
    let public = folder.path().join("minisign.pub");
    std::fs::write(&public, format!("untrusted comment: minisign public key\n{}\n", signer.key())).unwrap();
    assert_eq!(verify(public.to_str().unwrap()).await.0, Some(0));
    for key in [other.key(), "no key".to_owned()] {
        let (code, vouched, text) = verify(&key).await;
        assert_eq!((code, vouched.as_str()), (Some(1), "bad"), "{key}: {text}");
    }
    std::fs::write(&beside, signer.sign(b"other bytes")).unwrap();
    let (code, vouched, text) = verify(&signer.key()).await;
    assert_eq!((code, vouched.as_str()), (Some(1), "bad"));
    assert!(text.contains("of no worth"), "{text}");
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    let own = std::fs::read(tools::plugins().unwrap().join("local.wasm")).unwrap();
    let files: [(&str, &[u8], &str); 6] = [
        ("core.wasm", b"\0asm\x01\0\0\0", "core module: build it as a component"),
        ("native.cwasm", b"\x7fELF\x02\x01\x01\0\0\0\0\0", "native code"),
        ("text.wasm", b"hello, plugin", "not a WebAssembly component"),
        ("empty.wasm", b"", "not a WebAssembly component"),
        ("cut.wasm", &own[..own.len() / 2], ""),
        ("bare.wasm", b"\0asm\x0d\0\x01\0", "does not export sallyport:plugin/storage"),
    ];
    for (name, bytes, sentence) in files {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let ran = plugin(&["inspect"], Some(&file)).await;
        assert_eq!((ran.code, ran.output.as_str()), (Some(2), ""), "{name}: {}", ran.errors);
        assert!(ran.errors.contains(name) && ran.errors.contains(sentence), "{name}: {}", ran.errors);
        assert_eq!(ran.errors.trim().lines().count(), 1, "{name}: {}", ran.errors);
    }
    let absent = plugin(&["inspect"], Some(&folder.path().join("absent.wasm"))).await;
    assert_eq!(absent.code, Some(2));
    assert!(absent.errors.contains("cannot be read"), "{}", absent.errors);
}

#[tokio::test]
async fn a_name_that_no_plugin_can_have_is_refused() {
    for name in ["Cellar", "../x", "type", "a-b"] {
        let ran = plugin(&["new", name], None).await;
        assert_eq!(ran.code, Some(2), "{name}");
        assert!(ran.errors.contains(name), "{}", ran.errors);
    }
}

#[test]
fn the_sdk_of_a_new_project_has_the_dependencies_of_ours() {
    let root = tools::root();
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let (ours, vendored, workspace) =
        (read("plugins/sdk/Cargo.toml"), read("plugins/template/vendored-sdk.toml"), read("Cargo.toml"));
    let dependencies = ours.split("[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<&str> = dependencies.lines().filter_map(|line| line.split('.').next()).collect();
    assert!(names.contains(&"wit-bindgen"));
    let theirs = vendored.split("[dependencies]\n").nth(1).unwrap();
    for name in &names {
        let line = workspace.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap();
        assert!(theirs.lines().any(|known| known == line), "{line} is not in vendored-sdk.toml");
    }
    assert_eq!(theirs.lines().filter(|line| line.contains(" = ")).count(), names.len());
}
