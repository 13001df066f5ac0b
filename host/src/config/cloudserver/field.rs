//! Takes typed fields out of a JSON object, noting each that has another type.

use serde_json::{Map, Value};

use crate::config::problem::Problem;

/// An object whose keys are taken one after the other; what is left was not known.
pub(super) struct Fields<'a> {
    file: &'a str,
    prefix: String,
    map: Map<String, Value>,
    /// Mistakes found so far, as warnings until the reader decides otherwise.
    pub(super) problems: Vec<Problem>,
}

impl<'a> Fields<'a> {
    /// Reads `map`, whose own path is `prefix` (empty at the top).
    pub(super) fn new(file: &'a str, prefix: &str, map: Map<String, Value>) -> Self {
        Self { file, prefix: prefix.to_owned(), map, problems: Vec::new() }
    }

    /// The path of a key, for reports.
    pub(super) fn path(&self, key: &str) -> String {
        match self.prefix.as_str() {
            "" => key.to_owned(),
            prefix => format!("{prefix}.{key}"),
        }
    }

    /// Any value but null.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.remove(key).filter(|value| !value.is_null())
    }

    /// A text.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            other => self.mistyped(key, "a text in quotes", &other),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        match self.take(key)? {
            Value::Bool(value) => Some(value),
            other => self.mistyped(key, "true or false, without quotes", &other),
        }
    }

    /// A number.
    pub(super) fn number(&mut self, key: &str) -> Option<f64> {
        match self.take(key)? {
            Value::Number(value) => value.as_f64(),
            other => self.mistyped(key, "a number, without quotes", &other),
        }
    }

    /// A TCP port, 0 for a free one.
    pub(super) fn port(&mut self, key: &str) -> Option<u16> {
        let value = self.take(key)?;
        match value.as_u64().and_then(|port| u16::try_from(port).ok()) {
            Some(port) => Some(port),
            None => self.mistaken(key, "is no port", "a number between 0 and 65535"),
        }
    }

    /// An object.
    pub(super) fn object(&mut self, key: &str) -> Option<Map<String, Value>> {
        match self.take(key)? {
            Value::Object(map) => Some(map),
            other => self.mistyped(key, "an object: { … }", &other),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.take(key)?;
        let texts =
            value.as_array().and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
        match texts {
            Some(texts) => Some(texts),
            None => self.mistyped(key, "a list of texts: [\"…\"]", &value),
        }
    }

    /// Notes a value of the right type that is wrong all the same. `key` may be a path below this.
    pub(super) fn refuse(&mut self, key: &str, what: &str, expected: &str) {
        let _: Option<()> = self.mistaken(key, what, expected);
    }

    /// What is wrong with something that has the right type.
    pub(super) fn mistake(&self, what: &str, fix: &str) -> Problem {
        Problem::warning(self.file, what, fix)
    }

    /// The keys that nobody took.
    pub(super) fn rest(&self) -> Vec<String> {
        self.map.keys().map(|key| self.path(key)).collect()
    }

    /// The value is not repeated: in a wrong place it may well be a secret.
    fn mistyped<T>(&mut self, key: &str, expected: &str, value: &Value) -> Option<T> {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.mistaken(key, &format!("is {kind}"), expected)
    }

    fn mistaken<T>(&mut self, key: &str, what: &str, expected: &str) -> Option<T> {
        let problem = Problem::warning(self.file, what, format!("write {expected}")).at(self.path(key));
        self.problems.push(problem);
        None
    }
}
