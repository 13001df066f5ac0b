//! Which operation a request is: a pure function of method, host, path, query and headers.

mod hosts;
mod operation;

pub(crate) use hosts::{Hosts, Resolved};
pub(crate) use operation::Operation;

use crate::auth::Head;
use crate::error::{Code, S3Error};
use crate::uri;
use http::Method;
use operation::{Level, PARAMETERS, RULES, Rule, SUBRESOURCES};

/// An operation with what it is about; names are decoded and not validated yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// What to do.
    pub(crate) operation: Operation,
    /// The bucket, but for ListBuckets.
    pub(crate) bucket: Option<String>,
    /// The key of an object's operation.
    pub(crate) key: Option<String>,
}

/// What the path and the Host name, before anything is known of the operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The bucket.
    pub(crate) bucket: Option<String>,
    /// The key; never empty.
    pub(crate) key: Option<String>,
}

/// Takes the path apart.
pub(crate) fn target(path: &str, resolved: &Resolved) -> Result<Target, S3Error> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let (bucket, key) = match &resolved.bucket {
        Some(bucket) => (bucket.clone(), path),
        None => {
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            (uri::decode(bucket)?, key)
        }
    };
    let key = uri::decode(key)?;
    Ok(Target { bucket: (!bucket.is_empty()).then_some(bucket), key: (!key.is_empty()).then_some(key) })
}

/// Finds the operation.
pub(crate) fn route(head: &Head, target: Target) -> Result<Route, S3Error> {
    let level = match (&target.bucket, &target.key) {
        (None, None) => Level::Service,
        // A client that was given no bucket's name must not take the list of buckets for an object.
        (None, Some(_)) => return Err(S3Error::new(Code::InvalidBucketName).with("BucketName", "")),
        (Some(_), None) => Level::Bucket,
        (Some(_), Some(_)) => Level::Object,
    };
    refuse_unknown(head, level)?;
    let operation = RULES
        .iter()
        .find(|rule| rule.method == head.method && rule.level == level && rule.fits(head))
        .map(|rule| rule.operation);
    let Some(operation) = operation else {
        return Err(nothing_fits(head, level));
    };
    Ok(Route { operation, bucket: target.bucket, key: target.key })
}

impl Rule {
    fn fits(&self, head: &Head) -> bool {
        let asked = self.query.iter().all(|query| match query.split_once('=') {
            Some((name, value)) => head.query.value(name) == Some(value),
            None => head.query.has(query),
        });
        let subresource = |name: &str| SUBRESOURCES.contains(&name) && !self.query.contains(&name);
        // A subresource that the rule does not name means another operation.
        asked
            && self.header.is_none_or(|header| head.headers.contains_key(header))
            && !head.query.iter().any(|(name, _)| subresource(name))
    }
}

/// A bare parameter that nobody knows is a subresource of a newer S3: it never falls
/// through to something else. Only an object is read whatever browsers add to its name
/// (`?v1`, `font.eot?iefix`), as S3 lets it.
fn refuse_unknown(head: &Head, level: Level) -> Result<(), S3Error> {
    let listing = head.query.value("list-type").filter(|_| level == Level::Bucket && head.method == Method::GET);
    if let Some(kind) = listing.filter(|kind| !matches!(*kind, "1" | "2")) {
        return Err(S3Error::argument("list-type", kind, "The listings that there are have the types 1 and 2."));
    }
    if level == Level::Object && matches!(head.method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let known = |name: &str| {
        SUBRESOURCES.contains(&name) || PARAMETERS.contains(&name) || name.to_ascii_lowercase().starts_with("x-amz-")
    };
    match head.query.iter().find(|(name, value)| value.is_empty() && !known(name)) {
        Some((name, _)) => Err(S3Error::not_implemented(format!("The subresource {name}"))),
        None => Ok(()),
    }
}

fn nothing_fits(head: &Head, level: Level) -> S3Error {
    let subresources: Vec<&str> =
        head.query.iter().map(|(name, _)| name).filter(|name| SUBRESOURCES.contains(name)).collect();
    let known_method = RULES.iter().any(|rule| rule.method == head.method && rule.level == level);
    if subresources.is_empty() || !known_method {
        return S3Error::new(Code::MethodNotAllowed).with("Method", head.method.as_str());
    }
    S3Error::not_implemented(format!("{} with the subresource {}", head.method, subresources.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use proptest::prelude::*;

    fn hosts() -> Hosts {
        Hosts::new(["localhost".to_owned(), "s3.example.com".to_owned(), "example.com".to_owned()])
    }

    fn ask(method: &str, host: &str, uri: &str, headers: &[&str]) -> Result<Route, S3Error> {
        let mut request = Request::builder().method(method).uri(uri).header("host", host);
        for name in headers {
            request = request.header(*name, "x");
        }
        let head = Head::parse(&request.body(()).expect("legal").into_parts().0)?;
        let target = target(&head.path, &hosts().resolve(&head.host)?)?;
        route(&head, target)
    }

    fn name(method: &str, uri: &str) -> &'static str {
        ask(method, "localhost:8000", uri, &[]).map_or_else(|error| error.code.name(), |route| route.operation.name())
    }

    #[test]
    fn each_operation_is_found_by_its_request() {
        for (method, uri, expected) in [
            ("GET", "/", "ListBuckets"),
            ("GET", "/b", "ListObjects"),
            ("GET", "/b/", "ListObjects"),
            ("GET", "/b?list-type=2&prefix=a", "ListObjectsV2"),
            ("GET", "/b?versions", "ListObjectVersions"),
            ("GET", "/b?versions=&max-keys=3", "ListObjectVersions"),
            ("GET", "/b?uploads", "ListMultipartUploads"),
            ("GET", "/b?location", "GetBucketLocation"),
            ("GET", "/b?inventory&id=7", "GetBucketInventoryConfiguration"),
            ("GET", "/b?ownershipControls", "GetBucketOwnershipControls"),
            ("PUT", "/b", "CreateBucket"),
            ("PUT", "/b?versioning", "PutBucketVersioning"),
            ("POST", "/b?delete", "DeleteObjects"),
            ("POST", "/b", "PostObject"),
            ("HEAD", "/b", "HeadBucket"),
            ("DELETE", "/b", "DeleteBucket"),
            ("PUT", "/b/k", "PutObject"),
            ("PUT", "/b/k?x-id=PutObject", "PutObject"),
            ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart"),
            ("POST", "/b/k?uploads", "CreateMultipartUpload"),
            ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload"),
            ("GET", "/b/k?uploadId=u", "ListParts"),
            ("GET", "/b/k?partNumber=2", "GetObject"),
            ("GET", "/b/k?attributes", "GetObjectAttributes"),
            ("DELETE", "/b/k?versionId=v", "DeleteObject"),
            ("DELETE", "/b/k?uploadId=u", "AbortMultipartUpload"),
        ] {
            assert_eq!(name(method, uri), expected, "{method} {uri}");
        }
        let copy = |uri| ask("PUT", "localhost", uri, &["x-amz-copy-source"]).expect("legal").operation;
        assert_eq!(copy("/b/k"), Operation::CopyObject);
        assert_eq!(copy("/b/k?partNumber=1&uploadId=u"), Operation::UploadPartCopy);
    }

    #[test]
    fn a_subresource_never_falls_through_to_another_operation() {
        assert_eq!(name("GET", "/b?brand-new"), "NotImplemented");
        assert_eq!(name("GET", "/b/k?policy"), "NotImplemented");
        assert_eq!(name("DELETE", "/b?versioning"), "NotImplemented");
        assert_eq!(name("PUT", "/b/k?torrent"), "NotImplemented");
        assert_eq!(name("GET", "/b?acl&policy"), "NotImplemented");
        assert_eq!(name("PUT", "/b/k?brand-new"), "NotImplemented");
        assert_eq!(name("GET", "/b?list-type=3"), "InvalidArgument");
        assert_eq!(name("GET", "//k"), "InvalidBucketName");
        for uri in ["/b/k?cache-buster=17", "/b/k?17", "/b/k?iefix", "/b/k?utm_source=&v="] {
            assert_eq!((name("GET", uri), name("HEAD", uri)), ("GetObject", "HeadObject"), "{uri}");
        }
        assert_eq!(name("POST", "/b/k"), "MethodNotAllowed");
        assert_eq!(name("PATCH", "/b/k"), "MethodNotAllowed");
    }

    #[test]
    fn hosts_name_buckets_or_are_refused_by_name() {
        let bucket = |host, uri| ask("GET", host, uri, &[]).map(|route| (route.bucket, route.key));
        let some = |bucket: &str, key: &str| Ok((Some(bucket.to_owned()), Some(key.to_owned())));
        assert_eq!(bucket("localhost:8000", "/b/k/l"), some("b", "k/l"));
        assert_eq!(bucket("b.localhost", "/k/l"), some("b", "k/l"));
        assert_eq!(bucket("my.b.s3.example.com:80", "/k"), some("my.b", "k"));
        assert_eq!(bucket("127.0.0.1:8000", "/b/k"), some("b", "k"));
        assert_eq!(bucket("[::1]:8000", "/b/k"), some("b", "k"));
        assert_eq!(bucket("localhost", "/b//k"), some("b", "/k"));
        assert_eq!(bucket("localhost", "/b/a%2Fb%20c+d"), some("b", "a/b c+d"));
        let error = bucket("elsewhere.test", "/b/k").expect_err("unlisted");
        assert_eq!(error.code, Code::InvalidURI);
        assert!(error.message.contains("restEndpoints in config.json"));
    }

    #[test]
    fn hosts_of_websites_name_buckets() {
        let hosts = hosts().with_websites(["web.example.com".to_owned(), "www.site.org".to_owned()]);
        let bucket = |host| hosts.website(host);
        assert_eq!(bucket("my.b.web.example.com:80").as_deref(), Some("my.b"));
        assert_eq!(bucket("WWW.site.org").as_deref(), Some("www.site.org"));
        assert_eq!(bucket("b.s3.example.com"), None);
        assert_eq!(bucket("b.localhost"), None);
    }

    proptest! {
        #[test]
        fn every_key_survives_encoding(key in "\\PC{1,40}") {
            let path = format!("/bucket/{}", uri::encode_path(key.as_bytes()));
            let resolved = Resolved { endpoint: "localhost".into(), bucket: None };
            let target = target(&path, &resolved).expect("legal");
            prop_assert_eq!(target.key, Some(key));
        }
    }
}
