//! Derives where requests go from what the operator wrote as `awsEndpoint`.

use std::fmt;

/// AWS's own endpoint, which serves every region it knows.
const GLOBAL: &str = "s3.amazonaws.com";
/// What an endpoint of AWS ends in; China has its own suffix.
const SUFFIXES: [&str; 2] = [".amazonaws.com", ".amazonaws.com.cn"];
/// The region of endpoints that do not name one.
const DEFAULT_REGION: &str = "us-east-1";

/// A server that speaks S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Whether requests travel over TLS.
    pub(crate) tls: bool,
    /// A host name or an address; IPv6 addresses keep their brackets.
    pub(crate) host: String,
    /// Absent for the scheme's own port.
    pub(crate) port: Option<u16>,
}

/// Why an endpoint cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InvalidEndpoint {
    /// The scheme is neither `http` nor `https`.
    Scheme(String),
    /// The scheme contradicts what `https` says.
    Contradiction {
        /// The scheme in front of the endpoint.
        scheme: &'static str,
    },
    /// Something follows the host and port.
    Path,
    /// The port is no number between 1 and 65535.
    Port(String),
    /// The host is no host name and no address.
    Host(String),
}

impl Endpoint {
    /// Reads `host`, `host:port` or either with a scheme in front.
    ///
    /// `https` is what the operator wrote, absent when nothing was.
    pub(crate) fn parse(text: &str, https: Option<bool>, region: Option<&str>) -> Result<Self, InvalidEndpoint> {
        let text = text.trim();
        let (scheme, rest) = split_scheme(text)?;
        let tls = match (scheme, https) {
            (None, https) => https.unwrap_or(true),
            (Some(scheme), Some(https)) if scheme != https => {
                return Err(InvalidEndpoint::Contradiction { scheme: if scheme { "https" } else { "http" } });
            }
            (Some(scheme), _) => scheme,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let rest = if rest.is_empty() { GLOBAL } else { rest };
        if rest.contains(['/', '?', '#', '@']) {
            return Err(InvalidEndpoint::Path);
        }
        let (host, port) = split_port(rest)?;
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if !is_host(&host) {
            return Err(InvalidEndpoint::Host(host));
        }
        let port = port.filter(|port| *port != default_port(tls));
        Ok(Self { tls, host, port }.in_region(region))
    }

    /// AWS's global endpoint becomes that of the region; every other one stays as it is.
    pub(crate) fn in_region(self, region: Option<&str>) -> Self {
        match region {
            Some(region) if self.host == GLOBAL && region != DEFAULT_REGION => {
                let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
                Self { host: format!("s3.{region}.{suffix}"), ..self }
            }
            _ => self,
        }
    }

    /// Whether this is AWS's endpoint for buckets of any region.
    pub(crate) fn is_global(&self) -> bool {
        self.host == GLOBAL
    }

    /// The region that the host name shows, for endpoints of AWS.
    pub(crate) fn region(&self) -> Option<&str> {
        let labels = SUFFIXES.iter().find_map(|suffix| self.host.strip_suffix(suffix))?;
        let last = labels.rsplit('.').next()?;
        let region = last.strip_prefix("s3-").unwrap_or(last);
        let looks_like_one = region.contains('-') && region.ends_with(|last: char| last.is_ascii_digit());
        looks_like_one.then_some(region)
    }

    /// Whether the host is an address, below which there are no bucket names.
    pub(crate) fn is_address(&self) -> bool {
        self.host.starts_with('[') || self.host.parse::<std::net::Ipv4Addr>().is_ok()
    }

    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// The port that requests go to.
    pub(crate) fn effective_port(&self) -> u16 {
        self.port.unwrap_or_else(|| default_port(self.tls))
    }

    /// Host and port as a URL has them, with `bucket` in front when it is addressed that way.
    pub(crate) fn authority(&self, bucket: Option<&str>) -> String {
        let mut authority = bucket.map_or_else(String::new, |bucket| format!("{bucket}."));
        authority.push_str(&self.host);
        if let Some(port) = self.port {
            authority.push_str(&format!(":{port}"));
        }
        authority
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme(), self.authority(None))
    }
}

/// The region requests are signed for when nothing names one.
pub(crate) fn default_region() -> &'static str {
    DEFAULT_REGION
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

fn split_scheme(text: &str) -> Result<(Option<bool>, &str), InvalidEndpoint> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok((None, text));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Ok((Some(true), rest)),
        "http" => Ok((Some(false), rest)),
        _ => Err(InvalidEndpoint::Scheme(scheme.to_owned())),
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), InvalidEndpoint> {
    // A colon within the brackets of an IPv6 address starts no port.
    let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| !port.contains(']')) else {
        return Ok((text, None));
    };
    match port.parse::<u16>() {
        Ok(port) if port != 0 => Ok((host, Some(port))),
        _ => Err(InvalidEndpoint::Port(port.to_owned())),
    }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text, None, None).unwrap()
    }

    #[test]
    fn nothing_means_the_public_endpoint_over_tls() {
        assert_eq!(endpoint("").to_string(), "https://s3.amazonaws.com");
        assert_eq!(endpoint("").effective_port(), 443);
    }

    #[test]
    fn a_scheme_in_front_is_accepted() {
        assert_eq!(endpoint("http://127.0.0.1:9000/").to_string(), "http://127.0.0.1:9000");
        assert_eq!(endpoint("HTTPS://Store.Example.com:443").to_string(), "https://store.example.com");
    }

    #[test]
    fn a_scheme_that_contradicts_https_is_refused() {
        assert_eq!(
            Endpoint::parse("http://store", Some(true), None),
            Err(InvalidEndpoint::Contradiction { scheme: "http" })
        );
    }

    #[test]
    fn the_global_endpoint_becomes_that_of_the_region() {
        let regional = Endpoint::parse("s3.amazonaws.com", None, Some("eu-west-1")).unwrap();
        assert_eq!(regional.host, "s3.eu-west-1.amazonaws.com");
        assert_eq!(regional.region(), Some("eu-west-1"));
        let home = Endpoint::parse("s3.amazonaws.com", None, Some("us-east-1")).unwrap();
        assert!(home.is_global());
    }

    #[test]
    fn an_endpoint_of_another_store_keeps_its_name_in_every_region() {
        let store = Endpoint::parse("store.example.com", None, Some("eu-west-1")).unwrap();
        assert_eq!(store.host, "store.example.com");
        assert_eq!(store.region(), None);
    }

    #[test]
    fn old_and_dual_stack_hosts_show_their_region() {
        assert_eq!(endpoint("s3-eu-west-1.amazonaws.com").region(), Some("eu-west-1"));
        assert_eq!(endpoint("s3.dualstack.us-gov-east-1.amazonaws.com").region(), Some("us-gov-east-1"));
        assert_eq!(endpoint("s3.cn-north-1.amazonaws.com.cn").region(), Some("cn-north-1"));
        assert_eq!(endpoint("s3.amazonaws.com").region(), None);
    }

    #[test]
    fn what_is_no_endpoint_is_named() {
        let refuse = |text| Endpoint::parse(text, None, None).unwrap_err();
        assert_eq!(refuse("ftp://store"), InvalidEndpoint::Scheme("ftp".to_owned()));
        assert_eq!(refuse("store/bucket"), InvalidEndpoint::Path);
        assert_eq!(refuse("store:0"), InvalidEndpoint::Port("0".to_owned()));
        assert_eq!(refuse("sto re"), InvalidEndpoint::Host("sto re".to_owned()));
    }

    #[test]
    fn addresses_are_told_from_names() {
        assert!(endpoint("[::1]:9000").is_address());
        assert!(endpoint("10.0.0.1").is_address());
        assert!(!endpoint("localhost:9000").is_address());
        assert_eq!(endpoint("[::1]:9000").authority(None), "[::1]:9000");
    }
}
