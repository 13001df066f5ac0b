//! What a visitor of a website gets.

use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::Call;
use crate::ops::objects;
use crate::uri::{self, Query};
use http::{Method, StatusCode};
use sallyport_core::body::{self, Body};
use sallyport_core::website::{RoutingRule, Sent, WebsiteConfiguration, redirect};
use sallyport_core::{Found, GetObject};
use std::fmt::Write as _;
use std::sync::Arc;

/// Answers a visitor, who signs nothing. What goes wrong is a page, too.
pub(crate) async fn visit(call: &Call) -> Answer {
    match route(call).await {
        Ok(answer) => answer,
        Err(error) => page(call, &call.tell(error), None),
    }
}

/// The pages of a bucket.
struct Pages<'a> {
    index_suffix: &'a str,
    error_key: Option<&'a str>,
    rules: &'a [RoutingRule],
}

async fn route(call: &Call) -> Result<Answer, S3Error> {
    if !matches!(call.head.method, Method::GET | Method::HEAD) {
        return Err(S3Error::new(Code::MethodNotAllowed).with("Method", call.head.method.as_str()));
    }
    let bucket = call.gateway.bucket(&call.bucket()?).await?;
    let missing = || S3Error::new(Code::NoSuchWebsiteConfiguration).with("BucketName", bucket.name.as_str());
    let asked = call.key.clone().unwrap_or_default();
    match bucket.settings.website.as_ref().ok_or_else(missing)? {
        WebsiteConfiguration::Elsewhere { host, protocol } => {
            let sent = Sent { host: Some(host), protocol: protocol.as_deref(), code: 301, key: asked };
            Ok(send(call, &sent))
        }
        WebsiteConfiguration::Pages { index_suffix, error_key, rules } => {
            let pages = Pages { index_suffix, error_key: error_key.as_deref(), rules };
            if let Some(sent) = redirect(rules, &asked, None) {
                return Ok(send(call, &sent));
            }
            pages.show(call, &asked).await
        }
    }
}

impl Pages<'_> {
    async fn show(&self, call: &Call, asked: &str) -> Result<Answer, S3Error> {
        let is_folder = asked.is_empty() || asked.ends_with('/');
        let key = if is_folder { format!("{asked}{}", self.index_suffix) } else { asked.to_owned() };
        let visit = for_key(call, &key);
        let error = match read(&visit).await {
            Ok((found, body)) => return Ok(shown(&visit, &found, body)),
            Err(error) => call.tell(error),
        };
        if matches!(error.code, Code::NotModified | Code::PreconditionFailed | Code::InvalidRange) {
            return Err(error);
        }
        if !is_folder && error.code == Code::NoSuchKey {
            let index = for_key(call, &format!("{asked}/{}", self.index_suffix));
            if call.gateway.head_object(&request(&index)?).await.is_ok() {
                let mut answer = answer::empty(StatusCode::FOUND);
                answer::set(&mut answer, "location", folder(call, asked));
                return Ok(answer);
            }
        }
        if let Some(sent) = redirect(self.rules, asked, Some(error.code.status().as_u16())) {
            return Ok(send(call, &sent));
        }
        Ok(self.apologise(call, error.with("Key", key)).await)
    }

    /// The owner's page for errors, or ours.
    async fn apologise(&self, call: &Call, error: S3Error) -> Answer {
        let Some(key) = self.error_key else { return page(call, &error, None) };
        let mut visit = for_key(call, key);
        // The page is wanted whole, whatever was asked of the object.
        for name in ["range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"] {
            Arc::make_mut(&mut visit.head).headers.remove(name);
        }
        match read(&visit).await {
            Ok((found, body)) => {
                let mut answer = objects::show(&visit, &found).map(|_| body);
                *answer.status_mut() = error.code.status();
                say(&mut answer, &error);
                answer
            }
            Err(second) => page(call, &error, Some(&call.tell(second))),
        }
    }
}

/// The same visit of another key. A website knows no parameters.
fn for_key(call: &Call, key: &str) -> Call {
    let mut visit = Call { key: Some(key.to_owned()), ..call.clone() };
    Arc::make_mut(&mut visit.head).query = Query::default();
    visit
}

fn request(visit: &Call) -> Result<GetObject, S3Error> {
    Ok(GetObject { is_visit: true, ..objects::read_request(visit)? })
}

async fn read(visit: &Call) -> Result<(Found, Body), S3Error> {
    let request = request(visit)?;
    if visit.head.method == Method::HEAD {
        return Ok((visit.gateway.head_object(&request).await?, body::empty()));
    }
    Ok(visit.gateway.get_object(&request).await?)
}

fn shown(visit: &Call, found: &Found, body: Body) -> Answer {
    if let Some(target) = &found.version.attributes.website_redirect {
        let mut answer = answer::empty(StatusCode::MOVED_PERMANENTLY);
        answer::set(&mut answer, "location", target);
        return answer;
    }
    objects::show(visit, found).map(|_| body)
}

/// Where a folder's index is looked for. What begins with two slashes would be a host.
fn folder(call: &Call, asked: &str) -> String {
    let path = format!("/{}/", uri::encode_path(asked.as_bytes()));
    if path.starts_with("//") { format!("{}://{}{path}", call.scheme, call.head.host) } else { path }
}

fn send(call: &Call, sent: &Sent<'_>) -> Answer {
    let protocol = sent.protocol.unwrap_or(call.scheme);
    let host = sent.host.unwrap_or(&call.head.host);
    let code = StatusCode::from_u16(sent.code).unwrap_or(StatusCode::MOVED_PERMANENTLY);
    let mut answer = answer::empty(code);
    answer::set(&mut answer, "location", format!("{protocol}://{host}/{}", uri::encode_path(sent.key.as_bytes())));
    answer
}

fn say(answer: &mut Answer, error: &S3Error) {
    answer::set(answer, "x-amz-error-code", error.code.name());
    answer::set(answer, "x-amz-error-message", &error.message);
    for (name, value) in &error.headers {
        answer::set(answer, name, value);
    }
}

/// An error as a page, with the one that kept the owner's page from being shown.
fn page(call: &Call, error: &S3Error, second: Option<&S3Error>) -> Answer {
    let status = error.code.status();
    if error.code == Code::NotModified {
        let mut answer = answer::empty(status);
        say(&mut answer, error);
        return answer;
    }
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let mut html = format!("<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n");
    list(&mut html, error);
    for (name, value) in [("RequestId", &*call.request_id), ("HostId", &*call.host_id)] {
        item(&mut html, name, value);
    }
    html.push_str("</ul>\n");
    if let Some(second) = second {
        html.push_str("<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n<ul>\n");
        list(&mut html, second);
        html.push_str("</ul>\n");
    }
    html.push_str("<hr/>\n</body>\n</html>\n");
    let mut answer = answer::empty(status).map(|_| body::full(html));
    answer::set(&mut answer, "content-type", "text/html; charset=utf-8");
    say(&mut answer, error);
    answer
}

fn list(html: &mut String, error: &S3Error) {
    item(html, "Code", error.code.name());
    item(html, "Message", &error.message);
    for (name, value) in &error.fields {
        item(html, name, value);
    }
}

fn item(html: &mut String, name: &str, value: &str) {
    let value = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    // Writing to a string does not fail.
    let _ = writeln!(html, "<li>{name}: {value}</li>");
}
