//! A modern request as a legacy server knows it: without what it does not know, under ids and tokens of ours.

use mcp::{Id, Method, Object, Params, Revision, meta};

use super::level::Level;

/// What stays behind of a request's `_meta`, for the way back.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// The client's progress token, as JSON text.
    pub(super) token: Option<Box<str>>,
    /// Log messages at least this severe.
    pub(super) level: Option<Level>,
}

impl Wanted {
    pub(super) fn of(params: &Params<'_>) -> Self {
        let given = params.meta().and_then(Object::read).unwrap_or_default();
        let token = given.get("progressToken").and_then(Id::read);
        Self {
            token: token.map(|token| token.to_json()),
            level: given.text(meta::LOG_LEVEL).and_then(|name| Level::named(&name)),
        }
    }
}

/// The params for a server of that revision, which will see the request as `ours`.
pub(super) fn params(method: Method, revision: Revision, given: &Params<'_>, ours: u64) -> Params<'static> {
    let mut params = Params::default();
    for &member in method.members(revision) {
        let value = match (method.name_member() == Some(member), given.name()) {
            (true, Some(name)) => Some(mcp::string(name)),
            _ => given.get(member).map(str::to_owned),
        };
        if let Some(value) = value {
            params.add(member, value);
        }
    }
    if let Some(meta) = given.meta().and_then(|given| meta_for(given, ours)) {
        params.replace_meta(meta);
    }
    params
}

fn meta_for(given: &str, ours: u64) -> Option<String> {
    let given = Object::read(given)?;
    let gone = [
        meta::PROTOCOL_VERSION,
        meta::CLIENT_CAPABILITIES,
        meta::CLIENT_INFO,
        meta::LOG_LEVEL,
        meta::SUBSCRIPTION_ID,
        "progressToken",
    ];
    let ours = ours.to_string();
    let wants_progress = given.get("progressToken").and_then(Id::read).is_some();
    let with: &[(&str, &str)] = if wants_progress { &[("progressToken", &ours)] } else { &[] };
    let without = if wants_progress { gone.get(..5)? } else { &gone };
    let kept = given.amended(without, with);
    (kept != "{}").then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: Method, given: &str, expected: &str) {
        let object = Object::read(given).unwrap();
        let modern = Params::of(method, Revision::MODERN, &object).unwrap();
        let written = mcp::Writer::request(9, method, &params(method, Revision::LATEST_LEGACY, &modern, 9));
        let expected = format!(r#"{{"jsonrpc":"2.0","id":9,"method":"{}","params":{expected}}}"#, method.as_str());
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }

    #[test]
    fn a_legacy_server_sees_what_it_knows() {
        check(
            Method::ToolsCall,
            r#"{"name":"t","arguments":{"n":1.50},"inputResponses":{"a":{}},"requestState":"x","_meta":{"progressToken":"p","traceparent":"00-1","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{},"io.modelcontextprotocol/logLevel":"debug","v/x":[ 1 ]}}"#,
            r#"{"name":"t","arguments":{"n":1.50},"_meta":{"progressToken":9,"traceparent":"00-1","v/x":[1]}}"#,
        );
        check(
            Method::ResourcesRead,
            r#"{"uri":"a:","_meta":{"progressToken":[1],"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#,
            r#"{"uri":"a:"}"#,
        );
    }
}
