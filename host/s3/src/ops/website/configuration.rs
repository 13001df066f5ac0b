//! How a bucket is made a website.

use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::Call;
use crate::xml::{Document, Element, malformed};
use http::StatusCode;
use sallyport_core::access::Action;
use sallyport_core::body::Body;
use sallyport_core::metadata::BucketSettings;
use sallyport_core::website::{Redirect, Replacement, RoutingRule, WebsiteConfiguration};

/// As AWS limits it, in bytes.
const MAX_DOCUMENT: u64 = 128 << 10;
const MAX_RULES: usize = 50;

/// PutBucketWebsite.
pub(crate) async fn put(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let configuration = parse(&call.document(body, MAX_DOCUMENT).await?)?;
    let change = move |settings: &mut BucketSettings| settings.website = Some(configuration);
    call.gateway.configure(&call.caller, Action::PutBucketWebsite, &call.bucket()?, change).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// GetBucketWebsite.
pub(crate) async fn get(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::GetBucketWebsite).await?;
    let missing = || S3Error::new(Code::NoSuchWebsiteConfiguration).with("BucketName", bucket.name.as_str());
    let configuration = bucket.settings.website.as_ref().ok_or_else(missing)?;
    Ok(answer::xml(Document::s3("WebsiteConfiguration", |root| describe(root, configuration))))
}

/// DeleteBucketWebsite.
pub(crate) async fn delete(call: &Call) -> Result<Answer, S3Error> {
    let change = |settings: &mut BucketSettings| settings.website = None;
    call.gateway.configure(&call.caller, Action::DeleteBucketWebsite, &call.bucket()?, change).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) fn describe(root: &mut Document, configuration: &WebsiteConfiguration) {
    match configuration {
        WebsiteConfiguration::Elsewhere { host, protocol } => root.nest("RedirectAllRequestsTo", |element| {
            element.text("HostName", host);
            optional(element, "Protocol", protocol.as_deref());
        }),
        WebsiteConfiguration::Pages { index_suffix, error_key, rules } => {
            root.nest("IndexDocument", |element| element.text("Suffix", index_suffix));
            if let Some(key) = error_key {
                root.nest("ErrorDocument", |element| element.text("Key", key));
            }
            if !rules.is_empty() {
                root.nest("RoutingRules", |element| {
                    for rule in rules {
                        element.nest("RoutingRule", |element| describe_rule(element, rule));
                    }
                });
            }
        }
    }
}

fn describe_rule(element: &mut Document, rule: &RoutingRule) {
    if rule.prefix.is_some() || rule.status.is_some() {
        element.nest("Condition", |element| {
            optional(element, "KeyPrefixEquals", rule.prefix.as_deref());
            if let Some(status) = rule.status {
                element.number("HttpErrorCodeReturnedEquals", status);
            }
        });
    }
    element.nest("Redirect", |element| {
        let redirect = &rule.redirect;
        optional(element, "Protocol", redirect.protocol.as_deref());
        optional(element, "HostName", redirect.host.as_deref());
        match &redirect.replacement {
            Replacement::Nothing => {}
            Replacement::Prefix(prefix) => element.text("ReplaceKeyPrefixWith", prefix),
            Replacement::Whole(key) => element.text("ReplaceKeyWith", key),
        }
        if let Some(code) = redirect.code {
            element.number("HttpRedirectCode", code);
        }
    });
}

fn optional(element: &mut Document, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        element.text(name, value);
    }
}

pub(crate) fn parse(document: &[u8]) -> Result<WebsiteConfiguration, S3Error> {
    let root = Element::parse(document, "WebsiteConfiguration")?;
    root.only(&["RedirectAllRequestsTo", "IndexDocument", "ErrorDocument", "RoutingRules"])?;
    if let Some(all) = root.optional("RedirectAllRequestsTo")? {
        if root.children.len() > 1 {
            return invalid("RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.");
        }
        all.only(&["HostName", "Protocol"])?;
        let host = all.required_text("HostName")?.trim().to_owned();
        return Ok(WebsiteConfiguration::Elsewhere { host: check_host(host)?, protocol: protocol(all)? });
    }
    let Some(index) = root.optional("IndexDocument")? else {
        let message = "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty";
        return Err(S3Error::argument("IndexDocument", "null", message));
    };
    let index_suffix = index.required_text("Suffix")?.to_owned();
    if index_suffix.is_empty() || index_suffix.contains('/') {
        return Err(S3Error::argument("IndexDocument", &index_suffix, "The IndexDocument Suffix is not well formed"));
    }
    let error_key = match root.optional("ErrorDocument")? {
        Some(error) => Some(error.required_text("Key")?.to_owned()).filter(|key| !key.is_empty()),
        None => None,
    };
    let rules = match root.optional("RoutingRules")? {
        Some(rules) => {
            rules.only(&["RoutingRule"])?;
            rules.all("RoutingRule").map(parse_rule).collect::<Result<Vec<_>, S3Error>>()?
        }
        None => Vec::new(),
    };
    if rules.len() > MAX_RULES {
        let message =
            "routing rules provided, the number of routing rules in a website configuration is limited to 50.";
        return invalid(&format!("{} {message}", rules.len()));
    }
    Ok(WebsiteConfiguration::Pages { index_suffix, error_key, rules })
}

fn parse_rule(rule: &Element) -> Result<RoutingRule, S3Error> {
    rule.only(&["Condition", "Redirect"])?;
    let (mut prefix, mut status) = (None, None);
    if let Some(condition) = rule.optional("Condition")? {
        condition.only(&["KeyPrefixEquals", "HttpErrorCodeReturnedEquals"])?;
        prefix = condition.optional_text("KeyPrefixEquals")?.map(str::to_owned);
        status = condition.optional_text("HttpErrorCodeReturnedEquals")?.map(|text| {
            let fits = |status: &u16| (400..600).contains(status);
            text.trim().parse().ok().filter(fits).ok_or_else(|| {
                let message =
                    format!("The provided HTTP error code ({text}) is not valid. Valid codes are 4XX or 5XX.");
                S3Error::because(Code::InvalidRequest, message)
            })
        });
        if prefix.is_none() && status.is_none() {
            return invalid(
                "Condition cannot be empty. To redirect all requests without a condition, the condition element \
                 shouldn't be present.",
            );
        }
    }
    let redirect = parse_redirect(rule.optional("Redirect")?.ok_or_else(malformed)?)?;
    Ok(RoutingRule { prefix, status: status.transpose()?, redirect })
}

fn parse_redirect(element: &Element) -> Result<Redirect, S3Error> {
    element.only(&["HostName", "HttpRedirectCode", "Protocol", "ReplaceKeyPrefixWith", "ReplaceKeyWith"])?;
    if element.children.is_empty() {
        return Err(malformed());
    }
    let code = element.optional_text("HttpRedirectCode")?.map(|text| {
        let fits = |code: &u16| (301..400).contains(code);
        text.trim().parse().ok().filter(fits).ok_or_else(|| {
            let message =
                format!("The provided HTTP redirect code ({text}) is not valid. Valid codes are 3XX except 300.");
            S3Error::because(Code::InvalidRequest, message)
        })
    });
    let own = |text: &str| text.to_owned();
    let replacement = match (element.optional_text("ReplaceKeyPrefixWith")?, element.optional_text("ReplaceKeyWith")?) {
        (Some(_), Some(_)) => return invalid("You can only define ReplaceKeyPrefix or ReplaceKey but not both."),
        (Some(prefix), None) => Replacement::Prefix(own(prefix)),
        (None, Some(key)) => Replacement::Whole(own(key)),
        (None, None) => Replacement::Nothing,
    };
    let host = element.optional_text("HostName")?.map(|host| check_host(host.trim().to_owned())).transpose()?;
    Ok(Redirect { host, protocol: protocol(element)?, code: code.transpose()?, replacement })
}

/// A host as it can stand in a URL.
fn check_host(host: String) -> Result<String, S3Error> {
    let is_legal = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\".contains(&byte);
    if !host.is_empty() && host.bytes().all(is_legal) {
        return Ok(host);
    }
    invalid("The HostName is not well formed.")
}

fn protocol(element: &Element) -> Result<Option<String>, S3Error> {
    match element.optional_text("Protocol")?.map(str::trim) {
        None => Ok(None),
        Some(protocol @ ("http" | "https")) => Ok(Some(protocol.to_owned())),
        Some(_) => invalid(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected \
             automatically.",
        ),
    }
}

fn invalid<T>(message: &str) -> Result<T, S3Error> {
    Err(S3Error::because(Code::InvalidRequest, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<WebsiteConfiguration, S3Error> {
        parse(format!("<WebsiteConfiguration>{content}</WebsiteConfiguration>").as_bytes())
    }

    #[test]
    fn a_configuration_is_written_as_it_was_read() {
        for content in [
            "<RedirectAllRequestsTo><HostName>h</HostName><Protocol>https</Protocol></RedirectAllRequestsTo>",
            "<IndexDocument><Suffix>index.html</Suffix></IndexDocument><ErrorDocument><Key>e</Key></ErrorDocument>\
             <RoutingRules><RoutingRule><Condition><KeyPrefixEquals>a/</KeyPrefixEquals>\
             <HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition>\
             <Redirect><HostName>h</HostName><ReplaceKeyPrefixWith>b/</ReplaceKeyPrefixWith>\
             <HttpRedirectCode>302</HttpRedirectCode></Redirect></RoutingRule></RoutingRules>",
        ] {
            let configuration = read(content).expect("legal");
            let written = Document::bare("R", |root| describe(root, &configuration));
            assert!(written.ends_with(&format!("<R>{content}</R>")), "{written}");
        }
    }

    #[test]
    fn what_could_not_be_served_is_refused() {
        let index = "<IndexDocument><Suffix>i</Suffix></IndexDocument>";
        let rule = |rule: &str| format!("{index}<RoutingRules><RoutingRule>{rule}</RoutingRule></RoutingRules>");
        for (content, code) in [
            (String::new(), Code::InvalidArgument),
            ("<IndexDocument><Suffix>a/b</Suffix></IndexDocument>".to_owned(), Code::InvalidArgument),
            (
                format!("{index}<RedirectAllRequestsTo><HostName>h</HostName></RedirectAllRequestsTo>"),
                Code::InvalidRequest,
            ),
            (
                "<RedirectAllRequestsTo><HostName>h/x</HostName></RedirectAllRequestsTo>".to_owned(),
                Code::InvalidRequest,
            ),
            (rule(""), Code::MalformedXML),
            (rule("<Condition/><Redirect><HostName>h</HostName></Redirect>"), Code::InvalidRequest),
            (rule("<Redirect><HttpRedirectCode>200</HttpRedirectCode></Redirect>"), Code::InvalidRequest),
            (rule("<Redirect><Protocol>ftp</Protocol></Redirect>"), Code::InvalidRequest),
        ] {
            assert_eq!(read(&content).expect_err("refused").code, code, "{content}");
        }
    }
}
