//! Reads a location's `details`, collecting every problem.

use crate::objects::{Field, Problem};
use serde_json::Value;

/// A location's `details`, with the problems found while reading them.
///
/// Reading goes on after a problem, so that an operator sees all of them at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Details {
    root: Value,
    problems: Vec<Problem>,
}

/// How `describe` tells of a field: an optional text without a default, which neither a
/// variable nor a profile may give. Anything else is said with `Field { .. ..field(..) }`.
pub fn field(path: &str, role: &str, help: &str) -> Field {
    Field {
        path: path.to_owned(),
        kind: "string".to_owned(),
        required: false,
        default: None,
        role: role.to_owned(),
        environment: None,
        profile: None,
        help: help.to_owned(),
        attributes: Vec::new(),
    }
}

impl Details {
    /// Parses the JSON; what is no object is a problem and reads as an empty one.
    pub fn parse(json: &str) -> Self {
        let mut details = Self { root: Value::Null, problems: Vec::new() };
        match serde_json::from_str(json) {
            Ok(root @ Value::Object(_)) => details.root = root,
            Ok(_) => details.problem("", "is not an object", "write `\"details\": {}`"),
            Err(error) => details.problem("", &format!("is not JSON: {error}"), "correct it"),
        }
        details
    }

    /// Notes a problem with the field at a path of names with dots in between.
    pub fn problem(&mut self, path: &str, message: &str, fix: &str) {
        self.problems.push(Problem { path: path.to_owned(), message: message.to_owned(), fix: fix.to_owned() });
    }

    /// A text, absent when the field is missing, null or empty. Any other type is a problem.
    pub fn text(&mut self, path: &str) -> Option<String> {
        match self.value(path) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => {
                self.problem(path, "is not a string", "put it in double quotes");
                None
            }
        }
    }

    /// A text that has to be there.
    pub fn required_text(&mut self, path: &str, fix: &str) -> Option<String> {
        let known = self.problems.len();
        let text = self.text(path);
        if text.is_none() && self.problems.len() == known {
            self.problem(path, "is missing", fix);
        }
        text
    }

    /// A boolean, `default` when the field is missing or null.
    pub fn boolean(&mut self, path: &str, default: bool) -> bool {
        match self.value(path) {
            None | Some(Value::Null) => default,
            Some(Value::Bool(value)) => *value,
            Some(_) => {
                let fix = "write true or false, without quotes";
                self.problem(path, "is not a boolean", fix);
                default
            }
        }
    }

    /// Whether there is anything but null at a path.
    pub fn has(&self, path: &str) -> bool {
        !matches!(self.value(path), None | Some(Value::Null))
    }

    /// The problems so far, for `validation.problems`.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    fn value(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.root, |value, name| value.get(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_found_and_not_the_first_one() {
        let mut details = Details::parse(r#"{"bucketMatch": "yes", "https": 1}"#);
        assert!(!details.boolean("bucketMatch", false));
        assert!(details.boolean("https", true));
        assert_eq!(details.required_text("bucketName", "name it"), None);
        let paths: Vec<String> = details.into_problems().into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["bucketMatch", "https", "bucketName"]);
    }

    #[test]
    fn a_required_text_of_the_wrong_type_is_one_problem() {
        let mut details = Details::parse(r#"{"bucketName": 7}"#);
        details.required_text("bucketName", "name it");
        assert_eq!(details.into_problems().len(), 1);
    }

    #[test]
    fn a_path_leads_into_objects() {
        let mut details = Details::parse(r#"{"credentials": {"accessKey": "a"}}"#);
        assert_eq!(details.text("credentials.accessKey").as_deref(), Some("a"));
        assert!(details.has("credentials"));
        assert!(!details.has("credentials.secretKey"));
    }

    #[test]
    fn what_is_no_object_is_a_problem() {
        assert_eq!(Details::parse("[]").into_problems().len(), 1);
        assert_eq!(Details::parse("{").into_problems().len(), 1);
    }
}
