//! What a plugin says of itself and answers, as JSON instead of the component model's bytes.

use crate::backend::optional::page;
use crate::bindings::base::exports::sallyport::plugin::storage as wit;
use crate::bindings::base::sallyport::plugin::types;
use crate::bindings::listing::exports::sallyport::plugin::listing;
use crate::convert;
use crate::description::Description;
use crate::details::Details;
use crate::log::printable;
use sallyport_core::backend::BackendError;
use serde_json::Value;

/// Takes an object in which each member stands for one thing that is said.
pub fn answers(input: &[u8]) {
    let Ok(said) = serde_json::from_slice::<Value>(input) else { return };
    if let Some(description) = description(&said) {
        details(&said, &description);
    }
    failures(&said);
    shown(&said);
    names(&said);
    listings(&said);
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn optional(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn pairs(value: &Value, name: &str) -> Vec<(String, String)> {
    let fields = value.get(name).and_then(Value::as_object).into_iter().flatten();
    fields.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// Bytes as a list of numbers or as a text.
fn bytes(value: Option<&Value>) -> Vec<u8> {
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_u64).map(|byte| byte as u8).collect(),
        Some(Value::String(text)) => text.clone().into_bytes(),
        _ => Vec::new(),
    }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// What is taken of a description is short, and says each thing once.
fn description(said: &Value) -> Option<Description> {
    let field = |field: &Value| wit::Field {
        path: text(field, "path"),
        kind: text(field, "kind"),
        required: field.get("required").is_some_and(|required| *required == Value::Bool(true)),
        default: optional(field, "default"),
        role: text(field, "role"),
        environment: optional(field, "environment"),
        profile: field.get("profile").map(|profile| wit::Profile {
            file: text(profile, "file"),
            file_environment: optional(profile, "file_environment"),
            keys: pairs(profile, "keys"),
        }),
        help: text(field, "help"),
        attributes: pairs(field, "attributes"),
    };
    let limit = |at: usize| list(said, "limits").get(at).and_then(Value::as_u64).unwrap_or_default();
    let description = wit::Description {
        name: text(said, "name"),
        version: text(said, "version"),
        limits: wit::Limits {
            max_put: limit(0),
            min_part: limit(1),
            max_part: limit(2),
            max_parts: limit(3) as u32,
            max_metadata: limit(4) as u32,
        },
        fields: list(said, "fields").iter().map(field).collect(),
        keeps_overwritten: false,
        attributes: pairs(said, "attributes"),
    };
    let description = match Description::from_wit(description, Vec::new(), false, String::new()) {
        Ok(description) => description,
        Err(why) => {
            assert!(why.len() < 1024 && !why.contains('\n'), "{why:?}");
            return None;
        }
    };
    assert!(description.limits.max_parts <= 100_000, "the host lists its parts");
    assert!(!description.version.contains(char::is_control));
    let mut paths: Vec<&str> = description.fields.iter().map(|field| field.path.as_str()).collect();
    paths.sort_unstable();
    assert!(paths.is_sorted_by(|one, next| one < next), "a path twice: {paths:?}");
    Some(description)
}

/// A plugin sees no secret, and everything else as it is.
fn details(said: &Value, description: &Description) {
    let Some(real) = said.get("details").filter(|details| details.is_object()) else { return };
    let at = |value: &Value, path: &str| {
        path.split('.').try_fold(value.clone(), |value, name| value.get(name).cloned()).unwrap_or_default()
    };
    let details = Details::take_apart(real.clone(), description);
    let shown = serde_json::from_str::<Value>(&details.shown);
    assert!(shown.is_ok(), "what is shown is JSON");
    let shown = shown.unwrap_or_default();
    let overlaps = |path: &str| {
        let below = |one: &str, other: &str| one.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'));
        description.fields.iter().any(|field| below(&field.path, path) || below(path, &field.path))
    };
    for field in &description.fields {
        let (before, after) = (at(real, &field.path), at(&shown, &field.path));
        match (field.role.as_str(), &before) {
            _ if overlaps(&field.path) => {}
            ("secret", Value::Null) => assert_eq!(before, after),
            ("secret", Value::String(secret)) if secret.is_empty() => assert_eq!(before, after),
            ("secret", Value::String(secret)) => {
                let seen = after.as_str().unwrap_or_default();
                // One that is short may be what a placeholder happens to be.
                assert!(secret.len() < 12 || !seen.contains(secret.as_str()), "{} is shown", field.path);
                assert!(details.secrets.iter().any(|(real, _)| real.reveal() == secret), "{}", field.path);
            }
            ("secret", _) => assert!(after.is_string() && after != before, "{} is shown", field.path),
            _ => assert_eq!(before, after, "{} is changed", field.path),
        }
    }
}

/// The text of an error is short, and stays on its line.
fn failures(said: &Value) {
    let Some(failure) = said.get("failure") else { return };
    let message = text(failure, "message");
    let failure = types::Failure {
        code: text(failure, "code"),
        message: message.clone(),
        retry_after: failure.get("retry_after").and_then(Value::as_u64),
        attributes: pairs(failure, "attributes"),
    };
    let failure = convert::failure(failure);
    assert!(matches!(failure, BackendError::Answered { .. }), "a no is an answer");
    if let BackendError::Answered { message: kept, retry_after, .. } = failure {
        assert!(kept.len() <= 1024 && !kept.contains(char::is_control), "{kept:?}");
        assert!(!kept.contains(['\u{2028}', '\u{202e}']), "{kept:?}");
        assert!(retry_after.is_none_or(|wait| wait.as_secs() <= 3600));
        assert_eq!(printable(&kept, 1024), kept, "kept twice");
        let plain = message.chars().all(|character| character.is_ascii_graphic());
        assert!(!plain || message.starts_with(&kept), "{message:?}");
    }
}

/// What others stored is shown as headers that a client can be sent.
fn shown(said: &Value) {
    let (_, object) = convert::shown(pairs(said, "shown"));
    let all = || object.content.iter().chain(&object.metadata).chain(&object.tags);
    assert!(all().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= 16 << 10);
    assert!(object.tags.len() <= 50 && !all().any(|(_, value)| value.contains(char::is_control)));
    assert!(object.metadata.iter().all(|(name, _)| !name.is_empty() && *name == name.to_ascii_lowercase()));
}

/// Locators, tokens and digests have their lengths, or are no answer.
fn names(said: &Value) {
    if let Some(value) = said.get("locator") {
        let locator = bytes(Some(value));
        let fits = (1..=4096).contains(&locator.len());
        assert_eq!(convert::locator(locator.clone()).ok().map(|kept| kept.0), fits.then(|| locator.clone()));
        assert_eq!(convert::token(locator.clone()).ok().map(|kept| kept.0), fits.then_some(locator));
    }
    let checksum = |checksum: &Value| types::Checksum {
        algorithm: text(checksum, "algorithm"),
        value: bytes(checksum.get("value")),
    };
    let checksums: Vec<types::Checksum> = list(said, "checksums").iter().map(checksum).collect();
    if let Ok(digests) = convert::digests(checksums) {
        assert!(digests.len() <= 16);
        for digest in digests {
            let expected = match digest.algorithm.as_str() {
                "md5" => 16,
                "sha1" => 20,
                "sha256" => 32,
                "crc64nvme" => 8,
                _ => 4,
            };
            assert_eq!(digest.value.len(), expected, "{}", digest.algorithm);
        }
    }
}

/// A page has what was asked for at most, and the next one is another.
fn listings(said: &Value) {
    if said.get("entries").is_none() {
        return;
    }
    let entry = |entry: &Value| listing::Entry {
        name: text(entry, "name"),
        locator: bytes(entry.get("locator")),
        size: entry.get("size").and_then(Value::as_u64).unwrap_or_default(),
        last_modified: entry.get("last_modified").and_then(Value::as_u64),
        write_id: optional(entry, "write_id"),
        attributes: Vec::new(),
    };
    let (asked, cursor) = (optional(said, "asked"), optional(said, "cursor"));
    let answer = listing::ListResponse {
        entries: list(said, "entries").iter().map(entry).collect(),
        cursor: cursor.clone(),
        attributes: Vec::new(),
    };
    let Ok(page) = page(answer, 4, asked.as_deref()) else { return };
    assert!(page.entries.len() <= 4);
    assert!(page.cursor.is_none() || page.cursor != asked, "it goes on for ever");
    for entry in page.entries {
        assert!(!entry.name.contains('\0') && (1..=4096).contains(&entry.locator.0.len()));
        assert!(entry.write_id.is_none_or(|id| id.as_str().len() == 32));
    }
}
