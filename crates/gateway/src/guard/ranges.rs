//! What an address is, by the registries of special addresses (IANA, RFC 6890 and its updates). What is in none of these ranges may
//! be connected to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Why an address is not simply connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A cloud's metadata service: it hands out the machine's credentials to whoever asks.
    Metadata,
    Loopback,
    Private,
    LinkLocal,
    /// Carrier-grade NAT, and what overlay networks use of it.
    Shared,
    Unspecified,
    Multicast,
    Documentation,
    /// Carries an IPv4 address through IPv6: 6to4, Teredo, translation.
    Tunnel,
    Reserved,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "the address of a metadata service",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address",
            Self::Shared => "an address of a shared network (100.64.0.0/10)",
            Self::Unspecified => "no address of a machine",
            Self::Multicast => "a multicast address",
            Self::Documentation => "an address for documentation",
            Self::Tunnel => "an IPv4 address inside an IPv6 one",
            Self::Reserved => "a reserved address",
        })
    }
}

const METADATA: [IpAddr; 7] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), // AWS, Azure, Google and most others
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),   // AWS, containers
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),   // Azure, the host
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), // Alibaba
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),     // Oracle
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), // AWS
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)), // Google
];

const V4: [(Ipv4Net, Kind); 15] = [
    (v4([0, 0, 0, 0], 8), Kind::Unspecified),
    (v4([10, 0, 0, 0], 8), Kind::Private),
    (v4([100, 64, 0, 0], 10), Kind::Shared),
    (v4([127, 0, 0, 0], 8), Kind::Loopback),
    (v4([169, 254, 0, 0], 16), Kind::LinkLocal),
    (v4([172, 16, 0, 0], 12), Kind::Private),
    (v4([192, 0, 0, 0], 24), Kind::Reserved),
    (v4([192, 0, 2, 0], 24), Kind::Documentation),
    (v4([192, 88, 99, 0], 24), Kind::Tunnel),
    (v4([192, 168, 0, 0], 16), Kind::Private),
    (v4([198, 18, 0, 0], 15), Kind::Reserved),
    (v4([198, 51, 100, 0], 24), Kind::Documentation),
    (v4([203, 0, 113, 0], 24), Kind::Documentation),
    (v4([224, 0, 0, 0], 4), Kind::Multicast),
    (v4([240, 0, 0, 0], 4), Kind::Reserved), // and with it the broadcast address
];

const V6: [(Ipv6Net, Kind); 13] = [
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Kind::Loopback),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), Kind::Unspecified),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), Kind::Tunnel), // IPv4-compatible
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), Kind::Tunnel), // IPv4-translated
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), Kind::Tunnel), // NAT64 of a local network
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), Kind::Tunnel), // Teredo
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Kind::Reserved),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), Kind::Documentation),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), Kind::Tunnel), // 6to4
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Kind::Documentation),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Kind::Private),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Kind::LinkLocal),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), Kind::Multicast),
];

/// All of IPv6 that is given out for the internet; and translation to IPv4, which is judged by what it carries.
const GLOBAL: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);
/// The low 32 bits are an IPv4 address.
const CARRIES_LAST: [Ipv6Net; 3] = [NAT64, v6([0, 0, 0, 0, 0, 0, 0, 0], 96), v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96)];

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length)
}

impl Kind {
    /// None for an ordinary address of the internet.
    pub(super) fn of(address: IpAddr) -> Option<Self> {
        if METADATA.contains(&address) {
            return Some(Self::Metadata);
        }
        match address {
            IpAddr::V4(address) => V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, kind)| *kind),
            IpAddr::V6(address) => {
                let special = V6.iter().find(|(net, _)| net.contains(&address)).map(|(_, kind)| *kind);
                let lawful = GLOBAL.contains(&address) || NAT64.contains(&address);
                special.or((!lawful).then_some(Self::Reserved))
            }
        }
    }
}

/// All that an address may mean on its way: itself, and an IPv4 address that it carries.
pub(super) fn readings(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let address = address.to_canonical(); // `::ffff:a.b.c.d` is a.b.c.d
    let carried = if let IpAddr::V6(address) = address { carried(address) } else { None };
    [Some(address), carried.map(IpAddr::V4)].into_iter().flatten()
}

fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if address.is_loopback() || address.is_unspecified() {
        return None;
    }
    let [_, _, b, c, d, e, .., w, x, y, z] = address.octets();
    if SIX_TO_FOUR.contains(&address) {
        return Some(Ipv4Addr::new(b, c, d, e));
    }
    CARRIES_LAST.iter().any(|net| net.contains(&address)).then(|| Ipv4Addr::new(w, x, y, z))
}
