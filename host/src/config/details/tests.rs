//! Each rule by which details are resolved.

use serde_json::json;

use super::*;

fn field(path: &str) -> FieldSpec {
    FieldSpec {
        path: path.to_owned(),
        kind: "string".to_owned(),
        required: false,
        default: None,
        role: "plain".to_owned(),
        environment: None,
        profile: None,
    }
}

fn fields() -> Vec<FieldSpec> {
    vec![
        FieldSpec { required: true, ..field("bucket") },
        FieldSpec {
            kind: "boolean".into(),
            default: Some(json!(true)),
            environment: Some("TLS".into()),
            ..field("https")
        },
        FieldSpec { role: "secret".into(), environment: Some("KEY".into()), ..field("credentials.key") },
        FieldSpec { role: "secret".into(), ..field("credentials.token") },
        FieldSpec {
            role: "profile".into(),
            profile: Some(ProfileSpec {
                file: "~/.aws/credentials".into(),
                file_environment: Some("FILE".into()),
                keys: vec![("k".into(), "credentials.key".into()), ("t".into(), "credentials.token".into())],
            }),
            ..field("profile")
        },
    ]
}

fn run(details: Value, variables: &[(&str, &str)], others: &[&str]) -> ResolvedDetails {
    let fields = fields();
    let mut owners = VariableOwners::default();
    for name in others.iter().chain(&["a-b"]) {
        owners.add(name, &fields);
    }
    let environment: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let details = details.as_object().unwrap().clone();
    let unresolved = Unresolved { file: "l.json", location: "a-b", details: &details, fields: &fields };
    resolve(unresolved, &owners, &environment)
}

fn key(resolved: &ResolvedDetails) -> Option<&str> {
    resolved.details.value("credentials.key").and_then(Value::as_str)
}

#[test]
fn variables_win_over_the_file_in_both_spellings() {
    let file = || json!({ "bucket": "b", "credentials": { "key": "file" } });
    for (variables, expected, warnings) in [
        (vec![], "file", 0),
        (vec![("a-b_KEY", "")], "file", 0),
        (vec![("a-b_KEY", "x")], "x", 0),
        (vec![("a_b_KEY", "y")], "y", 0),
        (vec![("a-b_KEY", "x"), ("a_b_KEY", "x")], "x", 0),
        (vec![("a-b_KEY", "x"), ("a_b_KEY", "y")], "x", 1),
    ] {
        let resolved = run(file(), &variables, &[]);
        assert_eq!(key(&resolved), Some(expected), "{variables:?}");
        assert_eq!(resolved.warnings.len(), warnings, "{variables:?}");
        assert!(resolved.problems.is_empty());
    }
}

#[test]
fn a_spelling_that_two_locations_share_is_reported_and_not_used() {
    let resolved = run(json!({ "bucket": "b" }), &[("a_b_KEY", "y")], &["a_b"]);
    assert_eq!(key(&resolved), None);
    assert_eq!(resolved.problems.len(), 1);
    assert!(resolved.problems[0].what.contains("a_b_KEY"));
    assert!(run(json!({ "bucket": "b" }), &[], &["a_b"]).problems.is_empty());
}

#[test]
fn a_profile_wins_over_keys_beside_it_and_is_read_again_on_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials");
    std::fs::write(&path, "[zenko]\nk = fresh\n").unwrap();
    let variables = [("FILE", path.to_str().unwrap())];
    let details = json!({ "bucket": "b", "profile": "zenko", "credentials": { "key": "old", "token": "old" } });
    let resolved = run(details.clone(), &variables, &[]);
    assert_eq!(key(&resolved), Some("fresh"));
    assert_eq!(resolved.details.value("credentials.token"), None);
    assert_eq!(resolved.warnings.len(), 1);
    assert!(!resolved.files[0].has_changed());
    assert!(!format!("{resolved:?}").contains("fresh"));
    std::fs::write(&path, "[zenko]\nk = fresher\n").unwrap();
    assert!(resolved.files[0].has_changed());
    assert_eq!(key(&run(details, &variables, &[])), Some("fresher"));
}

#[test]
fn an_absent_file_and_an_unknown_profile_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let details = || json!({ "bucket": "b", "profile": "zenko" });
    let absent = run(details(), &[("HOME", home)], &[]);
    assert!(absent.problems[0].what.contains(&format!("{home}/.aws/credentials")));
    assert!(absent.problems[0].what.contains("zenko"));
    std::fs::create_dir(folder.path().join(".aws")).unwrap();
    std::fs::write(folder.path().join(".aws/credentials"), "[other]\nk=1\n").unwrap();
    assert!(absent.files[0].has_changed());
    let unknown = run(details(), &[("HOME", home)], &[]);
    assert_eq!(unknown.problems.len(), 1);
    assert!(unknown.problems[0].what.contains("has no profile zenko"));
}

#[test]
fn what_a_profile_lacks_is_told_of_the_profile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, "[half]\nk=1\n[empty]\n").unwrap();
    let lacking = |profile: &str| {
        let details = json!({ "bucket": "b", "profile": profile });
        let resolved = run(details, &[("FILE", path.to_str().unwrap())], &[]);
        assert!(resolved.lacking.values().all(|problem| problem.field.as_deref() == Some("profile")));
        resolved.lacking.into_iter().map(|(path, problem)| (path, problem.what)).collect::<Vec<_>>()
    };
    let half = lacking("half");
    assert_eq!(half.len(), 1);
    assert!(half[0].0 == "credentials.token" && half[0].1.contains("profile half of") && half[0].1.contains("lacks t"));
    for profile in ["empty", "unknown"] {
        let paths: Vec<String> = lacking(profile).into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["credentials.key", "credentials.token"], "{profile}");
    }
}

#[test]
fn what_a_variable_names_as_the_file_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let details = || json!({ "bucket": "b", "profile": "zenko" });
    let told = |path: &str| format!("{:?}", run(details(), &[("FILE", path)], &[]).problems);
    let absent = told(path.to_str().unwrap());
    std::fs::write(&path, "[other]\nk=1\n[zenko]\n").unwrap();
    for said in [absent, told("hush-hush"), told(path.to_str().unwrap())] {
        assert!(said.contains("the file that FILE names") && said.contains("zenko"), "{said}");
        assert!(!said.contains("hush") && !said.contains(folder.path().to_str().unwrap()), "{said}");
    }
}

#[test]
fn values_are_checked_against_their_kind() {
    let cases = [
        (json!({}), vec![], vec!["bucket"]),
        (json!({ "bucket": "" }), vec![], vec!["bucket"]),
        (json!({ "bucket": 1 }), vec![], vec!["bucket"]),
        (json!({ "bucket": "b", "https": "true" }), vec![], vec!["https"]),
        (json!({ "bucket": "b" }), vec![("a_b_TLS", "maybe")], vec!["https"]),
        (json!({ "bucket": "b" }), vec![("a_b_TLS", "false")], vec![]),
    ];
    for (details, variables, expected) in cases {
        let resolved = run(details.clone(), &variables, &[]);
        let found: Vec<_> = resolved.problems.iter().filter_map(|it| it.field.as_deref()).collect();
        assert_eq!(found, expected, "{details}");
    }
}

#[test]
fn defaults_fill_in_and_unknown_fields_warn_and_pass() {
    let resolved = run(json!({ "bucket": "b", "typo": { "x": 1 } }), &[], &[]);
    assert_eq!(resolved.details.value("https"), Some(&json!(true)));
    assert_eq!(resolved.details.value("typo.x"), Some(&json!(1)));
    assert_eq!(resolved.warnings[0].field.as_deref(), Some("typo.x"));
}

#[test]
fn secrets_give_way_to_placeholders() {
    let details = json!({ "bucket": "b", "credentials": { "key": "hush" } });
    let resolved = run(details, &[], &[]);
    let shown = resolved.details.with_placeholders(|path| format!("for {path}").into());
    assert_eq!(shown["credentials"], json!({ "key": "for credentials.key" }));
}
