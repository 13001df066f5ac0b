//! Reads the accounts of `conf/authdata.json`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::field::Fields;
use crate::config::configuration::{AccessKey, Account};
use crate::config::problem::{Problem, Problems};
use crate::config::secret::Secret;

/// The access keys that everybody knows with their secrets: CloudServer comes with them.
const PUBLIC_KEYS: [(&str, &str); 5] = [
    ("accessKey1", "verySecretKey1"),
    ("accessKey2", "verySecretKey2"),
    ("cluesoKey1", "cluesoSecretKey1"),
    ("replicationKey1", "replicationSecretKey1"),
    ("lifecycleKey1", "lifecycleSecretKey1"),
];

/// CloudServer's single account for the keys that the environment gives.
pub(super) fn from_environment(access: String, secret: String) -> Account {
    Account {
        name: "CustomAccount".to_owned(),
        email: "customaccount1@setbyenv.com".to_owned(),
        arn: "arn:aws:iam::123456789012:root".to_owned(),
        canonical_id: "12349df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47qwer".to_owned(),
        short_id: "123456789012".to_owned(),
        keys: vec![AccessKey { access, secret: Secret::new(secret) }],
    }
}

/// The access keys of the accounts whose secrets everybody knows.
pub(super) fn public_keys(accounts: &[Account]) -> Vec<&str> {
    let keys = accounts.iter().flat_map(|account| &account.keys);
    let public = keys.filter(|key| PUBLIC_KEYS.contains(&(key.access.as_str(), key.secret.reveal())));
    public.map(|key| key.access.as_str()).collect()
}

/// Reads every account. All mistakes here are fatal: a key that belongs to somebody else
/// than the operator thinks would hand out, or write, another account's buckets.
pub(super) fn read(file: &str, map: Map<String, Value>, problems: &mut Problems) -> Vec<Account> {
    let mut fields = Fields::new(file, "", map);
    let mut accounts = Vec::new();
    match fields.take("accounts") {
        Some(Value::Array(entries)) => {
            for (index, entry) in entries.into_iter().enumerate() {
                accounts.extend(read_account(file, &format!("accounts.{index}"), entry, problems));
            }
        }
        Some(_) | None => {
            problems.push(Problem::fatal(file, "is not a list", "write \"accounts\": [ … ]").at("accounts"))
        }
    }
    report_unknown(file, &fields, problems);
    report_shared(file, &accounts, problems);
    accounts
}

fn read_account(file: &str, path: &str, entry: Value, problems: &mut Problems) -> Option<Account> {
    let Value::Object(map) = entry else {
        problems.push(Problem::fatal(file, "is not an object", "write { … }").at(path));
        return None;
    };
    let mut fields = Fields::new(file, path, map);
    let name = required(file, &mut fields, "name", problems);
    let email = required(file, &mut fields, "email", problems);
    let arn = required(file, &mut fields, "arn", problems);
    let canonical_id = required(file, &mut fields, "canonicalID", problems);
    let short_id = fields.text("shortid").or_else(|| short_id_of(arn.as_deref()?));
    let keys = read_keys(file, path, &mut fields, problems);
    if fields.take("users").is_some() {
        let fix = "give each user an account of its own";
        problems.push(Problem::fatal(file, "users are not supported", fix).at(fields.path("users")));
    }
    report_unknown(file, &fields, problems);
    problems.extend(fields.problems.iter().cloned().map(fatal));
    check_identity(file, path, arn.as_deref(), short_id.as_deref(), problems);
    Some(Account { name: name?, email: email?, arn: arn?, canonical_id: canonical_id?, short_id: short_id?, keys })
}

fn read_keys(file: &str, path: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<AccessKey> {
    // An account without keys owns things and signs nothing.
    let entries = match fields.take("keys") {
        Some(Value::Array(entries)) => entries,
        None => Vec::new(),
        Some(_) => {
            let path = fields.path("keys");
            problems.push(Problem::fatal(file, "is not a list", "write [ … ]").at(path));
            Vec::new()
        }
    };
    let mut keys = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let path = format!("{path}.keys.{index}");
        let Value::Object(map) = entry else {
            problems.push(Problem::fatal(file, "is not an object", "write { … }").at(path));
            continue;
        };
        let mut fields = Fields::new(file, &path, map);
        let access = required(file, &mut fields, "access", problems);
        let secret = required(file, &mut fields, "secret", problems);
        problems.extend(fields.problems.iter().cloned().map(fatal));
        if let (Some(access), Some(secret)) = (access, secret) {
            keys.push(AccessKey { access, secret: Secret::new(secret) });
        }
    }
    keys
}

fn required(file: &str, fields: &mut Fields<'_>, key: &str, problems: &mut Problems) -> Option<String> {
    let before = fields.problems.len();
    let text = fields.text(key).filter(|text| !text.is_empty());
    if text.is_none() && fields.problems.len() == before {
        let path = fields.path(key);
        problems.push(Problem::fatal(file, "is missing", "write a text in quotes").at(path));
    }
    text
}

/// `arn:aws:iam::<twelve digits>:root`; the old form `aws::iam:<…>:root` lacks its head.
fn short_id_of(arn: &str) -> Option<String> {
    let account = arn.strip_prefix("arn:aws:iam::")?.strip_suffix(":root")?;
    is_short_id(account).then(|| account.to_owned())
}

fn is_short_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_identity(file: &str, path: &str, arn: Option<&str>, short_id: Option<&str>, problems: &mut Problems) {
    if arn.is_some_and(|arn| short_id_of(arn).is_none()) {
        let fix = "write arn:aws:iam::<twelve digits>:root";
        problems.push(Problem::fatal(file, "is not the ARN of an account", fix).at(format!("{path}.arn")));
    }
    if short_id.is_some_and(|id| !is_short_id(id)) {
        let path = format!("{path}.shortid");
        problems.push(Problem::fatal(file, "is not twelve digits", "write twelve digits").at(path));
    }
}

fn report_unknown(file: &str, fields: &Fields<'_>, problems: &mut Problems) {
    for path in fields.rest() {
        problems.push(Problem::warning(file, "is not known", "remove it").at(path));
    }
}

/// Each identity names one account, each access key one secret.
fn report_shared(file: &str, accounts: &[Account], problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for account in accounts {
        let identities = [("arn", &account.arn), ("email", &account.email), ("canonicalID", &account.canonical_id)];
        let keys = account.keys.iter().map(|key| ("access", &key.access));
        for (field, value) in identities.into_iter().chain(keys) {
            if !seen.insert((field, value)) {
                let what = format!("{value} is also another's");
                let fix = format!("give account {} one of its own", account.name);
                problems.push(Problem::fatal(file, what, fix).at(field));
            }
        }
    }
}

fn fatal(problem: Problem) -> Problem {
    Problem { severity: crate::config::problem::Severity::Fatal, ..problem }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account() -> Value {
        json!({
            "name": "Bart",
            "email": "bart@example.com",
            "arn": "arn:aws:iam::123456789012:root",
            "canonicalID": "79a5",
            "shortid": "123456789012",
            "keys": [{ "access": "a1", "secret": "hush-hush" }],
        })
    }

    fn changed(key: &str, value: Value) -> Value {
        let mut account = account();
        account.as_object_mut().unwrap().insert(key.to_owned(), value);
        account
    }

    fn read_all(accounts: Value) -> (Vec<Account>, Problems) {
        let mut problems = Problems::default();
        let map = json!({ "accounts": accounts }).as_object().unwrap().clone();
        let accounts = read("authdata.json", map, &mut problems);
        (accounts, problems)
    }

    #[test]
    fn an_account_is_read_whole() {
        let (accounts, problems) = read_all(json!([account()]));
        assert!(problems.is_empty(), "{problems}");
        assert_eq!(accounts[0].short_id, "123456789012");
        assert_eq!(accounts[0].keys[0].secret.reveal(), "hush-hush");
        assert!(!format!("{accounts:?}").contains("hush"));
    }

    #[test]
    fn a_key_is_public_by_its_secret() {
        let keys = json!([
            { "access": "accessKey1", "secret": "hush-hush" },
            { "access": "accessKey2", "secret": "verySecretKey2" },
            { "access": "lifecycleKey1", "secret": "lifecycleSecretKey1" },
        ]);
        let (accounts, _) = read_all(json!([changed("keys", keys)]));
        assert_eq!(public_keys(&accounts), ["accessKey2", "lifecycleKey1"]);
    }

    #[test]
    fn each_rule_for_accounts_is_fatal_and_names_its_field() {
        let other = |key: &str, value: &str| {
            let mut other = json!({
                "name": "Lisa",
                "email": "lisa@example.com",
                "arn": "arn:aws:iam::123456789013:root",
                "canonicalID": "79a6",
                "shortid": "123456789013",
                "keys": [{ "access": "a2", "secret": "s2" }],
            });
            other[key] = value.into();
            other
        };
        let shared_key = changed(
            "keys",
            json!([{ "access": "a1", "secret": "x" },
            { "access": "a1", "secret": "y" }]),
        );
        let cases = [
            (json!("x"), "accounts"),
            (json!(["x"]), "accounts.0"),
            (json!([changed("name", json!(1))]), "accounts.0.name"),
            (json!([changed("email", json!(null))]), "accounts.0.email"),
            (json!([changed("canonicalID", json!(""))]), "accounts.0.canonicalID"),
            (json!([changed("arn", json!("aws::iam:123456789012:root"))]), "accounts.0.arn"),
            (json!([changed("arn", json!("arn:aws:iam::123456789012:user/x"))]), "accounts.0.arn"),
            (json!([changed("shortid", json!("12"))]), "accounts.0.shortid"),
            (json!([changed("keys", json!("x"))]), "accounts.0.keys"),
            (json!([changed("keys", json!([{ "access": "a" }]))]), "accounts.0.keys.0.secret"),
            (json!([changed("users", json!([]))]), "accounts.0.users"),
            (json!([account(), other("email", "bart@example.com")]), "email"),
            (json!([account(), other("canonicalID", "79a5")]), "canonicalID"),
            (json!([account(), other("arn", "arn:aws:iam::123456789012:root")]), "arn"),
            (json!([shared_key]), "access"),
        ];
        for (accounts, field) in cases {
            let (_, problems) = read_all(accounts.clone());
            let fields: Vec<_> = problems.iter().filter_map(|it| it.field.clone()).collect();
            assert!(problems.is_fatal(), "{accounts}");
            assert_eq!(fields, [field], "{accounts}: {problems}");
            assert!(!problems.to_string().contains("hush"));
        }
    }
}
