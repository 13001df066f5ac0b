//! Whom a location may talk to: what operators and plugins write, beside how URLs are read elsewhere.

use crate::egress::policy::{Admission, Endpoint, Pattern, Policy, default_port};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Takes lines: `endpoint`, `grant` and `ask` with a place, `to` with a URL, `address` with an address.
pub fn egress(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (mut endpoints, mut asked, mut allowed) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.lines() {
        let Some((word, rest)) = line.split_once(' ') else { continue };
        match word {
            "endpoint" => endpoints.extend(endpoint(rest)),
            "grant" => allowed.extend(pattern(rest, true)),
            "ask" => asked.extend(pattern(rest, false)),
            "address" => drop(rest.parse().map(address)),
            _ => {}
        }
    }
    // As a plugin that is not the release's own is treated.
    let below = |pattern: &Pattern| endpoints.iter().any(|endpoint| pattern.is_below(endpoint));
    allowed.extend(asked.into_iter().filter(below).map(|pattern| pattern.with_private(true)));
    let policy = Policy::new(allowed);
    for line in text.lines().filter_map(|line| line.strip_prefix("to ")) {
        request(&policy, line, text);
    }
}

/// A host that we take is the host that others see.
fn endpoint(text: &str) -> Option<Endpoint> {
    let endpoint = Endpoint::parse(text)?;
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let scheme = url.split("://").next().unwrap_or_default();
    if ["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme))
        && let Ok(url) = Url::parse(&url)
    {
        assert_eq!(host(&url), Some(endpoint.host.clone()), "{text:?}");
        let port = endpoint.port.or_else(|| default_port(url.scheme()));
        assert_eq!(url.port_or_known_default(), port, "{text:?}");
    }
    Some(endpoint)
}

fn pattern(text: &str, private: bool) -> Option<Pattern> {
    let pattern = Pattern::parse(text, private)?;
    assert!(text.contains("://"), "{text:?} names no scheme");
    Some(pattern)
}

/// A request that is let through goes where another reader of its URL would send it, too, and
/// that is a place which somebody named.
fn request(policy: &Policy, text: &str, named: &str) {
    let Ok(uri) = text.parse::<http::Uri>() else { return };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return };
    if authority.as_str().contains('@') {
        return;
    }
    let Some(port) = authority.port_u16().or_else(|| default_port(scheme)) else { return };
    if policy.admit(scheme, authority.host(), port).is_none() {
        return;
    }
    // The labels of a name, from its end: whoever is let through ends as somebody was named.
    let bare = authority.host().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    if bare.parse::<Ipv6Addr>().is_ok() {
        // Its text has many forms; which one it is, the other reader says below.
        return same_address(text, &bare, port);
    }
    let lower = named.to_ascii_lowercase();
    let places = lower.lines().filter(|line| ["endpoint ", "grant "].iter().any(|word| line.starts_with(word)));
    let is_named = places.clone().any(|place| {
        let ends = bare.match_indices('.').filter_map(|(at, _)| bare.get(at + 1..));
        ends.chain([bare.as_str()]).any(|end| place.contains(end))
    });
    assert!(is_named, "{text:?} is in none of {:?}", places.collect::<Vec<_>>());
    if let Ok(url) = Url::parse(text) {
        assert_eq!(host(&url), Some(bare), "{text:?}");
        assert_eq!(url.port_or_known_default(), Some(port), "{text:?}");
    }
}

fn same_address(text: &str, bare: &str, port: u16) {
    let Ok(url) = Url::parse(text) else { return };
    assert_eq!(host(&url).and_then(|host| host.parse::<IpAddr>().ok()), bare.parse().ok(), "{text:?}");
    assert_eq!(url.port_or_known_default(), Some(port), "{text:?}");
}

/// A URL's host without brackets and without the dot at its end.
fn host(url: &Url) -> Option<String> {
    Some(match url.host()? {
        Host::Domain(name) => name.strip_suffix('.').unwrap_or(name).to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    })
}

/// Who is not trusted reaches nothing that is not public, and nobody reaches metadata services.
fn address(address: IpAddr) {
    let (trusted, others) = (Admission { private: true }.allows(address), Admission { private: false }.allows(address));
    assert!(trusted || !others, "{address}: strangers may what the operator may not");
    let special = match address {
        IpAddr::V4(address) => is_special_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => {
                let as_v4 = Admission { private: false }.allows(IpAddr::V4(mapped));
                assert_eq!(as_v4, others, "{address}: another form, another trust");
                is_special_v4(mapped)
            }
            None => is_special_v6(address),
        },
    };
    assert!(!special || !others, "{address} is not public");
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_unspecified(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_unspecified(),
    };
    assert!(!link_local || !trusted, "{address} is nobody's");
}

/// IANA's registry of special-purpose addresses, those that are not globally reachable.
fn is_special_v4(address: Ipv4Addr) -> bool {
    const BLOCKS: [([u8; 4], u32); 13] = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([240, 0, 0, 0], 4),
    ];
    let number = u32::from(address);
    BLOCKS.iter().any(|(block, bits)| (number ^ u32::from(Ipv4Addr::from(*block))) >> (32 - bits) == 0)
}

fn is_special_v6(address: Ipv6Addr) -> bool {
    const BLOCKS: [(&str, u32); 11] = [
        ("::", 127),
        ("64:ff9b:1::", 48),
        ("100::", 64),
        ("2001::", 32),
        ("2001:2::", 48),
        ("2001:db8::", 32),
        ("3fff::", 20),
        ("5f00::", 16),
        ("fc00::", 7),
        ("fe80::", 10),
        ("fec0::", 10),
    ];
    let number = u128::from(address);
    BLOCKS.iter().any(|(block, bits)| {
        let block = block.parse::<Ipv6Addr>().map_or(u128::MAX, u128::from);
        (number ^ block) >> (128 - bits) == 0
    })
}
