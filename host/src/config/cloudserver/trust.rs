//! Reads what a location, or all of them, ask of a plugin: a digest, a signature.

use sallyport_plugin::Trust;

use super::field::Fields;
use crate::config::configuration::LocationConfiguration;
use crate::config::problem::{Problem, Severity};

/// Reads `sha256`, `publicKeys` and `requireSignature`; mistakes stay with the fields.
pub(super) fn read(fields: &mut Fields<'_>) -> Trust {
    let trust = Trust {
        sha256: fields.text("sha256").map(|text| text.to_ascii_lowercase()),
        public_keys: fields.texts("publicKeys").unwrap_or_default(),
        require_signature: fields.boolean("requireSignature").unwrap_or(false),
    };
    let is_digest = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if trust.sha256.as_ref().is_some_and(|text| !is_digest(text)) {
        let fix = "write the 64 digits that `sha256sum <type>.wasm` prints";
        let problem = fields.mistake("is no SHA-256", fix).at(fields.path("sha256"));
        fields.problems.push(problem);
    }
    trust
}

/// All mistakes stop what they stand in: a policy that is misread would trust anything.
pub(super) fn problems(fields: Fields<'_>) -> Vec<Problem> {
    let unknown = fields
        .rest()
        .into_iter()
        .map(|path| fields.mistake("is not known", "write sha256, publicKeys or requireSignature").at(path));
    let found: Vec<Problem> = fields.problems.iter().cloned().chain(unknown).collect();
    found.into_iter().map(|problem| Problem { severity: Severity::Location, ..problem }).collect()
}

/// Lets what holds for all locations hold for each.
pub(super) fn share(all: &Trust, locations: &mut [LocationConfiguration]) {
    for location in locations {
        location.trust.public_keys.extend(all.public_keys.iter().cloned());
        location.trust.require_signature |= all.require_signature;
    }
}
