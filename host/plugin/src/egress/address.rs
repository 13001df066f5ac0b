//! What kind of place an address is: public, private, or one that nobody is ever connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who may be connected to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Public,
    /// With the operator's own word.
    Private,
    /// Metadata services, link-local, multicast, and what hides another address.
    Never,
}

/// What kind of place an address is, looked at in its shortest form.
///
/// <https://www.iana.org/assignments/iana-ipv4-special-registry> and its counterpart for IPv6.
pub(super) fn kind(address: IpAddr) -> Kind {
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
        // Oracle's and Alibaba's metadata services are outside 169.254.0.0/16, as is Azure's
        // WireServer, whose address looks public.
        || (first == 192 && second == 0 && third == 0)
        || address == Ipv4Addr::new(100, 100, 100, 200)
        || address == Ipv4Addr::new(168, 63, 129, 16)
        // Relays of 6to4.
        || (first == 192 && second == 88 && third == 99);
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
    let [first, second, third, fourth, fifth, sixth, high, low] = segments;
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        kind_v4(Ipv4Addr::new(a, b, c, d))
    };
    match first {
        _ if address.is_loopback() => Kind::Private,
        _ if address.is_unspecified() || address.is_multicast() => Kind::Never,
        _ if address.is_unicast_link_local() => Kind::Never,
        // Metadata services of EC2 and of Google's cloud.
        0xfd00 if second == 0xec2 => Kind::Never,
        0xfd20 if second == 0xce => Kind::Never,
        // ISATAP carries an IPv4 address in any network.
        _ if (fifth == 0 || fifth == 0x200) && sixth == 0x5efe => embedded(high, low),
        _ if address.is_unique_local() => Kind::Private,
        // NAT64 and 6to4 carry an IPv4 address; Teredo and NAT64 within a network hide one.
        0x64 if [second, third, fourth, fifth, sixth] == [0xff9b, 0, 0, 0, 0] => embedded(high, low),
        0x64 if second == 0xff9b => Kind::Never,
        0x2002 => embedded(second, third),
        0x2001 if second < 0x200 || second == 0xdb8 => Kind::Never,
        0x3fff if second < 0x1000 => Kind::Never,
        // Discarded, site-local, segment routing, and IPv4 written as IPv6.
        0x100 | 0x5f00 | 0 => Kind::Never,
        _ if first & 0xffc0 == 0xfec0 => Kind::Never,
        _ => Kind::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_are(expected: Kind, texts: &[&str]) {
        for text in texts {
            assert_eq!(text.parse().ok().map(kind), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_nobody_is_connected_to() {
        all_are(
            Kind::Never,
            &[
                "0.0.0.0",
                "0.1.2.3",
                "169.254.169.254",
                "169.254.170.2",
                "168.63.129.16",
                "100.100.100.200",
                "192.0.0.192",
                "192.88.99.1",
                "224.0.0.1",
                "239.255.255.250",
                "240.0.0.1",
                "255.255.255.255",
                "::",
                "fe80::1",
                "febf::1",
                "ff02::1",
                "fec0::1",
                "fd00:ec2::254",
                "fd00:ec2::23",
                "fd20:ce::254",
                "100::1",
                "5f00::1",
                "2001:db8::1",
                "3fff::1",
            ],
        );
    }

    #[test]
    fn an_address_within_an_address_counts_as_what_it_is() {
        all_are(
            Kind::Never,
            &[
                "::ffff:169.254.169.254",
                "::ffff:0.0.0.0",
                "64:ff9b::169.254.169.254",
                "2002:a9fe:a9fe::1",
                // Where another address hides and cannot be told: local NAT64, Teredo, and the
                // two old ways to write IPv4.
                "64:ff9b:1::10.0.0.1",
                "2001::1",
                "2001:0:4136:e378:8000:63bf:3fff:fdd2",
                "::127.0.0.1",
                "::ffff:0:127.0.0.1",
                "2001:db8::5efe:169.254.169.254",
                "2a00::5efe:169.254.169.254",
                "2a00::200:5efe:169.254.169.254",
            ],
        );
        all_are(
            Kind::Private,
            &[
                "::ffff:127.0.0.1",
                "::ffff:10.0.0.1",
                "64:ff9b::10.0.0.1",
                "64:ff9b::7f00:1",
                "2002:7f00:1::",
                "2002:c0a8:101::1",
                "2a00::5efe:10.1.1.1",
            ],
        );
        all_are(Kind::Public, &["64:ff9b::8.8.8.8", "2002:808:808::1", "::ffff:8.8.8.8"]);
    }

    #[test]
    fn what_takes_the_operators_word() {
        all_are(
            Kind::Private,
            &[
                "127.0.0.1",
                "127.255.255.254",
                "10.1.2.3",
                "172.16.0.1",
                "172.31.255.255",
                "192.168.1.1",
                "100.64.0.1",
                "100.127.255.255",
                "198.18.0.1",
                "198.19.255.255",
                "192.0.2.1",
                "198.51.100.1",
                "203.0.113.1",
                "::1",
                "fc00::1",
                "fd12::1",
            ],
        );
    }

    #[test]
    fn what_anybody_may_reach() {
        all_are(
            Kind::Public,
            &[
                "8.8.8.8",
                "52.216.0.1",
                "100.63.255.255",
                "100.128.0.1",
                "172.32.0.1",
                "192.0.1.1",
                "2a00:1450::1",
                "2600::1",
            ],
        );
    }
}
