//! What a plugin says of its type of location.

use crate::bindings::base::exports::sallyport::plugin::storage as wit;
use crate::log::printable;
use std::collections::HashSet;

/// Most fields, and most additions of anything, that are taken from a plugin.
const MOST: usize = 256;
/// Longest path, name, default and so on, in bytes.
const LONGEST: usize = 4096;
/// Most parts that the host makes of one body, whatever a plugin says: it keeps a list of them.
const MOST_PARTS: u32 = 100_000;
/// The one credentials file that descriptions may name: that of AWS's own tools.
const CREDENTIALS_FILE: &str = "~/.aws/credentials";
/// The one variable that may name another: the host reads no other for a plugin.
const CREDENTIALS_VARIABLE: &str = "AWS_SHARED_CREDENTIALS_FILE";

/// See `storage.description` in `wit/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The location `type`.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// What the type can take.
    pub limits: StorageLimits,
    /// Every field that `details` may have.
    pub fields: Vec<Field>,
    /// The backend keeps what an overwrite replaces.
    pub keeps_overwritten: bool,
    /// Additions, as (name, value).
    pub attributes: Vec<(String, String)>,
    /// The optional interfaces that the plugin has.
    pub optional: Vec<&'static str>,
    /// The plugin is one of the release's own, by its digest.
    pub own: bool,
    /// SHA-256 of the component, in hex.
    pub digest: String,
}

/// See `storage.limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageLimits {
    /// Largest body of one put, in bytes.
    pub max_put: u64,
    /// Smallest part but the last, in bytes.
    pub min_part: u64,
    /// Largest part, in bytes.
    pub max_part: u64,
    /// Most parts of an upload.
    pub max_parts: u32,
    /// Most user metadata of an object, in bytes.
    pub max_metadata: u32,
}

/// See `storage.field`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its path, with dots.
    pub path: String,
    /// `string`, `boolean`, `number` or `object`.
    pub kind: String,
    /// Whether it has to be there.
    pub required: bool,
    /// The value when absent, as JSON.
    pub default: Option<String>,
    /// `plain`, `secret`, `endpoint`, `path` or `profile`.
    pub role: String,
    /// Suffix of the environment variable that overrides it.
    pub environment: Option<String>,
    /// For the role `profile`.
    pub profile: Option<Profile>,
    /// One sentence for the operator.
    pub help: String,
    /// Additions, as (name, value).
    pub attributes: Vec<(String, String)>,
}

/// See `storage.profile`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The credentials file.
    pub file: String,
    /// The variable that names another file.
    pub file_environment: Option<String>,
    /// (key in the section, path of the field).
    pub keys: Vec<(String, String)>,
}

impl Field {
    /// An addition by its name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Description {
    /// An addition by its name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Takes what a plugin says.
    ///
    /// # Errors
    /// A sentence for its author, when it says more than anybody needs or the same path twice.
    pub(crate) fn from_wit(
        said: wit::Description,
        optional: Vec<&'static str>,
        own: bool,
        digest: String,
    ) -> Result<Self, String> {
        check(&said)?;
        Ok(Self {
            name: said.name,
            version: printable(&said.version, 256),
            limits: StorageLimits {
                max_put: said.limits.max_put,
                min_part: said.limits.min_part,
                max_part: said.limits.max_part,
                max_parts: said.limits.max_parts.min(MOST_PARTS),
                max_metadata: said.limits.max_metadata,
            },
            fields: said.fields.into_iter().map(Field::from).collect(),
            keeps_overwritten: said.keeps_overwritten,
            attributes: said.attributes,
            optional,
            own,
            digest,
        })
    }
}

fn check(said: &wit::Description) -> Result<(), String> {
    if said.fields.len() > MOST {
        return Err(format!("it describes {} fields; at most {MOST} are taken", said.fields.len()));
    }
    let mut paths = HashSet::new();
    for field in &said.fields {
        let path = printable(&field.path, 256);
        if field.path.split('.').any(str::is_empty) {
            return Err(format!("it describes the field `{path}`; a path is names with dots between them"));
        }
        if !paths.insert(field.path.as_str()) {
            return Err(format!("it describes the field `{path}` twice"));
        }
        let keys = field.profile.iter().flat_map(|profile| &profile.keys);
        let additions = field.attributes.iter().chain(keys);
        if additions.clone().count() > MOST {
            return Err(format!("it says more than {MOST} things of the field `{path}`"));
        }
        let texts = [Some(&field.path), Some(&field.kind), Some(&field.role), Some(&field.help)];
        let texts = texts.into_iter().chain([field.default.as_ref(), field.environment.as_ref()]).flatten();
        if texts.chain(additions.flat_map(|(name, value)| [name, value])).any(|text| text.len() > LONGEST) {
            return Err(format!("it says more than {LONGEST} bytes in one text of the field `{path}`"));
        }
        check_default(field, &said.fields)?;
        check_profile(field, &said.fields)?;
    }
    let attributes = &said.attributes;
    if attributes.len() > MOST || attributes.iter().any(|(name, value)| name.len().max(value.len()) > LONGEST) {
        return Err(format!("its attributes are more than {MOST}, or longer than {LONGEST} bytes"));
    }
    Ok(())
}

/// What a default fills in counts as written by the operator. So no plugin fills in a host, a
/// file or a secret, be it through a field above.
fn check_default(field: &wit::Field, fields: &[wit::Field]) -> Result<(), String> {
    if field.default.is_none() {
        return Ok(());
    }
    let fills_in = |other: &&wit::Field| {
        let rest = other.path.strip_prefix(field.path.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let Some(filled) = fields.iter().filter(fills_in).find(|other| is_the_operators(other)) else { return Ok(()) };
    let (path, filled) = (printable(&field.path, 256), printable(&filled.path, 256));
    Err(format!("it describes a default of the field `{path}`, and what `{filled}` is only the operator says"))
}

/// What a profile reads is somebody's credentials: from a file that is for them, and into fields
/// that the plugin does not see.
fn check_profile(field: &wit::Field, fields: &[wit::Field]) -> Result<(), String> {
    let Some(profile) = &field.profile else { return Ok(()) };
    let path = printable(&field.path, 256);
    if field.role != "profile" {
        return Err(format!("it describes a profile of the field `{path}`, whose role is not `profile`"));
    }
    if profile.file != CREDENTIALS_FILE {
        let file = printable(&profile.file, 256);
        return Err(format!("it reads the profile `{path}` from `{file}`; only {CREDENTIALS_FILE} is read"));
    }
    if let Some(variable) = profile.file_environment.as_deref().filter(|name| *name != CREDENTIALS_VARIABLE) {
        let variable = printable(variable, 128);
        return Err(format!("it has `{variable}` name the file of `{path}`; only {CREDENTIALS_VARIABLE} does that"));
    }
    let is_secret = |path: &str| fields.iter().any(|field| field.path == path && field.role == "secret");
    if let Some((key, target)) = profile.keys.iter().find(|(_, target)| !is_secret(target)) {
        let (key, target) = (printable(key, 128), printable(target, 256));
        return Err(format!(
            "it puts `{key}` of the profile `{path}` into `{target}`, which is no field of the role `secret`"
        ));
    }
    Ok(())
}

/// Whether a field leads to hosts, files or secrets.
fn is_the_operators(field: &wit::Field) -> bool {
    let names_authorities = field.attributes.iter().any(|(name, value)| name == "host" && value == "ca-bundle");
    names_authorities || matches!(field.role.as_str(), "path" | "endpoint" | "profile" | "secret")
}

impl From<wit::Field> for Field {
    fn from(field: wit::Field) -> Self {
        Self {
            path: field.path,
            kind: field.kind,
            required: field.required,
            default: field.default,
            role: field.role,
            environment: field.environment,
            profile: field.profile.map(|profile| Profile {
                file: profile.file,
                file_environment: profile.file_environment,
                keys: profile.keys,
            }),
            help: field.help,
            attributes: field.attributes,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn field(path: &str, role: &str) -> wit::Field {
        wit::Field {
            path: path.to_owned(),
            kind: "string".to_owned(),
            required: false,
            default: None,
            role: role.to_owned(),
            environment: None,
            profile: None,
            help: String::new(),
            attributes: Vec::new(),
        }
    }

    fn taken(fields: Vec<wit::Field>) -> Result<Description, String> {
        let limits = wit::Limits { max_put: 0, min_part: 0, max_part: 0, max_parts: 0, max_metadata: 0 };
        let said = wit::Description {
            name: "x".to_owned(),
            version: "1.0.0".to_owned(),
            limits,
            fields,
            keeps_overwritten: false,
            attributes: Vec::new(),
        };
        Description::from_wit(said, Vec::new(), false, String::new())
    }

    #[test]
    fn no_default_names_a_host_a_file_or_a_secret() {
        let with_default = |field: wit::Field| wit::Field { default: Some("\"/srv\"".to_owned()), ..field };
        assert!(taken(vec![with_default(field("bucket", "plain")), field("folder", "path")]).is_ok());
        for role in ["path", "endpoint", "profile", "secret"] {
            let said = taken(vec![with_default(field("the.field", role))]);
            assert!(said.is_err_and(|why| why.contains("`the.field`") && why.contains("the operator")), "{role}");
        }
        let attributes = vec![("host".to_owned(), "ca-bundle".to_owned())];
        assert!(taken(vec![with_default(wit::Field { attributes, ..field("bundle", "plain") })]).is_err());
    }

    fn with_profile(file: &str, target: &str) -> Vec<wit::Field> {
        let profile = wit::Profile {
            file: file.to_owned(),
            file_environment: None,
            keys: vec![("aws_secret_access_key".to_owned(), target.to_owned())],
        };
        let named = wit::Field { profile: Some(profile), ..field("name", "profile") };
        vec![named, field("key", "secret"), field("shown", "plain")]
    }

    #[test]
    fn a_profile_fills_secret_fields_from_the_credentials_file_and_no_other() {
        assert!(taken(with_profile(CREDENTIALS_FILE, "key")).is_ok());
        for target in ["shown", "absent", "key.below", "name"] {
            let said = taken(with_profile(CREDENTIALS_FILE, target));
            assert!(said.is_err_and(|why| why.contains("`aws_secret_access_key`") && why.contains(target)), "{target}");
        }
        for file in ["/etc/passwd", "~/.ssh/config", "", "~/.aws/../.netrc"] {
            let said = taken(with_profile(file, "key"));
            assert!(said.is_err_and(|why| why.contains("only ~/.aws/credentials is read")), "{file}");
        }
        for (variable, is_taken) in [(CREDENTIALS_VARIABLE, true), ("SCALITY_SECRET_ACCESS_KEY", false), ("", false)] {
            let mut fields = with_profile(CREDENTIALS_FILE, "key");
            fields[0].profile.as_mut().unwrap().file_environment = Some(variable.to_owned());
            assert_eq!(taken(fields).is_ok(), is_taken, "{variable}");
        }
        let mut plain = with_profile(CREDENTIALS_FILE, "key");
        plain[0].role = "plain".to_owned();
        assert!(taken(plain).is_err_and(|why| why.contains("whose role is not `profile`")));
    }

    #[test]
    fn no_default_of_a_field_above_does_either() {
        let above = wit::Field {
            kind: "object".to_owned(),
            default: Some("{\"folder\":\"/srv\"}".to_owned()),
            ..field("where", "plain")
        };
        let below = taken(vec![above.clone(), field("where.folder", "path")]);
        assert!(below.is_err_and(|why| why.contains("`where`") && why.contains("`where.folder`")));
        assert!(taken(vec![above, field("wherever", "path")]).is_ok());
    }
}
