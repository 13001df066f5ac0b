//! What the embedded keys promise: they stay readable, stay sealed, and notice changes.
#![expect(clippy::disallowed_methods, reason = "a test may wait for its files")]

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn store(folder: &Path) -> KeyStore {
    KeyStore::new(folder, None)
}

/// Two data keys are the same when they digest alike.
fn shown(key: &DataKey) -> [u8; 16] {
    key.keyed_digest(b"x").unwrap()
}

async fn wrapped(keys: &EmbeddedKeys, name: &str) -> (DataKey, WrappedKey) {
    let key = DataKey::random().unwrap();
    let wrapped = keys.wrap(name, &key, "context").await.unwrap();
    (key, wrapped)
}

#[tokio::test]
async fn old_versions_open_what_they_wrapped_after_a_rotation() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).create("one").unwrap();
    let keys = EmbeddedKeys::new(store(folder.path()), false);
    let (first, old) = wrapped(&keys, "one").await;
    assert_eq!(store(folder.path()).rotate("one"), Ok(2));
    // A server that runs notices within a second; this one starts anew.
    let keys = EmbeddedKeys::new(store(folder.path()), false);
    let (_, new) = wrapped(&keys, "one").await;
    assert_eq!((old.version, new.version), (1, 2));
    assert_eq!(shown(&keys.unwrap("one", &old, "context").await.unwrap()), shown(&first));
    assert!(!keys.is_current("one", &old).await.unwrap());
    assert!(keys.unwrap("one", &WrappedKey { version: 2, ..old.clone() }, "context").await.is_err());
    assert!(keys.unwrap("one", &old, "other").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_running_server_notices_what_the_command_line_did() {
    let folder = tempfile::tempdir().unwrap();
    let keys = EmbeddedKeys::new(store(folder.path()), false);
    let key = DataKey::random().unwrap();
    assert_eq!(keys.wrap("one", &key, "").await, Err(KeyError::NotFound("one".into())));
    store(folder.path()).create("one").unwrap();
    assert_eq!(keys.wrap("one", &key, "").await.map(|wrapped| wrapped.version), Ok(1));
    store(folder.path()).disable("one", true).unwrap();
    tokio::time::advance(FRESH).await;
    assert_eq!(keys.wrap("one", &key, "").await, Err(KeyError::Disabled("one".into())));
}

#[tokio::test]
async fn only_the_keys_that_aws_has_come_to_be_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let keys = EmbeddedKeys::new(store(folder.path()), false);
    let key = DataKey::random().unwrap();
    for name in [S3_KEY, "aws/s3", "alias/aws/s3", "arn:aws:kms:eu-west-1:123456789012:alias/aws/s3"] {
        assert_eq!(keys.wrap(name, &key, "").await.map(|wrapped| wrapped.version), Ok(1), "{name}");
    }
    for name in ["other", "arn:aws:kms:eu-west-1:123456789012:key/other", "arn:aws:kms:x:1:key/sallyport/s3", "arn:x"] {
        assert!(matches!(keys.wrap(name, &key, "").await, Err(KeyError::NotFound(_))), "{name}");
    }
    let creating = EmbeddedKeys::new(store(folder.path()), true);
    assert!(creating.wrap("other", &key, "").await.is_ok());
}

#[tokio::test]
async fn files_are_for_their_owner_and_hold_no_key_but_the_masters() {
    let folder = tempfile::tempdir().unwrap();
    let keys = EmbeddedKeys::new(store(folder.path()), false);
    let (_, wrapped) = wrapped(&keys, "aws/s3").await;
    for name in ["master.key", "keys.json"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(store(folder.path()).exposed_master(), None);
    for (mode, is_exposed) in [(0o400, false), (0o640, false), (0o644, true), (0o660, true), (0o604, true)] {
        let path = folder.path().join("master.key");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let expected = is_exposed.then_some((path.as_path(), mode));
        assert_eq!(store(folder.path()).exposed_master(), expected, "{mode:o}");
    }
    // Another master key opens nothing, and says so.
    std::fs::remove_file(folder.path().join("master.key")).unwrap();
    let lost = EmbeddedKeys::new(store(folder.path()), false);
    assert!(matches!(lost.unwrap("aws/s3", &wrapped, "context").await, Err(KeyError::Unavailable(_))));
    assert!(store(folder.path()).create("one").is_err(), "a new master key would hide the loss");
    assert!(!folder.path().join("master.key").exists());
    let other = MasterSource::parse(&base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]));
    let other = EmbeddedKeys::new(KeyStore::new(folder.path(), Some(other.unwrap())), false);
    assert!(matches!(other.unwrap("aws/s3", &wrapped, "context").await, Err(KeyError::Unreadable(_))));
}

#[tokio::test]
async fn a_new_master_key_takes_the_place_of_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let keys = EmbeddedKeys::new(store(folder.path()), false);
    let (key, wrapped) = wrapped(&keys, "aws/s3").await;
    let before = std::fs::read_to_string(folder.path().join("master.key")).unwrap();
    assert_eq!(store(folder.path()).reseal(true), Ok(1));
    let after = std::fs::read_to_string(folder.path().join("master.key")).unwrap();
    assert_ne!(before, after);
    assert_eq!(after.lines().count(), 1);
    let keys = EmbeddedKeys::new(store(folder.path()), false);
    assert_eq!(shown(&keys.unwrap("aws/s3", &wrapped, "context").await.unwrap()), shown(&key));
}

#[tokio::test]
async fn a_backup_brings_back_what_is_gone_and_keeps_what_is_new() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let copy = other.path().join("copy.keys.json");
    let kept = store(folder.path());
    assert_eq!(kept.copy_to(&copy), Ok(false));
    kept.create("one").unwrap();
    assert_eq!(kept.copy_to(&copy), Ok(true));
    kept.rotate("one").unwrap();
    assert_eq!(kept.merge_from(&copy), Ok(true));
    assert_eq!(kept.list().unwrap()[0].version, 2);
    std::fs::remove_file(folder.path().join("keys.json")).unwrap();
    kept.merge_from(&copy).unwrap();
    assert_eq!(kept.list().unwrap()[0].version, 1);
    assert!(kept.load().unwrap().current("one").is_ok());
}

#[tokio::test]
async fn a_backup_with_another_key_of_the_same_name_is_refused_whole() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let copy = other.path().join("copy.keys.json");
    let (kept, foreign) = (store(folder.path()), store(other.path()));
    kept.create("one").unwrap();
    for name in ["another", "one"] {
        foreign.create(name).unwrap();
    }
    foreign.copy_to(&copy).unwrap();
    let before = kept.list().unwrap();
    for outcome in [kept.check_merge(&copy), kept.merge_from(&copy).map(drop)] {
        let refusal = outcome.unwrap_err().to_string();
        assert!(refusal.contains("the key one (version 1)"), "{refusal}");
    }
    assert_eq!(kept.list().unwrap(), before);
}

#[tokio::test]
async fn a_key_that_was_sealed_anew_is_still_that_of_the_backup() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let copy = other.path().join("copy.keys.json");
    let kept = store(folder.path());
    kept.create("one").unwrap();
    kept.copy_to(&copy).unwrap();
    kept.reseal(false).unwrap();
    assert_eq!(kept.check_merge(&copy), Ok(()));
    assert_eq!(kept.merge_from(&copy), Ok(true));
    // Without the key that sealed the backup nobody can tell.
    kept.reseal(true).unwrap();
    assert!(kept.check_merge(&copy).is_err());
}

#[tokio::test]
async fn a_version_that_does_not_open_costs_only_what_it_wrapped() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let copy = other.path().join("copy.keys.json");
    let kept = store(folder.path());
    kept.create("one").unwrap();
    let foreign = store(other.path());
    for name in ["one", "two"] {
        foreign.create(name).unwrap();
    }
    foreign.rotate("one").unwrap();
    foreign.copy_to(&copy).unwrap();
    // As when a backup was sealed by a master key that is not here.
    let mut text: serde_json::Value = serde_json::from_slice(&std::fs::read(&copy).unwrap()).unwrap();
    text["keys"]["one"]["versions"].as_object_mut().unwrap().remove("1");
    std::fs::write(&copy, text.to_string()).unwrap();
    let keys = EmbeddedKeys::new(store(folder.path()), false);
    let (key, first) = wrapped(&keys, "one").await;
    assert_eq!(kept.merge_from(&copy), Ok(true));
    let keys = EmbeddedKeys::new(store(folder.path()), true);
    assert_eq!(shown(&keys.unwrap("one", &first, "context").await.unwrap()), shown(&key));
    // What opens goes on to wrap.
    assert!(keys.wrap("one", &key, "context").await.is_ok());
    assert!(matches!(keys.wrap("two", &key, "context").await, Err(KeyError::Unreadable(_))));
    assert!(keys.wrap("three", &key, "context").await.is_ok());
    let told: Vec<String> = kept.unreadable().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("one (version 2") && told[1].contains("two (version 1"), "{told:?}");
}

#[tokio::test]
async fn a_name_that_no_key_has_is_not_looked_for_in_a_file_that_stayed() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).create("one").unwrap();
    let keys = EmbeddedKeys::new(store(folder.path()), false);
    let first = keys.keys_with("absent").await.unwrap();
    assert!(Arc::ptr_eq(&first, &keys.keys_with("absent").await.unwrap()));
    store(folder.path()).create("absent").unwrap();
    assert!(keys.keys_with("absent").await.unwrap().has("absent"));
}

#[tokio::test]
async fn a_version_opens_as_soon_as_its_master_key_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let keys = EmbeddedKeys::new(store(folder.path()), false);
    let (key, wrapped) = wrapped(&keys, "aws/s3").await;
    let (master, kept, other) =
        (folder.path().join("master.key"), folder.path().join("kept"), folder.path().join("other"));
    let foreign = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]);
    std::fs::write(&other, foreign).unwrap();
    std::fs::rename(&master, &kept).unwrap();
    std::fs::rename(&other, &master).unwrap();
    let keys = EmbeddedKeys::new(store(folder.path()), false);
    assert!(matches!(keys.unwrap("aws/s3", &wrapped, "context").await, Err(KeyError::Unreadable(_))));
    std::fs::rename(&kept, &master).unwrap();
    assert_eq!(shown(&keys.unwrap("aws/s3", &wrapped, "context").await.unwrap()), shown(&key));
}
