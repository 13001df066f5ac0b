//! Which requests leave through the operator's proxy.

use super::policy::{default_port, host_and_port, normal};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::net::IpAddr;

/// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, as they were read by whoever reads the environment.
#[derive(Debug, Clone, Default)]
pub struct ProxySettings {
    /// Proxy of `http` requests, as a URL that [`Self::is_proxy`] accepts.
    pub http: Option<String>,
    /// Proxy of `https` requests, likewise.
    pub https: Option<String>,
    /// Comma-separated names or suffixes that are reached directly, at one port when they have
    /// `:port`; `*` stands for any text.
    pub except: Option<String>,
}

impl ProxySettings {
    /// Whether a URL names a proxy that requests can leave through: with one that does not they
    /// would go past it.
    pub fn is_proxy(url: &str) -> bool {
        Proxy::parse(url).is_some()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    except: Vec<Exception>,
}

/// What is reached directly.
#[derive(Debug)]
struct Exception {
    /// A name that stands for what is below it, too.
    pattern: String,
    /// Absent: at each of its ports.
    port: Option<u16>,
}

pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authorization: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

impl Proxies {
    pub(crate) fn new(settings: &ProxySettings) -> Self {
        let except = settings.except.as_deref().unwrap_or_default();
        let except = except.split(',').map(str::trim).filter(|text| !text.is_empty()).map(Exception::parse);
        Self {
            http: settings.http.as_deref().and_then(Proxy::parse),
            https: settings.https.as_deref().and_then(Proxy::parse),
            except: except.collect(),
        }
    }

    /// The proxy for a request, if it takes one.
    pub(crate) fn of(&self, scheme: &str, host: &str, port: u16) -> Option<&Proxy> {
        let proxy = if scheme == "https" { self.https.as_ref() } else { self.http.as_ref() };
        proxy.filter(|_| !self.is_excepted(host, port))
    }

    fn is_excepted(&self, host: &str, port: u16) -> bool {
        let host = normal(host);
        if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
            return true;
        }
        self.except.iter().any(|exception| exception.matches(&host, port))
    }
}

impl Exception {
    fn parse(text: &str) -> Self {
        let (name, port) = match text.rsplit_once(':') {
            // More than one colon without brackets is an IPv6 address.
            Some((name, digits)) if !name.contains(':') || name.ends_with(']') => match digits.parse::<u16>() {
                Ok(port) => (name, Some(port)),
                Err(_) => (text, None),
            },
            Some(_) | None => (text, None),
        };
        let name = normal(name);
        let pattern = name.strip_prefix("*.").or_else(|| name.strip_prefix('.')).unwrap_or(&name);
        Self { pattern: pattern.to_owned(), port }
    }

    fn matches(&self, host: &str, port: u16) -> bool {
        let mut names = std::iter::successors(Some(host), |name| name.split_once('.').map(|(_, above)| above));
        self.port.is_none_or(|only| only == port) && names.any(|name| is_like(&self.pattern, name))
    }
}

/// Whether a text is as a pattern has it, whose `*` stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (between, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in between.split('*') {
        let Some((_, after)) = text.split_once(piece) else { return false };
        text = after;
    }
    text.ends_with(last)
}

impl Proxy {
    /// Reads `http://user:password@host:port`, and nothing behind it: a `/` in a password would
    /// make the user's name the host.
    fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '\\']) {
            return None;
        }
        let (host, port) = host_and_port(authority)?;
        let authorization = authority.rsplit_once('@').map(|(user, _)| {
            let plain: Vec<u8> = percent_encoding::percent_decode_str(user).collect();
            format!("Basic {}", STANDARD.encode(plain))
        });
        Some(Self { host, port: port.or_else(|| default_port("http"))?, authorization })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excepted_names_and_loopback_are_reached_directly() {
        let settings = ProxySettings {
            http: Some("http://user:pass@proxy:3128/".to_owned()),
            https: None,
            except: Some("internal.example, .corp".to_owned()),
        };
        let proxies = Proxies::new(&settings);
        assert!(proxies.of("http", "s3.example.com", 80).is_some_and(|proxy| proxy.port == 3128));
        assert!(proxies.of("https", "s3.example.com", 443).is_none());
        for host in ["127.0.0.1", "localhost", "internal.example", "a.internal.example", "x.corp"] {
            assert!(proxies.of("http", host, 80).is_none(), "{host}");
        }
        assert!(!format!("{proxies:?}").contains("dXNlcg"));
    }

    #[test]
    fn a_star_stands_for_any_text_and_a_port_for_itself_alone() {
        for (except, host, port, direct) in [
            ("*", "s3.example.com", 443, true),
            ("test.*.com", "test.scality.com", 443, true),
            ("test.*.com", "test.scality.org", 443, false),
            ("test.*.com", "other.scality.com", 443, false),
            ("test.scality.*", "test.scality.com", 443, true),
            ("test.scality.*", "test.scalityx.com", 443, false),
            ("*.scality.com", "test.scality.com", 443, true),
            ("*.scality.com", "testscality.com", 443, false),
            ("*ality*", "test.scality.com", 443, true),
            ("10.0.*", "10.0.3.4", 443, true),
            ("10.0.*", "10.1.3.4", 443, false),
            ("test.scality.com:8443", "test.scality.com", 8443, true),
            ("test.scality.com:8443", "test.scality.com", 443, false),
            ("test.*.com:8443", "Test.Scality.com.", 8443, true),
            ("fd00:0::1", "[fd00::1]", 443, true),
            ("[fd00::1]:8443", "[fd00::1]", 8443, true),
            ("[fd00::1]:8443", "[fd00::1]", 443, false),
            ("test.scality.com:x", "test.scality.com", 443, false),
        ] {
            let https = Some("http://proxy:3128".to_owned());
            let proxies = Proxies::new(&ProxySettings { http: None, https, except: Some(except.to_owned()) });
            assert_eq!(proxies.of("https", host, port).is_none(), direct, "{except} {host}:{port}");
        }
    }

    #[test]
    fn a_url_that_names_no_proxy_is_none() {
        for url in [
            "http://proxy:notaport",
            "http://127.0.0.1:99999",
            "http://user:pa/ss@proxy:3128",
            "http://user:12/ss@proxy:3128",
            "http://:3128",
            "http://user@",
            "http://proxy:",
            "http://[::1",
            "http://",
            "https://proxy:3128",
            "proxy:3128",
        ] {
            assert!(!ProxySettings::is_proxy(url), "{url}");
        }
        for (url, host, port) in [
            ("http://proxy", "proxy", 80),
            ("http://u:p%2Fq@Proxy:3128/", "proxy", 3128),
            ("http://[::1]:1", "::1", 1),
            ("http://10.0.0.1:99", "10.0.0.1", 99),
        ] {
            let proxy = Proxy::parse(url).expect(url);
            assert_eq!((proxy.host.as_str(), proxy.port), (host, port), "{url}");
        }
    }
}
