//! Resolves a location's `details` by what its plugin says of its fields.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::environment::Environment;
use super::problem::{Problem, Severity};
use super::profiles::{self, ProfileFile};

/// A field that `details` may have; mirrors the contract's `field`.
#[derive(Clone, Debug)]
pub struct FieldSpec {
    /// Its path with dots.
    pub path: String,
    /// `string`, `boolean`, `number` or `object`.
    pub kind: String,
    /// Whether the location cannot do without.
    pub required: bool,
    /// The value when absent.
    pub default: Option<Value>,
    /// `plain`, `secret`, `endpoint`, `path` or `profile`.
    pub role: String,
    /// The variable `<location>_<suffix>` overrides it.
    pub environment: Option<String>,
    /// For the role `profile`.
    pub profile: Option<ProfileSpec>,
}

/// How a profile's name becomes other fields; mirrors the contract's `profile`.
#[derive(Clone, Debug)]
pub struct ProfileSpec {
    /// The credentials file, with `~` for the home folder.
    pub file: String,
    /// The variable that names another file.
    pub file_environment: Option<String>,
    /// (key in the section, path of the field that it becomes).
    pub keys: Vec<(String, String)>,
}

/// Which locations each underscore spelling of a variable could mean.
#[derive(Clone, Debug, Default)]
pub struct VariableOwners(BTreeMap<String, BTreeSet<String>>);

impl VariableOwners {
    /// Takes in a location with its plugin's fields.
    pub fn add(&mut self, location: &str, fields: &[FieldSpec]) {
        for suffix in fields.iter().filter_map(|field| field.environment.as_deref()) {
            let owners = self.0.entry(underscored(location, suffix)).or_default();
            owners.insert(location.to_owned());
        }
    }

    fn of(&self, variable: &str) -> impl Iterator<Item = &str> {
        self.0.get(variable).into_iter().flatten().map(String::as_str)
    }
}

/// What there is to resolve.
#[derive(Clone, Copy)]
pub struct Unresolved<'a> {
    /// The file that the details stand in, for reports.
    pub file: &'a str,
    /// The location's name.
    pub location: &'a str,
    /// As the file gives them.
    pub details: &'a Map<String, Value>,
    /// The plugin's description of them.
    pub fields: &'a [FieldSpec],
}

/// Details with everything filled in; `Debug` shows no value of a secret field.
#[derive(Clone, PartialEq)]
pub struct Details {
    values: Map<String, Value>,
    secrets: BTreeSet<String>,
}

impl Details {
    /// The value at a path, secrets included.
    pub fn value(&self, path: &str) -> Option<&Value> {
        look_up(&self.values, path)
    }

    /// The paths of the secrets that have a value.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(String::as_str).filter(|path| self.value(path).is_some())
    }

    /// The whole, secrets included: for who opens the location.
    pub fn with_secrets(&self) -> Map<String, Value> {
        self.values.clone()
    }

    /// The whole with each secret replaced by what `placeholder` gives for its path.
    pub fn with_placeholders(&self, mut placeholder: impl FnMut(&str) -> Value) -> Map<String, Value> {
        let mut values = self.values.clone();
        for path in self.secrets() {
            set(&mut values, path, placeholder(path));
        }
        values
    }
}

impl fmt::Debug for Details {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.with_placeholders(|_| "[secret]".into());
        out.debug_tuple("Details").field(&shown).finish()
    }
}

/// Details, what is wrong with them, and what they were read from.
#[derive(Clone, Debug)]
pub struct ResolvedDetails {
    /// The details.
    pub details: Details,
    /// What keeps the location from being opened.
    pub problems: Vec<Problem>,
    /// What does not.
    pub warnings: Vec<Problem>,
    /// Credentials files that took part.
    pub files: Vec<ProfileFile>,
    /// By the paths of fields that a profile was to fill in: what to tell when one of them is
    /// missed, since nothing that is written there would help.
    pub lacking: BTreeMap<String, Problem>,
}

/// Applies variables, then profiles, then defaults, and checks what comes out.
pub fn resolve(unresolved: Unresolved<'_>, owners: &VariableOwners, environment: &dyn Environment) -> ResolvedDetails {
    let mut resolver = Resolver {
        unresolved,
        values: unresolved.details.clone(),
        found: Vec::new(),
        files: Vec::new(),
        lacking: BTreeMap::new(),
    };
    resolver.report_unknown();
    resolver.apply_variables(owners, environment);
    resolver.apply_profiles(environment);
    resolver.apply_defaults();
    resolver.check();
    resolver.finish()
}

struct Resolver<'a> {
    unresolved: Unresolved<'a>,
    values: Map<String, Value>,
    found: Vec<Problem>,
    files: Vec<ProfileFile>,
    lacking: BTreeMap<String, Problem>,
}

impl<'a> Resolver<'a> {
    fn problem(&mut self, field: &str, what: impl Into<String>, fix: impl Into<String>) {
        let Unresolved { file, location, .. } = self.unresolved;
        self.found.push(Problem::location(file, location, what, fix).at(field));
    }

    /// Reports a profile of which nothing can be taken.
    fn empty_handed(&mut self, field: &str, spec: &ProfileSpec, what: String, fix: String) {
        let Unresolved { file, location, .. } = self.unresolved;
        let problem = Problem::location(file, location, what, fix).at(field);
        self.lacking.extend(spec.keys.iter().map(|(_, target)| (target.clone(), problem.clone())));
        self.found.push(problem);
    }

    fn warning(&mut self, field: &str, what: impl Into<String>, fix: impl Into<String>) {
        let Unresolved { file, location, .. } = self.unresolved;
        self.found.push(Problem::warning(file, what, fix).of(location).at(field));
    }

    /// A field is known by its path, and so is what lies below or above one.
    fn report_unknown(&mut self) {
        let mut paths = Vec::new();
        collect_paths(self.unresolved.details, "", &mut paths);
        for path in paths {
            let known = self
                .unresolved
                .fields
                .iter()
                .any(|field| path == field.path || is_below(&path, &field.path) || is_below(&field.path, &path));
            if !known {
                let fix = "correct its spelling, or remove it";
                self.warning(&path, "is not known to this type of location", fix);
            }
        }
    }

    fn apply_variables(&mut self, owners: &VariableOwners, environment: &dyn Environment) {
        for field in self.unresolved.fields {
            let Some(suffix) = &field.environment else { continue };
            let location = self.unresolved.location;
            let documented = format!("{location}_{suffix}");
            let spelling = underscored(location, suffix);
            let shared: Vec<&str> = owners.of(&spelling).filter(|name| *name != location).collect();
            let mut names = vec![documented.as_str()];
            if !shared.is_empty() && environment.variable(&spelling).is_some() {
                let what = format!("{spelling} could also mean {}: not used", shared.join(", "));
                let fix = "set the variable under a name with '-' through env or docker -e, or \
                           rename one of the locations";
                self.problem(&field.path, what, fix);
                names.retain(|name| *name != spelling);
            } else if spelling != documented {
                names.push(&spelling);
            }
            let mut values = names.into_iter().filter_map(|name| environment.variable(name));
            if let Some(text) = values.next() {
                if values.any(|other| other != text) {
                    let what = format!("{documented} and {spelling} differ: the former is used");
                    self.warning(&field.path, what, "set only one of them");
                }
                set(&mut self.values, &field.path, typed(&field.kind, text));
            }
        }
    }

    fn apply_profiles(&mut self, environment: &dyn Environment) {
        for field in self.unresolved.fields {
            let Some(spec) = &field.profile else { continue };
            let Some(profile) = look_up(&self.values, &field.path).and_then(Value::as_str) else {
                continue;
            };
            if profile.is_empty() {
                continue;
            }
            let profile = profile.to_owned();
            self.apply_profile(&field.path, &profile, spec, environment);
        }
    }

    /// The profile replaces all of its fields, so that halves of two key pairs never meet.
    fn apply_profile(&mut self, field: &str, profile: &str, spec: &'a ProfileSpec, environment: &dyn Environment) {
        let mut beside = Vec::new();
        for (_, target) in &spec.keys {
            if remove(&mut self.values, target).is_some() {
                beside.push(target.as_str());
            }
        }
        if !beside.is_empty() {
            let what = format!("profile {profile} wins over {}", beside.join(", "));
            self.warning(field, what, "keep only one of the two");
        }
        let (path, shown) = profile_path(spec, environment);
        let (file, sections) = profiles::read(&path);
        self.files.push(file);
        let sections = match sections {
            Ok(sections) => sections,
            Err(error) => {
                let what = format!("profile {profile}: {shown} cannot be read: {error}");
                let fix = format!("write {shown} with a section [{profile}]");
                return self.empty_handed(field, spec, what, fix);
            }
        };
        let Some(section) = sections.get(profile) else {
            let what = format!("{shown} has no profile {profile}");
            return self.empty_handed(field, spec, what, format!("add a section [{profile}] to {shown}"));
        };
        let mut applied = 0_usize;
        for (key, target) in &spec.keys {
            if let Some(value) = section.get(&key.to_ascii_lowercase()).filter(|it| !it.is_empty()) {
                set(&mut self.values, target, value.clone().into());
                applied += 1;
                continue;
            }
            let Unresolved { file, location, fields, .. } = self.unresolved;
            let what = format!("profile {profile} of {shown} lacks {key}");
            let fix = format!("add {key} = … to section [{profile}]");
            let problem = Problem::location(file, location, what, fix).at(field);
            if fields.iter().any(|it| it.path == *target && it.required) {
                self.found.push(problem.clone());
            }
            self.lacking.insert(target.clone(), problem);
        }
        if applied == 0 {
            let keys: Vec<&str> = spec.keys.iter().map(|(key, _)| key.as_str()).collect();
            let what = format!("profile {profile} of {shown} is empty");
            self.empty_handed(field, spec, what, format!("add {} to it", keys.join(", ")));
        }
    }

    fn apply_defaults(&mut self) {
        for field in self.unresolved.fields {
            let Some(default) = &field.default else { continue };
            if look_up(&self.values, &field.path).is_none_or(Value::is_null) {
                set(&mut self.values, &field.path, default.clone());
            }
        }
    }

    fn check(&mut self) {
        for field in self.unresolved.fields {
            let value = look_up(&self.values, &field.path).filter(|value| !value.is_null());
            let Some(value) = value else {
                if field.required {
                    let fix = match &field.environment {
                        Some(suffix) => format!("write it, or set {}", underscored(self.unresolved.location, suffix)),
                        None => "write it".to_owned(),
                    };
                    self.problem(&field.path, "is missing", fix);
                }
                continue;
            };
            let empty = value.as_str() == Some("");
            if !is_of_kind(value, &field.kind) {
                let what = format!("is not of type {}", field.kind);
                let fix = format!("write a value of type {}", field.kind);
                self.problem(&field.path, what, fix);
            } else if empty && field.required {
                self.problem(&field.path, "is empty", "write a value");
            }
        }
    }

    fn finish(self) -> ResolvedDetails {
        let secret = |field: &&FieldSpec| field.role == "secret";
        let secrets = self.unresolved.fields.iter().filter(secret);
        let (warnings, problems) = self.found.into_iter().partition(|problem| problem.severity == Severity::Warning);
        ResolvedDetails {
            details: Details { values: self.values, secrets: secrets.map(|field| field.path.clone()).collect() },
            problems,
            warnings,
            files: self.files,
            lacking: self.lacking,
        }
    }
}

fn underscored(location: &str, suffix: &str) -> String {
    format!("{}_{suffix}", location.replace('-', "_"))
}

/// The credentials file, and what reports call it: never by the value of the plugin's variable.
fn profile_path(spec: &ProfileSpec, environment: &dyn Environment) -> (PathBuf, String) {
    let named = spec.file_environment.as_deref().and_then(|name| Some((name, environment.variable(name)?)));
    let (path, called) = match named {
        Some((name, path)) => (path, Some(format!("the file that {name} names"))),
        None => (spec.file.clone(), None),
    };
    let path = match (path.strip_prefix("~/"), environment.variable("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        (Some(_), None) | (None, _) => PathBuf::from(path),
    };
    let called = called.unwrap_or_else(|| path.display().to_string());
    (path, called)
}

/// A variable's text as the field's kind; what does not fit stays text, for `check` to report.
fn typed(kind: &str, text: String) -> Value {
    match kind {
        "string" => Value::String(text),
        _ => serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}

fn is_of_kind(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

fn collect_paths(map: &Map<String, Value>, prefix: &str, paths: &mut Vec<String>) {
    for (key, value) in map {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value.as_object() {
            Some(map) if !map.is_empty() => collect_paths(map, &path, paths),
            Some(_) | None => paths.push(path),
        }
    }
}

fn look_up<'a>(map: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => map.get(path),
        Some((head, rest)) => look_up(map.get(head)?.as_object()?, rest),
    }
}

fn remove(map: &mut Map<String, Value>, path: &str) -> Option<Value> {
    match path.split_once('.') {
        None => map.remove(path),
        Some((head, rest)) => remove(map.get_mut(head)?.as_object_mut()?, rest),
    }
}

/// Sets a value, making the objects on its way; what is in the way and no object stays.
fn set(map: &mut Map<String, Value>, path: &str, value: Value) {
    let Some((head, rest)) = path.split_once('.') else {
        map.insert(path.to_owned(), value);
        return;
    };
    let child = map.entry(head).or_insert_with(|| Value::Object(Map::new()));
    if let Some(child) = child.as_object_mut() {
        set(child, rest, value);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests prepare their files")]
mod tests;
