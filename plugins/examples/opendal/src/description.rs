//! What the host has to know of this type of location, and what an operator may write.

use crate::service::{Basic, Service, Settings};
use sallyport_plugin_sdk::details::{Details, field};
use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::http::Origin;
use sallyport_plugin_sdk::objects::{Description, Field, Limits, Parameter, Signing, Validation, ValidationRequest};
use sallyport_plugin_sdk::types::Failure;

/// The most that one request may store with every service: Azure's 5,000 MiB.
/// The server stores what is larger as several objects.
const LARGEST: u64 = 5_000 << 20;

const SERVICE: &str = "service";
const ENDPOINT: &str = "endpoint";
const CONTAINER: &str = "container";
const ROOT: &str = "root";
const ACCOUNT: &str = "account";
const SECRET: &str = "secret";

pub(crate) fn describe() -> Description {
    Description {
        name: "opendal".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // Without the multipart interface there are no parts.
        limits: Limits { max_put: LARGEST, min_part: 0, max_part: 0, max_parts: 0, max_metadata: u32::MAX },
        fields: fields(),
        // Each write is a file of its own.
        keeps_overwritten: true,
        attributes: Vec::new(),
    }
}

fn fields() -> Vec<Field> {
    vec![
        Field { required: true, ..field(SERVICE, "plain", "The service, as OpenDAL calls it: azblob or webdav.") },
        Field {
            required: true,
            ..field(ENDPOINT, "endpoint", "Where the service is, as https://host:port, with a path where it has one.")
        },
        field(CONTAINER, "plain", "The container of azblob, which exists."),
        field(ROOT, "plain", "The folder below which all files are; the service's own when absent."),
        Field {
            environment: Some("OPENDAL_ACCOUNT".to_owned()),
            ..field(ACCOUNT, "plain", "The account's name; without one the secret of webdav is a token.")
        },
        Field {
            environment: Some("OPENDAL_SECRET".to_owned()),
            ..field(
                SECRET,
                "secret",
                "The account's key for azblob; for webdav a bearer token, or the account's password, which needs the grant \
                 `reveal`.",
            )
        },
    ]
}

pub(crate) fn validate(request: &ValidationRequest) -> Validation {
    let mut details = Details::parse(&request.details);
    let settings = read(&mut details);
    let signing = read_signing(&mut details, settings.as_ref());
    Validation {
        problems: details.into_problems(),
        egress: settings.iter().map(|settings| settings.origin.egress()).collect(),
        signing,
        keeps_overwritten: true,
        target: settings.map(|settings| settings.target()).unwrap_or_default(),
        attributes: Vec::new(),
    }
}

/// The settings of details that were validated before.
pub(crate) fn settings(details: &str) -> Result<Settings, Failure> {
    read(&mut Details::parse(details)).ok_or_else(|| failure::invalid("the details have problems"))
}

fn read(details: &mut Details) -> Option<Settings> {
    let service = read_service(details);
    let endpoint = read_endpoint(details);
    let root = read_root(details);
    let container = read_container(details, service?);
    let (origin, path) = endpoint?;
    let basic = if service == Some(Service::Webdav) { read_basic(details) } else { None };
    Some(Settings { service: service?, origin, path, container: container?, root: root?, basic })
}

fn read_service(details: &mut Details) -> Option<Service> {
    let names = Service::ALL.map(Service::name).join(", ");
    let fix = format!("write one of {names}");
    let service = Service::parse(&details.required_text(SERVICE, &fix)?);
    if service.is_none() {
        details.problem(SERVICE, "is none that this plugin has", &fix);
    }
    service
}

fn read_endpoint(details: &mut Details) -> Option<(Origin, String)> {
    const FIX: &str = "write https://host:port, and a path behind it where the service has one";
    let text = details.required_text(ENDPOINT, FIX)?;
    match Origin::parse(&text, true) {
        Ok((origin, path)) if path.split('/').skip(1).all(is_segment) => Some((origin, path)),
        Ok(_) => {
            details.problem(ENDPOINT, "has a path of other characters than letters, digits and -._~", FIX);
            None
        }
        Err(error) => {
            details.problem(ENDPOINT, &error.to_string(), FIX);
            None
        }
    }
}

fn read_root(details: &mut Details) -> Option<String> {
    let text = details.text(ROOT).unwrap_or_default();
    let root = text.trim_matches('/');
    if root.is_empty() || root.split('/').all(is_segment) {
        return Some(root.to_owned());
    }
    details.problem(ROOT, "is no path of letters, digits and -._~", "write names with a slash in between");
    None
}

fn read_container(details: &mut Details, service: Service) -> Option<String> {
    match (details.text(CONTAINER), service.has_container()) {
        (Some(container), true) if is_segment(&container) => return Some(container),
        (Some(_), true) => details.problem(CONTAINER, "is no name of a container", "write letters, digits and hyphens"),
        (None, true) => details.problem(CONTAINER, "is missing", "name the container"),
        (Some(_), false) => details.problem(CONTAINER, "is nothing that the service has", "write it as `root`"),
        (None, false) => return Some(String::new()),
    }
    None
}

/// Only with an account: a secret alone is a token.
fn read_basic(details: &mut Details) -> Option<Basic> {
    let (account, password) = (details.text(ACCOUNT)?, details.text(SECRET)?);
    Some(Basic { account, password })
}

/// How the host authenticates requests; absent for anonymous ones, and where OpenDAL does it.
fn read_signing(details: &mut Details, settings: Option<&Settings>) -> Option<Signing> {
    let settings = settings?;
    let field = |name: &str, path: &str| (name.to_owned(), Parameter::Field(path.to_owned()));
    let (has_account, has_secret) = (details.text(ACCOUNT).is_some(), details.text(SECRET).is_some());
    let (needs_account, needs_secret) = match settings.service {
        Service::Azblob => (true, true),
        Service::Webdav => (false, has_account),
    };
    for (path, is_missing) in [(ACCOUNT, needs_account && !has_account), (SECRET, needs_secret && !has_secret)] {
        if is_missing {
            details.problem(path, "is missing", "write what the service gave you");
        }
    }
    let (scheme, parameters) = match settings.service {
        Service::Azblob => ("azure-shared-key", vec![field("account", ACCOUNT), field("key", SECRET)]),
        Service::Webdav if has_account || !has_secret => return None,
        Service::Webdav => ("bearer", vec![field("token", SECRET)]),
    };
    Some(Signing { scheme: scheme.to_owned(), parameters })
}

/// Whether a text can be a segment of a path as it is, without being encoded and without being resolved.
fn is_segment(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    (1..=255).contains(&text.len()) && text.bytes().all(legal) && text.bytes().any(|byte| byte != b'.')
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

    fn paths(details: &str) -> Vec<String> {
        validated(details).problems.into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn keys_and_tokens_are_named_to_the_host() {
        let webdav = validated(r#"{"service": "webdav", "endpoint": "http://h:8080/dav/", "root": "/a/b/"}"#);
        assert_eq!(webdav.problems.len(), 0, "{:?}", webdav.problems);
        assert_eq!(webdav.egress, ["http://h:8080"]);
        assert_eq!(webdav.target, "webdav+http://h:8080/dav/a/b");
        assert!(webdav.signing.is_none());
        let token = validated(r#"{"service": "webdav", "endpoint": "https://h", "secret": "placeholder"}"#);
        assert_eq!(token.signing.unwrap().scheme, "bearer");
        let blobs = validated(
            r#"{"service": "azblob", "endpoint": "https://h", "container": "box", "account": "a", "secret": "placeholder"}"#,
        );
        assert_eq!(blobs.problems.len(), 0, "{:?}", blobs.problems);
        assert_eq!(blobs.target, "azblob+https://h/box");
        assert!(!format!("{blobs:?}").contains("placeholder"));
        assert_eq!(blobs.signing.unwrap().scheme, "azure-shared-key");
    }

    #[test]
    fn a_password_is_not_signed_for_by_the_host() {
        let details = r#"{"service": "webdav", "endpoint": "https://h", "account": "somebody", "secret": "s3cr3t"}"#;
        let validation = validated(details);
        assert_eq!(validation.problems.len(), 0, "{:?}", validation.problems);
        assert!(validation.signing.is_none());
        let settings = settings(details).unwrap();
        assert_eq!(settings.basic.as_ref().map(|basic| basic.password.as_str()), Some("s3cr3t"));
        assert!(!format!("{settings:?}{validation:?}").contains("s3cr3t"));
    }

    #[test]
    fn every_mistake_is_told_with_its_field() {
        assert_eq!(paths("{}"), ["service", "endpoint"]);
        assert_eq!(
            paths(r#"{"service": "fs", "endpoint": "ftp://h", "root": "../x"}"#),
            ["service", "endpoint", "root"]
        );
        assert_eq!(paths(r#"{"service": "azblob", "endpoint": "https://h"}"#), ["container"]);
        let dav = r#"{"service": "webdav", "endpoint": "https://h/a?b", "container": "c"}"#;
        assert_eq!(paths(dav), ["endpoint", "container"]);
        assert_eq!(paths(r#"{"service": "webdav", "endpoint": "https://h", "account": "a"}"#), ["secret"]);
        let unsigned = r#"{"service": "azblob", "endpoint": "https://h", "container": "c"}"#;
        assert_eq!(paths(unsigned), ["account", "secret"]);
    }

    #[test]
    fn what_a_path_would_resolve_is_no_segment() {
        for text in ["", ".", "..", "a/b", "a\\b", "a%2Fb", "é", "a b", "a?b"] {
            assert!(!is_segment(text), "{text}");
        }
        assert!(is_segment("a.b-c_d~"));
    }
}
