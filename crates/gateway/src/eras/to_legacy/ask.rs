//! What a legacy server asks of the client during a call, as `inputRequests` of a modern result.

use mcp::{Object, ServerMethod, meta};
use serde_json::value::RawValue;

use super::session::Session;

/// Requests of the server's that may wait in one call.
pub(super) const MAX_ASKS: usize = 16;

/// One request of the server's.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// What the client answers under.
    pub(super) key: Box<str>,
    /// The server's own id, as JSON text; none where the server waits for no answer, but for the call to come again.
    pub(super) id: Option<Box<str>>,
    method: ServerMethod,
    params: Option<Box<str>>,
}

impl Ask {
    pub(super) fn new(key: u64, id: Option<&str>, method: ServerMethod, params: Option<&str>) -> Self {
        // What a modern client does not know: task augmentation, and ids of elicitations.
        let params = params.map(|params| match Object::read(params) {
            Some(known) => known.amended(&["task", "elicitationId"], &[]).into(),
            None => params.into(),
        });
        Self { key: format!("input-{key}").into(), id: id.map(Into::into), method, params }
    }

    fn member(&self) -> String {
        let params = self.params.as_deref().map(|params| format!(",\"params\":{params}")).unwrap_or_default();
        format!("{}:{{\"method\":{}{params}}}", mcp::string(&self.key), mcp::string(self.method.as_str()))
    }
}

/// The URLs that an error -32042 wants visited.
pub(super) fn urls(error: &RawValue) -> Vec<Ask> {
    let data = Object::read(error.get()).and_then(|error| error.object("data"));
    let listed = data.and_then(|data| data.get("elicitations"));
    let listed: Vec<&RawValue> = listed.and_then(|all| serde_json::from_str(all.get()).ok()).unwrap_or_default();
    let wanted = listed.into_iter().filter_map(|one| Object::read(one.get()));
    let wanted = wanted.filter(|one| one.text("url").is_some()).take(MAX_ASKS);
    let one = |(n, one): (u64, Object<'_>)| {
        Ask::new(n, None, ServerMethod::Elicit, Some(&one.amended(&[], &[("mode", "\"url\"")])))
    };
    (1..).zip(wanted).map(one).collect()
}

pub(super) fn input_requests<'a>(asks: impl IntoIterator<Item = &'a Ask>) -> String {
    let members: Vec<String> = asks.into_iter().map(Ask::member).collect();
    format!("{{{}}}", members.join(","))
}

/// The result that asks the client.
pub(super) fn input_required(asks: &[Ask], state: &str, session: &Session) -> String {
    let meta = session.server_info.as_deref();
    let meta = meta.map(|info| format!(",\"_meta\":{{{}:{info}}}", mcp::string(meta::SERVER_INFO)));
    format!(
        r#"{{"resultType":"input_required","inputRequests":{},"requestState":{}{}}}"#,
        input_requests(asks),
        mcp::string(state),
        meta.unwrap_or_default()
    )
}
