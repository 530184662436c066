//! The cells that CI looks at: every way into the gateway, every server, and all four pairs of eras at both mounts.

/// By full name, as `--only` knows them.
pub(super) const SMOKE: [&str; 16] = [
    // By HTTP to one server.
    "python-2-modern/http-transparent/http-legacy",
    "typescript-1-legacy/http-transparent/http-modern",
    "python-2-modern/http-transparent/stdio-legacy",
    "rmcp-legacy/http-transparent/sse",
    // By HTTP to all of them.
    "typescript-2-modern/http-aggregate/sse",
    "rmcp-modern/http-aggregate/stdio-modern",
    "python-1-legacy/http-aggregate/http-modern",
    // By the old HTTP+SSE.
    "typescript-1-legacy/sse-transparent/sse",
    "python-1-legacy/sse-transparent/stdio-modern",
    "typescript-2-legacy/sse-aggregate/http-legacy",
    // By stdio, to a gateway.
    "python-2-legacy/bridge-transparent/http-legacy",
    "typescript-2-modern/bridge-transparent/http-modern",
    "rmcp-legacy/bridge-aggregate/http-modern",
    // By stdio, without one.
    "python-1-legacy/wrap/stdio-legacy",
    "typescript-2-modern/wrap/stdio-modern",
    "rmcp-modern/wrap/stdio-legacy",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::cell::{Mount, Server, Way};
    use super::super::{cells, full_name};
    use super::*;

    #[test]
    fn every_name_is_of_a_cell_that_can_be() {
        let possible = cells().filter(|(_, cell)| cell.impossible().is_none());
        let possible: BTreeSet<String> = possible.map(|(sdk, cell)| full_name(sdk, cell)).collect();
        let unknown: Vec<_> = SMOKE.iter().filter(|name| !possible.contains(**name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn every_way_and_server_is_there_and_every_pair_of_eras_at_both_mounts() {
        let chosen: Vec<_> = cells().filter(|&(sdk, cell)| SMOKE.contains(&full_name(sdk, cell).as_str())).collect();
        assert_eq!(chosen.len(), SMOKE.len());
        for way in Way::ALL.into_iter().filter(|way| *way != Way::Direct) {
            assert!(chosen.iter().any(|(_, cell)| cell.way == way), "{way:?}");
        }
        for server in Server::ALL {
            assert!(chosen.iter().any(|(_, cell)| cell.server == server), "{server:?}");
        }
        for mount in [Mount::Transparent, Mount::Aggregate] {
            let there = chosen.iter().filter(|(_, cell)| cell.way.mount() == Some(mount));
            let pairs: BTreeSet<_> = there.map(|(_, cell)| (cell.era.name(), cell.server.era().name())).collect();
            assert_eq!(pairs.len(), 4, "{mount:?}: {pairs:?}");
        }
    }
}
