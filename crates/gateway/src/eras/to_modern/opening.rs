//! How such a session begins: the server refuses `initialize`, speaks modern, and says in `server/discover` what it can do.

use std::sync::Arc;

use http::{Response, StatusCode};
use mcp::{Era, Method, Object, Params, Revision, ServerMessage, Verdict, Writer, meta};
use serde_json::value::RawValue;

use super::ToModern;
use crate::answering::Answering;
use crate::era::{error_code, first_answer, modern_headers};
use crate::refusal::Refusal;
use crate::upstream::{Upstream, UpstreamError, is_type};

/// What the client said of itself, as far as the policy let it through; JSON text.
pub(super) struct Client {
    pub(super) info: Option<Box<str>>,
    pub(super) capabilities: Box<str>,
    /// The same, for requests that may become tasks.
    pub(super) with_tasks: Box<str>,
}

/// What the bridge makes of the tasks extension.
const TASKS: &str = r#"{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}"#;

/// What the server can do, as far as the bridge acts on it.
#[derive(Default)]
pub(super) struct Serves {
    pub(super) logging: bool,
    pub(super) tasks: bool,
    pub(super) subscribe: bool,
    pub(super) tools_changed: bool,
    pub(super) prompts_changed: bool,
    pub(super) resources_changed: bool,
}

/// The answer to `initialize`: the server's own, or, where it speaks only modern, what that comes to.
pub(crate) async fn opened(
    upstream: &Upstream,
    ours: u64,
    wanted: Revision,
    params: &Params<'_>,
    response: Response<Answering>,
) -> Result<(Response<Answering>, Option<Arc<ToModern>>), Refusal> {
    let (response, refused) = heard(upstream, response).await?;
    if refused == Heard::Fine {
        return Ok((response, None));
    }
    let era = &upstream.server.era;
    if is_of_the_era(response.status()) && era.is_modern(upstream).await.unwrap_or(false) {
        let client = Client::of(params);
        let (serves, answer) = discover(upstream, &client, ours, wanted).await.inspect_err(|_| era.forget())?;
        // Any other error may have been about this one `initialize`.
        if refused.is_for_good() {
            era.note_only_modern();
        }
        let answer = Answering::json(StatusCode::OK, answer);
        return Ok((answer, Some(Arc::new(ToModern::new(client, serves)))));
    }
    match response.status().is_success() {
        true => Ok((response, None)),
        false => Err(UpstreamError::Status(response.status()).into()),
    }
}

/// What an answer to `initialize` says of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Fine,
    /// Something is wrong, perhaps with this request only.
    Refused,
    /// There is no `initialize` here, whoever sends it.
    Unknown,
}

impl Heard {
    fn is_for_good(self) -> bool {
        self == Self::Unknown
    }
}

/// The answer, and what it says.
async fn heard(
    upstream: &Upstream,
    response: Response<Answering>,
) -> Result<(Response<Answering>, Heard), UpstreamError> {
    let status = response.status();
    if matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
        return Ok((response, Heard::Unknown));
    }
    let events = is_type(&response, "text/event-stream");
    let readable = events || is_type(&response, "application/json");
    match (status.is_success(), readable) {
        (true, false) => return Ok((response, Heard::Fine)),
        (false, _) if !readable || status != StatusCode::BAD_REQUEST => return Ok((response, Heard::Refused)),
        _ => {}
    }
    let (mut head, body) = response.into_parts();
    let bytes = match events {
        true => first_answer(upstream, body).await?.into(),
        false => upstream.read(body).await?,
    };
    let refused = match (status.is_success(), read(&bytes)) {
        (false, Heard::Fine) => Heard::Refused,
        (_, heard) => heard,
    };
    let whole = Answering::json(status, bytes);
    head.headers.extend(whole.headers().clone());
    Ok((Response::from_parts(head, whole.into_body()), refused))
}

/// An error; or a revision that has no `initialize`, which some modern servers answer all the same.
fn read(bytes: &[u8]) -> Heard {
    const UNKNOWN_METHOD: i64 = -32601;
    const UNSUPPORTED_VERSION: i64 = -32022;
    let Some(ServerMessage::Answer(answer)) = ServerMessage::read(bytes) else { return Heard::Fine };
    let modern = |result: &RawValue| {
        let named = Object::read(result.get())?.text("protocolVersion")?.into_owned();
        Some(Revision::named(&named)?.era() == Era::Modern)
    };
    match answer.verdict {
        Verdict::Error(error) => match error_code(error.get()) {
            Some(UNKNOWN_METHOD | UNSUPPORTED_VERSION) => Heard::Unknown,
            _ => Heard::Refused,
        },
        Verdict::Result(result) if modern(result) == Some(true) => Heard::Unknown,
        Verdict::Result(_) => Heard::Fine,
    }
}

/// Other statuses say nothing of the era: credentials are wrong, it moved, it is busy, it is broken.
fn is_of_the_era(status: StatusCode) -> bool {
    status.is_success() || (status.is_client_error() && !matches!(status.as_u16(), 401 | 403 | 407 | 429))
}

impl Client {
    fn of(params: &Params<'_>) -> Self {
        let declared = params.get("capabilities").and_then(Object::read).unwrap_or_default();
        // Legacy tasks are another thing than modern ones, and a client that can only poll the first must not be given the second.
        let extensions = declared.object("extensions").map(|extensions| extensions.amended(&[meta::TASKS], &[]));
        let with: Vec<(&str, &str)> = extensions.iter().map(|kept| ("extensions", kept.as_str())).collect();
        let capabilities = declared.amended(&["tasks"], &with);
        let tasks = declared.object("extensions").unwrap_or_default().amended(&[], &[(meta::TASKS, "{}")]);
        let with_tasks = declared.amended(&["tasks"], &[("extensions", &tasks)]);
        let info = params.get("clientInfo").map(Into::into);
        Self { info, capabilities: capabilities.into(), with_tasks: with_tasks.into() }
    }
}

/// Asks the server what it is, and says so in the words of `initialize`.
async fn discover(
    upstream: &Upstream,
    client: &Client,
    ours: u64,
    wanted: Revision,
) -> Result<(Serves, Vec<u8>), Refusal> {
    let version = mcp::string(Revision::MODERN.as_str());
    let mut with = vec![(meta::PROTOCOL_VERSION, version.as_str()), (meta::CLIENT_CAPABILITIES, &*client.capabilities)];
    with.extend(client.info.as_deref().map(|info| (meta::CLIENT_INFO, info)));
    let mut params = Params::default();
    params.replace_meta(Object::default().amended(&[], &with));
    let body = Writer::request(upstream.server.next_id(), Method::Discover, &params);
    let response = upstream.post(modern_headers(Method::Discover), body, None).await?;
    if !response.status().is_success() {
        return Err(UpstreamError::Status(response.status()).into());
    }
    let answer = match is_type(&response, "text/event-stream") {
        true => first_answer(upstream, response.into_body()).await?,
        false => upstream.read(response.into_body()).await?.to_vec(),
    };
    let Some(ServerMessage::Answer(mcp::Answer { verdict: Verdict::Result(result), .. })) =
        ServerMessage::read(&answer)
    else {
        return Err(UpstreamError::NotAnAnswer.into());
    };
    let discovered = Object::read(result.get()).ok_or(UpstreamError::NotAnAnswer)?;
    let versions: Option<Vec<String>> =
        discovered.get("supportedVersions").and_then(|versions| serde_json::from_str(versions.get()).ok());
    if !versions.is_some_and(|versions| versions.iter().any(|named| named == Revision::MODERN.as_str())) {
        return Err(Refusal::Era(format!("server `{}` speaks neither 2025-11-25 nor 2026-07-28", upstream.server.id)));
    }
    let capabilities = discovered.object("capabilities").unwrap_or_default();
    let serves = Serves::of(&capabilities, wanted);
    let result = initialized(&discovered, &capabilities, wanted, &serves, &upstream.server.id);
    Ok((serves, Writer::result(&ours.to_string(), &result)))
}

impl Serves {
    fn of(capabilities: &Object<'_>, wanted: Revision) -> Self {
        let extended = capabilities.object("extensions").is_some_and(|found| found.get(meta::TASKS).is_some());
        let has = |key: &str, inner: &str| {
            capabilities.object(key).and_then(|found| found.get(inner)).is_some_and(|value| value.get() == "true")
        };
        Self {
            tasks: extended && wanted == Revision::V2025_11_25,
            logging: capabilities.get("logging").is_some(),
            subscribe: has("resources", "subscribe"),
            tools_changed: has("tools", "listChanged"),
            prompts_changed: has("prompts", "listChanged"),
            resources_changed: has("resources", "listChanged"),
        }
    }
}

impl Serves {
    /// Is there anything that it would tell on a stream?
    pub(super) fn listens(&self) -> bool {
        self.subscribe || self.tools_changed || self.prompts_changed || self.resources_changed
    }
}

/// The result of `initialize`.
fn initialized(
    discovered: &Object<'_>,
    capabilities: &Object<'_>,
    wanted: Revision,
    serves: &Serves,
    server: &str,
) -> String {
    let named = discovered.object("_meta").and_then(|meta| meta.get(meta::SERVER_INFO));
    let info = named.map_or_else(
        || format!(r#"{{"name":{},"version":"unknown"}}"#, mcp::string(server)),
        |info| info.get().to_owned(),
    );
    let extensions = capabilities.object("extensions").map(|extensions| extensions.amended(&[meta::TASKS], &[]));
    let mut with: Vec<(&str, &str)> = extensions.iter().map(|kept| ("extensions", kept.as_str())).collect();
    let mut without = vec!["tasks"];
    if serves.tasks {
        with.push(("tasks", TASKS));
        without.clear();
    }
    let capabilities = capabilities.amended(&without, &with);
    let version = mcp::string(wanted.as_str());
    let agreed =
        [("protocolVersion", version.as_str()), ("capabilities", capabilities.as_str()), ("serverInfo", info.as_str())];
    discovered.amended(&["resultType", "supportedVersions", "ttlMs", "cacheScope"], &agreed)
}
