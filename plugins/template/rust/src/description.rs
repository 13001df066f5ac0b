//! What the host has to know of this type of location, and what an operator may write.

use crate::place::Root;
use sallyport_plugin_sdk::details::{Details, field};
use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::http::Origin;
use sallyport_plugin_sdk::objects::{Description, Field, Limits, Parameter, Signing, Validation, ValidationRequest};
use sallyport_plugin_sdk::types::Failure;

/// The largest object of S3.
const LARGEST: u64 = 5 << 40;

pub fn describe() -> Description {
    Description {
        name: "newplugin".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // Without the multipart interface there are no parts.
        limits: Limits { max_put: LARGEST, min_part: 0, max_part: 0, max_parts: 0, max_metadata: u32::MAX },
        fields: vec![
            Field {
                required: true,
                ..field("endpoint", "endpoint", "The collection that holds the files, as http://host:port/path.")
            },
            Field {
                environment: Some("NEWPLUGIN_TOKEN".to_owned()),
                ..field("token", "secret", "A token that the server takes as `Authorization: Bearer`.")
            },
        ],
        // Each write is a file of its own.
        keeps_overwritten: true,
        attributes: Vec::new(),
    }
}

pub fn validate(request: &ValidationRequest) -> Validation {
    let mut details = Details::parse(&request.details);
    let root = read_root(&mut details);
    // The host adds the header, so that the token never enters this plugin.
    let signing = details.text("token").map(|_| Signing {
        scheme: "bearer".to_owned(),
        parameters: vec![("token".to_owned(), Parameter::Field("token".to_owned()))],
    });
    Validation {
        problems: details.into_problems(),
        egress: root.iter().map(|root| root.origin().egress()).collect(),
        signing,
        keeps_overwritten: true,
        target: root.map(|root| root.to_string()).unwrap_or_default(),
        attributes: Vec::new(),
    }
}

/// The collection of details that were validated before.
pub fn root(details: &str) -> Result<Root, Failure> {
    read_root(&mut Details::parse(details)).ok_or_else(|| failure::invalid("no endpoint"))
}

fn read_root(details: &mut Details) -> Option<Root> {
    let text = details.required_text("endpoint", "write http://host:port/path")?;
    match Origin::parse(&text, true) {
        Ok((origin, path)) if !path.contains(['?', '#']) => Some(Root::new(origin, &path)),
        Ok(_) => {
            details.problem("endpoint", "has a query or a fragment", "write http://host:port/path");
            None
        }
        Err(error) => {
            details.problem("endpoint", &error.to_string(), "write http://host:port/path");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validated(details: &str) -> Validation {
        validate(&ValidationRequest {
            location: "here".to_owned(),
            details: details.to_owned(),
            attributes: Vec::new(),
        })
    }

    #[test]
    fn an_endpoint_is_all_that_is_connected_to() {
        let validation = validated(r#"{"endpoint": "http://127.0.0.1:8080/store/"}"#);
        assert_eq!(validation.problems.len(), 0);
        assert_eq!(validation.egress, ["http://127.0.0.1:8080"]);
        assert_eq!(validation.target, "http://127.0.0.1:8080/store");
        assert!(validation.signing.is_none());
    }

    #[test]
    fn mistakes_are_told_with_their_field() {
        for details in ["{}", r#"{"endpoint": "ftp://x"}"#, r#"{"endpoint": "http://h/?q"}"#, r#"{"endpoint": 7}"#] {
            let validation = validated(details);
            assert_eq!(validation.problems.len(), 1, "{details}");
            assert_eq!(validation.problems[0].path, "endpoint");
        }
    }

    #[test]
    fn a_token_is_named_to_the_host_and_not_used_here() {
        let signing = validated(r#"{"endpoint": "http://h", "token": "placeholder"}"#).signing.unwrap();
        assert_eq!(signing.scheme, "bearer");
        assert!(!format!("{signing:?}").contains("placeholder"));
    }
}
