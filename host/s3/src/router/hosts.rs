//! Which bucket, if any, a Host names.

use crate::error::{Code, S3Error};
use std::net::IpAddr;

/// The names that this server answers to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts {
    /// Longest first: the most specific name wins.
    endpoints: Vec<String>,
    /// Likewise, of websites.
    websites: Vec<String>,
}

impl Hosts {
    /// The keys of `restEndpoints`.
    pub(crate) fn new(endpoints: impl IntoIterator<Item = String>) -> Self {
        Self { endpoints: sorted(endpoints), websites: Vec::new() }
    }

    /// The same with `websiteEndpoints`.
    pub(crate) fn with_websites(self, websites: impl IntoIterator<Item = String>) -> Self {
        Self { websites: sorted(websites), ..self }
    }

    /// The bucket whose website a Host names: what stands before an endpoint of websites, or
    /// such an endpoint itself. A more specific endpoint of the API goes before.
    pub(crate) fn website(&self, host: &str) -> Option<String> {
        let name = normal(host);
        let belongs = |endpoint: &str| name == endpoint || before(&name, endpoint).is_some();
        let endpoint = self.websites.iter().find(|endpoint| belongs(endpoint))?;
        if self.endpoints.iter().any(|other| belongs(other) && other.len() >= endpoint.len()) {
            return None;
        }
        Some(before(&name, endpoint).unwrap_or(endpoint).to_owned())
    }

    /// The endpoint that a Host belongs to, with the bucket before it; addresses are always
    /// accepted, without a bucket.
    pub(crate) fn resolve(&self, host: &str) -> Result<Resolved, S3Error> {
        let name = normal(host);
        if self.endpoints.contains(&name) {
            return Ok(Resolved { endpoint: name, bucket: None });
        }
        if name.parse::<IpAddr>().is_ok() {
            return Ok(Resolved { endpoint: name, bucket: None });
        }
        for endpoint in &self.endpoints {
            if let Some(bucket) = before(&name, endpoint) {
                return Ok(Resolved { endpoint: endpoint.clone(), bucket: Some(bucket.to_owned()) });
            }
        }
        Err(S3Error::because(
            Code::InvalidURI,
            format!(
                "Could not parse the specified URI: the Host {name} is not an endpoint of this server. \
                 Add it to restEndpoints in config.json."
            ),
        ))
    }
}

/// What a Host means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The key of `restEndpoints`, or an address in its one short form.
    pub(crate) endpoint: String,
    /// The bucket of a virtual-host style request.
    pub(crate) bucket: Option<String>,
}

/// What stands before an endpoint, without the dot.
fn before<'a>(name: &'a str, endpoint: &str) -> Option<&'a str> {
    name.strip_suffix(endpoint)?.strip_suffix('.').filter(|bucket| !bucket.is_empty())
}

fn sorted(endpoints: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut endpoints: Vec<String> = endpoints.into_iter().map(|endpoint| endpoint.to_ascii_lowercase()).collect();
    endpoints.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.len()));
    endpoints
}

/// As `restEndpoints` has it: in lower case, without the port and the root's dot, an address in
/// its one short form without brackets.
fn normal(host: &str) -> String {
    let name = without_port(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
    address.map_or_else(|_| name.to_ascii_lowercase(), |address| address.to_string())
}

fn without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return host.split_inclusive(']').next().unwrap_or(host);
    }
    match host.rsplit_once(':') {
        // More than one colon is an IPv6 address without brackets.
        Some((name, port)) if !name.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_dot_at_the_end_find_their_key() {
        let hosts = Hosts::new(["localhost".to_owned(), "::1".to_owned(), "127.0.0.1".to_owned()]);
        for (host, endpoint, bucket) in [
            ("[::1]:8000", "::1", None),
            ("[0:0:0:0:0:0:0:1]", "::1", None),
            ("[FD00::0A]:8000", "fd00::a", None),
            ("127.0.0.1:8000", "127.0.0.1", None),
            ("localhost.", "localhost", None),
            ("Localhost.:8000", "localhost", None),
            ("my.b.localhost.:8000", "localhost", Some("my.b")),
        ] {
            let resolved = hosts.resolve(host).expect(host);
            assert_eq!((resolved.endpoint.as_str(), resolved.bucket.as_deref()), (endpoint, bucket), "{host}");
        }
    }
}
