//! [Policies of forms](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html):
//! what the holder of a signature may upload.

use crate::auth::parse_iso;
use crate::error::{Code, S3Error};
use crate::form::Fields;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use time::OffsetDateTime;

/// Fields that no condition has to name: the signature itself and what it covers.
const FREE: &[&str] = &["awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"];
/// Prefixes of such fields. A checksum can only have an upload refused.
const FREE_PREFIXES: &[&str] = &["x-ignore-", "x-amz-checksum-"];

/// What a form has to be like, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    expiration: OffsetDateTime,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Equals { field: String, value: String },
    StartsWith { field: String, prefix: String },
    Length { least: u64, most: u64 },
}

impl Policy {
    /// Reads a policy from its field, which is base64 of JSON.
    pub(crate) fn parse(encoded: &str) -> Result<Self, S3Error> {
        let compact: String = encoded.chars().filter(|character| !character.is_whitespace()).collect();
        let json = STANDARD.decode(compact).map_err(|_| invalid("Invalid Base64 Encoding."))?;
        let policy: Map<String, Value> = serde_json::from_slice(&json).map_err(|_| invalid("Invalid JSON."))?;
        let expiration = policy.get("expiration").ok_or_else(|| invalid("Policy missing expiration."))?;
        let text = expiration.as_str().unwrap_or_default();
        let expiration =
            parse_iso(text).ok_or_else(|| invalid(&format!("Invalid 'expiration' value: '{}'", plain(expiration))))?;
        let conditions = policy.get("conditions").ok_or_else(|| invalid("Policy missing conditions."))?;
        let conditions = conditions.as_array().ok_or_else(|| invalid("Invalid 'conditions' value: must be a List."))?;
        Ok(Self { expiration, conditions: conditions.iter().map(Condition::parse).collect::<Result<_, _>>()? })
    }

    /// Whether the form is what was signed for. `bucket` counts as a field.
    pub(crate) fn check(&self, fields: &Fields, bucket: &str, now: OffsetDateTime) -> Result<(), S3Error> {
        if now > self.expiration {
            return Err(denied("Policy expired."));
        }
        // A condition looks at one value: a second one would pass it by.
        if let Some(name) = fields.repeated() {
            return Err(denied(&format!("The field {name} is there more than once.")));
        }
        for condition in &self.conditions {
            if !condition.holds(fields, bucket) {
                return Err(denied(&format!("Policy Condition failed: {}", condition.shown())));
            }
        }
        let named = |name: &str| self.conditions.iter().any(|condition| condition.field() == Some(name));
        let is_free = |name: &str| FREE.contains(&name) || FREE_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let mut extra: Vec<&str> =
            fields.iter().map(|(name, _)| name).filter(|name| !is_free(name) && !named(name)).collect();
        if !named("bucket") && !extra.contains(&"bucket") {
            extra.push("bucket");
        }
        if extra.is_empty() { Ok(()) } else { Err(denied(&format!("Extra input fields: {}", extra.join(", ")))) }
    }

    /// The least and the most that the file may have, in bytes.
    pub(crate) fn length(&self) -> (u64, u64) {
        self.conditions.iter().fold((0, u64::MAX), |(least, most), condition| match condition {
            Condition::Length { least: more, most: less } => (least.max(*more), most.min(*less)),
            Condition::Equals { .. } | Condition::StartsWith { .. } => (least, most),
        })
    }
}

impl Condition {
    fn parse(value: &Value) -> Result<Self, S3Error> {
        if let Some(object) = value.as_object() {
            let mut properties = object.iter();
            let (Some((field, value)), None) = (properties.next(), properties.next()) else {
                let why = "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.";
                return Err(invalid(why));
            };
            let value =
                value.as_str().ok_or_else(|| invalid("Invalid Simple-Condition: value must be a string."))?.to_owned();
            return Ok(Self::Equals { field: field.to_ascii_lowercase(), value });
        }
        let Some([operation, first, second]) = value.as_array().map(Vec::as_slice) else {
            return Err(invalid("Invalid Condition: a condition is a List of three or an Object of one."));
        };
        let operation = operation.as_str().unwrap_or_default().to_ascii_lowercase();
        if operation == "content-length-range" {
            let (Some(least), Some(most)) = (length(first), length(second)) else {
                return Err(invalid("Invalid content-length-range: two numbers of bytes are expected."));
            };
            return Ok(Self::Length { least, most });
        }
        let field = first.as_str().and_then(|field| field.strip_prefix('$'));
        let (Some(field), Some(value)) = (field, second.as_str()) else {
            return Err(invalid("Invalid Condition: a $field and a string are expected."));
        };
        let field = field.to_ascii_lowercase();
        match operation.as_str() {
            "eq" => Ok(Self::Equals { field, value: value.to_owned() }),
            "starts-with" => Ok(Self::StartsWith { field, prefix: value.to_owned() }),
            other => Err(invalid(&format!("Invalid Condition: unknown operation '{other}'."))),
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::Equals { field, .. } | Self::StartsWith { field, .. } => Some(field),
            Self::Length { .. } => None,
        }
    }

    /// Lengths are known when the file has come.
    fn holds(&self, fields: &Fields, bucket: &str) -> bool {
        let value = |field: &str| if field == "bucket" { Some(bucket) } else { fields.value(field) };
        match self {
            Self::Equals { field, value: expected } => value(field) == Some(expected.as_str()),
            // A list of types fits when each of them does.
            Self::StartsWith { field, prefix } if field == "content-type" => {
                value(field).unwrap_or_default().split(',').all(|one| one.trim_start().starts_with(prefix.as_str()))
            }
            // What is absent starts with nothing, as any value does.
            Self::StartsWith { field, prefix } => value(field).unwrap_or_default().starts_with(prefix.as_str()),
            Self::Length { .. } => true,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Equals { field, value } => format!("[\"eq\", \"${field}\", \"{value}\"]"),
            Self::StartsWith { field, prefix } => format!("[\"starts-with\", \"${field}\", \"{prefix}\"]"),
            Self::Length { least, most } => format!("[\"content-length-range\", {least}, {most}]"),
        }
    }
}

fn length(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn invalid(why: &str) -> S3Error {
    S3Error::because(Code::InvalidPolicyDocument, format!("Invalid Policy: {why}"))
}

fn denied(why: &str) -> S3Error {
    S3Error::because(Code::AccessDenied, format!("Invalid according to Policy: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(policy: &Value) -> Result<Policy, S3Error> {
        Policy::parse(&STANDARD.encode(policy.to_string()))
    }

    fn policy(conditions: &Value) -> Value {
        json!({ "expiration": "2030-12-01T12:00:00.000Z", "conditions": conditions })
    }

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in pairs {
            fields.push(name, (*value).to_owned());
        }
        fields
    }

    fn outcome(conditions: &Value, pairs: &[(&str, &str)]) -> Result<(), String> {
        let policy = parse(&policy(conditions)).expect("legal");
        policy.check(&fields(pairs), "b", OffsetDateTime::UNIX_EPOCH).map_err(|error| error.message)
    }

    #[test]
    fn every_field_is_covered_by_a_condition_that_holds() {
        let conditions = json!([
            { "bUcKeT": "b" }, ["StArTs-WiTh", "$KeY", "user/"], ["eq", "$x-amz-meta-a", "1"],
            ["starts-with", "$Content-Type", "image/"], ["content-length-range", 1, "10"]
        ]);
        let good = [("key", "user/x"), ("x-amz-meta-a", "1"), ("Content-Type", "image/a, image/b"), ("policy", "p")];
        assert_eq!(outcome(&conditions, &good), Ok(()));
        let with = |name: &'static str, value: &'static str| {
            let mut pairs = good.to_vec();
            pairs.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            pairs.push((name, value));
            outcome(&conditions, &pairs).expect_err("refused")
        };
        assert!(with("key", "other/x").contains("[\"starts-with\", \"$key\", \"user/\"]"));
        assert!(with("x-amz-meta-a", "12").contains("[\"eq\", \"$x-amz-meta-a\", \"1\"]"));
        assert!(with("Content-Type", "image/a, text/b").contains("$content-type"));
        assert!(with("acl", "private").contains("Extra input fields: acl"));
        let mut twice = good.to_vec();
        twice.push(("content-TYPE", "text/html"));
        assert!(outcome(&conditions, &twice).expect_err("refused").contains("content-type is there more than once"));
        let any = json!([{ "bucket": "b" }, ["starts-with", "$x-amz-meta-b", ""]]);
        assert_eq!(outcome(&any, &[]), Ok(()), "absent, where anything is right");
        assert!(outcome(&json!([{ "bucket": "b" }, ["starts-with", "$x-amz-meta-b", "1"]]), &[]).is_err());
        assert_eq!(outcome(&json!([]), &[]), Err("Invalid according to Policy: Extra input fields: bucket".into()));
        assert_eq!(parse(&policy(&conditions)).expect("legal").length(), (1, 10));
    }

    #[test]
    fn a_policy_ends() {
        let policy = parse(&policy(&json!([{ "bucket": "b" }]))).expect("legal");
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(365 * 100);
        assert_eq!(policy.check(&fields(&[]), "b", now).expect_err("expired").code, Code::AccessDenied);
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for wrong in [
            json!({ "conditions": [] }),
            json!({ "expiration": "2030-12-01T12:00:00Z" }),
            json!({ "EXPIRATION": "2030-12-01T12:00:00Z", "conditions": [] }),
            json!({ "expiration": "2030-12-01 12:00:00+00:00", "conditions": [] }),
            policy(&json!([{}])),
            policy(&json!([{ "acl": 1 }])),
            policy(&json!([["content-length-range", 0]])),
            policy(&json!([["content-length-range", -1, 0]])),
            policy(&json!([["ends-with", "$key", "x"]])),
            policy(&json!([["eq", "key", "x"]])),
        ] {
            assert_eq!(parse(&wrong).expect_err("refused").code, Code::InvalidPolicyDocument, "{wrong}");
        }
        assert_eq!(Policy::parse("%").expect_err("refused").code, Code::InvalidPolicyDocument);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
            let _ = Policy::parse(&text);
            let _ = Policy::parse(&STANDARD.encode(&text));
        }

        #[test]
        fn a_prefix_condition_means_a_prefix(prefix in "[a-z/]{0,4}", key in "[a-z/]{0,6}") {
            let conditions = json!([{ "bucket": "b" }, ["starts-with", "$key", prefix]]);
            prop_assert_eq!(outcome(&conditions, &[("key", &key)]).is_ok(), key.starts_with(&prefix));
        }
    }
}
