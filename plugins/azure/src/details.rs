//! The location's `details`: what they may hold, every problem they have, what follows from them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sallyport_plugin_sdk::naming::Naming;
use sallyport_plugin_sdk::objects::Problem;
use serde_json::{Map, Value};

use crate::endpoint::Endpoint;
use crate::names::naming;

/// Where tokens for client secrets come from, unless the operator names a sovereign cloud's.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// Stands in what is to be written for the location's name.
pub(crate) const LOCATION: &str = "<location>";

const SHARED_KEY: &str = "shared-key";
const SHARED_ACCESS_SIGNATURE: &str = "shared-access-signature";
const CLIENT_SECRET: &str = "client-secret";

/// How the host authenticates the location's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// With the account's key.
    SharedKey {
        /// The account's name.
        account: String,
    },
    /// With a shared access signature, of which this is the host's placeholder.
    SharedAccessSignature {
        /// Stands in a copy's source for what the host puts there.
        placeholder: String,
    },
    /// With a token for an application of this tenant.
    ClientSecret {
        /// The URL that hands out the token.
        token_url: String,
        /// `scheme://host:port` of that URL.
        authority: String,
    },
}

/// `details` without mistakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) endpoint: Endpoint,
    pub(crate) container: String,
    pub(crate) naming: Naming,
    pub(crate) authentication: Authentication,
    /// Sentences for the operator.
    pub(crate) warnings: Vec<String>,
}

impl Details {
    /// Reads `details`, or says everything that is wrong with them.
    pub(crate) fn parse(json: &str) -> Result<Self, Vec<Problem>> {
        match serde_json::from_str(json) {
            Ok(Value::Object(fields)) => Reader { fields, problems: Vec::new(), warnings: Vec::new() }.read(),
            Ok(_) | Err(_) => Err(vec![Problem {
                path: String::new(),
                message: "is not a JSON object".to_owned(),
                fix: r#"write an object, such as {"azureContainerName": "my-container", …}"#.to_owned(),
            }]),
        }
    }

    /// The container as `azure://host[:port]/…/container`, whatever the spelling.
    pub(crate) fn target(&self) -> String {
        format!("azure://{}{}/{}", self.endpoint.authority(), self.endpoint.path, self.container)
    }

    /// What all plain places of a bucket start with, [`Self::target`] included.
    pub(crate) fn namespace(&self, bucket: &str) -> String {
        format!("{}/{}", self.target(), self.naming.prefix(bucket))
    }

    /// What the location is connected to.
    pub(crate) fn egress(&self) -> Vec<String> {
        let mut egress = vec![self.endpoint.origin()];
        if let Authentication::ClientSecret { authority, .. } = &self.authentication {
            egress.push(authority.clone());
        }
        egress
    }
}

struct Reader {
    fields: Map<String, Value>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Reader {
    fn read(mut self) -> Result<Details, Vec<Problem>> {
        let bucket_match = self.boolean("bucketMatch");
        let container = self.container();
        let method = self.method();
        let account = self.account(method.as_deref());
        let endpoint = self.endpoint(account.as_deref());
        let authentication = method.and_then(|method| self.authentication(&method, account.as_deref()));
        if let (Some(endpoint), Some(account)) = (&endpoint, &account) {
            self.warnings.extend(endpoint.doubts(account));
        }
        match (endpoint, container, authentication) {
            (Some(endpoint), Some(container), Some(authentication)) if self.problems.is_empty() => Ok(Details {
                endpoint,
                container,
                naming: naming(bucket_match),
                authentication,
                warnings: self.warnings,
            }),
            _ => Err(self.problems),
        }
    }

    fn problem(&mut self, path: &str, message: impl Into<String>, fix: impl Into<String>) {
        self.problems.push(Problem { path: path.to_owned(), message: message.into(), fix: fix.into() });
    }

    /// A text; an empty one counts as absent.
    fn text(&mut self, path: &str) -> Option<String> {
        match self.fields.get(path) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => {
                self.problem(path, "is not a string", format!("write \"{path}\": \"…\""));
                None
            }
        }
    }

    /// A text that has to be there.
    fn required(&mut self, path: &str, variable: &str) -> Option<String> {
        let known = self.problems.len();
        let text = self.text(path);
        if text.is_none() && self.problems.len() == known {
            self.problem(
                path,
                "is missing",
                format!("set \"{path}\" in details or the environment variable {LOCATION}_{variable}"),
            );
        }
        text
    }

    fn boolean(&mut self, path: &str) -> bool {
        match self.fields.get(path) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(value)) => *value,
            Some(_) => {
                self.problem(path, "is not a boolean", format!("write \"{path}\": true or false"));
                false
            }
        }
    }

    fn container(&mut self) -> Option<String> {
        const PATH: &str = "azureContainerName";
        let known = self.problems.len();
        let Some(name) = self.text(PATH) else {
            if self.problems.len() == known {
                self.problem(PATH, "is missing", "name the container that holds this location's objects");
            }
            return None;
        };
        if is_container_name(&name) {
            return Some(name);
        }
        self.problem(
            PATH,
            format!("\"{name}\" is not a name that Azure takes for a container"),
            "write 3 to 63 lower-case letters, digits and single hyphens, with a letter or digit at both ends",
        );
        None
    }

    fn method(&mut self) -> Option<String> {
        const PATH: &str = "authMethod";
        let known = self.problems.len();
        let written = self.text(PATH);
        if self.problems.len() > known {
            return None;
        }
        let is_there =
            |path: &str| self.fields.get(path).is_some_and(|value| !value.is_null() && value.as_str() != Some(""));
        let method = written.unwrap_or_else(|| {
            let inferred = if is_there("azureStorageAccessKey") {
                SHARED_KEY
            } else if is_there("sasToken") {
                SHARED_ACCESS_SIGNATURE
            } else if is_there("clientKey") {
                CLIENT_SECRET
            } else {
                SHARED_KEY
            };
            inferred.to_owned()
        });
        if [SHARED_KEY, SHARED_ACCESS_SIGNATURE, CLIENT_SECRET].contains(&method.as_str()) {
            return Some(method);
        }
        self.problem(
            PATH,
            format!("\"{method}\" is not a way to authenticate"),
            format!("write {SHARED_KEY}, {SHARED_ACCESS_SIGNATURE} or {CLIENT_SECRET}"),
        );
        None
    }

    fn account(&mut self, method: Option<&str>) -> Option<String> {
        const PATH: &str = "azureStorageAccountName";
        let account = if method == Some(SHARED_KEY) {
            self.required(PATH, "AZURE_STORAGE_ACCOUNT_NAME")?
        } else {
            self.text(PATH)?
        };
        let is_account = (3..=24).contains(&account.len())
            && account.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if is_account {
            return Some(account);
        }
        self.problem(
            PATH,
            format!("\"{account}\" is not a name of a storage account"),
            "write the account's name, 3 to 24 lower-case letters and digits",
        );
        None
    }

    fn endpoint(&mut self, account: Option<&str>) -> Option<Endpoint> {
        const PATH: &str = "azureStorageEndpoint";
        let known = self.problems.len();
        let Some(text) = self.text(PATH) else {
            if self.problems.len() > known {
                return None;
            }
            if let Some(account) = account {
                return Some(Endpoint::of_account(account));
            }
            // A missing or wrong account name of a shared key has been said already.
            if self.problems.iter().all(|problem| problem.path != "azureStorageAccountName") {
                self.problem(
                    PATH,
                    "is missing, and no azureStorageAccountName says which account is meant",
                    format!("set one of them; {PATH} looks like https://<account>.blob.core.windows.net/"),
                );
            }
            return None;
        };
        match Endpoint::parse(&text) {
            Ok(endpoint) => Some(endpoint),
            Err(message) => {
                self.problem(
                    PATH,
                    message,
                    "write the account's blob service, such as https://<account>.blob.core.windows.net/",
                );
                None
            }
        }
    }

    fn authentication(&mut self, method: &str, account: Option<&str>) -> Option<Authentication> {
        match method {
            SHARED_ACCESS_SIGNATURE => {
                let placeholder = self.required("sasToken", "AZURE_SAS_TOKEN")?;
                Some(Authentication::SharedAccessSignature { placeholder })
            }
            CLIENT_SECRET => self.client_secret(),
            _ => {
                self.access_key();
                Some(Authentication::SharedKey { account: account?.to_owned() })
            }
        }
    }

    fn access_key(&mut self) {
        const PATH: &str = "azureStorageAccessKey";
        let Some(key) = self.required(PATH, "AZURE_STORAGE_ACCESS_KEY") else { return };
        // The placeholder of a key that is Base64 is Base64 too.
        if STANDARD.decode(&key).is_err() {
            self.problem(PATH, "is not Base64", "copy one of the account's two keys as it is, without spaces");
        }
    }

    fn client_secret(&mut self) -> Option<Authentication> {
        let tenant = self.required("tenantId", "AZURE_TENANT_ID");
        let client = self.required("clientId", "AZURE_CLIENT_ID");
        let key = self.required("clientKey", "AZURE_CLIENT_KEY");
        let authority = self.text("azureAuthorityHost").unwrap_or_else(|| AUTHORITY.to_owned());
        let authority = match Endpoint::parse(&authority) {
            Ok(authority) => Some(authority),
            Err(message) => {
                self.problem(
                    "azureAuthorityHost",
                    message,
                    format!("write a URL such as {AUTHORITY}, or leave it out"),
                );
                None
            }
        };
        let tenant = tenant?;
        if !tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) {
            self.problem(
                "tenantId",
                format!("\"{tenant}\" is not a tenant"),
                "write the tenant's id (a UUID) or its domain",
            );
            return None;
        }
        let (authority, _, _) = (authority?, client?, key?);
        Some(Authentication::ClientSecret {
            token_url: format!("{}/{tenant}/oauth2/v2.0/token", authority.url()),
            authority: authority.origin(),
        })
    }
}

/// <https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata>
fn is_container_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (3..=63).contains(&name.len())
        && name.bytes().all(is_inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

#[cfg(test)]
#[path = "details_tests.rs"]
mod tests;
