//! [Websites](https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteHosting.html) of
//! buckets: what a visitor's path means.

use serde::{Deserialize, Serialize};

/// How a bucket is shown to visitors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WebsiteConfiguration {
    /// Every visitor goes to another host.
    Elsewhere {
        /// That host.
        host: String,
        /// `http` or `https`; `None` keeps the visitor's.
        protocol: Option<String>,
    },
    /// The bucket's objects are pages.
    Pages {
        /// What is appended to a path that ends with a slash.
        index_suffix: String,
        /// The page for errors.
        error_key: Option<String>,
        /// Redirects; the first that fits decides.
        rules: Vec<RoutingRule>,
    },
}

/// A redirect with its condition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoutingRule {
    /// Only keys that start so.
    pub prefix: Option<String>,
    /// Only requests that would end with this status.
    pub status: Option<u16>,
    /// Where to.
    pub redirect: Redirect,
}

/// Where a redirect leads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Redirect {
    /// `None` keeps the visitor's host.
    pub host: Option<String>,
    /// `None` keeps the visitor's protocol.
    pub protocol: Option<String>,
    /// The status; `None` is 301.
    pub code: Option<u16>,
    /// What becomes of the key.
    pub replacement: Replacement,
}

/// What a redirect makes of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Replacement {
    /// It stays.
    #[default]
    Nothing,
    /// What the condition's prefix matched becomes this.
    Prefix(String),
    /// It becomes this.
    Whole(String),
}

/// Where a visitor is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent<'a> {
    /// `None` keeps the visitor's host.
    pub host: Option<&'a str>,
    /// `None` keeps the visitor's protocol.
    pub protocol: Option<&'a str>,
    /// The status.
    pub code: u16,
    /// Decoded.
    pub key: String,
}

/// The redirect for a key: of a request that ended with a status, or of one that was not
/// tried yet.
pub fn redirect<'a>(rules: &'a [RoutingRule], key: &str, status: Option<u16>) -> Option<Sent<'a>> {
    let rule = rules.iter().find(|rule| {
        rule.status == status && rule.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_str()))
    })?;
    let matched = rule.prefix.as_deref().unwrap_or_default();
    let key = match &rule.redirect.replacement {
        Replacement::Nothing => key.to_owned(),
        Replacement::Prefix(prefix) => format!("{prefix}{}", key.strip_prefix(matched).unwrap_or(key)),
        Replacement::Whole(key) => key.clone(),
    };
    Some(Sent {
        host: rule.redirect.host.as_deref(),
        protocol: rule.redirect.protocol.as_deref(),
        code: rule.redirect.code.unwrap_or(301),
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(prefix: Option<&str>, status: Option<u16>, replacement: Replacement) -> RoutingRule {
        RoutingRule {
            prefix: prefix.map(str::to_owned),
            status,
            redirect: Redirect { replacement, ..Redirect::default() },
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = [
            rule(Some("docs/"), None, Replacement::Prefix("documents/".into())),
            rule(Some("old"), Some(404), Replacement::Whole("gone.html".into())),
            rule(None, Some(404), Replacement::Prefix("report-404/".into())),
        ];
        let key = |key, status| redirect(&rules, key, status).map(|sent| sent.key);
        assert_eq!(key("docs/a", None).as_deref(), Some("documents/a"));
        assert_eq!(key("other", None), None);
        assert_eq!(key("older", Some(404)).as_deref(), Some("gone.html"));
        assert_eq!(key("new", Some(404)).as_deref(), Some("report-404/new"));
        assert_eq!(key("new", Some(403)), None);
    }

    proptest! {
        #[test]
        fn a_prefix_is_replaced_and_the_rest_stays(prefix in "[a-z/]{0,4}", rest in "\\PC{0,8}", new in "[a-z/]{0,4}") {
            let rules = [rule(Some(&prefix), None, Replacement::Prefix(new.clone()))];
            let sent = redirect(&rules, &format!("{prefix}{rest}"), None).expect("fits");
            prop_assert_eq!(sent.key, format!("{new}{rest}"));
        }
    }
}
