//! Which bucket, if any, a Host names.

use crate::error::{Code, S3Error};
use std::net::IpAddr;

/// The names that this server answers to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts {
    /// Longest first: the most specific name wins.
    endpoints: Vec<String>,
}

impl Hosts {
    /// The keys of `restEndpoints`.
    pub(crate) fn new(endpoints: impl IntoIterator<Item = String>) -> Self {
        let mut endpoints: Vec<String> = endpoints.into_iter().map(|endpoint| endpoint.to_ascii_lowercase()).collect();
        endpoints.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.len()));
        Self { endpoints }
    }

    /// The endpoint that a Host belongs to, with the bucket before it; addresses are always
    /// accepted, without a bucket.
    pub(crate) fn resolve(&self, host: &str) -> Result<Resolved, S3Error> {
        let name = without_port(host).to_ascii_lowercase();
        if self.endpoints.contains(&name) {
            return Ok(Resolved { endpoint: name, bucket: None });
        }
        if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Ok(Resolved { endpoint: name, bucket: None });
        }
        for endpoint in &self.endpoints {
            let bucket = name.strip_suffix(endpoint.as_str()).and_then(|rest| rest.strip_suffix('.'));
            if let Some(bucket) = bucket.filter(|bucket| !bucket.is_empty()) {
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
    /// The key of `restEndpoints`, or an address.
    pub(crate) endpoint: String,
    /// The bucket of a virtual-host style request.
    pub(crate) bucket: Option<String>,
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
