//! Where the gateway may connect to for a server: judged on the address itself, after names were resolved, for every connection
//! (`docs/decisions/0012-addresses-are-judged-when-connecting.md`).

mod connector;
mod names;
mod ranges;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use ipnet::IpNet;
use url::Host;

pub(crate) use self::connector::{Connector, Slow, connector};
pub(crate) use self::names::{Pinned, Unresolved};
use self::ranges::{Kind, readings};

/// An address that may not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {kind}, and not in `networks`")]
pub(crate) struct Forbidden {
    pub(crate) address: IpAddr,
    kind: Kind,
}

/// What one server's connections may reach.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    named: Named,
    networks: Box<[IpNet]>,
}

/// How the operator named the server: what he writes out is his own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Address,
    Localhost,
    Name,
}

impl Named {
    fn means(self, kind: Kind) -> bool {
        match self {
            Self::Address => matches!(kind, Kind::Loopback | Kind::Private | Kind::Shared),
            Self::Localhost => kind == Kind::Loopback,
            Self::Name => false,
        }
    }
}

impl Guard {
    pub(crate) fn new<S: AsRef<str>>(host: &Host<S>, networks: &[IpNet]) -> Self {
        let named = match host {
            Host::Ipv4(_) | Host::Ipv6(_) => Named::Address,
            Host::Domain(name) if name.as_ref().eq_ignore_ascii_case("localhost") => Named::Localhost,
            Host::Domain(_) => Named::Name,
        };
        Self { named, networks: networks.into() }
    }

    /// INVARIANT: each reading of the address is harmless, meant, or listed.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        for reading in readings(address) {
            if let Some(kind) = Kind::of(reading)
                && !self.named.means(kind)
                && !self.lists(reading, kind)
            {
                return Err(Forbidden { address, kind });
            }
        }
        Ok(())
    }

    /// A metadata service is listed by its very address only: whoever opens a wide network seldom thinks of it.
    fn lists(&self, address: IpAddr, kind: Kind) -> bool {
        self.networks.iter().any(|net| match kind {
            Kind::Metadata => *net == IpNet::from(address),
            Kind::Loopback
            | Kind::Private
            | Kind::LinkLocal
            | Kind::Shared
            | Kind::Unspecified
            | Kind::Multicast
            | Kind::Documentation
            | Kind::Tunnel
            | Kind::Reserved => net.contains(&address),
        })
    }
}

/// The host of a URL, written as every program reads it: no number in octal, hexadecimal or short form, no letter that is another's.
pub(crate) fn host(text: &str) -> Result<Host, String> {
    let host = Host::parse(text).map_err(|_| "has a host that is neither a name nor an address".to_owned())?;
    let plain = match &host {
        Host::Ipv4(address) => address.to_string() == text,
        Host::Ipv6(_) => true, // brackets leave no doubt
        Host::Domain(name) => *name == text.to_ascii_lowercase(),
    };
    match plain {
        true => Ok(host),
        false => Err(format!("has a host that programs read differently: write {host}")),
    }
}
