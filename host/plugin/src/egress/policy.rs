//! Where a location may connect to: by name before the look-up, by address after it.

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
}

impl Pattern {
    /// Reads `scheme://host:port`; the port may be absent where the scheme has one.
    pub(crate) fn parse(text: &str, private: bool) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
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
        Some(Self { scheme, host, subdomains, port, private })
    }

    /// Whether this is one of the operator's names or a subdomain of one.
    pub(crate) fn is_below(&self, endpoint: &Endpoint) -> bool {
        let same_port = endpoint.port.is_none_or(|port| port == self.port);
        same_port && (self.host == endpoint.host || is_subdomain(&self.host, &endpoint.host))
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
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl Endpoint {
    /// Reads a host, `host:port` or a URL.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (host, port) = host_and_port(rest.split(AFTER_AUTHORITY).next()?)?;
        Some(Self { host, port })
    }
}

impl Policy {
    pub(crate) fn new(allowed: Vec<Pattern>) -> Self {
        Self { allowed }
    }

    /// Whether the location may talk to this name, and whether private addresses are fine.
    pub(crate) fn admit(&self, scheme: &str, host: &str, port: u16) -> Option<Admission> {
        let host = normal(host);
        let mut fitting = self.allowed.iter().filter(|pattern| pattern.matches(scheme, &host, port)).peekable();
        fitting.peek()?;
        Some(Admission { private: fitting.any(|pattern| pattern.private) })
    }
}

/// How far a name is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) private: bool,
}

impl Admission {
    /// Whether a connection to this address is allowed.
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        match kind(address) {
            Kind::Public => true,
            Kind::Private => self.private,
            Kind::Never => false,
        }
    }
}

enum Kind {
    Public,
    Private,
    Never,
}

/// What kind of place an address is, looked at in its shortest form.
fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    let [first, second, third, _] = address.octets();
    let never = address.is_link_local()
        || address.is_unspecified()
        || address.is_multicast()
        || first == 0
        || first >= 240
        // Oracle's and Alibaba's metadata services are outside 169.254.0.0/16.
        || (first == 192 && second == 0 && third == 0)
        || address == Ipv4Addr::new(100, 100, 100, 200);
    let private = address.is_private()
        || address.is_loopback()
        || (first == 100 && (64..128).contains(&second))
        || (first == 198 && (second == 18 || second == 19))
        || address.is_documentation();
    match (never, private) {
        (true, _) => Kind::Never,
        (false, true) => Kind::Private,
        (false, false) => Kind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return kind_v4(mapped);
    }
    let segments = address.segments();
    let [first, second, .., high, low] = segments;
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        kind_v4(Ipv4Addr::new(a, b, c, d))
    };
    let metadata = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match first {
        _ if address.is_loopback() => Kind::Private,
        _ if address.is_unspecified() || address.is_multicast() || address == metadata => Kind::Never,
        _ if address.is_unicast_link_local() => Kind::Never,
        _ if address.is_unique_local() => Kind::Private,
        // NAT64 and 6to4 carry an IPv4 address; Teredo hides one.
        0x64 if second == 0xff9b && segments.get(2..6) == Some(&[0; 4]) => embedded(high, low),
        // What a translator of somebody's own makes of it, nobody knows here.
        0x64 if second == 0xff9b => Kind::Never,
        0x2002 => embedded(second, segments.get(2).copied().unwrap_or_default()),
        0x2001 if second == 0 => Kind::Never,
        // The discard prefix, and what was never given out.
        0 | 0x100 => Kind::Never,
        // Documentation, benchmarks, segment routing, and site-local addresses of old.
        0x2001 if second == 0xdb8 || second == 2 => Kind::Private,
        0x3fff | 0x5f00 => Kind::Private,
        _ if first & 0xffc0 == 0xfec0 => Kind::Private,
        _ => Kind::Public,
    }
}

/// Lower case, no trailing dot, no brackets, an IPv6 address in its one short form.
fn normal(host: &str) -> String {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<Ipv6Addr>() {
        Ok(address) => address.to_string(),
        Err(_) => host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(),
    }
}

/// Where an authority ends, for those who write `\` for `/` too.
const AFTER_AUTHORITY: [char; 4] = ['/', '?', '#', '\\'];

/// Takes an authority apart, when everybody else would take it apart in the same way.
fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
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
    fn metadata_and_link_local_addresses_are_never_allowed() {
        let trusted = Admission { private: true };
        for text in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
            "fe80::1",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "0.0.0.0",
            "100.100.100.200",
            "::",
            "64:ff9b:1:a9fe:a9:fe00::",
            "100::1",
        ] {
            assert!(text.parse().is_ok_and(|address| !trusted.allows(address)), "{text}");
        }
    }

    #[test]
    fn private_addresses_need_the_operators_own_name() {
        let (ours, theirs) = (Admission { private: true }, Admission { private: false });
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fd12::1",
            "::ffff:10.0.0.1",
            "fec0::1",
            "2001:db8::1",
        ] {
            assert!(text.parse().is_ok_and(|address| ours.allows(address)), "{text}");
            assert!(text.parse().is_ok_and(|address| !theirs.allows(address)), "{text}");
        }
        assert!("52.216.0.1".parse().is_ok_and(|address| theirs.allows(address)));
    }

    #[test]
    fn endpoints_are_read_in_each_spelling() {
        let endpoint = |host: &str, port| Some(Endpoint { host: host.to_owned(), port });
        assert_eq!(Endpoint::parse("s3.example.com"), endpoint("s3.example.com", None));
        assert_eq!(Endpoint::parse("127.0.0.1:9000"), endpoint("127.0.0.1", Some(9000)));
        assert_eq!(Endpoint::parse("https://A.example.com/x"), endpoint("a.example.com", None));
        assert_eq!(Endpoint::parse("http://[::1]:80"), endpoint("::1", Some(80)));
        assert_eq!(Endpoint::parse("[0:0::1]"), endpoint("::1", None));
        assert_eq!(Endpoint::parse("http://a.example.com\\@b.example.com"), endpoint("a.example.com", None));
        for text in ["", "http://", "a b", "a%2eb", "127.1", "0x7f000001", "2130706433", "a:+80", "a:", "[a]", "a..b"] {
            assert_eq!(Endpoint::parse(text), None, "{text}");
        }
    }

    #[test]
    fn subdomains_of_an_endpoint_are_below_it_and_others_are_not() {
        let endpoint = Endpoint { host: "example.com".to_owned(), port: None };
        let below = |text| Pattern::parse(text, true).is_some_and(|pattern| pattern.is_below(&endpoint));
        assert!(below("https://example.com") && below("https://*.example.com"));
        assert!(!below("https://*.com.evil.org") && !below("https://notexample.com"));
    }
}
