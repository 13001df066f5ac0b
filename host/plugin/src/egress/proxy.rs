//! Which requests leave through the operator's proxy.

use super::policy::{default_port, host_and_port};
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
    /// Comma-separated names, suffixes or `*` that are reached directly.
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
    except: Vec<String>,
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
        let except = except.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty());
        Self {
            http: settings.http.as_deref().and_then(Proxy::parse),
            https: settings.https.as_deref().and_then(Proxy::parse),
            except: except.collect(),
        }
    }

    /// The proxy for a request, if it takes one.
    pub(crate) fn of(&self, scheme: &str, host: &str) -> Option<&Proxy> {
        let proxy = if scheme == "https" { self.https.as_ref() } else { self.http.as_ref() };
        proxy.filter(|_| !self.is_excepted(host))
    }

    fn is_excepted(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
            return true;
        }
        self.except.iter().any(|name| {
            let name = name.strip_prefix("*.").or_else(|| name.strip_prefix('.')).unwrap_or(name);
            name == "*" || host == name || host.strip_suffix(name).is_some_and(|front| front.ends_with('.'))
        })
    }
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
        assert!(proxies.of("http", "s3.example.com").is_some_and(|proxy| proxy.port == 3128));
        assert!(proxies.of("https", "s3.example.com").is_none());
        for host in ["127.0.0.1", "localhost", "internal.example", "a.internal.example", "x.corp"] {
            assert!(proxies.of("http", host).is_none(), "{host}");
        }
        assert!(!format!("{proxies:?}").contains("dXNlcg"));
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
