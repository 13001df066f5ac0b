//! What the host must know of this type of location.

use sallyport_plugin_sdk::details::field as plain_field;
use sallyport_plugin_sdk::objects::{
    Description, Field, Limits, Parameter, Problem, Signing, Validation, ValidationRequest,
};

use crate::details::{self, Authentication, Details};

const MIB: u64 = 1024 * 1024;
/// Azure drops blocks that were not committed a week after the last one came.
const UPLOADS_EXPIRE_AFTER: u64 = 7 * 24 * 60 * 60 * 1000;

pub(crate) fn describe() -> Description {
    Description {
        name: "azure".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // <https://learn.microsoft.com/azure/storage/blobs/scalability-targets>
        limits: Limits {
            max_put: 5000 * MIB,
            min_part: 0,
            max_part: 4000 * MIB,
            max_parts: 50_000,
            max_metadata: 8 * 1024,
        },
        fields: fields(),
        keeps_overwritten: false,
        attributes: vec![("uploads-expire-after-ms".to_owned(), UPLOADS_EXPIRE_AFTER.to_string())],
    }
}

fn fields() -> Vec<Field> {
    vec![
        Field {
            kind: "boolean".to_owned(),
            default: Some("false".to_owned()),
            ..field("bucketMatch", "plain", None, "Whether blobs are named by their key alone, without the bucket.")
        },
        Field {
            required: true,
            ..field("azureContainerName", "plain", None, "The container that holds the objects; made when missing.")
        },
        field(
            "azureStorageEndpoint",
            "endpoint",
            Some("AZURE_STORAGE_ENDPOINT"),
            "The URL of the blob service; empty for the account's public one.",
        ),
        field(
            "authMethod",
            "plain",
            Some("AZURE_AUTH_METHOD"),
            "shared-key, shared-access-signature or client-secret; decided by the secret that is there when absent.",
        ),
        field("azureStorageAccountName", "plain", Some("AZURE_STORAGE_ACCOUNT_NAME"), "The storage account."),
        field("azureStorageAccessKey", "secret", Some("AZURE_STORAGE_ACCESS_KEY"), "One of the account's two keys."),
        field("sasToken", "secret", Some("AZURE_SAS_TOKEN"), "A shared access signature: a query string."),
        field("tenantId", "plain", Some("AZURE_TENANT_ID"), "The tenant of the application in Entra ID."),
        field("clientId", "plain", Some("AZURE_CLIENT_ID"), "The application's id."),
        field("clientKey", "secret", Some("AZURE_CLIENT_KEY"), "A secret of the application."),
        Field {
            attributes: vec![("host".to_owned(), "ca-bundle".to_owned())],
            ..field(
                "caBundle",
                "plain",
                None,
                "PEM file of certificate authorities to trust for this backend, beside the system's.",
            )
        },
        field(
            "azureAuthorityHost",
            "endpoint",
            None,
            "Where tokens come from, for sovereign clouds; by default https://login.microsoftonline.com.",
        ),
    ]
}

fn field(path: &str, role: &str, environment: Option<&str>, help: &str) -> Field {
    Field { environment: environment.map(str::to_owned), ..plain_field(path, role, help) }
}

pub(crate) fn validate(request: &ValidationRequest) -> Validation {
    match Details::parse(&request.details) {
        Ok(details) => Validation {
            problems: Vec::new(),
            egress: details.egress(),
            signing: Some(signing(&details.authentication)),
            keeps_overwritten: false,
            target: details.target(),
            attributes: details.warnings.into_iter().map(|warning| ("warning".to_owned(), warning)).collect(),
        },
        Err(problems) => Validation {
            problems: problems.into_iter().map(|problem| of_location(problem, &request.location)).collect(),
            egress: Vec::new(),
            signing: None,
            keeps_overwritten: false,
            target: String::new(),
            attributes: Vec::new(),
        },
    }
}

/// The problem with the location's variables by their names, spelt as shells can export them.
fn of_location(problem: Problem, location: &str) -> Problem {
    let fix = problem.fix.replace(details::LOCATION, &location.replace('-', "_"));
    Problem { fix, ..problem }
}

fn signing(authentication: &Authentication) -> Signing {
    let field = |name: &str, path: &str| (name.to_owned(), Parameter::Field(path.to_owned()));
    let literal = |name: &str, value: &str| (name.to_owned(), Parameter::Literal(value.to_owned()));
    let (scheme, parameters) = match authentication {
        Authentication::SharedKey { .. } => (
            "azure-shared-key",
            vec![field("account", "azureStorageAccountName"), field("key", "azureStorageAccessKey")],
        ),
        Authentication::SharedAccessSignature { .. } => ("query", vec![field("sas", "sasToken")]),
        Authentication::ClientSecret { token_url, .. } => (
            "oauth-client-credentials",
            vec![
                literal("token-url", token_url),
                field("client-id", "clientId"),
                field("client-secret", "clientKey"),
                literal("scope", "https://storage.azure.com/.default"),
            ],
        ),
    };
    Signing { scheme: scheme.to_owned(), parameters }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validated(details: &serde_json::Value) -> Validation {
        validate(&ValidationRequest { location: "l".into(), details: details.to_string(), attributes: Vec::new() })
    }

    #[test]
    fn every_documented_variable_overrides_a_field() {
        let variables: Vec<String> = fields().into_iter().filter_map(|field| field.environment).collect();
        for suffix in [
            "STORAGE_ACCOUNT_NAME",
            "STORAGE_ACCESS_KEY",
            "SAS_TOKEN",
            "TENANT_ID",
            "CLIENT_ID",
            "CLIENT_KEY",
            "STORAGE_ENDPOINT",
            "AUTH_METHOD",
        ] {
            assert!(variables.contains(&format!("AZURE_{suffix}")), "{suffix}");
        }
    }

    #[test]
    fn a_missing_field_names_the_variable_of_its_location() {
        let details = r#"{ "azureContainerName": "container", "azureStorageAccountName": "acc" }"#.to_owned();
        let request = ValidationRequest { location: "azure-test".into(), details, attributes: Vec::new() };
        let problems = validate(&request).problems;
        assert!(problems[0].fix.contains("azure_test_AZURE_STORAGE_ACCESS_KEY"), "{}", problems[0].fix);
    }

    #[test]
    fn signing_names_fields_and_holds_no_secret() {
        let details = serde_json::json!({
            "azureContainerName": "container", "azureStorageAccountName": "acc",
            "azureStorageAccessKey": "c2VjcmV0",
        });
        let validation = validated(&details);
        assert_eq!(validation.problems.len(), 0);
        let signing = validation.signing.unwrap();
        assert_eq!(signing.scheme, "azure-shared-key");
        assert!(!format!("{signing:?}").contains("c2VjcmV0"));
    }

    #[test]
    fn each_way_to_authenticate_has_its_scheme() {
        let details = serde_json::json!({
            "azureContainerName": "container", "azureStorageAccountName": "acc", "sasToken": "p",
        });
        assert_eq!(validated(&details).signing.unwrap().scheme, "query");
        let details = serde_json::json!({
            "azureContainerName": "container", "azureStorageAccountName": "acc",
            "tenantId": "t", "clientId": "c", "clientKey": "k",
        });
        assert_eq!(validated(&details).signing.unwrap().scheme, "oauth-client-credentials");
    }
}
