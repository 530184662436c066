//! How one server is reached, beyond its address: networks, names, TLS, transport. Only for servers that have a `url`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use http::Uri;
use ipnet::IpNet;
use url::Host;

use super::error::Problem;
use super::origin::Origin;
use super::settings::Settings;
use super::tls::{self, TlsOptions};
use super::value;
use super::{DAY, SECOND};
use crate::guard::{self, Guard};

/// Addresses that are written for one name.
const MAX_ADDRESSES: usize = 16;

#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Networks in which the server may be, though they are no part of the internet.
    pub networks: Vec<IpNet>,
    /// Names, in lower case, that are not looked up.
    pub resolve: BTreeMap<Box<str>, Vec<IpAddr>>,
    pub tls: Option<TlsOptions>,
    pub transport: Transport,
    /// None: only calls show whether the server is there.
    pub probe_interval: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP, or where the server has none of it HTTP+SSE.
    #[default]
    Auto,
    StreamableHttp,
    /// HTTP+SSE, as of 2024-11-05.
    Sse,
}

pub(super) fn read(name: &str, url: Option<&(Uri, Origin)>, settings: &mut Settings) -> Reach {
    let key = |last: &str| format!("servers.{name}.{last}");
    let networks = settings.read(&key("networks"), Vec::new(), "a list such as [\"10.0.0.0/8\"]", value::networks);
    let transport =
        settings.read(&key("transport"), Transport::Auto, "\"auto\", \"streamable-http\" or \"sse\"", |found| {
            match value::text(found)? {
                "auto" => Some(Transport::Auto),
                "streamable-http" => Some(Transport::StreamableHttp),
                "sse" => Some(Transport::Sse),
                _ => None,
            }
        });
    let expected = "a duration such as \"30s\", from 1s to 1day, or \"0s\" for none";
    let probe_interval = settings.read(&key("probe_interval"), None, expected, |found| {
        let span = value::span(found)?;
        let lawful = span.is_zero() || (SECOND..=DAY).contains(&span);
        lawful.then(|| (!span.is_zero()).then_some(span))
    });
    if let Some(url) = url {
        literal(name, url, &networks, settings);
    }
    let tls = tls::read(name, url.map(|(url, _)| url), settings);
    Reach { networks, resolve: resolve(name, settings), tls, transport, probe_interval }
}

/// An address in place of a name is judged at once.
fn literal(name: &str, (url, origin): &(Uri, Origin), networks: &[IpNet], settings: &mut Settings) {
    let Ok(host) = guard::host(url.host().unwrap_or_default()) else { return };
    let address: IpAddr = match host {
        Host::Ipv4(address) => address.into(),
        Host::Ipv6(address) => address.into(),
        Host::Domain(_) => return,
    };
    if let Err(forbidden) = Guard::new(&host, networks).check(address) {
        let key = format!("servers.{name}.url");
        let reason = format!("cannot be connected to: {forbidden}");
        settings.problem(Problem::Unusable { key, reason, origin: origin.clone() });
    }
}

fn resolve(name: &str, settings: &mut Settings) -> BTreeMap<Box<str>, Vec<IpAddr>> {
    let mut names = BTreeMap::new();
    for (path, entry) in settings.take_below(&["servers", name, "resolve"]) {
        let whole: Vec<String> =
            ["servers", name, "resolve"].map(str::to_owned).into_iter().chain(path.iter().cloned()).collect();
        let addresses = value::list(&entry.value, |text| text.parse::<IpAddr>().ok());
        match (path.as_slice(), addresses) {
            ([host], Some(addresses)) if (1..=MAX_ADDRESSES).contains(&addresses.len()) => {
                names.insert(host.to_ascii_lowercase().into(), addresses);
            }
            _ => settings.invalid(
                &whole,
                &entry.value,
                "an address such as \"10.0.0.5\", or a list of some",
                entry.origin,
            ),
        }
    }
    names
}
