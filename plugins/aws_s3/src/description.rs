//! Describes this type of location: its limits, and every field of its `details`.

use sallyport_plugin_sdk::details::field as plain_field;
use sallyport_plugin_sdk::objects::{
    Description, Field, Limits, Parameter, Problem, Profile, Signing, Validation, ValidationRequest,
};

use crate::details::{self, Details};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
/// What S3 takes, less the write id with its name.
const MAX_METADATA: u32 = 2048 - 50;

/// Everything the host must know beforehand.
pub(crate) fn describe() -> Description {
    Description {
        name: "aws_s3".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        limits: Limits {
            max_put: 5 * GIB,
            min_part: 5 * MIB,
            max_part: 5 * GIB,
            max_parts: 10_000,
            max_metadata: MAX_METADATA,
        },
        fields: fields(),
        keeps_overwritten: true,
        attributes: Vec::new(),
    }
}

/// Finds every problem of one location, and says how the host is to treat it.
pub(crate) fn validate(request: &ValidationRequest) -> Validation {
    let reading = Details::read(&request.details);
    let problems = reading.problems.into_iter().map(|problem| Problem {
        path: problem.path.to_owned(),
        message: problem.message,
        fix: problem.fix,
    });
    let details = reading.details.as_ref();
    Validation {
        problems: problems.collect(),
        egress: details.map(Details::egress).unwrap_or_default(),
        signing: details.map(signing),
        keeps_overwritten: details.is_none_or(|details| details.versions),
        target: details.map(Details::target).unwrap_or_default(),
        attributes: Vec::new(),
    }
}

fn signing(details: &Details) -> Signing {
    let field = |name: &str, path: &str| (name.to_owned(), Parameter::Field(path.to_owned()));
    let literal = |name: &str, value: &str| (name.to_owned(), Parameter::Literal(value.to_owned()));
    let mut parameters = vec![
        field("access-key", "credentials.accessKey"),
        field("secret-key", "credentials.secretKey"),
        literal("region", &details.region),
        literal("service", "s3"),
    ];
    if details.signing == details::Signing::Session {
        parameters.push(field("session-token", "credentials.sessionToken"));
    }
    Signing { scheme: "sigv4".to_owned(), parameters }
}

fn fields() -> Vec<Field> {
    vec![
        // No default: the host takes none for what the location may connect to.
        field(
            "awsEndpoint",
            "string",
            "endpoint",
            "Host or host:port of the S3 service; a scheme may stand in front. By default s3.amazonaws.com.",
        ),
        Field {
            required: true,
            ..field(
                "bucketName",
                "string",
                "plain",
                "Existing bucket of the backend that holds the location's objects.",
            )
        },
        boolean(
            "bucketMatch",
            false,
            "Whether objects keep their own keys, without their bucket's name in front; then one bucket per location.",
        ),
        field("credentials", "object", "plain", "Keys of the backend, unless credentialsProfile names them."),
        field("credentials.accessKey", "string", "secret", "Access key id of the backend."),
        field("credentials.secretKey", "string", "secret", "Secret access key of the backend."),
        field("credentials.sessionToken", "string", "secret", "Session token, with temporary keys only."),
        Field {
            profile: Some(profile()),
            ..field(
                "credentialsProfile",
                "string",
                "profile",
                "Section of the AWS credentials file whose keys are used; it wins over credentials.",
            )
        },
        // No default: one that was filled in would contradict an endpoint that begins with http://.
        field(
            "https",
            "boolean",
            "plain",
            "Whether the backend is asked over TLS; true unless its endpoint says http://.",
        ),
        Field {
            attributes: vec![("host".to_owned(), "ca-bundle".to_owned())],
            ..field(
                "caBundle",
                "string",
                "plain",
                "PEM file of certificate authorities to trust for this backend, beside the system's.",
            )
        },
        boolean("pathStyle", false, "Whether the bucket is part of the path rather than of the host name."),
        // No default: what is not written is found out.
        field(
            "region",
            "string",
            "plain",
            "Region of the bucket; by default the one that the endpoint's name shows or the backend tells.",
        ),
        boolean("serverSideEncryption", false, "Whether the backend is asked to encrypt what it stores (AES256)."),
        boolean(
            "supportsVersioning",
            true,
            "Whether the bucket keeps versions, whose ids are recorded; false for services without them.",
        ),
    ]
}

fn field(path: &str, kind: &str, role: &str, help: &str) -> Field {
    Field { kind: kind.to_owned(), ..plain_field(path, role, help) }
}

fn boolean(path: &str, default: bool, help: &str) -> Field {
    Field { default: Some(default.to_string()), ..field(path, "boolean", "plain", help) }
}

fn profile() -> Profile {
    let keys = [
        ("aws_access_key_id", "credentials.accessKey"),
        ("aws_secret_access_key", "credentials.secretKey"),
        ("aws_session_token", "credentials.sessionToken"),
    ];
    Profile {
        file: "~/.aws/credentials".to_owned(),
        file_environment: Some("AWS_SHARED_CREDENTIALS_FILE".to_owned()),
        keys: keys.map(|(key, path)| (key.to_owned(), path.to_owned())).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(details: &str) -> Validation {
        super::validate(&ValidationRequest {
            location: "aws-test".to_owned(),
            details: details.to_owned(),
            attributes: Vec::new(),
        })
    }

    #[test]
    fn every_field_has_help_that_is_a_sentence() {
        for field in describe().fields {
            assert!(field.help.ends_with('.'), "{}", field.path);
        }
    }

    #[test]
    fn keys_are_secrets_and_are_named_to_the_signer() {
        let validation = validate(r#"{"bucketName":"b","credentials":{"accessKey":"a","secretKey":"s"}}"#);
        let signing = validation.signing.unwrap();
        assert_eq!(signing.scheme, "sigv4");
        for (_, parameter) in &signing.parameters {
            if let Parameter::Field(path) = parameter {
                let field = describe().fields.into_iter().find(|field| &field.path == path).unwrap();
                assert_eq!(field.role, "secret");
            }
        }
    }

    #[test]
    fn an_endpoint_may_say_itself_that_there_is_no_tls() {
        let https = describe().fields.into_iter().find(|field| field.path == "https").unwrap();
        assert_eq!(https.default, None, "the host fills it in before the endpoint is read");
        let details = r#"{"bucketName":"b","credentialsProfile":"p","awsEndpoint":"http://h:9000","pathStyle":true}"#;
        assert_eq!(validate(details).egress, ["http://h:9000"]);
    }

    #[test]
    fn a_service_without_versions_overwrites() {
        let validation = validate(r#"{"bucketName":"b","credentialsProfile":"p","supportsVersioning":false}"#);
        assert!(!validation.keeps_overwritten);
    }

    #[test]
    fn a_broken_location_connects_to_nothing() {
        let validation = validate("{}");
        assert_eq!(validation.problems.len(), 2);
        assert!(validation.egress.is_empty() && validation.signing.is_none());
    }
}
