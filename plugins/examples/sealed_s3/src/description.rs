//! Describes this type of location: what `aws_s3` says of its own, and the key.

use crate::keys::{InvalidKeys, Keys};
use crate::layout;
use aws_s3::AwsS3;
use sallyport_plugin_sdk::Storage;
use sallyport_plugin_sdk::details::Details;
use sallyport_plugin_sdk::objects::{Description, Field, Limits, Problem, Validation, ValidationRequest};

pub(crate) fn describe() -> Description {
    let stored = AwsS3::describe();
    let key = Field {
        path: "key".to_owned(),
        kind: "string".to_owned(),
        required: true,
        default: None,
        role: "secret".to_owned(),
        environment: Some("SEALING_KEY".to_owned()),
        profile: None,
        help: "What objects are sealed with, as ID:BASE64 of 32 bytes; older keys may follow behind spaces.".to_owned(),
        attributes: Vec::new(),
    };
    Description {
        name: "sealed_s3".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        limits: Limits {
            max_put: layout::largest(stored.limits.max_put),
            // Parts are objects of their own: one object of several parts would have several nonces.
            min_part: 0,
            max_part: 0,
            max_parts: 0,
            // Metadata is in the server's database alone.
            max_metadata: u32::MAX,
        },
        fields: stored.fields.into_iter().map(written).chain([key]).collect(),
        ..stored
    }
}

/// What is no part of a release reaches only hosts that the operator wrote, so AWS's own too is written.
fn written(field: Field) -> Field {
    if field.role == "endpoint" { Field { required: true, ..field } } else { field }
}

pub(crate) fn validate(request: ValidationRequest) -> Validation {
    let problem = keys(&request.details).err();
    let mut validation = AwsS3::validate(request);
    validation.problems.extend(problem);
    validation
}

/// The keys of a location's details, or what is wrong with them.
pub(crate) fn keys(details: &str) -> Result<Keys, Problem> {
    let text = Details::parse(details).text("key").unwrap_or_default();
    Keys::parse(&text).map_err(|invalid| Problem {
        path: "key".to_owned(),
        message: match invalid {
            InvalidKeys::Unnamed if text.is_empty() => "is missing",
            InvalidKeys::Unnamed => "is hidden from the plugin, or has no id and colon in front",
            InvalidKeys::Id => "has an id that is not 1 to 8 letters, digits, hyphens and underscores",
            InvalidKeys::Length => "is not the base64 of 32 bytes",
            InvalidKeys::Twice => "has the same id twice",
        }
        .to_owned(),
        fix:
            "write \"1:\" and what `openssl rand -base64 32` prints, and \"grants\": { \"reveal\": [\"key\"] } beside \
              details"
                .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validated(key: &str) -> Validation {
        let details =
            format!(r#"{{"bucketName": "b", "credentials": {{"accessKey": "a", "secretKey": "s"}}, "key": "{key}"}}"#);
        validate(ValidationRequest { location: "here".to_owned(), details, attributes: Vec::new() })
    }

    #[test]
    fn a_location_is_one_of_s3_with_a_key() {
        let good = validated("1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        assert_eq!(good.problems.len(), 0, "{:?}", good.problems);
        assert_eq!(good.signing.unwrap().scheme, "sigv4");
        let bad = validate(ValidationRequest {
            location: "here".to_owned(),
            details: "{}".to_owned(),
            attributes: Vec::new(),
        });
        assert!(bad.problems.len() >= 2 && bad.problems.iter().any(|problem| problem.path == "key"));
    }

    #[test]
    fn a_key_that_is_hidden_is_a_problem_that_names_the_grant() {
        let hidden = validated("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLM");
        assert_eq!(hidden.problems.len(), 1);
        assert!(hidden.problems[0].fix.contains("reveal"), "{:?}", hidden.problems);
    }

    #[test]
    fn no_problem_repeats_the_key() {
        for key in ["1:short", "ABCDEFGH", "much-too-long:secret"] {
            let told = format!("{:?}", validated(key).problems);
            assert!(!told.contains(key) && !told.contains("secret\""), "{told}");
        }
    }
}
