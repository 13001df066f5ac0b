//! Cross-origin requests: their configuration, preflights, and the headers of answers.

use crate::auth::Head;
use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::{Call, bucket_name};
use crate::xml::{Document, Element, malformed};
use http::StatusCode;
use http::request::Parts;
use sallyport_core::Gateway;
use sallyport_core::access::Action;
use sallyport_core::body::Body;
use sallyport_core::cors::{CorsConfiguration, CorsRequest, CorsRule};
use sallyport_core::metadata::Bucket;

/// As AWS limits it, in bytes.
const MAX_DOCUMENT: u64 = 64 << 10;
const MAX_RULES: usize = 100;
const METHODS: &[&str] = &["GET", "PUT", "POST", "DELETE", "HEAD"];
/// What an answer depends on.
const VARY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/// PutBucketCors.
pub(crate) async fn put(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let configuration = parse(&call.configuration(body, MAX_DOCUMENT).await?)?;
    let change = move |settings: &mut sallyport_core::metadata::BucketSettings| settings.cors = Some(configuration);
    call.gateway.configure(&call.caller, Action::PutBucketCORS, &call.bucket()?, change).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// GetBucketCors.
pub(crate) async fn get(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::GetBucketCORS).await?;
    let configuration = bucket.settings.cors.as_ref().ok_or(Code::NoSuchCORSConfiguration)?;
    Ok(answer::xml(Document::s3("CORSConfiguration", |root| {
        for rule in &configuration.rules {
            root.nest("CORSRule", |element| describe(element, rule));
        }
    })))
}

/// DeleteBucketCors.
pub(crate) async fn delete(call: &Call) -> Result<Answer, S3Error> {
    call.gateway
        .configure(&call.caller, Action::PutBucketCORS, &call.bucket()?, |settings| settings.cors = None)
        .await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) fn describe(element: &mut Document, rule: &CorsRule) {
    if let Some(id) = &rule.id {
        element.text("ID", id);
    }
    for (name, values) in [
        ("AllowedMethod", &rule.allowed_methods),
        ("AllowedOrigin", &rule.allowed_origins),
        ("AllowedHeader", &rule.allowed_headers),
        ("ExposeHeader", &rule.expose_headers),
    ] {
        for value in values {
            element.text(name, value);
        }
    }
    if let Some(age) = rule.max_age {
        element.number("MaxAgeSeconds", age);
    }
}

pub(crate) fn parse(document: &[u8]) -> Result<CorsConfiguration, S3Error> {
    let root = Element::parse(document, "CORSConfiguration")?;
    root.only(&["CORSRule"])?;
    let rules = root.all("CORSRule").map(parse_rule).collect::<Result<Vec<_>, S3Error>>()?;
    if rules.is_empty() || rules.len() > MAX_RULES {
        return Err(malformed());
    }
    Ok(CorsConfiguration { rules })
}

fn parse_rule(rule: &Element) -> Result<CorsRule, S3Error> {
    rule.only(&["ID", "AllowedMethod", "AllowedOrigin", "AllowedHeader", "ExposeHeader", "MaxAgeSeconds"])?;
    let texts = |name: &'static str| rule.all(name).map(|one| one.text.trim().to_owned()).collect::<Vec<_>>();
    let age = rule.optional_text("MaxAgeSeconds")?.map(|age| age.trim().parse().map_err(|_| malformed()));
    let parsed = CorsRule {
        id: rule.optional_text("ID")?.map(str::to_owned),
        allowed_origins: texts("AllowedOrigin"),
        allowed_methods: texts("AllowedMethod"),
        allowed_headers: texts("AllowedHeader"),
        expose_headers: texts("ExposeHeader"),
        max_age: age.transpose()?,
    };
    check(&parsed)?;
    Ok(parsed)
}

fn check(rule: &CorsRule) -> Result<(), S3Error> {
    let invalid = |message: String| Err(S3Error::because(Code::InvalidRequest, message));
    if rule.allowed_methods.is_empty() || rule.allowed_origins.is_empty() {
        return Err(malformed());
    }
    if rule.id.as_ref().is_some_and(|id| id.chars().count() > 255) {
        return invalid("The ID of a CORS rule has at most 255 characters.".to_owned());
    }
    if let Some(method) = rule.allowed_methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
        return invalid(format!("Found unsupported HTTP method in CORS config. Unsupported method is {method}"));
    }
    for (name, patterns) in [("AllowedOrigin", &rule.allowed_origins), ("AllowedHeader", &rule.allowed_headers)] {
        if let Some(pattern) = patterns.iter().find(|pattern| pattern.matches('*').count() > 1) {
            return invalid(format!("{name} \"{pattern}\" can not have more than one wildcard."));
        }
    }
    if let Some(header) = rule.expose_headers.iter().find(|header| header.contains('*')) {
        return invalid(format!(
            "ExposeHeader \"{header}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
        ));
    }
    Ok(())
}

/// Answers a preflight, which nobody signs.
pub(crate) async fn preflight(
    gateway: &Gateway,
    head: &Head,
    bucket: Option<&str>,
    key: Option<&str>,
) -> Result<Answer, S3Error> {
    let bad = |message: String| S3Error::because(Code::BadRequest, message);
    let origin = head.header("origin").filter(|origin| !origin.is_empty());
    let origin = origin.ok_or_else(|| bad("Insufficient information. Origin request header needed.".to_owned()))?;
    let method = head.header("access-control-request-method");
    let method = method
        .filter(|method| METHODS.contains(method))
        .ok_or_else(|| bad(format!("Invalid Access-Control-Request-Method: {}", method.unwrap_or("null"))))?;
    let asked = head.joined("access-control-request-headers").unwrap_or_default();
    let headers: Vec<&str> = asked.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let resource = if key.is_some() { "OBJECT" } else { "BUCKET" };
    let forbidden = |message: &str| {
        S3Error::because(Code::AccessForbidden, message).with("Method", method).with("ResourceType", resource)
    };
    let bucket = gateway.bucket(&bucket_name(bucket.unwrap_or_default())?).await?;
    let Some(configuration) = &bucket.settings.cors else {
        return Err(forbidden("CORSResponse: CORS is not enabled for this bucket."));
    };
    let request = CorsRequest { origin, method, headers: &headers };
    let rule = configuration.rule_for(request).ok_or_else(|| {
        forbidden(
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request \
             method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the \
             resource's CORS spec.",
        )
    })?;
    let mut answer = answer::empty(StatusCode::OK);
    allow(&mut answer, rule, origin);
    if !headers.is_empty() {
        answer::set(&mut answer, "access-control-allow-headers", headers.join(", ").to_ascii_lowercase());
    }
    if let Some(age) = rule.max_age {
        answer::set(&mut answer, "access-control-max-age", age.to_string());
    }
    Ok(answer)
}

/// Adds what lets a page's script read an answer, whatever the answer is.
pub(crate) fn dress(bucket: &Bucket, parts: &Parts, answer: &mut Answer) {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = header("origin") else { return };
    let Some(configuration) = &bucket.settings.cors else { return };
    let method = header("access-control-request-method").unwrap_or(parts.method.as_str());
    if let Some(rule) = configuration.rule_for(CorsRequest { origin, method, headers: &[] }) {
        allow(answer, rule, origin);
    }
}

fn allow(answer: &mut Answer, rule: &CorsRule, origin: &str) {
    if rule.is_open() {
        answer::set(answer, "access-control-allow-origin", "*");
    } else {
        answer::set(answer, "access-control-allow-origin", origin);
        answer::set(answer, "access-control-allow-credentials", "true");
    }
    answer::set(answer, "access-control-allow-methods", rule.allowed_methods.join(", "));
    if !rule.expose_headers.is_empty() {
        answer::set(answer, "access-control-expose-headers", rule.expose_headers.join(", "));
    }
    answer::set(answer, "vary", VARY);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rule: &str) -> Result<CorsConfiguration, S3Error> {
        parse(format!("<CORSConfiguration><CORSRule>{rule}</CORSRule></CORSConfiguration>").as_bytes())
    }

    #[test]
    fn a_configuration_is_read_as_it_is_written() {
        let rule = "<ID>x</ID><AllowedMethod>GET</AllowedMethod><AllowedOrigin>http://*.a</AllowedOrigin>\
                    <AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>30</MaxAgeSeconds>";
        let configuration = read(rule).expect("legal");
        let mut document = Document::bare("CORSRule", |root| describe(root, &configuration.rules[0]));
        document = document.rsplit_once("?>\n").expect("declared").1.to_owned();
        assert_eq!(document, format!("<CORSRule>{rule}</CORSRule>"));
    }

    #[test]
    fn what_browsers_could_not_use_is_refused() {
        let origin = "<AllowedOrigin>*</AllowedOrigin>";
        let get = "<AllowedMethod>GET</AllowedMethod>";
        for (rule, code) in [
            (origin.to_owned(), Code::MalformedXML),
            (get.to_owned(), Code::MalformedXML),
            (format!("{origin}<AllowedMethod>PATCH</AllowedMethod>"), Code::InvalidRequest),
            (format!("{get}<AllowedOrigin>*a*</AllowedOrigin>"), Code::InvalidRequest),
            (format!("{get}{origin}<ExposeHeader>*</ExposeHeader>"), Code::InvalidRequest),
            (format!("{get}{origin}<MaxAgeSeconds>-1</MaxAgeSeconds>"), Code::MalformedXML),
            (format!("{get}{origin}<Other/>"), Code::MalformedXML),
        ] {
            assert_eq!(read(&rule).expect_err("refused").code, code, "{rule}");
        }
        assert_eq!(parse(b"<CORSConfiguration/>").expect_err("refused").code, Code::MalformedXML);
    }
}
