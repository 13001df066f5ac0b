//! Policies as a whole.

use super::*;
use crate::access::{Action, Caller, Facts, RequestContext, ServiceCall, Signature, SignaturePlace};
use crate::metadata::{Bucket, Versioning};
use crate::names::{AccountId, LocationName, ObjectKey, VersionId};
use crate::object_lock::{ObjectLock, Retention, RetentionMode};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use time::OffsetDateTime;

#[derive(Default)]
struct Seen {
    headers: BTreeMap<&'static str, &'static str>,
    query: BTreeMap<&'static str, &'static str>,
    signature: Option<Signature>,
}

impl RequestContext for Seen {
    fn source(&self) -> Option<IpAddr> {
        "192.0.2.7".parse().ok()
    }

    fn is_secure(&self) -> bool {
        false
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|text| (*text).to_owned())
    }

    fn query(&self, name: &str) -> Option<String> {
        self.query.get(name).map(|text| (*text).to_owned())
    }

    fn signature(&self) -> Option<Signature> {
        self.signature
    }
}

fn bucket() -> Bucket {
    Bucket {
        number: 1,
        name: BucketName::parse("bucket").unwrap(),
        owner: AccountId::new("owner"),
        location: LocationName::parse("us-east-1").unwrap(),
        versioning: Versioning::Off,
        created: 0,
        settings: Arc::default(),
    }
}

fn caller(short_id: &str, seen: Seen) -> Caller {
    let context = Some(Arc::new(seen) as Arc<dyn RequestContext>);
    Caller { account: AccountId::new(format!("canonical-{short_id}")), short_id: short_id.into(), context }
}

fn statement(fields: Value) -> Value {
    let mut statement = json!({
        "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"
    });
    for (name, value) in fields.as_object().unwrap() {
        statement[name] = value.clone();
        if let Some(plain) = name.strip_prefix("Not") {
            statement.as_object_mut().unwrap().remove(plain);
        }
    }
    statement
}

fn policy(statements: &[Value]) -> Policy {
    let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    Policy::try_from(text).unwrap()
}

fn decide(policy: &Policy, caller: &Caller, action: Action, key: Option<&str>) -> Verdict {
    let key = key.map(|key| ObjectKey::parse(key).unwrap());
    let tags = [("colour".to_owned(), "blue".to_owned())];
    policy.decide(&Request {
        caller,
        action,
        bucket: &bucket(),
        key: key.as_ref(),
        existing_tags: &tags,
        request_tags: &[],
        facts: Facts {
            version: Some(&VersionId::from_client("v1")),
            lock: ObjectLock {
                // The beginning of 2999.
                retention: Some(Retention { mode: RetentionMode::Governance, until: 32_472_144_000_000 }),
                legal_hold: None,
            },
            copy_source: Some((&bucket().name, &ObjectKey::parse("source").unwrap())),
            creates: Some(true),
        },
        prefix: None,
        steps: Steps::default(),
    })
}

/// What one statement says to a read of `bucket/k` by account 111122223333.
fn says(fields: Value, seen: Seen) -> Verdict {
    decide(&policy(&[statement(fields)]), &caller("111122223333", seen), Action::GetObject, Some("k"))
}

#[test]
fn a_statement_applies_when_all_its_parts_do() {
    for (fields, verdict) in [
        (json!({}), Verdict::Allowed),
        (json!({ "Action": "s3:Get*" }), Verdict::Allowed),
        (json!({ "Action": ["s3:putobject", "S3:GETOBJECT"] }), Verdict::Allowed),
        (json!({ "Action": "s3:PutObject" }), Verdict::Silent),
        (json!({ "NotAction": "s3:GetObject" }), Verdict::Silent),
        (json!({ "NotAction": "s3:PutObject" }), Verdict::Allowed),
        (json!({ "Resource": "arn:aws:s3:::bucket" }), Verdict::Silent),
        (json!({ "Resource": "arn:aws:s3:::bucket/?" }), Verdict::Allowed),
        (json!({ "NotResource": "arn:aws:s3:::bucket/other" }), Verdict::Allowed),
        (json!({ "NotResource": "arn:aws:s3:::bucket/*" }), Verdict::Silent),
        (json!({ "Principal": { "AWS": "111122223333" } }), Verdict::Allowed),
        (json!({ "Principal": { "AWS": ["arn:aws:iam::111122223333:root"] } }), Verdict::Allowed),
        (json!({ "Principal": { "AWS": "arn:aws:iam::999999999999:root" } }), Verdict::Silent),
        (json!({ "Principal": { "CanonicalUser": "canonical-111122223333" } }), Verdict::Allowed),
        (json!({ "Principal": { "Service": "logging.s3.amazonaws.com" } }), Verdict::Silent),
        (json!({ "Effect": "Deny", "NotPrincipal": { "AWS": "999999999999" } }), Verdict::Denied),
        (json!({ "Effect": "Deny", "NotPrincipal": { "AWS": "111122223333" } }), Verdict::Silent),
        (json!({ "Effect": "Deny" }), Verdict::Denied),
    ] {
        assert_eq!(says(fields.clone(), Seen::default()), verdict, "{fields}");
    }
}

#[test]
fn conditions_look_at_the_request() {
    let seen = || Seen {
        headers: BTreeMap::from([
            ("user-agent", "curl/8"),
            ("x-amz-acl", "public-read"),
            // Not what is done.
            ("x-amz-object-lock-mode", "COMPLIANCE"),
            ("x-amz-copy-source", "bucket/other"),
        ]),
        query: BTreeMap::from([("prefix", "home/anna"), ("versionId", "v2")]),
        signature: Some(Signature {
            version: "AWS4-HMAC-SHA256",
            place: SignaturePlace::Query,
            made: OffsetDateTime::from_unix_timestamp(1_577_836_800).ok(),
        }),
    };
    for (condition, verdict) in [
        (json!({ "StringEquals": { "s3:x-amz-acl": "public-read" } }), Verdict::Allowed),
        (json!({ "StringEquals": { "s3:x-amz-acl": ["private", "public-read"] } }), Verdict::Allowed),
        (json!({ "StringNotEquals": { "s3:x-amz-acl": ["private", "public-read"] } }), Verdict::Silent),
        (json!({ "StringNotEquals": { "s3:x-amz-absent": "x" } }), Verdict::Allowed),
        (json!({ "StringEquals": { "s3:x-amz-absent": "x" } }), Verdict::Silent),
        (json!({ "StringEqualsIfExists": { "s3:x-amz-absent": "x" } }), Verdict::Allowed),
        (json!({ "StringLike": { "aws:UserAgent": "CURL*" } }), Verdict::Silent),
        (json!({ "StringLike": { "aws:useragent": "curl*" } }), Verdict::Allowed),
        (json!({ "StringEqualsIgnoreCase": { "aws:UserAgent": "CURL/8" } }), Verdict::Allowed),
        (json!({ "StringLike": { "s3:prefix": "home/*" } }), Verdict::Allowed),
        (json!({ "IpAddress": { "aws:SourceIp": "192.0.2.0/24" } }), Verdict::Allowed),
        (json!({ "NotIpAddress": { "aws:SourceIp": "192.0.2.0/24" } }), Verdict::Silent),
        (json!({ "Bool": { "aws:SecureTransport": false } }), Verdict::Allowed),
        (json!({ "Bool": { "aws:SecureTransport": "true" } }), Verdict::Silent),
        (json!({ "Null": { "s3:x-amz-acl": "false" } }), Verdict::Allowed),
        (json!({ "Null": { "s3:x-amz-absent": "true" } }), Verdict::Allowed),
        (json!({ "StringEquals": { "s3:ExistingObjectTag/colour": "blue" } }), Verdict::Allowed),
        (json!({ "StringEquals": { "s3:ExistingObjectTag/Colour": "blue" } }), Verdict::Silent),
        (json!({ "DateGreaterThan": { "aws:CurrentTime": "2020-01-01T00:00:00Z" } }), Verdict::Allowed),
        (json!({ "NumericLessThan": { "aws:EpochTime": 5 } }), Verdict::Silent),
        (json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::1111*:root" } }), Verdict::Allowed),
        (json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:*" } }), Verdict::Silent),
        (json!({ "ForAllValues:StringEquals": { "s3:RequestObjectTagKeys": "x" } }), Verdict::Allowed),
        (json!({ "ForAnyValue:StringEquals": { "s3:RequestObjectTagKeys": "x" } }), Verdict::Silent),
        (json!({ "ForAnyValue:StringNotEquals": { "s3:RequestObjectTagKeys": "x" } }), Verdict::Silent),
        (json!({ "NumericGreaterThan": { "s3:signatureAge": 600000 } }), Verdict::Allowed),
        (json!({ "NumericLessThan": { "s3:signatureAge": 600000 } }), Verdict::Silent),
        (json!({ "NumericGreaterThan": { "s3:object-lock-remaining-retention-days": "30" } }), Verdict::Allowed),
        (json!({ "StringEquals": { "s3:object-lock-mode": "GOVERNANCE" } }), Verdict::Allowed),
        (json!({ "DateEquals": { "s3:object-lock-retain-until-date": "2999-01-01" } }), Verdict::Allowed),
        (json!({ "Null": { "s3:object-lock-legal-hold": "true" } }), Verdict::Allowed),
        (json!({ "StringEquals": { "s3:VersionId": "v1" } }), Verdict::Allowed),
        (json!({ "StringEquals": { "s3:x-amz-copy-source": "bucket/source" } }), Verdict::Allowed),
        (json!({ "Bool": { "s3:ObjectCreationOperation": "true" } }), Verdict::Allowed),
        (json!({ "StringEquals": { "s3:authType": "REST-QUERY-STRING" } }), Verdict::Allowed),
        (json!({ "StringEquals": { "s3:signatureversion": "AWS4-HMAC-SHA256" } }), Verdict::Allowed),
        (
            json!({ "StringEquals": { "s3:x-amz-acl": "public-read" }, "Bool": { "aws:SecureTransport": "true" } }),
            Verdict::Silent,
        ),
    ] {
        assert_eq!(says(json!({ "Condition": condition.clone() }), seen()), verdict, "{condition}");
    }
}

#[test]
fn a_variable_without_a_value_opens_nothing() {
    let except = |effect: &str| json!({ "Effect": effect, "NotResource": "arn:aws:s3:::bucket/${aws:Absent}/*" });
    assert_eq!(says(except("Allow"), Seen::default()), Verdict::Silent);
    assert_eq!(says(except("Deny"), Seen::default()), Verdict::Denied);
}

#[test]
fn a_value_of_the_client_is_no_wildcard_in_an_arn() {
    let seen = || Seen { headers: BTreeMap::from([("referer", "*")]), ..Seen::default() };
    let condition = |arn: &str| json!({ "Condition": { "ArnLike": { "aws:PrincipalArn": arn } } });
    assert_eq!(says(condition("arn:aws:iam::${aws:Referer}:root"), seen()), Verdict::Silent);
    assert_eq!(says(condition("arn:aws:iam::*:root"), seen()), Verdict::Allowed);
}

#[test]
fn what_costs_too_much_is_denied() {
    let agent: &'static str = Box::leak("a".repeat(30_000).into_boxed_str());
    let seen = || Seen { headers: BTreeMap::from([("user-agent", agent)]), ..Seen::default() };
    let pattern = format!("*{}b", "a".repeat(10_000));
    let condition = json!({ "Condition": { "StringNotLike": { "aws:UserAgent": pattern } } });
    assert_eq!(says(condition.clone(), seen()), Verdict::Denied);
    assert_eq!(says(condition, Seen::default()), Verdict::Allowed);
}

#[test]
fn a_deny_beats_every_allow() {
    let both = policy(&[statement(json!({})), statement(json!({ "Effect": "Deny", "Action": "s3:*" }))]);
    assert_eq!(decide(&both, &caller("111122223333", Seen::default()), Action::GetObject, Some("k")), Verdict::Denied);
}

#[test]
fn who_did_not_sign_is_everybody_and_nobody_else() {
    let anonymous = Caller::anonymous(Arc::new(Seen::default()));
    let open = policy(&[statement(json!({}))]);
    assert_eq!(decide(&open, &anonymous, Action::GetObject, Some("k")), Verdict::Allowed);
    let account = policy(&[statement(json!({ "Principal": { "AWS": "111122223333" } }))]);
    assert_eq!(decide(&account, &anonymous, Action::GetObject, Some("k")), Verdict::Silent);
}

#[test]
fn a_service_is_nobody_but_itself() {
    let service = Caller::of_service(ServiceCall {
        name: "logging.s3.amazonaws.com",
        source_arn: "arn:aws:s3:::source".to_owned(),
        source_account: "111122223333".to_owned(),
    });
    for (fields, verdict) in [
        (json!({ "Principal": { "Service": "logging.s3.amazonaws.com" } }), Verdict::Allowed),
        (json!({ "Principal": { "Service": "s3.amazonaws.com" } }), Verdict::Silent),
        (json!({ "Principal": { "Federated": "logging.s3.amazonaws.com" } }), Verdict::Silent),
        (json!({ "Principal": { "AWS": "111122223333" } }), Verdict::Silent),
        (json!({ "Effect": "Deny" }), Verdict::Denied),
        (json!({ "Condition": { "ArnLike": { "aws:SourceArn": "arn:aws:s3:::sou*" } } }), Verdict::Allowed),
        (json!({ "Condition": { "StringEquals": { "aws:SourceAccount": "999999999999" } } }), Verdict::Silent),
        (json!({ "Condition": { "Bool": { "aws:PrincipalIsAWSService": "true" } } }), Verdict::Allowed),
        (json!({ "Condition": { "StringLike": { "aws:PrincipalArn": "*" } } }), Verdict::Silent),
    ] {
        let policy = policy(&[statement(fields.clone())]);
        assert_eq!(decide(&policy, &service, Action::GetObject, Some("k")), verdict, "{fields}");
    }
    let of_service = json!({ "Condition": { "Bool": { "aws:PrincipalIsAWSService": "true" } } });
    assert_eq!(says(of_service, Seen::default()), Verdict::Silent);
}

#[test]
fn what_is_no_policy_is_refused() {
    let whole = |statement: Value| json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
    for text in [
        "".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        json!({ "Version": "2012-10-17", "Statement": [] }).to_string(),
        json!({ "Version": "2020-01-01", "Statement": [statement(json!({}))] }).to_string(),
        whole(statement(json!({ "Effect": "Maybe" }))),
        whole(statement(json!({ "Principal": {} }))),
        whole(statement(json!({ "NotPrincipal": { "AWS": "111122223333" } }))),
        whole(statement(json!({ "Principal": { "AWS": "nobody" } }))),
        whole(statement(json!({ "Action": "ec2:*" }))),
        whole(statement(json!({ "Action": [] }))),
        whole(statement(json!({ "Resource": "arn:aws:sqs:::queue" }))),
        whole(statement(json!({ "Colour": "blue" }))),
        whole(statement(json!({}))).replace("\"Effect\":\"Allow\"", "\"Effect\":\"Deny\",\"Effect\":\"Allow\""),
        whole(statement(json!({ "Condition": { "StringSeems": { "aws:UserAgent": "x" } } }))),
        whole(statement(json!({ "Condition": { "Null": { "aws:UserAgent": {} } } }))),
    ] {
        assert!(Policy::try_from(text.clone()).is_err(), "{text}");
    }
    let other = policy(&[statement(json!({ "Resource": "arn:aws:s3:::other/*" }))]);
    assert!(other.check_resources(&bucket().name).is_err());
    let wild = policy(&[statement(json!({ "Resource": ["arn:aws:s3:::*", "arn:aws:s3:::bucket/x"] }))]);
    assert!(wild.check_resources(&bucket().name).is_ok());
}

#[test]
fn public_is_what_nothing_ties_to_somebody() {
    let conditioned = |condition: Value| json!({ "Condition": condition });
    for (fields, public) in [
        (json!({}), true),
        (json!({ "Principal": { "AWS": "*" } }), true),
        (json!({ "Principal": { "AWS": "111122223333" } }), false),
        (json!({ "Effect": "Deny" }), false),
        (conditioned(json!({ "IpAddress": { "aws:SourceIp": "10.0.0.0/32" } })), false),
        (conditioned(json!({ "IpAddress": { "aws:SourceIp": "0.0.0.0/0" } })), true),
        (conditioned(json!({ "NotIpAddress": { "aws:SourceIp": "10.0.0.0/32" } })), true),
        (conditioned(json!({ "StringEquals": { "aws:SourceVpc": "vpc-1" } })), false),
        (conditioned(json!({ "StringLike": { "aws:SourceVpc": "vpc-*" } })), true),
        (conditioned(json!({ "StringLike": { "aws:UserAgent": "x" } })), true),
    ] {
        assert_eq!(policy(&[statement(fields.clone())]).is_public(), public, "{fields}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = Policy::try_from(text);
    }

    #[test]
    fn adding_a_deny_never_allows_more(denied in "s3:(Get|Put)?\\*?", resource in "arn:aws:s3:::(bucket|other)/[a-k*?]{0,2}") {
        let allow = policy(&[statement(json!({}))]);
        let text = json!({ "Statement": [
            statement(json!({})), statement(json!({ "Effect": "Deny", "Action": denied, "Resource": resource }))
        ] }).to_string();
        if let Ok(more) = Policy::try_from(text) {
            let caller = caller("111122223333", Seen::default());
            let (before, after) = (
                decide(&allow, &caller, Action::GetObject, Some("k")),
                decide(&more, &caller, Action::GetObject, Some("k")),
            );
            prop_assert!(after == before || after == Verdict::Denied);
        }
    }
}
