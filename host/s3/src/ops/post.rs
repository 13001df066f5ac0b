//! PostObject: what a browser's form uploads.

use crate::auth::{Head, Identity, authenticate_form, missing_field};
use crate::error::{Code, S3Error};
use crate::form::{Fields, Form, Policy};
use crate::ops::answer::{self, Answer};
use crate::ops::call::{Call, Seen};
use crate::ops::{acl, encryption, headers, object_lock, objects, tags};
use crate::uri;
use crate::xml::Document;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Uri};
use sallyport_core::access::Caller;
use sallyport_core::body::Body;
use std::sync::Arc;
use time::OffsetDateTime;

/// Largest object of one form, in bytes.
const LARGEST: u64 = 5 << 30;
/// What only signs the form, and says nothing of the object.
const SIGNING: &[&str] =
    &["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token", "x-amz-signature"];

/// PostObject.
pub(crate) async fn run(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let content_type = call.head.header("content-type").unwrap_or_default();
    let form = Form::read(content_type, body, call.idle).await?;
    let fields = &form.fields;
    let key = fields.value("key").filter(|key| !key.is_empty()).ok_or_else(|| missing_field("key"))?.to_owned();
    let bucket = call.bucket()?;
    let (identity, (least, most)) = admit(call, fields, bucket.as_str())?;
    let mut upload = as_put(call, identity, &key, head(call, fields)?);
    headers::refuse_ambiguous(&upload.head)?;
    headers::refuse_unhonoured(&upload.head)?;
    encryption::refuse_readable_keys(&upload.head, call.keys_may_come)?;
    // Nobody's file waits on our disk who may not store it.
    let tags = upload.head.header("x-amz-tagging").map(tags::parse_header).transpose()?.unwrap_or_default();
    let has_list = acl::from_headers(&upload)?.is_some();
    let brings = (tags.as_slice(), object_lock::header(&upload.head)?);
    call.gateway.check_put(&upload.caller, (&bucket, &upload.key()?), brings, has_list).await?;
    let spooled = call.spool.take(form.file, most.min(LARGEST)).await?;
    if spooled.size < least {
        return Err(S3Error::new(Code::EntityTooSmall)
            .with("ProposedSize", spooled.size.to_string())
            .with("MinSizeAllowed", least.to_string()));
    }
    Arc::make_mut(&mut upload.head).headers.insert("content-length", HeaderValue::from(spooled.size));
    let stored = objects::put(&upload, spooled.body).await?;
    Ok(thank(call, &form.fields, &key, stored))
}

/// Who uploads, and between which lengths: without a policy nobody in particular.
fn admit(call: &Call, fields: &Fields, bucket: &str) -> Result<(Identity, (u64, u64)), S3Error> {
    let Some(encoded) = fields.value("policy") else {
        // A signature outside of the form need not cover the key that the form names.
        if !call.identity.is_anonymous() {
            return Err(missing_field("policy"));
        }
        return Ok((Identity::anonymous(), (0, u64::MAX)));
    };
    let identity = authenticate_form(fields, encoded, call.credentials.as_ref())?;
    let policy = Policy::parse(encoded)?;
    if fields.value("bucket").is_some_and(|named| named != bucket) {
        let message = "Invalid according to Policy: the form's bucket is not the one that it was sent to.";
        return Err(S3Error::because(Code::AccessDenied, message));
    }
    policy.check(fields, bucket, OffsetDateTime::now_utc())?;
    Ok((identity, policy.length()))
}

/// The head that a PutObject of the same object would have.
fn head(call: &Call, fields: &Fields) -> Result<Head, S3Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter() {
        let (name, value) = match name {
            "acl" => ("x-amz-acl", value.to_owned()),
            "tagging" => ("x-amz-tagging", tags::as_header(value)?),
            other if SIGNING.contains(&other) => continue,
            other if headers::CONTENT.contains(&other) || other.starts_with("x-amz-") => (other, value.to_owned()),
            _ => continue,
        };
        let unfit = || S3Error::argument(name, &value, "The field cannot be a header.");
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
        headers.append(header, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| unfit())?);
    }
    for name in ["user-agent", "referer", "origin"] {
        if let Some(value) = call.head.headers.get(name) {
            headers.insert(name, value.clone());
        }
    }
    Ok(Head { headers, ..Head::clone(&call.head) })
}

fn as_put(call: &Call, identity: Identity, key: &str, head: Head) -> Call {
    let head = Arc::new(head);
    let context = call.caller.context.as_ref();
    let (source, secure) = context.map_or((None, false), |context| (context.source(), context.is_secure()));
    let seen = Arc::new(Seen {
        head: Arc::clone(&head),
        source,
        secure,
        request_id: call.request_id.clone(),
        host_id: Arc::clone(&call.host_id),
        is_form: true,
        signature: identity.signature,
        payload: identity.payload.clone(),
    });
    let caller = if identity.is_anonymous() {
        Caller::anonymous(seen)
    } else {
        Caller { account: identity.account.clone(), short_id: identity.short_id.as_str().into(), context: Some(seen) }
    };
    Call { head, caller, identity, key: Some(key.to_owned()), ..call.clone() }
}

/// The answer that the form asks for.
fn thank(call: &Call, fields: &Fields, key: &str, stored: Answer) -> Answer {
    let bucket = call.bucket.as_deref().unwrap_or_default();
    let etag = stored.headers().get("etag").and_then(|etag| etag.to_str().ok()).unwrap_or_default().to_owned();
    let place =
        format!("{}://{}{}/{}", call.scheme, call.head.host, base(call, bucket), uri::encode_path(key.as_bytes()));
    let wish = fields.value("success_action_redirect").or_else(|| fields.value("redirect"));
    let mut answer = if let Some(target) = wish.and_then(|target| redirection(target, bucket, key, &etag)) {
        let mut answer = answer::empty(StatusCode::SEE_OTHER);
        answer::set(&mut answer, "location", target);
        answer
    } else {
        let mut answer = match fields.value("success_action_status") {
            Some("200") => answer::empty(StatusCode::OK),
            Some("201") => created(&place, bucket, key, &etag),
            _ => answer::empty(StatusCode::NO_CONTENT),
        };
        answer::set(&mut answer, "location", &place);
        answer
    };
    for (name, value) in stored.headers() {
        answer.headers_mut().entry(name).or_insert(value.clone());
    }
    answer
}

fn base(call: &Call, bucket: &str) -> String {
    let is_path_style = call.head.path.trim_matches('/') == bucket;
    if is_path_style { format!("/{bucket}") } else { String::new() }
}

fn created(place: &str, bucket: &str, key: &str, etag: &str) -> Answer {
    let mut answer = answer::xml(Document::bare("PostResponse", |root| {
        root.text("Location", place);
        root.text("Bucket", bucket);
        root.text("Key", key);
        root.text("ETag", etag);
    }));
    *answer.status_mut() = StatusCode::CREATED;
    answer
}

/// Where the browser goes on; `None` for what is no URL, which then counts as absent.
fn redirection(target: &str, bucket: &str, key: &str, etag: &str) -> Option<String> {
    let uri: Uri = target.parse().ok()?;
    let (Some("http" | "https"), Some(_)) = (uri.scheme_str(), uri.authority()) else { return None };
    let [bucket, key, etag] = [bucket, key, etag].map(|text| uri::encode(text.as_bytes()));
    let separator = if uri.query().is_some() { '&' } else { '?' };
    Some(format!("{target}{separator}bucket={bucket}&key={key}&etag={etag}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirection_says_what_was_stored() {
        let to = |target| redirection(target, "b", "a b/c", "\"e\"");
        assert_eq!(to("http://h/x").as_deref(), Some("http://h/x?bucket=b&key=a%20b%2Fc&etag=%22e%22"));
        assert_eq!(to("https://h/x?y=1").as_deref(), Some("https://h/x?y=1&bucket=b&key=a%20b%2Fc&etag=%22e%22"));
        for target in ["", "/x", "javascript:alert(1)", "h/x", "http://"] {
            assert_eq!(to(target), None, "{target}");
        }
    }
}
