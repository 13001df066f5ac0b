//! Where a location may connect to: by name before the look-up, by address after it.

use super::address::{Kind, kind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a location may be connected to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    allowed: Vec<Pattern>,
}

/// `scheme://host:port`, with `*` for the leftmost labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    scheme: String,
    host: String,
    /// Whether subdomains of `host` are meant, not `host` itself.
    subdomains: bool,
    port: u16,
    /// Whether the name may resolve to addresses that are not public: so it is with names
    /// that the operator wrote.
    private: bool,
    /// The operator granted just this, with its port: then also a listener of this server.
    granted: bool,
}

impl Pattern {
    /// Reads `scheme://host:port`; the port may be absent where the scheme has one.
    pub(crate) fn parse(text: &str, private: bool) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            return None;
        }
        let (rest, subdomains) = match rest.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (host, port) = host_and_port(rest.split(AFTER_AUTHORITY).next()?)?;
        let port = port.or_else(|| default_port(&scheme))?;
        // An address has no subdomains, and below a whole top-level domain is everybody.
        if subdomains && (!host.contains('.') || host.parse::<IpAddr>().is_ok()) {
            return None;
        }
        Some(Self { scheme, host, subdomains, port, private, granted: false })
    }

    /// Whether this is one of the operator's names or a subdomain of one, at the port that the
    /// operator's words mean: without one, the scheme's own.
    pub(crate) fn is_below(&self, endpoint: &Endpoint) -> bool {
        let same_scheme = endpoint.scheme.is_none_or(|scheme| scheme == self.scheme);
        let same_port = endpoint.port.or_else(|| default_port(&self.scheme)) == Some(self.port);
        same_scheme && same_port && (self.host == endpoint.host || is_subdomain(&self.host, &endpoint.host))
    }

    /// Whether this is the very name that the operator wrote, so that it may have a private
    /// address. A subdomain that a plugin asks for is the word of whoever has the name's zone,
    /// unless no zone of the Internet has it.
    pub(crate) fn is_named_by(&self, endpoint: &Endpoint) -> bool {
        let is_itself = !self.subdomains && self.host == endpoint.host;
        self.is_below(endpoint) && (is_itself || is_within_a_network(&self.host))
    }

    /// The same as an explicit grant.
    pub(crate) fn granted(mut self) -> Self {
        self.granted = true;
        self
    }

    pub(crate) fn with_private(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    fn matches(&self, scheme: &str, host: &str, port: u16) -> bool {
        let named = if self.subdomains { is_subdomain(host, &self.host) } else { host == self.host };
        named && self.scheme == scheme && self.port == port
    }
}

/// What an operator's field of the role `endpoint` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `http` or `https`, when it is a URL of one of them.
    pub(crate) scheme: Option<&'static str>,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl Endpoint {
    /// Reads a host, `host:port` or a URL.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (host, port) = host_and_port(rest.split(AFTER_AUTHORITY).next()?)?;
        let scheme = ["http", "https"].into_iter().find(|known| known.eq_ignore_ascii_case(scheme));
        Some(Self { scheme, host, port })
    }
}

impl Policy {
    pub(crate) fn new(allowed: Vec<Pattern>) -> Self {
        Self { allowed }
    }

    /// Whether the location may talk to this name, and whether private addresses are fine.
    pub(crate) fn admit(&self, scheme: &str, host: &str, port: u16) -> Option<Admission> {
        let host = normal(host);
        let fitting = self.allowed.iter().filter(|it| it.matches(scheme, &host, port));
        fitting.fold(None, |so_far, pattern| {
            let Admission { private, granted } = so_far.unwrap_or(Admission { private: false, granted: false });
            Some(Admission { private: private || pattern.private, granted: granted || pattern.granted })
        })
    }
}

/// How far a name is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) private: bool,
    /// Also where this server itself listens.
    pub(crate) granted: bool,
}

impl Admission {
    /// That of an address which the operator gave.
    pub(crate) const OPERATORS: Self = Self { private: true, granted: true };

    /// Whether a connection to this address is allowed.
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        match kind(address) {
            Kind::Public => true,
            Kind::Private => self.private,
            Kind::Never => false,
        }
    }
}

/// Lower case, no trailing dot, no brackets, an IPv6 address in its one short form.
pub(super) fn normal(host: &str) -> String {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<Ipv6Addr>() {
        Ok(address) => address.to_string(),
        Err(_) => host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(),
    }
}

/// Whether a name is of a domain that is set apart for networks, tests or this machine.
///
/// <https://www.iana.org/assignments/special-use-domain-names>
fn is_within_a_network(host: &str) -> bool {
    [".internal", ".local", ".localhost", ".test"].iter().any(|domain| host.ends_with(domain))
}

/// Where an authority ends, for those who write `\` for `/` too.
const AFTER_AUTHORITY: [char; 4] = ['/', '?', '#', '\\'];

/// Takes an authority apart, when everybody else would take it apart in the same way.
pub(super) fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let authority = authority.rsplit('@').next()?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (normal(host), rest)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, rest) = authority.split_at(end);
            (Some(normal(host)).filter(|host| is_host(host))?, rest)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
        None if port.is_empty() => None,
        Some(_) | None => return None,
    };
    Some((host, port))
}

/// A name as it is looked up, or an IPv4 address with four numbers: no other spelling of one.
fn is_host(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_number = match last.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => last.bytes().all(|byte| byte.is_ascii_digit()),
    };
    !text.is_empty()
        && text.bytes().all(legal)
        && !text.split('.').any(str::is_empty)
        && (!is_number || text.parse::<Ipv4Addr>().is_ok())
}

pub(crate) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn is_subdomain(host: &str, of: &str) -> bool {
    // An address has no subdomains, though its text has dots.
    let is_name = of.parse::<IpAddr>().is_err();
    is_name && host.strip_suffix(of).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(texts: &[&str], private: bool) -> Policy {
        Policy::new(texts.iter().filter_map(|text| Pattern::parse(text, private)).collect())
    }

    #[test]
    fn only_what_is_named_is_admitted() {
        let policy = policy(&["https://*.example.com:443", "http://minio:9000"], true);
        assert!(policy.admit("https", "b.example.com", 443).is_some());
        assert!(policy.admit("https", "B.Example.Com.", 443).is_some());
        assert!(policy.admit("http", "minio", 9000).is_some());
        for (scheme, host, port) in [
            ("https", "example.com", 443),
            ("https", "badexample.com", 443),
            ("http", "b.example.com", 443),
            ("https", "b.example.com", 8443),
            ("http", "minio", 9001),
            ("http", "minio.evil.org", 9000),
        ] {
            assert_eq!(policy.admit(scheme, host, port), None, "{scheme}://{host}:{port}");
        }
    }

    #[test]
    fn no_word_of_the_operators_opens_what_nobody_is_connected_to() {
        for text in ["169.254.169.254", "fd00:ec2::254", "64:ff9b::a9fe:a9fe", "0.0.0.0"] {
            assert!(text.parse().is_ok_and(|address| !Admission::OPERATORS.allows(address)), "{text}");
        }
    }

    #[test]
    fn private_addresses_need_the_operators_own_name() {
        let (ours, theirs) = (Admission::OPERATORS, Admission { private: false, granted: false });
        for text in ["127.0.0.1", "10.1.2.3", "192.168.1.1", "100.64.0.1", "::1", "fd12::1", "::ffff:10.0.0.1"] {
            assert!(text.parse().is_ok_and(|address| ours.allows(address)), "{text}");
            assert!(text.parse().is_ok_and(|address| !theirs.allows(address)), "{text}");
        }
        assert!("52.216.0.1".parse().is_ok_and(|address| theirs.allows(address)));
    }

    #[test]
    fn endpoints_are_read_in_each_spelling() {
        let endpoint = |scheme, host: &str, port| Some(Endpoint { scheme, host: host.to_owned(), port });
        assert_eq!(Endpoint::parse("s3.example.com"), endpoint(None, "s3.example.com", None));
        assert_eq!(Endpoint::parse("127.0.0.1:9000"), endpoint(None, "127.0.0.1", Some(9000)));
        assert_eq!(Endpoint::parse("HTTPS://A.example.com/x"), endpoint(Some("https"), "a.example.com", None));
        assert_eq!(Endpoint::parse("dav://a.example.com"), endpoint(None, "a.example.com", None));
        assert_eq!(Endpoint::parse("http://[::1]:80"), endpoint(Some("http"), "::1", Some(80)));
        assert_eq!(Endpoint::parse("[0:0::1]"), endpoint(None, "::1", None));
        let split = Endpoint::parse("http://a.example.com\\@b.example.com");
        assert_eq!(split, endpoint(Some("http"), "a.example.com", None));
        for text in ["", "http://", "a b", "a%2eb", "127.1", "0x7f000001", "2130706433", "a:+80", "a:", "[a]", "a..b"] {
            assert_eq!(Endpoint::parse(text), None, "{text}");
        }
    }

    #[test]
    fn subdomains_of_an_endpoint_are_below_it_and_others_are_not() {
        assert!(is_below("example.com", "https://example.com") && is_below("example.com", "https://*.example.com"));
        assert!(
            !is_below("example.com", "https://*.com.evil.org") && !is_below("example.com", "https://notexample.com")
        );
    }

    #[test]
    fn a_derived_name_is_not_the_operators_own_unless_only_a_network_knows_it() {
        let is_named_by = |endpoint: &str, asked: &str| {
            let (pattern, endpoint) = (Pattern::parse(asked, false).unwrap(), Endpoint::parse(endpoint).unwrap());
            assert!(pattern.is_below(&endpoint), "{asked} is below {endpoint:?}");
            pattern.is_named_by(&endpoint)
        };
        for (endpoint, asked) in [
            ("s3.example.com", "https://s3.example.com"),
            ("http://10.0.0.1:9000", "http://10.0.0.1:9000"),
            ("minio:9000", "http://minio:9000"),
            ("localhost", "https://bucket.localhost"),
            ("s3.corp.internal", "https://bucket.s3.corp.internal"),
        ] {
            assert!(is_named_by(endpoint, asked), "{endpoint} {asked}");
        }
        for (endpoint, asked) in [
            ("s3.example.com", "https://bucket.s3.example.com"),
            ("s3.example.com", "https://*.s3.example.com"),
            ("internal.example.com", "https://bucket.internal.example.com"),
            ("minio:9000", "http://bucket.minio:9000"),
        ] {
            assert!(!is_named_by(endpoint, asked), "{endpoint} {asked}");
        }
    }

    #[test]
    fn an_endpoint_without_a_port_means_its_schemes_own() {
        for (endpoint, asked) in [
            ("example.com", "https://example.com:443"),
            ("example.com", "http://example.com:80"),
            ("https://example.com/store", "https://a.example.com"),
            ("http://example.com", "http://example.com:80"),
            ("example.com:9000", "http://example.com:9000"),
            ("example.com:9000", "https://example.com:9000"),
            ("https://example.com:80", "https://example.com:80"),
        ] {
            assert!(is_below(endpoint, asked), "{endpoint} {asked}");
        }
        for (endpoint, asked) in [
            ("example.com", "http://example.com:22"),
            ("example.com", "https://example.com:8443"),
            ("example.com", "https://example.com:80"),
            ("example.com", "http://example.com:443"),
            ("https://example.com", "http://example.com:80"),
            ("https://example.com", "https://example.com:9200"),
            ("https://example.com:8443", "http://example.com:8443"),
            ("127.0.0.1", "http://127.0.0.1:6379"),
            ("example.com:9000", "https://example.com"),
        ] {
            assert!(!is_below(endpoint, asked), "{endpoint} {asked}");
        }
    }

    fn is_below(endpoint: &str, asked: &str) -> bool {
        let endpoint = Endpoint::parse(endpoint).unwrap();
        Pattern::parse(asked, true).unwrap().is_below(&endpoint)
    }
}
