//! Reads the locations of `locationConfig.json`.

use std::collections::BTreeMap;

use sallyport_plugin::Trust;
use serde_json::{Map, Value};

use super::field::Fields;
use super::{trust, watch};
use crate::config::configuration::LocationConfiguration;
use crate::config::problem::{Problem, Problems, Severity};

/// The type of a folder on this machine.
const LOCAL: &str = "local";
/// Types of CloudServer's whose bytes lie in its own daemons: served from a folder here.
const REPLACED: [&str; 3] = ["file", "mem", "scality"];
/// Where a bucket goes that names no location through a host that lists none.
pub(super) const FALLBACK: &str = "us-east-1";

/// Reads every location. With `all_local` (S3DATA=file or mem) each is a folder here.
pub(super) fn read(
    file: &str,
    map: Map<String, Value>,
    all_local: bool,
    problems: &mut Problems,
) -> Vec<LocationConfiguration> {
    let mut replaced: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut locations = Vec::new();
    for (name, entry) in map {
        let (mut location, found) = read_location(file, &name, entry);
        let fault = found.iter().find(|problem| problem.severity == Severity::Location);
        location.fault = fault.map(|problem| match &problem.field {
            Some(field) => format!("{field}: {}", problem.what),
            None => problem.what.clone(),
        });
        problems.extend(found);
        let elsewhere = REPLACED.contains(&location.kind.as_str());
        if elsewhere || (all_local && location.kind != LOCAL) {
            replaced.entry(location.kind).or_default().push(name);
            location.kind = LOCAL.to_owned();
            location.details.retain(|field, _| elsewhere && field == "path");
        }
        locations.push(location);
    }
    problems.extend(replaced.into_iter().map(|(kind, names)| report_replaced(file, &kind, &names)));
    if !locations.iter().any(|location| location.name == FALLBACK) {
        let fix = "add it: buckets go there that name no location through a host without one";
        problems.push(Problem::fatal(file, "is missing", fix).of(FALLBACK));
    }
    report_shared_ids(file, &locations, problems);
    locations
}

fn read_location(file: &str, name: &str, entry: Value) -> (LocationConfiguration, Vec<Problem>) {
    let mut found = Vec::new();
    let stopped = |what: &str, fix: &str| Problem::location(file, name, what, fix);
    if !is_name(name) {
        found.push(stopped("no bucket can name it", "take 1 to 255 characters without / \\ :"));
    }
    let map = match entry {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            found.push(stopped("is not an object", "write { \"type\": …, \"details\": { } }"));
            return (empty(name), found);
        }
    };
    let mut fields = Fields::new(file, "", map);
    let mut location = LocationConfiguration {
        name: name.to_owned(),
        kind: fields.text("type").unwrap_or_default(),
        object_id: fields.text("objectId"),
        legacy_aws_behavior: fields.boolean("legacyAwsBehavior").unwrap_or(false),
        details: fields.object("details").unwrap_or_default(),
        is_transient: fields.boolean("isTransient").unwrap_or(false),
        is_cold: fields.boolean("isCold").unwrap_or(false),
        size_limit_gb: fields.number("sizeLimitGB"),
        adopt_existing: fields.boolean("adoptExisting").unwrap_or(false),
        grants: fields.texts("grants").unwrap_or_default(),
        watch: Vec::new(),
        trust: Trust::default(),
        fault: None,
    };
    location.watch = watch::read(file, &mut fields);
    if let Some(map) = fields.object("plugin") {
        let mut plugin = Fields::new(file, "plugin", map);
        location.trust = trust::read(&mut plugin);
        found.extend(trust::problems(plugin).into_iter().map(|problem| problem.of(name)));
    }
    found.extend(
        fields.problems.iter().cloned().map(|problem| Problem { severity: Severity::Location, ..problem }.of(name)),
    );
    let mistyped = |field: &str| fields.problems.iter().any(|it| it.field.as_deref() == Some(field));
    if !is_type(&location.kind) && !mistyped("type") {
        let fix = "write the name of a plugin, such as the file <type>.wasm has";
        found.push(stopped("is missing or no plugin's name", fix).at("type"));
        // It never becomes a file's name.
        location.kind.clear();
    }
    if location.size_limit_gb.is_some_and(|limit| limit < 0.0) {
        found.push(stopped("is negative", "write a size, or leave it out").at("sizeLimitGB"));
    }
    found.extend(fields.rest().into_iter().map(|key| {
        Problem::warning(file, "is not known and has no effect", "remove it, or move it into details").of(name).at(key)
    }));
    (location, found)
}

fn empty(name: &str) -> LocationConfiguration {
    LocationConfiguration {
        name: name.to_owned(),
        kind: String::new(),
        object_id: None,
        legacy_aws_behavior: false,
        details: Map::new(),
        is_transient: false,
        is_cold: false,
        size_limit_gb: None,
        adopt_existing: false,
        grants: Vec::new(),
        watch: Vec::new(),
        trust: Trust::default(),
        fault: None,
    }
}

/// A folder below the data folder is named after it, and a bucket names it up to a colon.
fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && name != "."
        && name != ".."
        && !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | ':'))
}

/// The type becomes a file's name.
fn is_type(kind: &str) -> bool {
    !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn report_replaced(file: &str, kind: &str, names: &[String]) -> Problem {
    let what = format!(
        "{kind} is served from a folder of this machine; CloudServer's own bytes are not taken \
         over: {}",
        names.join(", ")
    );
    Problem::warning(file, what, format!("write \"type\": \"{LOCAL}\"")).at("type")
}

/// Buckets remember the objectId: shared by two, it would send them to the wrong one.
fn report_shared_ids(file: &str, locations: &[LocationConfiguration], problems: &mut Problems) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for location in locations {
        let Some(id) = location.object_id.as_deref() else { continue };
        if let Some(other) = owners.insert(id, &location.name) {
            let what = format!("{id} is also that of {other}");
            let fix = "give each location its own, or leave it out";
            problems.push(Problem::fatal(file, what, fix).of(&location.name).at("objectId"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_all(value: Value, all_local: bool) -> (Vec<LocationConfiguration>, Problems) {
        let mut problems = Problems::default();
        let map = value.as_object().unwrap().clone();
        (read("locations", map, all_local, &mut problems), problems)
    }

    fn with(name: &str, entry: Value) -> Value {
        let mut all = json!({ "us-east-1": { "type": "local", "details": {} } });
        all[name] = entry;
        all
    }

    #[test]
    fn a_mistake_in_one_location_stops_that_location_alone() {
        let good = json!({ "type": "x", "legacyAwsBehavior": true, "details": {} });
        let cases = [
            ("a", json!(1), None),
            ("a", json!({ "details": {} }), Some("type")),
            ("a", json!({ "type": 1 }), Some("type")),
            ("a", json!({ "type": "../x" }), Some("type")),
            ("a", json!({ "type": "x", "objectId": 1 }), Some("objectId")),
            ("a", json!({ "type": "x", "legacyAwsBehavior": "true" }), Some("legacyAwsBehavior")),
            ("a", json!({ "type": "x", "isTransient": 1 }), Some("isTransient")),
            ("a", json!({ "type": "x", "adoptExisting": "yes" }), Some("adoptExisting")),
            ("a", json!({ "type": "x", "sizeLimitGB": "1" }), Some("sizeLimitGB")),
            ("a", json!({ "type": "x", "sizeLimitGB": -1 }), Some("sizeLimitGB")),
            ("a", json!({ "type": "x", "details": [] }), Some("details")),
            ("a", json!({ "type": "x", "grants": "h" }), Some("grants")),
            ("a", json!({ "type": "x", "watch": "bucket" }), Some("watch")),
            ("a", json!({ "type": "x", "watch": [{ "bucket": "A" }] }), Some("watch[0].bucket")),
            ("a", json!({ "type": "x", "plugin": { "sha256": "5d2f" } }), Some("plugin.sha256")),
            ("a", json!({ "type": "x", "plugin": { "publicKeys": "RWQ" } }), Some("plugin.publicKeys")),
            ("a", json!({ "type": "x", "plugin": { "requireSignature": 1 } }), Some("plugin.requireSignature")),
            ("a", json!({ "type": "x", "plugin": { "sha": "5d2f" } }), Some("plugin.sha")),
            ("a/b", good.clone(), None),
            ("..", good.clone(), None),
        ];
        for (name, entry, field) in cases {
            let (locations, problems) = read_all(with(name, entry.clone()), false);
            assert!(!problems.is_fatal());
            let found: Vec<_> = problems.iter().collect();
            assert_eq!(found.len(), 1, "{entry}: {problems}");
            assert_eq!(found[0].severity, Severity::Location, "{entry}");
            assert_eq!(found[0].field.as_deref(), field, "{entry}");
            let faulty: Vec<_> = locations.iter().filter(|it| it.fault.is_some()).collect();
            assert_eq!(faulty.len(), 1);
            assert_eq!(faulty[0].name, name);
        }
        let (locations, problems) = read_all(with("a", good), false);
        assert!(problems.is_empty(), "{problems}");
        assert!(locations.iter().any(|it| it.name == "a" && it.legacy_aws_behavior));
    }

    #[test]
    fn the_types_of_cloudservers_own_daemons_are_folders_here() {
        for kind in REPLACED {
            let entry = json!({ "type": kind, "details": { "connector": {}, "path": "/p" } });
            let (locations, problems) = read_all(with("a", entry), false);
            let location = locations.iter().find(|it| it.name == "a").unwrap();
            assert_eq!(location.kind, LOCAL);
            assert_eq!(Value::from(location.details.clone()), json!({ "path": "/p" }));
            assert_eq!(problems.iter().count(), 1);
            assert!(problems.to_string().contains("warning"), "{problems}");
        }
    }

    #[test]
    fn other_types_keep_their_details_unless_all_data_is_kept_here() {
        let entry = json!({ "type": "x", "details": { "key": "hush" } });
        let (locations, problems) = read_all(with("a", entry.clone()), false);
        assert!(problems.is_empty(), "{problems}");
        assert_eq!(locations.iter().find(|it| it.name == "a").unwrap().details["key"], "hush");
        assert!(!format!("{locations:?}").contains("hush"));
        let (locations, _) = read_all(with("a", entry), true);
        let location = locations.iter().find(|it| it.name == "a").unwrap();
        assert_eq!((location.kind.as_str(), location.details.len()), (LOCAL, 0));
    }

    #[test]
    fn a_shared_object_id_and_a_missing_fallback_are_fatal() {
        let entry = json!({ "type": "x", "objectId": "1", "details": {} });
        let (_, problems) = read_all(json!({ "a": entry, "b": entry }), false);
        let fatal = problems.iter().filter(|it| it.severity == Severity::Fatal).count();
        assert_eq!(fatal, 2, "{problems}");
    }
}
