//! [Cross-origin resource sharing](https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html):
//! which pages' scripts may use a bucket.

use serde::{Deserialize, Serialize};

/// The rules of a bucket; the first that fits decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsConfiguration {
    /// In the order they were given.
    pub rules: Vec<CorsRule>,
}

/// Who may do what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CorsRule {
    /// The owner's name for it.
    pub id: Option<String>,
    /// Origins, each with at most one `*`.
    pub allowed_origins: Vec<String>,
    /// Methods.
    pub allowed_methods: Vec<String>,
    /// Headers that a request may have, each with at most one `*`.
    pub allowed_headers: Vec<String>,
    /// Headers of an answer that a script may read.
    pub expose_headers: Vec<String>,
    /// How long a browser may remember a preflight, in seconds.
    pub max_age: Option<u32>,
}

/// What a browser asks.
#[derive(Debug, Clone, Copy)]
pub struct CorsRequest<'a> {
    /// `Origin`.
    pub origin: &'a str,
    /// The method that is, or would be, used.
    pub method: &'a str,
    /// The headers that would be sent; empty but for a preflight.
    pub headers: &'a [&'a str],
}

impl CorsConfiguration {
    /// The rule that allows a request.
    pub fn rule_for(&self, request: CorsRequest<'_>) -> Option<&CorsRule> {
        self.rules.iter().find(|rule| rule.allows(request))
    }
}

impl CorsRule {
    fn allows(&self, request: CorsRequest<'_>) -> bool {
        let header = |name: &&str| {
            let name = name.to_ascii_lowercase();
            self.allowed_headers.iter().any(|pattern| fits(&pattern.to_ascii_lowercase(), &name))
        };
        self.allowed_methods.iter().any(|method| method == request.method)
            && self.allowed_origins.iter().any(|pattern| fits(pattern, request.origin))
            && request.headers.iter().all(header)
    }

    /// Whether it allows every origin by name of none.
    pub fn is_open(&self) -> bool {
        self.allowed_origins.iter().any(|origin| origin == "*")
    }
}

/// Whether a text fits a pattern, of which a `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(origins: &[&str], methods: &[&str], headers: &[&str]) -> CorsRule {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        CorsRule {
            allowed_origins: own(origins),
            allowed_methods: own(methods),
            allowed_headers: own(headers),
            ..CorsRule::default()
        }
    }

    #[test]
    fn the_first_rule_that_allows_all_of_it_decides() {
        let configuration = CorsConfiguration {
            rules: vec![rule(&["http://a"], &["GET"], &["x-*"]), rule(&["*"], &["GET", "PUT"], &[])],
        };
        let found = |origin, method, headers: &[&str]| {
            let rule = configuration.rule_for(CorsRequest { origin, method, headers })?;
            configuration.rules.iter().position(|one| one == rule)
        };
        assert_eq!(found("http://a", "GET", &["X-Amz-Meta-B"]), Some(0));
        assert_eq!(found("http://b", "GET", &["X-Amz-Meta-B"]), None);
        assert_eq!(found("http://a", "PUT", &[]), Some(1));
        assert_eq!(found("http://a", "DELETE", &[]), None);
    }

    proptest! {
        #[test]
        fn a_star_stands_for_anything(start in "[a-c]{0,3}", middle in "[a-c]{0,3}", end in "[a-c]{0,3}") {
            let pattern = format!("{start}*{end}");
            let text = format!("{start}{middle}{end}");
            prop_assert!(fits(&pattern, &text));
            let longer = ["x", &text].concat();
            prop_assert!(!fits(&pattern, &longer) || start.is_empty());
            prop_assert_eq!(fits(&start, &text), start == text);
        }
    }
}
