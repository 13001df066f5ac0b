//! What holds of every policy and every request: for the fuzzer, and for the replay of its corpus.

use super::pattern::Glob;
use super::{LARGEST, Policy, Request, Steps, Verdict};
use crate::access::{Action, Caller, Facts, RequestContext};
use crate::metadata::{Bucket, Versioning};
use crate::names::{AccountId, BucketName, LocationName, ObjectKey};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Takes lines that say who asks what, a blank line, and a policy.
pub fn policy(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (head, document) = text.split_once("\n\n").unwrap_or(("", text));
    let Some(asked) = Asked::read(head) else { return };
    let Ok(policy) = Policy::try_from(document.to_owned()) else { return };
    let verdict = asked.verdict(&policy);
    let _ = (policy.looks_at_tags(), policy.check_resources(&asked.bucket.name), policy.check_names());
    let Ok(value) = serde_json::from_str::<Value>(document) else { return };
    globs_mean_what_they_say(&value, &asked.resource());
    // Two looks at the clock may see different times.
    let folded = value.to_string().to_ascii_lowercase();
    if ["currenttime", "epochtime", "signatureage", "retention-days"].iter().any(|key| folded.contains(key)) {
        return;
    }
    // What costs too much is denied, and then says no more of the policy.
    let Some(verdict) = verdict else { return };
    assert_eq!(asked.verdict(&stored(&policy)), Some(verdict), "stored and read again");
    let statements = match value.get("Statement") {
        Some(Value::Array(list)) => list.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let version = value.get("Version").cloned().unwrap_or_else(|| json!("2008-10-17"));
    let with = |statements: Vec<Value>| {
        let text = json!({ "Version": version, "Statement": statements }).to_string();
        (text.len() <= LARGEST).then(|| Policy::try_from(text)).and_then(Result::ok)
    };
    let whole = |statements: Vec<Value>| with(statements).and_then(|policy| asked.verdict(&policy));
    statements_are_decided_one_by_one(&statements, verdict, &whole);
    one_more_statement(&statements, verdict, &whole, asked.bucket.name.as_str());
    nobody_is_let_in_by_what_is_not_public(&policy, &value, &asked);
}

/// What settings keep of a policy is the policy.
fn stored(policy: &Policy) -> Policy {
    let text = serde_json::to_string(policy).unwrap_or_default();
    let read = serde_json::from_str(&text);
    assert!(read.is_ok(), "a stored policy is read again");
    read.unwrap_or_else(|_| policy.clone())
}

/// The verdict is made of those of the statements, whatever their order.
fn statements_are_decided_one_by_one(
    statements: &[Value],
    verdict: Verdict,
    whole: &impl Fn(Vec<Value>) -> Option<Verdict>,
) {
    let mut reversed = statements.to_vec();
    reversed.reverse();
    if let Some(other) = whole(reversed) {
        assert_eq!(other, verdict, "in another order");
    }
    // Each costs a parse; more of them say no more.
    if statements.len() > 8 {
        return;
    }
    let single: Option<Vec<Verdict>> = statements.iter().map(|one| whole(vec![one.clone()])).collect();
    let Some(single) = single else { return };
    let expected = [Verdict::Denied, Verdict::Allowed].into_iter().find(|one| single.contains(one));
    assert_eq!(expected.unwrap_or(Verdict::Silent), verdict, "one by one");
}

/// A deny beats everything, an allow takes nothing away, and what is about something else changes nothing.
fn one_more_statement(
    statements: &[Value],
    verdict: Verdict,
    whole: &impl Fn(Vec<Value>) -> Option<Verdict>,
    bucket: &str,
) {
    let statement = |effect: &str, resource: &str| json!({ "Effect": effect, "Principal": "*", "Action": "*", "Resource": resource });
    let elsewhere = format!("arn:aws:s3:::{bucket}-elsewhere/*");
    let opened = if verdict == Verdict::Denied { Verdict::Denied } else { Verdict::Allowed };
    for (added, expected) in [
        (statement("Deny", "*"), Verdict::Denied),
        (statement("Allow", "*"), opened),
        (statement("Allow", &elsewhere), verdict),
        (statement("Deny", &elsewhere), verdict),
    ] {
        for at in [0, statements.len()] {
            let mut more = statements.to_vec();
            more.insert(at, added.clone());
            if let Some(other) = whole(more) {
                assert_eq!(other, expected, "with {added}");
            }
        }
    }
}

/// Without conditions, what is not public says nothing to who did not sign.
fn nobody_is_let_in_by_what_is_not_public(policy: &Policy, value: &Value, asked: &Asked) {
    if policy.is_public() || value.to_string().contains("\"Condition\"") {
        return;
    }
    let context = asked.caller.context.clone();
    let Some(context) = context else { return };
    let anonymous = Asked { caller: Caller::anonymous(context), ..asked.clone() };
    assert_ne!(anonymous.verdict(policy), Some(Verdict::Allowed), "not public, and open to everybody");
}

/// Every text of the policy, taken as a pattern.
fn globs_mean_what_they_say(value: &Value, text: &str) {
    match value {
        Value::String(pattern) => {
            if pattern.len() * text.len() <= 50_000 {
                let matches = Glob::parse(pattern).matches(text, &Steps::default());
                assert_eq!(matches, fits(pattern, text), "{pattern:?} {text:?}");
            }
        }
        Value::Array(list) => list.iter().for_each(|one| globs_mean_what_they_say(one, text)),
        Value::Object(fields) => fields.values().for_each(|one| globs_mean_what_they_say(one, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The definition, prefix by prefix: which prefixes of the text does the pattern so far fit?
fn fits(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut reached = vec![false; text.len() + 1];
    reached.first_mut().into_iter().for_each(|first| *first = true);
    for wanted in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        let mut before = false;
        for (at, slot) in next.iter_mut().enumerate() {
            let here = reached.get(at).copied().unwrap_or_default();
            *slot = match wanted {
                '*' => here || before,
                _ => {
                    let last = at.checked_sub(1).and_then(|last| Some((reached.get(last)?, text.get(last)?)));
                    last.is_some_and(|(reached, actual)| *reached && (wanted == '?' || wanted == *actual))
                }
            };
            before = *slot;
        }
        reached = next;
    }
    reached.last().copied().unwrap_or_default()
}

/// Who asks what.
#[derive(Clone)]
struct Asked {
    caller: Caller,
    action: Action,
    bucket: Bucket,
    key: Option<ObjectKey>,
    existing_tags: Vec<(String, String)>,
    request_tags: Vec<(String, String)>,
}

#[derive(Default)]
struct Seen {
    headers: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    source: Option<IpAddr>,
    secure: bool,
}

impl Asked {
    fn read(head: &str) -> Option<Self> {
        let (mut action, mut name, mut key) = (Action::GetObject, BucketName::parse("bucket").ok()?, None);
        let (mut account, mut seen) = (None, Seen::default());
        let (mut existing_tags, mut request_tags) = (Vec::new(), Vec::new());
        for line in head.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let pair = || rest.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
            match word {
                "do" => action = Action::ALL.iter().copied().find(|action| action.name().ends_with(rest))?,
                "at" => {
                    let (bucket, rest) = rest.split_once('/').unwrap_or((rest, ""));
                    (name, key) = (BucketName::parse(bucket).ok()?, ObjectKey::parse(rest).ok());
                }
                "as" => account = Some(rest),
                "from" => seen.source = rest.parse().ok(),
                "tls" => seen.secure = true,
                "header" => {
                    let (name, value) = rest.split_once(": ")?;
                    seen.headers.insert(name.to_owned(), value.to_owned());
                }
                "query" => seen.query.extend(pair()),
                "tag" => existing_tags.extend(pair()),
                "newtag" => request_tags.extend(pair()),
                _ => {}
            }
        }
        let context: Arc<dyn RequestContext> = Arc::new(seen);
        let caller = match account {
            Some(digits) => Caller {
                account: AccountId::new(format!("canonical-{digits}")),
                short_id: digits.into(),
                context: Some(context),
            },
            None => Caller::anonymous(context),
        };
        let bucket = Bucket {
            number: 1,
            name,
            owner: AccountId::new("owner"),
            location: LocationName::parse("us-east-1").ok()?,
            versioning: Versioning::Off,
            created: 0,
            settings: Arc::default(),
        };
        Some(Self { caller, action, bucket, key, existing_tags, request_tags })
    }

    fn request(&self) -> Request<'_> {
        Request {
            caller: &self.caller,
            action: self.action,
            bucket: &self.bucket,
            key: self.key.as_ref(),
            existing_tags: &self.existing_tags,
            request_tags: &self.request_tags,
            facts: Facts::default(),
            prefix: None,
            steps: Steps::default(),
        }
    }

    fn resource(&self) -> String {
        self.request().resource()
    }

    /// The verdict, unless it was too dear.
    fn verdict(&self, policy: &Policy) -> Option<Verdict> {
        let request = self.request();
        let verdict = policy.decide(&request);
        if request.steps.are_spent() {
            assert_eq!(verdict, Verdict::Denied, "what was not compared might have been a deny");
            return None;
        }
        Some(verdict)
    }
}

impl RequestContext for Seen {
    fn source(&self) -> Option<IpAddr> {
        self.source
    }

    fn is_secure(&self) -> bool {
        self.secure
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).cloned()
    }

    fn query(&self, name: &str) -> Option<String> {
        self.query.get(name).cloned()
    }
}
