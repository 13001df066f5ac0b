//! Reads policies, as strictly as S3 does.

use super::condition::Condition;
use super::json::Strict;
use super::pattern::{Glob, Template};
use super::principal::Principals;
use super::{LARGEST, MalformedPolicy, Set, Statement};
use serde_json::{Map, Value};

const VERSIONS: [&str; 2] = ["2012-10-17", "2008-10-17"];

pub(super) fn statements(text: &str) -> Result<Vec<Statement>, MalformedPolicy> {
    if text.len() > LARGEST {
        return refuse("Policies must not be larger than 20 KB");
    }
    let Ok(Strict(Value::Object(root))) = serde_json::from_str::<Strict>(text) else {
        return refuse("Policies must be valid JSON and the first byte must be '{'");
    };
    only(&root, &["Version", "Id", "Statement"])?;
    let version = match root.get("Version") {
        None => "2008-10-17",
        Some(Value::String(version)) if VERSIONS.contains(&version.as_str()) => version,
        Some(_) => return refuse("The policy must contain a valid version string"),
    };
    if root.get("Id").is_some_and(|id| !id.is_string()) {
        return refuse("The Id of a policy is a string");
    }
    let variables = version == "2012-10-17";
    let list = match root.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => return refuse("Missing required field Statement"),
    };
    if list.is_empty() {
        return refuse("Could not parse the policy: Statement is empty!");
    }
    list.into_iter().map(|one| statement(one, variables)).collect()
}

fn statement(value: &Value, variables: bool) -> Result<Statement, MalformedPolicy> {
    let Value::Object(fields) = value else { return refuse("A Statement is an object") };
    only(
        fields,
        &["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"],
    )?;
    if fields.get("Sid").is_some_and(|sid| !sid.is_string()) {
        return refuse("The Sid of a statement is a string");
    }
    let allows = match fields.get("Effect").and_then(Value::as_str) {
        Some("Allow") => true,
        Some("Deny") => false,
        Some(other) => return refuse(format!("Invalid effect: {other}")),
        None => return refuse("Missing required field Effect"),
    };
    let (principals, is_negated) = either(fields, "Principal", "NotPrincipal")?;
    if allows && is_negated {
        return refuse("Allow with NotPrincipal is not allowed");
    }
    let principals = Principals::parse(principals, is_negated)?;
    let (actions, is_negated) = either(fields, "Action", "NotAction")?;
    let actions = Set { is_negated, members: members(actions, "Policy has invalid action", action)? };
    let (resources, is_negated) = either(fields, "Resource", "NotResource")?;
    let resource = |text: &str| resource(text, variables);
    let resources = Set { is_negated, members: members(resources, "Policy has invalid resource", resource)? };
    let conditions = conditions(fields.get("Condition"), variables)?;
    Ok(Statement { allows, principals, actions, resources, conditions })
}

/// One of two fields that exclude each other; whether it is the second.
fn either<'a>(
    fields: &'a Map<String, Value>,
    plain: &str,
    negated: &str,
) -> Result<(&'a Value, bool), MalformedPolicy> {
    match (fields.get(plain), fields.get(negated)) {
        (Some(value), None) => Ok((value, false)),
        (None, Some(value)) => Ok((value, true)),
        (None, None) => refuse(format!("Missing required field {plain}")),
        (Some(_), Some(_)) => refuse(format!("{plain} and {negated} exclude each other")),
    }
}

fn members<T>(value: &Value, invalid: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, MalformedPolicy> {
    let refused = || MalformedPolicy(invalid.to_owned());
    let texts = texts(value).filter(|texts| !texts.is_empty()).ok_or_else(refused)?;
    texts.into_iter().map(|text| parse(text).ok_or_else(refused)).collect()
}

/// Actions are compared without regard to case.
fn action(text: &str) -> Option<Glob> {
    let folded = text.to_ascii_lowercase();
    (folded == "*" || folded.strip_prefix("s3:").is_some_and(|name| !name.is_empty())).then(|| Glob::parse(&folded))
}

fn resource(text: &str, variables: bool) -> Option<Template> {
    let is_s3 = text == "*" || text.split(':').nth(2) == Some("s3") && text.starts_with("arn:");
    is_s3.then(|| Template::parse(text, variables))
}

fn conditions(value: Option<&Value>, variables: bool) -> Result<Vec<Condition>, MalformedPolicy> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let Value::Object(operators) = value else { return refuse("A Condition is an object") };
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let Value::Object(keys) = keys else { return refuse(format!("The condition {operator} is an object")) };
        for (key, values) in keys {
            let Some(values) = scalars(values) else {
                return refuse(format!("The values of {key} are strings"));
            };
            let values = values.iter().map(|text| Template::parse(text, variables)).collect();
            conditions.push(Condition::parse(operator, key, values)?);
        }
    }
    Ok(conditions)
}

/// A string, or a list of strings.
pub(super) fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(list) => list.iter().map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// Conditions take numbers and truth values too.
fn scalars(value: &Value) -> Option<Vec<String>> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Value::Array(list) => list.iter().map(one).collect(),
        other => one(other).map(|text| vec![text]),
    }
}

fn only(fields: &Map<String, Value>, known: &[&str]) -> Result<(), MalformedPolicy> {
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => refuse(format!("Unknown field {unknown}")),
        None => Ok(()),
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, MalformedPolicy> {
    Err(MalformedPolicy(why.into()))
}
