//! Reads a location's `details` into what the rest of the plugin works with.

use serde_json::{Map, Value};

use crate::endpoint::{self, Endpoint, InvalidEndpoint};

/// A location that can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Details {
    /// Where requests go.
    pub(crate) endpoint: Endpoint,
    /// The backend's bucket.
    pub(crate) bucket: String,
    /// Whether backend keys are the objects' own keys, without the bucket in front.
    pub(crate) bucket_match: bool,
    /// The region that requests are signed for.
    pub(crate) region: String,
    /// The region was written, or the endpoint shows it.
    pub(crate) knows_region: bool,
    /// Whether the bucket is part of the host name rather than of the path.
    pub(crate) virtual_host: bool,
    /// Whether the backend is asked to encrypt what it stores.
    pub(crate) encrypt: bool,
    /// Whether the backend's version ids are recorded.
    pub(crate) versions: bool,
    /// Whether requests are signed; with a session token or without.
    pub(crate) signing: Signing,
}

/// How requests of a location are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    /// With an access key and a secret key.
    Keys,
    /// With a session token beside them.
    Session,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Path of the field, with dots.
    pub(crate) path: &'static str,
    /// What is wrong.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) fix: String,
}

/// What reading `details` came to.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Absent when there are problems.
    pub(crate) details: Option<Details>,
    /// Everything that is wrong, not only the first thing.
    pub(crate) problems: Vec<Problem>,
}

impl Details {
    /// Reads the JSON of `details`.
    pub(crate) fn read(json: &str) -> Reading {
        let mut reader = Reader::default();
        let fields = match serde_json::from_str::<Value>(json) {
            Ok(Value::Object(fields)) => fields,
            _ => {
                reader.problem("", "details is not an object", "write an object with at least bucketName");
                Map::new()
            }
        };
        if reader.problems.is_empty() {
            let details = reader.details(&fields);
            if reader.problems.is_empty() {
                return Reading { details, problems: reader.problems };
            }
        }
        Reading { details: None, problems: reader.problems }
    }

    /// Scheme, host and port of every request.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.endpoint.scheme(), self.authority())
    }

    /// Host and port of every request.
    pub(crate) fn authority(&self) -> String {
        self.endpoint.authority(self.virtual_host.then_some(self.bucket.as_str()))
    }

    /// What stands in a path before the slash of a key.
    pub(crate) fn base_path(&self) -> String {
        if self.virtual_host { String::new() } else { ["/", &self.bucket].concat() }
    }

    /// What identifies the bucket whatever the spelling.
    pub(crate) fn target(&self) -> String {
        // A bucket of AWS is the same through every endpoint of AWS.
        let aws = self.endpoint.is_global() || self.endpoint.region().is_some();
        let server = if aws && self.endpoint.host.ends_with(".cn") {
            "amazonaws.com.cn".to_owned()
        } else if aws {
            "amazonaws.com".to_owned()
        } else {
            format!("{}:{}", self.endpoint.host, self.endpoint.effective_port())
        };
        format!("s3://{server}/{}", self.bucket)
    }

    /// Where the location connects to, as `scheme://host:port`.
    pub(crate) fn egress(&self) -> Vec<String> {
        let (scheme, port) = (self.endpoint.scheme(), self.endpoint.effective_port());
        let bucket = self.virtual_host.then_some(self.bucket.as_str());
        let host = Endpoint { port: None, ..self.endpoint.clone() }.authority(bucket);
        vec![format!("{scheme}://{host}:{port}")]
    }
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, path: &'static str, message: impl Into<String>, fix: impl Into<String>) {
        self.problems.push(Problem { path, message: message.into(), fix: fix.into() });
    }

    fn details(&mut self, fields: &Map<String, Value>) -> Option<Details> {
        let bucket = self.bucket(fields);
        let region = self.region(fields);
        let https = self.boolean(fields, "https");
        let endpoint = self.endpoint(fields, https, region.as_deref());
        let bucket_match = self.boolean(fields, "bucketMatch").unwrap_or(false);
        let path_style = self.boolean(fields, "pathStyle").unwrap_or(false);
        let encrypt = self.boolean(fields, "serverSideEncryption").unwrap_or(false);
        let versions = self.boolean(fields, "supportsVersioning").unwrap_or(true);
        self.text(fields, "caBundle");
        let signing = self.signing(fields);

        let (bucket, endpoint) = (bucket?, endpoint?);
        let shown = region.or_else(|| endpoint.region().map(str::to_owned));
        let knows_region = shown.is_some();
        let virtual_host = !path_style && can_be_a_host(&bucket, endpoint.tls) && !endpoint.is_address();
        Some(Details {
            region: shown.unwrap_or_else(|| endpoint::default_region().to_owned()),
            knows_region,
            endpoint,
            bucket,
            bucket_match,
            virtual_host,
            encrypt,
            versions,
            signing,
        })
    }

    fn bucket(&mut self, fields: &Map<String, Value>) -> Option<String> {
        const FIX: &str = "write the name of an existing bucket of the backend, without slashes";
        match fields.get("bucketName") {
            None | Some(Value::Null) => {
                self.problem("bucketName", "bucketName is missing", FIX);
                None
            }
            Some(Value::String(name)) if is_bucket(name) => Some(name.clone()),
            Some(Value::String(name)) if name.is_empty() => {
                self.problem("bucketName", "bucketName is empty", FIX);
                None
            }
            Some(Value::String(name)) => {
                self.problem("bucketName", format!("'{name}' is no name of a bucket"), FIX);
                None
            }
            Some(_) => {
                self.problem("bucketName", "bucketName is not a string", FIX);
                None
            }
        }
    }

    fn region(&mut self, fields: &Map<String, Value>) -> Option<String> {
        let region = self.text(fields, "region").filter(|region| !region.is_empty())?;
        let legal = region.len() <= 63 && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if legal {
            return Some(region);
        }
        let message = format!("'{region}' is no name of a region");
        self.problem("region", message, "write a region such as us-east-1, or leave it out");
        None
    }

    fn endpoint(&mut self, fields: &Map<String, Value>, https: Option<bool>, region: Option<&str>) -> Option<Endpoint> {
        let text = self.text(fields, "awsEndpoint").unwrap_or_default();
        let (message, fix) = match Endpoint::parse(&text, https, region) {
            Ok(endpoint) => {
                self.compare_regions(&endpoint, region);
                return Some(endpoint);
            }
            Err(InvalidEndpoint::Scheme(scheme)) => (
                format!("the scheme '{scheme}' is unknown"),
                "write host or host:port, with http:// or https:// at most",
            ),
            Err(InvalidEndpoint::Contradiction { scheme }) => (
                format!("'{text}' starts with {scheme}://, but https says otherwise"),
                "leave out the scheme, or make https agree with it",
            ),
            Err(InvalidEndpoint::Path) => (
                format!("'{text}' has more than a host and a port"),
                "write host or host:port, and the bucket as bucketName",
            ),
            Err(InvalidEndpoint::Port(port)) => {
                (format!("'{port}' is no port"), "write a number from 1 to 65535 after the colon, or no colon")
            }
            Err(InvalidEndpoint::Host(host)) => {
                (format!("'{host}' is no host name and no address"), "write a host such as s3.amazonaws.com")
            }
        };
        self.problem("awsEndpoint", message, fix);
        None
    }

    fn compare_regions(&mut self, endpoint: &Endpoint, region: Option<&str>) {
        let (Some(shown), Some(written)) = (endpoint.region(), region) else { return };
        if shown != written {
            self.problem(
                "region",
                format!("region is {written}, but the endpoint {} is in {shown}", endpoint.host),
                format!("write \"{shown}\", or leave it out"),
            );
        }
    }

    fn signing(&mut self, fields: &Map<String, Value>) -> Signing {
        let profile = self.text(fields, "credentialsProfile").filter(|profile| !profile.is_empty());
        let session = match fields.get("credentials") {
            None | Some(Value::Null) => {
                if profile.is_none() {
                    self.problem(
                        "credentials",
                        "there are no credentials",
                        "write credentials with accessKey and secretKey, or credentialsProfile with the name of a \
                         section of ~/.aws/credentials",
                    );
                }
                false
            }
            Some(Value::Object(credentials)) => self.credentials(credentials),
            Some(_) => {
                let fix = "write an object with accessKey and secretKey";
                self.problem("credentials", "credentials is not an object", fix);
                false
            }
        };
        if session { Signing::Session } else { Signing::Keys }
    }

    /// Whether there is a session token.
    fn credentials(&mut self, credentials: &Map<String, Value>) -> bool {
        for (name, path) in [("accessKey", "credentials.accessKey"), ("secretKey", "credentials.secretKey")] {
            match credentials.get(name) {
                Some(Value::String(value)) if !value.trim().is_empty() => {}
                None | Some(Value::Null | Value::String(_)) => {
                    self.problem(path, format!("{name} is missing"), format!("write the backend's {name} as a string"));
                }
                Some(_) => self.problem(path, format!("{name} is not a string"), "put it in quotes"),
            }
        }
        match credentials.get("sessionToken") {
            None | Some(Value::Null) => false,
            Some(Value::String(token)) => !token.is_empty(),
            Some(_) => {
                self.problem("credentials.sessionToken", "sessionToken is not a string", "put it in quotes");
                false
            }
        }
    }

    fn boolean(&mut self, fields: &Map<String, Value>, name: &'static str) -> Option<bool> {
        match fields.get(name)? {
            Value::Null => None,
            Value::Bool(value) => Some(*value),
            other => {
                let message = format!("{name} is {other}, which is no boolean");
                self.problem(name, message, "write true or false, without quotes");
                None
            }
        }
    }

    fn text(&mut self, fields: &Map<String, Value>, name: &'static str) -> Option<String> {
        match fields.get(name)? {
            Value::Null => None,
            Value::String(value) => Some(value.clone()),
            _ => {
                self.problem(name, format!("{name} is not a string"), "put the value in quotes");
                None
            }
        }
    }
}

/// What backends call a bucket differs; what no path or host could hold is refused.
fn is_bucket(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && name.split('.').all(|label| !label.is_empty())
}

/// Whether the bucket may stand in a host name. Certificates with a wildcard stand for one
/// label, so a name with dots does not work over TLS.
fn can_be_a_host(bucket: &str, tls: bool) -> bool {
    let is_label = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (3..=63).contains(&bucket.len()) && bucket.split('.').all(is_label) && !(tls && bucket.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(details: Value) -> Reading {
        Details::read(&details.to_string())
    }

    fn details(fields: Value) -> Details {
        let mut whole = json!({
            "bucketName": "backend",
            "credentials": { "accessKey": "placeholder", "secretKey": "placeholder" },
        });
        for (name, value) in fields.as_object().unwrap() {
            whole[name] = value.clone();
        }
        let reading = read(whole);
        assert_eq!(reading.problems, []);
        reading.details.unwrap()
    }

    fn paths(reading: &Reading) -> Vec<&'static str> {
        reading.problems.iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn the_documented_location_is_read_with_its_defaults() {
        let details = details(json!({ "awsEndpoint": "s3.amazonaws.com", "bucketMatch": true }));
        assert_eq!(details.authority(), "backend.s3.amazonaws.com");
        assert_eq!(details.region, "us-east-1");
        assert!(details.bucket_match && details.versions && !details.encrypt);
        assert_eq!(details.signing, Signing::Keys);
    }

    #[test]
    fn a_profile_alone_is_enough() {
        let reading = read(json!({ "bucketName": "backend", "credentialsProfile": "aws_hosted_profile" }));
        assert_eq!(reading.problems, []);
    }

    #[test]
    fn every_problem_is_listed_with_its_field_and_a_fix() {
        let reading = read(json!({
            "awsEndpoint": "http://store/bucket",
            "bucketMatch": "true",
            "https": 1,
            "region": "eu west",
            "credentials": { "accessKey": 7 },
        }));
        assert_eq!(
            paths(&reading),
            [
                "bucketName",
                "region",
                "https",
                "awsEndpoint",
                "bucketMatch",
                "credentials.accessKey",
                "credentials.secretKey"
            ]
        );
        assert!(reading.problems.iter().all(|problem| !problem.fix.is_empty()));
        assert!(reading.details.is_none());
    }

    #[test]
    fn a_missing_bucket_is_said_to_be_missing() {
        let reading = read(json!({ "credentialsProfile": "p" }));
        assert_eq!(reading.problems[0].message, "bucketName is missing");
    }

    #[test]
    fn no_credentials_at_all_are_a_problem() {
        assert_eq!(paths(&read(json!({ "bucketName": "backend" }))), ["credentials"]);
        assert_eq!(paths(&read(json!(3))), [""]);
    }

    #[test]
    fn path_style_puts_the_bucket_into_the_path() {
        let details = details(json!({ "awsEndpoint": "127.0.0.1:9000", "https": false, "pathStyle": true }));
        assert_eq!(details.authority(), "127.0.0.1:9000");
        assert_eq!(details.base_path(), "/backend");
        assert_eq!(details.egress(), ["http://127.0.0.1:9000"]);
    }

    #[test]
    fn an_address_or_a_bucket_with_dots_is_addressed_by_path() {
        assert!(!details(json!({ "awsEndpoint": "10.0.0.1" })).virtual_host);
        assert!(!details(json!({ "bucketName": "with.dots" })).virtual_host);
        assert!(details(json!({ "bucketName": "with.dots", "https": false })).virtual_host);
    }

    #[test]
    fn a_region_moves_the_endpoint_the_signature_and_the_egress() {
        let details = details(json!({ "region": "eu-central-1" }));
        assert_eq!(details.authority(), "backend.s3.eu-central-1.amazonaws.com");
        assert_eq!(details.region, "eu-central-1");
        assert_eq!(details.egress(), ["https://backend.s3.eu-central-1.amazonaws.com:443"]);
    }

    #[test]
    fn regions_that_contradict_each_other_are_a_problem() {
        let reading = read(json!({
            "bucketName": "backend",
            "credentialsProfile": "p",
            "awsEndpoint": "s3.eu-west-1.amazonaws.com",
            "region": "us-west-2",
        }));
        assert_eq!(paths(&reading), ["region"]);
    }

    #[test]
    fn a_target_is_the_same_however_the_endpoint_is_spelled() {
        let global = details(json!({ "awsEndpoint": "" })).target();
        let regional = details(json!({ "awsEndpoint": "https://s3.eu-west-1.amazonaws.com" })).target();
        assert_eq!(global, "s3://amazonaws.com/backend");
        assert_eq!(regional, global);
        let store = details(json!({ "awsEndpoint": "Store.example.com" })).target();
        assert_eq!(store, "s3://store.example.com:443/backend");
    }

    #[test]
    fn a_session_token_is_signed_with() {
        let credentials = json!({ "accessKey": "a", "secretKey": "s", "sessionToken": "t" });
        assert_eq!(details(json!({ "credentials": credentials })).signing, Signing::Session);
    }
}
