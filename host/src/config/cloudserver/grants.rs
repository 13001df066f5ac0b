//! Reads the `grants` of a location.

use std::path::PathBuf;

use sallyport_plugin::LocationGrants;
use serde_json::Value;

use super::field::Fields;
use crate::config::problem::{Problem, Severity};

/// An object, or a list of hosts alone. Every mistake stops the location: one in what holds its
/// requests back would let them go further than the operator wrote.
pub(super) fn read(file: &str, location: &str, value: Option<Value>, found: &mut Vec<Problem>) -> LocationGrants {
    let map = match value {
        None => return LocationGrants::default(),
        Some(Value::Object(map)) => map,
        Some(list @ Value::Array(_)) => [("egress".to_owned(), list)].into_iter().collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            let fix = "write { \"egress\": [\"https://host:443\"] }";
            found.push(Problem::location(file, location, "is not an object", fix).at("grants"));
            return LocationGrants::default();
        }
    };
    let mut fields = Fields::new(file, "grants", map);
    let folders = fields.texts("folders");
    let grants = LocationGrants {
        egress: fields.texts("egress").unwrap_or_default(),
        folders: folders.map(|folders| folders.into_iter().map(PathBuf::from).collect()),
        reveal: fields.texts("reveal").unwrap_or_default(),
        methods: fields.texts("methods"),
        paths: fields.texts("paths"),
        copy_sources: fields.texts("copySources"),
    };
    let stops = |problem: Problem| Problem { severity: Severity::Location, ..problem }.of(location);
    found.extend(fields.problems.iter().cloned().map(stops));
    let fix = "write egress, folders, reveal, methods, paths or copySources";
    let unknown = fields.rest().into_iter();
    found.extend(unknown.map(|key| Problem::location(file, location, "is no grant", fix).at(key)));
    grants
}
