//! Where a backend listens: scheme, host and port.

use super::Scheme;
use std::fmt;

/// A scheme with a host and an optional port.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    secure: bool,
    authority: String,
}

/// Why a text names no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidOrigin {
    /// A scheme other than `http` and `https`.
    Scheme,
    /// No host, or characters that no host has.
    Host,
    /// A port that is not a number from 1 to 65535.
    Port,
}

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Scheme => "the scheme has to be http or https",
            Self::Host => "a host name or address is missing or has illegal characters",
            Self::Port => "the port has to be a number from 1 to 65535",
        })
    }
}

impl std::error::Error for InvalidOrigin {}

impl Origin {
    /// Accepts `host`, `host:port` and URLs, whose scheme wins over `secure`.
    ///
    /// Answers the origin with the URL's path, without a slash at its end: empty for most.
    pub fn parse(text: &str, secure: bool) -> Result<(Self, String), InvalidOrigin> {
        let text = text.trim();
        let (secure, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some(_) => return Err(InvalidOrigin::Scheme),
            None => (secure, text),
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let origin = Self { secure, authority: authority.to_ascii_lowercase() };
        origin.verify()?;
        Ok((origin, path.trim_end_matches('/').to_owned()))
    }

    /// Whether it is https.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Host and port, as they were given.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The host without its port; an IPv6 address keeps its brackets.
    pub fn host(&self) -> &str {
        self.split().0
    }

    /// The port, the scheme's own one when none was given.
    pub fn port(&self) -> u16 {
        self.split().1.and_then(|port| port.parse().ok()).unwrap_or(if self.secure { 443 } else { 80 })
    }

    /// The same with a label in front of the host: `bucket` for virtual-host addressing.
    pub fn with_label(&self, label: &str) -> Self {
        Self { secure: self.secure, authority: format!("{label}.{}", self.authority) }
    }

    /// `scheme://host:port`, as `validation.egress` wants it.
    pub fn egress(&self) -> String {
        format!("{}://{}:{}", self.scheme_name(), self.host(), self.port())
    }

    /// The scheme for a request.
    pub fn scheme(&self) -> Scheme {
        if self.secure { Scheme::Https } else { Scheme::Http }
    }

    fn scheme_name(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    fn verify(&self) -> Result<(), InvalidOrigin> {
        let (host, port) = self.split();
        let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let legal = match address {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
        };
        if !legal {
            return Err(InvalidOrigin::Host);
        }
        match port.map(str::parse::<u16>) {
            None | Some(Ok(1..)) => Ok(()),
            Some(_) => Err(InvalidOrigin::Port),
        }
    }

    fn split(&self) -> (&str, Option<&str>) {
        // The last colon of an IPv6 address stands inside its brackets.
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (&self.authority, None),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme_name(), self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        let (origin, path) = Origin::parse(text, true).unwrap();
        format!("{origin} {} {path}", origin.egress())
    }

    #[test]
    fn a_host_takes_the_scheme_that_is_asked_for() {
        assert_eq!(parsed("S3.amazonaws.com"), "https://s3.amazonaws.com https://s3.amazonaws.com:443 ");
    }

    #[test]
    fn a_url_brings_scheme_port_and_path() {
        assert_eq!(
            parsed("http://127.0.0.1:10000/devstoreaccount1/"),
            "http://127.0.0.1:10000 http://127.0.0.1:10000 /devstoreaccount1"
        );
    }

    #[test]
    fn an_address_of_six_keeps_its_brackets() {
        assert_eq!(parsed("[::1]"), "https://[::1] https://[::1]:443 ");
        assert_eq!(parsed("[::1]:9000"), "https://[::1]:9000 https://[::1]:9000 ");
    }

    #[test]
    fn nonsense_is_refused_by_what_is_wrong() {
        let error = |text| Origin::parse(text, true).unwrap_err();
        assert_eq!(error("ftp://host"), InvalidOrigin::Scheme);
        assert_eq!(error(""), InvalidOrigin::Host);
        assert_eq!(error("user@host"), InvalidOrigin::Host);
        assert_eq!(error("host:0"), InvalidOrigin::Port);
        assert_eq!(error("host:99999"), InvalidOrigin::Port);
    }
}
