//! A location's `details`: what the plugin sees of them, and what only the host does.

use crate::bindings::base::exports::sallyport::plugin::storage::{Parameter, Signing};
use crate::description::Description;
use crate::egress::policy::Endpoint;
use crate::secret::{Secret, placeholder};
use serde_json::Value;
use std::collections::HashMap;

/// The services of AWS's that store objects, as signatures name them.
const STORES: [&str; 4] = ["s3", "s3express", "s3-object-lambda", "s3-outposts"];

/// `details` taken apart by the roles of their fields.
pub(crate) struct Details {
    real: Value,
    /// As the plugin sees them, in JSON.
    pub(crate) shown: String,
    /// Hosts that the operator named.
    pub(crate) endpoints: Vec<Endpoint>,
    /// The folder that the operator named.
    pub(crate) folder: Option<String>,
    /// A PEM file with further authorities.
    pub(crate) authorities: Option<String>,
    /// Parts of query secrets, by their placeholders.
    pub(crate) in_queries: Vec<(String, Secret)>,
    /// Placeholders, by the secrets that they stand for.
    pub(crate) secrets: Vec<(Secret, String)>,
}

impl Details {
    /// Secrets of the fields that `revealed` names stay as they are.
    pub(crate) fn take_apart(real: Value, description: &Description, revealed: &[String]) -> Self {
        let mut shown = real.clone();
        let mut apart = Self {
            real,
            shown: String::new(),
            endpoints: Vec::new(),
            folder: None,
            authorities: None,
            in_queries: Vec::new(),
            secrets: Vec::new(),
        };
        for field in &description.fields {
            let Some(value) = find_mut(&mut shown, &field.path) else { continue };
            if field.role == "secret" && !matches!(value, Value::String(_) | Value::Null) {
                // Digits without quotes, or several secrets at once: none of it is shown.
                let secret = value.to_string();
                *value = Value::String(apart.hide(secret));
                continue;
            }
            let Some(text) = value.as_str().filter(|text| !text.is_empty()).map(str::to_owned) else { continue };
            match field.role.as_str() {
                "secret" if revealed.contains(&field.path) => {
                    apart.secrets.push((Secret::new(text.clone()), text.clone()));
                }
                "secret" => *value = Value::String(apart.hide(text.clone())),
                "endpoint" => apart.endpoints.extend(Endpoint::parse(&text)),
                "path" => apart.folder = Some(text.clone()),
                _ => {}
            }
            if field.attribute("host") == Some("ca-bundle") {
                apart.authorities = Some(text);
            }
        }
        apart.shown = shown.to_string();
        apart
    }

    fn hide(&mut self, secret: String) -> String {
        let seen = placeholder(&secret);
        self.in_queries.extend(seen.in_query);
        self.secrets.push((Secret::new(secret), seen.text.clone()));
        seen.text
    }

    /// The parameters of a signing scheme with their real values. A literal in which a
    /// placeholder stands gets the secret.
    pub(crate) fn parameters(&self, signing: &Signing) -> HashMap<String, Secret> {
        let value = |parameter: &Parameter| match parameter {
            Parameter::Literal(text) => {
                let secret = self.secrets.iter().find(|(_, placeholder)| placeholder == text);
                Some(secret.map_or_else(|| Secret::new(text.clone()), |(secret, _)| secret.clone()))
            }
            Parameter::Field(path) => find(&self.real, path).and_then(Value::as_str).map(Secret::new),
        };
        signing.parameters.iter().filter_map(|(name, parameter)| Some((name.clone(), value(parameter)?))).collect()
    }

    /// Whether a plugin of somebody else's has requests signed for a service of AWS's that stores
    /// nothing: the location's keys may open that as well.
    pub(crate) fn signs_for_others(&self, signing: &Signing, description: &Description) -> bool {
        if description.own || signing.scheme != "sigv4" {
            return false;
        }
        let parameters = self.parameters(signing);
        parameters.get("service").is_some_and(|service| !STORES.contains(&service.reveal()))
    }
}

/// The value at a path with dots.
fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, name| value.get(name))
}

fn find_mut<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    path.split('.').try_fold(value, |value, name| value.get_mut(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::{Field, StorageLimits};
    use serde_json::json;

    fn field(path: &str, role: &str) -> Field {
        crate::description::tests::field(path, role).into()
    }

    fn described(fields: Vec<Field>) -> Description {
        Description {
            name: "x".to_owned(),
            version: "1.0.0".to_owned(),
            limits: StorageLimits { max_put: 0, min_part: 0, max_part: 0, max_parts: 0, max_metadata: 0 },
            fields,
            keeps_overwritten: false,
            attributes: Vec::new(),
            optional: Vec::new(),
            own: false,
            digest: String::new(),
        }
    }

    #[test]
    fn a_strangers_plugin_has_requests_signed_for_stores_alone() {
        let description = described(vec![field("service", "plain")]);
        let details = Details::take_apart(json!({ "service": "sts" }), &description, &[]);
        let literal = |service: &str| Parameter::Literal(service.to_owned());
        for (services, is_refused) in [
            (vec![literal("s3")], false),
            (vec![literal("s3express")], false),
            (Vec::new(), false),
            (vec![literal("sts")], true),
            (vec![literal("S3")], true),
            (vec![Parameter::Field("service".to_owned())], true),
            // The last one counts.
            (vec![literal("s3"), literal("iam")], true),
        ] {
            let parameters = services.into_iter().map(|service| ("service".to_owned(), service)).collect();
            let signing = Signing { scheme: "sigv4".to_owned(), parameters };
            assert_eq!(details.signs_for_others(&signing, &description), is_refused, "{signing:?}");
            let own = Description { own: true, ..description.clone() };
            assert!(!details.signs_for_others(&signing, &own));
        }
    }

    #[test]
    fn a_plugin_sees_placeholders_and_signing_sees_secrets() {
        let description = described(vec![
            field("credentials.secretKey", "secret"),
            field("endpoint", "endpoint"),
            field("absent", "secret"),
        ]);
        let real = json!({ "credentials": { "secretKey": "very-secret-indeed" }, "endpoint": "s3.example.com:9000", "other": 1 });
        let details = Details::take_apart(real, &description, &[]);
        assert!(!details.shown.contains("very-secret-indeed") && details.shown.contains("\"other\":1"));
        assert_eq!(details.endpoints.first().map(|endpoint| endpoint.port), Some(Some(9000)));
        let signing = Signing {
            scheme: "bearer".to_owned(),
            parameters: vec![
                ("token".to_owned(), Parameter::Field("credentials.secretKey".to_owned())),
                ("region".to_owned(), Parameter::Literal("r".to_owned())),
            ],
        };
        let parameters = details.parameters(&signing);
        assert_eq!(parameters.get("token").map(Secret::reveal), Some("very-secret-indeed"));
        assert_eq!(parameters.get("region").map(Secret::reveal), Some("r"));
    }
}
