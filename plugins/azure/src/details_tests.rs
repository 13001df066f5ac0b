//! What `details` may say and what is said of the mistakes in them.

use super::*;

const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

fn shared_key() -> Value {
    serde_json::json!({
        "azureStorageEndpoint": "https://acc.blob.core.windows.net/",
        "azureContainerName": "container",
        "azureStorageAccountName": "acc",
        "azureStorageAccessKey": KEY,
    })
}

fn parse(details: &Value) -> Result<Details, Vec<Problem>> {
    Details::parse(&details.to_string())
}

fn with(path: &str, value: Value) -> Value {
    let mut details = shared_key();
    details[path] = value;
    details
}

fn paths(details: &Value) -> Vec<String> {
    parse(details).unwrap_err().into_iter().map(|problem| problem.path).collect()
}

#[test]
fn the_documentations_own_location_is_accepted() {
    let details = parse(&shared_key()).unwrap();
    assert_eq!(details.target(), "azure://acc.blob.core.windows.net/container");
    assert_eq!(details.namespace("bucket"), "azure://acc.blob.core.windows.net/container/bucket/");
    assert_eq!(details.egress(), ["https://acc.blob.core.windows.net:443"]);
    assert_eq!(details.authentication, Authentication::SharedKey { account: "acc".to_owned() });
    assert!(!details.naming.bucket_match);
    assert!(details.warnings.is_empty());
}

#[test]
fn an_empty_endpoint_means_the_accounts_public_one() {
    let named = parse(&shared_key()).unwrap();
    for endpoint in [Value::Null, "".into()] {
        assert_eq!(parse(&with("azureStorageEndpoint", endpoint)).unwrap(), named);
    }
}

#[test]
fn bucket_match_gives_all_buckets_one_namespace() {
    let details = parse(&with("bucketMatch", true.into())).unwrap();
    assert_eq!(details.namespace("one"), details.namespace("two"));
}

#[test]
fn all_mistakes_are_said_at_once() {
    let details = serde_json::json!({
        "azureStorageEndpoint": "ftp://x",
        "azureContainerName": "Not_A_Container",
        "azureStorageAccountName": "NO",
        "azureStorageAccessKey": "not base64",
        "bucketMatch": "yes",
    });
    assert_eq!(
        paths(&details),
        [
            "bucketMatch",
            "azureContainerName",
            "azureStorageAccountName",
            "azureStorageEndpoint",
            "azureStorageAccessKey"
        ]
    );
    assert_eq!(
        paths(&serde_json::json!({})),
        ["azureContainerName", "azureStorageAccountName", "azureStorageAccessKey"]
    );
}

#[test]
fn no_problem_repeats_a_secret() {
    let problems = parse(&with("azureStorageAccessKey", "secret key".into())).unwrap_err();
    assert!(!format!("{problems:?}").contains("secret key"));
}

#[test]
fn a_value_of_another_type_is_said_once() {
    assert_eq!(paths(&with("azureContainerName", 5.into())), ["azureContainerName"]);
    assert_eq!(paths(&with("azureStorageAccessKey", 5.into())), ["azureStorageAccessKey"]);
    assert_eq!(paths(&with("azureStorageAccountName", 5.into())), ["azureStorageAccountName"]);
    assert_eq!(Details::parse("[]").unwrap_err()[0].path, "");
}

#[test]
fn an_unknown_way_to_authenticate_lists_the_right_ones() {
    let problems = parse(&with("authMethod", "password".into())).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].path, "authMethod");
    for method in ["shared-key", "shared-access-signature", "client-secret"] {
        assert!(problems[0].fix.contains(method));
    }
}

#[test]
fn the_secret_that_is_there_decides_how_to_authenticate() {
    let details = serde_json::json!({
        "azureStorageEndpoint": "https://acc.blob.core.windows.net",
        "azureContainerName": "container",
        "sasToken": "placeholder",
    });
    assert_eq!(
        parse(&details).unwrap().authentication,
        Authentication::SharedAccessSignature { placeholder: "placeholder".to_owned() }
    );

    let details = serde_json::json!({
        "azureStorageAccountName": "acc",
        "azureContainerName": "container",
        "tenantId": "tenant", "clientId": "client", "clientKey": "placeholder",
    });
    let details = parse(&details).unwrap();
    assert_eq!(
        details.authentication,
        Authentication::ClientSecret {
            token_url: "https://login.microsoftonline.com/tenant/oauth2/v2.0/token".to_owned(),
            authority: "https://login.microsoftonline.com:443".to_owned(),
        }
    );
    assert_eq!(details.egress().len(), 2);
}

#[test]
fn a_written_method_wins_over_the_secret_that_is_there() {
    assert_eq!(paths(&with("authMethod", "shared-access-signature".into())), ["sasToken"]);
    assert_eq!(paths(&with("authMethod", "client-secret".into())), ["tenantId", "clientId", "clientKey"]);
}

#[test]
fn without_an_endpoint_or_an_account_nobody_knows_where() {
    let details = serde_json::json!({ "azureContainerName": "container", "sasToken": "placeholder" });
    assert_eq!(paths(&details), ["azureStorageEndpoint"]);
}

#[test]
fn another_authority_is_taken_for_sovereign_clouds() {
    let details = serde_json::json!({
        "azureStorageAccountName": "acc", "azureContainerName": "container",
        "tenantId": "t", "clientId": "c", "clientKey": "k",
        "azureAuthorityHost": "http://127.0.0.1:9999/",
    });
    let Authentication::ClientSecret { token_url, authority } = parse(&details).unwrap().authentication else {
        panic!()
    };
    assert_eq!(token_url, "http://127.0.0.1:9999/t/oauth2/v2.0/token");
    assert_eq!(authority, "http://127.0.0.1:9999");
}
