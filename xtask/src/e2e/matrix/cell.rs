//! One cell: a client of one era, the way it takes, and the server it meets. Knows what can be, and nothing of how it is done.

use serde_json::{Value, json};

/// What is checked in every cell that can be, in this order. What each means stands in `ABOUT`.
pub(super) const CHECKS: [&str; 7] = ["list", "allowed", "denied", "progress", "cancel", "elicitation", "change"];

pub(super) const ABOUT: [&str; 7] = [
    "the tools are listed, on however many pages, and the one that the policy denies is not",
    "calls that the policy allows are answered, with text and with structured content",
    "a call that the policy denies is answered with the reason, and never reached the server",
    "four reports of progress arrive while the call still runs",
    "a cancelled call is cancelled at the server",
    "the server asks the user something in the middle of a call, and gets the answer",
    "the server gains a tool and says so; the client hears it, lists the tool and calls it",
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Era {
    Legacy,
    Modern,
}

/// The servers: each a real SDK that speaks in one way and one era only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Server {
    StdioLegacy,
    StdioModern,
    HttpLegacy,
    HttpModern,
    Sse,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mount {
    Transparent,
    Aggregate,
}

/// How the client gets to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// Streamable HTTP to the gateway.
    Http(Mount),
    /// The old HTTP+SSE to the gateway.
    Sse(Mount),
    /// stdio to `toolgate bridge`, and from there to the gateway.
    Bridge(Mount),
    /// stdio to `toolgate wrap`, which starts the server itself.
    Wrap,
    /// Without Toolgate: whether these clients and servers can do it at all.
    Direct,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cell {
    pub(super) era: Era,
    /// Whether the client's SDK has the old HTTP+SSE.
    pub(super) has_sse: bool,
    pub(super) way: Way,
    pub(super) server: Server,
}

impl Era {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

impl Server {
    pub(super) const ALL: [Self; 5] =
        [Self::StdioLegacy, Self::StdioModern, Self::HttpLegacy, Self::HttpModern, Self::Sse];

    /// Its id at the gateway.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::StdioLegacy => "stdio-legacy",
            Self::StdioModern => "stdio-modern",
            Self::HttpLegacy => "http-legacy",
            Self::HttpModern => "http-modern",
            Self::Sse => "sse",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::StdioLegacy => "stdio, legacy",
            Self::StdioModern => "stdio, modern",
            Self::HttpLegacy => "HTTP, legacy",
            Self::HttpModern => "HTTP, modern",
            Self::Sse => "HTTP+SSE",
        }
    }

    pub(super) fn era(self) -> Era {
        match self {
            Self::StdioLegacy | Self::HttpLegacy | Self::Sse => Era::Legacy,
            Self::StdioModern | Self::HttpModern => Era::Modern,
        }
    }

    pub(super) fn is_stdio(self) -> bool {
        matches!(self, Self::StdioLegacy | Self::StdioModern)
    }
}

impl Way {
    pub(super) const ALL: [Self; 8] = [
        Self::Http(Mount::Transparent),
        Self::Http(Mount::Aggregate),
        Self::Sse(Mount::Transparent),
        Self::Sse(Mount::Aggregate),
        Self::Bridge(Mount::Transparent),
        Self::Bridge(Mount::Aggregate),
        Self::Wrap,
        Self::Direct,
    ];

    pub(super) fn name(self) -> String {
        match self {
            Self::Http(mount) => format!("http-{}", mount.name()),
            Self::Sse(mount) => format!("sse-{}", mount.name()),
            Self::Bridge(mount) => format!("bridge-{}", mount.name()),
            Self::Wrap => "wrap".to_owned(),
            Self::Direct => "direct".to_owned(),
        }
    }

    pub(super) fn mount(self) -> Option<Mount> {
        match self {
            Self::Http(mount) | Self::Sse(mount) | Self::Bridge(mount) => Some(mount),
            Self::Wrap | Self::Direct => None,
        }
    }
}

impl Mount {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Transparent => "transparent",
            Self::Aggregate => "aggregate",
        }
    }
}

impl Cell {
    /// As the client's script knows it.
    pub(super) fn name(self) -> String {
        format!("{}/{}", self.way.name(), self.server.id())
    }

    /// Why there cannot be such a cell.
    pub(super) fn impossible(self) -> Option<&'static str> {
        let speaks_sse = match self.way {
            Way::Sse(_) => true,
            Way::Direct => self.server == Server::Sse,
            Way::Http(_) | Way::Bridge(_) | Way::Wrap => false,
        };
        match self.way {
            _ if speaks_sse && self.era == Era::Modern => Some("HTTP+SSE is a transport of the legacy era only."),
            _ if speaks_sse && !self.has_sse => Some("rmcp has no HTTP+SSE transport."),
            Way::Wrap if !self.server.is_stdio() => {
                Some("`toolgate wrap` starts a command; this server is an address.")
            }
            Way::Direct if self.era != self.server.era() => {
                Some("Without Toolgate these two do not meet: they speak different eras.")
            }
            Way::Http(_) | Way::Sse(_) | Way::Bridge(_) | Way::Wrap | Way::Direct => None,
        }
    }

    /// Why a check cannot be made in this cell, though others can.
    pub(super) fn pointless(self, check: &str) -> Option<&'static str> {
        (check == "denied" && self.way == Way::Direct).then_some("`denied`: without Toolgate nothing is denied.")
    }

    pub(super) fn checks(self) -> Vec<&'static str> {
        match self.impossible() {
            Some(_) => Vec::new(),
            None => CHECKS.into_iter().filter(|check| self.pointless(check).is_none()).collect(),
        }
    }

    /// What the client's script is told. `at` is an address or a command.
    pub(super) fn target(self, at: &Value) -> Value {
        let via = match self.way {
            Way::Bridge(_) | Way::Wrap => "stdio",
            Way::Direct if self.server.is_stdio() => "stdio",
            Way::Direct if self.server == Server::Sse => "sse",
            Way::Sse(_) => "sse",
            Way::Http(_) | Way::Direct => "http",
        };
        let prefix = match self.way.mount() {
            Some(Mount::Aggregate) => format!("{}__", self.server.id()),
            Some(Mount::Transparent) | None => String::new(),
        };
        json!({
            "name": self.name(), "via": via, "at": at, "prefix": prefix, "policy": self.way != Way::Direct,
            "checks": self.checks(),
        })
    }
}
