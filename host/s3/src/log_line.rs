//! A line of an access log, [as AWS writes it](https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html).

use crate::access::Access;
use crate::auth::Head;
use http::request::Parts;
use sallyport_core::Gateway;
use sallyport_core::metadata::Bucket;
use std::sync::Arc;
use time::OffsetDateTime;
use time::macros::format_description;

/// What became of one key of a deletion of many.
#[derive(Debug, Clone)]
pub(crate) struct Removed {
    pub(crate) key: String,
    /// Empty when none was named.
    pub(crate) version: String,
    pub(crate) status: u16,
    /// Empty when nothing went wrong.
    pub(crate) code: &'static str,
}

/// What a line says beyond what is said of every request.
pub(crate) struct LogLine {
    gateway: Arc<Gateway>,
    bucket: Bucket,
    time: OffsetDateTime,
    request: String,
    referer: String,
    agent: String,
    version: String,
    host: String,
    host_id: String,
    signature: &'static str,
    kind: &'static str,
    /// Until the answer began, in milliseconds.
    turnaround: u128,
}

impl LogLine {
    /// A line for a request to a bucket whose accesses are logged.
    pub(crate) fn new(gateway: Arc<Gateway>, bucket: Bucket, parts: &Parts, access: &Access, host_id: &str) -> Self {
        let header =
            |name: &str| parts.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let head = Head::parse(parts).ok();
        let query = |name: &str| head.as_ref().and_then(|head| head.query.value(name)).map(str::to_owned);
        let (signature, kind) = signing(header("authorization").as_deref(), |name| query(name).is_some());
        Self {
            gateway,
            bucket,
            time: OffsetDateTime::now_utc(),
            request: format!("{} {} {:?}", parts.method, without_signature(&parts.uri), parts.version),
            referer: header("referer").unwrap_or_default(),
            agent: header("user-agent").unwrap_or_default(),
            version: query("versionId").unwrap_or_default(),
            host: header("host").unwrap_or_default(),
            host_id: host_id.to_owned(),
            signature,
            kind,
            turnaround: access.started.elapsed().as_millis(),
        }
    }

    /// Hands the line over, once all is known of the answer, and one for each key of a
    /// deletion of many.
    pub(crate) fn write(self, access: &Access) {
        let batch = access.batch.iter().map(Some);
        for removed in std::iter::once(None).chain(batch) {
            let line = self.text(access, removed);
            self.gateway.log_access(&self.bucket.name, self.time, &line);
        }
    }

    /// Cipher suite and version of TLS are known to the listener alone, and are not told.
    fn text(&self, access: &Access, removed: Option<&Removed>) -> String {
        let format = format_description!("[[[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000]");
        let number = |number: u64| if number == 0 { "-".to_owned() } else { number.to_string() };
        let total = access.started.elapsed().as_millis().to_string();
        let requester = if access.is_anonymous() { "-" } else { access.requester.as_str() };
        let address = access.remote.rsplit_once(':').map_or(access.remote.as_str(), |(address, _)| address);
        let key = crate::uri::encode_path(removed.map_or(&access.key, |removed| &removed.key).as_bytes());
        let size = removed.map_or(access.object_size, |_| None);
        let of_request = |text: String| if removed.is_some() { "-".to_owned() } else { text };
        let fields = [
            plain(self.bucket.owner.as_str()),
            plain(self.bucket.name.as_str()),
            self.time.format(format).unwrap_or_default(),
            plain(address.trim_matches(['[', ']'])),
            plain(requester),
            plain(&access.request_id),
            removed.map_or_else(|| operation(access), |_| "BATCH.DELETE.OBJECT".to_owned()),
            plain(&key),
            of_request(quoted(&self.request)),
            removed.map_or(access.status, |removed| removed.status).to_string(),
            plain(removed.map_or(access.code, |removed| removed.code)),
            of_request(number(access.bytes_out)),
            size.map_or_else(|| "-".to_owned(), |size| size.to_string()),
            of_request(total),
            of_request(self.turnaround.to_string()),
            quoted(&self.referer),
            quoted(&self.agent),
            plain(removed.map_or(&self.version, |removed| &removed.version)),
            plain(&self.host_id),
            self.signature.to_owned(),
            "-".to_owned(),
            self.kind.to_owned(),
            plain(&self.host),
            "-".to_owned(),
            "-".to_owned(),
            "-".to_owned(),
        ];
        format!("{}\n", fields.join(" "))
    }
}

/// Parameters that make a URL a permission.
const SECRETS: [&str; 3] = ["X-Amz-Signature", "X-Amz-Security-Token", "Signature"];

/// What was asked for, without what would let a reader of the log ask again.
fn without_signature(uri: &http::Uri) -> String {
    let Some(query) = uri.query() else { return uri.path().to_owned() };
    let shown = |pair: &str| match pair.split_once('=') {
        // A name may be written encoded, and means the same.
        Some((name, _)) if SECRETS.contains(&crate::uri::decode(name).unwrap_or_default().as_str()) => {
            format!("{name}=REDACTED")
        }
        _ => pair.to_owned(),
    };
    let pairs: Vec<String> = query.split('&').map(shown).collect();
    format!("{}?{}", uri.path(), pairs.join("&"))
}

/// Which signature a request has, and where.
fn signing(authorization: Option<&str>, has: impl Fn(&str) -> bool) -> (&'static str, &'static str) {
    match authorization {
        Some(text) if text.starts_with("AWS4-") => ("SigV4", "AuthHeader"),
        Some(text) if text.starts_with("AWS ") => ("SigV2", "AuthHeader"),
        _ if has("X-Amz-Signature") => ("SigV4", "QueryString"),
        _ if has("Signature") => ("SigV2", "QueryString"),
        _ => ("-", "-"),
    }
}

/// `REST.GET.OBJECT` and so on.
fn operation(access: &Access) -> String {
    let resource = match access.operation {
        "WebsiteGet" => return format!("WEBSITE.{}.OBJECT", access.method),
        "CopyObject" => return "REST.COPY.OBJECT".to_owned(),
        "UploadPartCopy" => return "REST.COPY.PART".to_owned(),
        "Preflight" => "PREFLIGHT",
        "DeleteObjects" => "MULTI_OBJECT_DELETE",
        "CreateMultipartUpload" | "ListMultipartUploads" => "UPLOADS",
        "UploadPart" => "PART",
        "CompleteMultipartUpload" | "AbortMultipartUpload" | "ListParts" => "UPLOAD",
        "ListObjectVersions" => "BUCKETVERSIONS",
        name if name.ends_with("Acl") => "ACL",
        name if name.ends_with("ObjectTagging") => "OBJECT_TAGGING",
        name if name.ends_with("BucketTagging") => "TAGGING",
        name if name.ends_with("BucketPolicy") => "BUCKETPOLICY",
        name if name.ends_with("BucketPolicyStatus") => "POLICY_STATUS",
        name if name.ends_with("BucketVersioning") => "VERSIONING",
        name if name.ends_with("BucketLocation") => "LOCATION",
        name if name.ends_with("BucketCors") => "CORS",
        name if name.ends_with("BucketWebsite") => "WEBSITE",
        name if name.ends_with("BucketLogging") => "LOGGING_STATUS",
        name if name.contains("Lifecycle") => "LIFECYCLE",
        name if name.contains("Encryption") => "ENCRYPTION",
        name if name.ends_with("RequestPayment") => "REQUEST_PAYMENT",
        name if name.contains("Notification") => "NOTIFICATION",
        name if name.contains("ObjectAttributes") => "OBJECT_ATTRIBUTES",
        _ if access.key.is_empty() => "BUCKET",
        _ => "OBJECT",
    };
    format!("REST.{}.{resource}", access.method)
}

fn plain(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.replace([' ', '\n', '\r'], "+") }
}

/// Quoted, whatever is in it: a line stays one line.
fn quoted(text: &str) -> String {
    if text.is_empty() {
        "\"-\"".to_owned()
    } else {
        format!("\"{}\"", text.replace('"', "%22").replace(['\n', '\r'], " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_presigned_url_cannot_be_used_again_from_the_log() {
        let shown = |text: &'static str| without_signature(&http::Uri::from_static(text));
        assert_eq!(shown("/b/k?a=1&X-Amz-Signature=abc"), "/b/k?a=1&X-Amz-Signature=REDACTED");
        assert_eq!(shown("/b/k?Signature=abc&Expires=1"), "/b/k?Signature=REDACTED&Expires=1");
        assert_eq!(shown("/b/k?X%2DAmz-Signature=abc"), "/b/k?X%2DAmz-Signature=REDACTED");
        assert_eq!(shown("/b/k?acl"), "/b/k?acl");
    }

    #[test]
    fn signatures_are_told_apart() {
        assert_eq!(signing(Some("AWS4-HMAC-SHA256 Credential=.."), |_| false), ("SigV4", "AuthHeader"));
        assert_eq!(signing(Some("AWS a:b"), |_| false), ("SigV2", "AuthHeader"));
        assert_eq!(signing(None, |name| name == "X-Amz-Signature"), ("SigV4", "QueryString"));
        assert_eq!(signing(None, |_| false), ("-", "-"));
    }

    proptest! {
        #[test]
        fn nobody_writes_a_second_line(text in "\\PC*[\n\r\" ]\\PC*") {
            let quoted = quoted(&text);
            prop_assert_eq!(quoted.matches('"').count(), 2);
            prop_assert!(!quoted.contains(['\n', '\r']));
            prop_assert!(!plain(&text).contains([' ', '\n', '\r']));
        }
    }
}
