//! What the host has to know of folders as locations.

use sallyport_plugin_sdk::details::Details;
use sallyport_plugin_sdk::objects::{Description, Field, Limits, Validation, ValidationRequest};

/// The largest object of S3.
const LARGEST: u64 = 5 << 40;

pub(crate) fn describe() -> Description {
    Description {
        name: "local".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        limits: Limits {
            max_put: LARGEST,
            // Parts are files of their own, which the host stores as objects.
            min_part: 0,
            max_part: 0,
            max_parts: 0,
            // Metadata stays in the database, so a file limits none of it.
            max_metadata: u32::MAX,
        },
        fields: vec![Field {
            path: "path".to_owned(),
            kind: "string".to_owned(),
            required: false,
            default: None,
            role: "path".to_owned(),
            environment: None,
            profile: None,
            help: "The folder for this location's files; without it, one below the data folder \
                   that is named after the location."
                .to_owned(),
            attributes: Vec::new(),
        }],
        // Each write is a file of its own.
        keeps_overwritten: true,
        attributes: Vec::new(),
    }
}

pub(crate) fn validate(request: &ValidationRequest) -> Validation {
    let mut details = Details::parse(&request.details);
    let target = target(&mut details, &request.location);
    Validation {
        problems: details.into_problems(),
        egress: Vec::new(),
        signing: None,
        keeps_overwritten: true,
        target,
        attributes: Vec::new(),
    }
}

/// The folder: the one that the details name, else the one that the location's name does.
pub(crate) fn target(details: &mut Details, location: &str) -> String {
    let Some(path) = details.text("path") else {
        return format!("folder:{location}");
    };
    if path.contains('\0') {
        details.problem("path", "contains a NUL character", "write a folder's path");
    }
    match path.trim_end_matches('/') {
        "" => "folder:/".to_owned(),
        trimmed => format!("folder:{trimmed}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validated(details: &str) -> Validation {
        validate(&ValidationRequest {
            location: "us-east-1".to_owned(),
            details: details.to_owned(),
            attributes: Vec::new(),
        })
    }

    #[test]
    fn a_location_without_a_path_is_fine() {
        let validation = validated("{}");
        assert_eq!(validation.problems, []);
        assert_eq!(validation.target, "folder:us-east-1");
    }

    #[test]
    fn two_spellings_of_a_folder_are_one_target() {
        let target = |path: &str| validated(&format!(r#"{{"path": "{path}"}}"#)).target;
        assert_eq!(target("/srv/objects/"), target("/srv/objects"));
    }

    #[test]
    fn a_path_that_is_no_text_is_a_problem() {
        let validation = validated(r#"{"path": 7}"#);
        assert_eq!(validation.problems.len(), 1);
        assert_eq!(validation.problems[0].path, "path");
    }

    #[test]
    fn nothing_is_connected_to() {
        let validation = validated("{}");
        assert!(validation.egress.is_empty() && validation.signing.is_none());
    }
}
