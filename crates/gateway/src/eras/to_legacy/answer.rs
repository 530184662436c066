//! A legacy server's answers as a modern client knows them. What neither era gives a meaning stays byte for byte.

use http::StatusCode;
use mcp::{Method, Object, Verdict, Writer, meta};
use serde_json::value::RawValue;

use super::session::Session;
use crate::answering::Answering;

const METHOD_NOT_FOUND: i64 = -32601;
const RESOURCE_NOT_FOUND: i64 = -32002;
pub(super) const URL_ELICITATION_REQUIRED: i64 = -32042;

/// An answer to the client, and the status that goes with it where it is not part of a stream.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) message: Vec<u8>,
}

impl Answer {
    pub(super) fn result(ours: u64, result: &str) -> Self {
        Self { status: StatusCode::OK, message: Writer::result(&ours.to_string(), result) }
    }

    pub(super) fn response(self) -> http::Response<Answering> {
        Answering::json(self.status, self.message)
    }

    /// None for a result that is no object: then there is nothing that could be passed on.
    pub(super) fn of(ours: u64, method: Method, verdict: Verdict<'_>, session: &Session) -> Option<Self> {
        match verdict {
            Verdict::Result(result) => Some(Self::result(ours, &complete(method, result, session)?)),
            Verdict::Error(error) => {
                let (status, error) = modern_error(error);
                let error: &RawValue = serde_json::from_str(&error).ok()?;
                Some(Self { status, message: Writer::answer(&ours.to_string(), Verdict::Error(error)) })
            }
        }
    }

    /// The server needs the user to visit a URL, and this client cannot.
    pub(super) fn needs_urls(ours: u64) -> Self {
        let data = r#"{"requiredCapabilities":{"elicitation":{"url":{}}}}"#;
        let why = "the server needs the user to visit a URL, and the client did not declare that it can";
        let message = Writer::error(Some(&ours.to_string()), -32021, why, Some(data));
        Self { status: StatusCode::BAD_REQUEST, message }
    }
}

/// The result of a request that is done.
pub(super) fn complete(method: Method, result: &RawValue, session: &Session) -> Option<String> {
    finished(result.get(), "complete", is_cacheable(method), session)
}

/// `result` as a modern one of this type.
pub(super) fn finished(result: &str, kind: &str, cacheable: bool, session: &Session) -> Option<String> {
    let result = Object::read(result)?;
    let kind = mcp::string(kind);
    let meta = session
        .server_info
        .as_deref()
        .map(|info| result.object("_meta").unwrap_or_default().amended(&[], &[(meta::SERVER_INFO, info)]));
    let mut with = vec![("resultType", kind.as_str())];
    if cacheable {
        with.extend([("ttlMs", "0"), ("cacheScope", "\"private\"")]);
    }
    if let Some(meta) = &meta {
        with.push(("_meta", meta));
    }
    Some(result.amended(&[], &with))
}

fn is_cacheable(method: Method) -> bool {
    method.lists().is_some() || matches!(method, Method::ResourcesRead | Method::Discover)
}

/// The error with a code that modern clients know, and its status.
pub(super) fn modern_error(error: &RawValue) -> (StatusCode, String) {
    let with = |code: &str| match Object::read(error.get()) {
        Some(error) => error.amended(&[], &[("code", code)]),
        None => format!(r#"{{"code":{code},"message":"the server's error cannot be read"}}"#),
    };
    match crate::era::error_code(error.get()) {
        Some(METHOD_NOT_FOUND) => (StatusCode::NOT_FOUND, error.get().to_owned()),
        Some(RESOURCE_NOT_FOUND) => (StatusCode::OK, with("-32602")),
        // Codes that only a modern server gives a meaning, and what did not become a question.
        Some(-32099..=-32020) => (StatusCode::OK, with("-32603")),
        Some(_) => (StatusCode::OK, error.get().to_owned()),
        None => (StatusCode::OK, with("-32603")),
    }
}

/// What `server/discover` answers, from what the server said when the session began.
pub(super) fn discovered(session: &Session) -> String {
    let known = Object::read(&session.capabilities).unwrap_or_default();
    let mut capabilities = Vec::new();
    for key in ["tools", "prompts", "resources", "completions", "logging"] {
        if let Some(capability) = known.get(key).filter(|_| known.object(key).is_some()) {
            capabilities.push(format!("{}:{}", mcp::string(key), capability.get()));
        }
    }
    if session.can(&["tasks", "requests", "tools", "call"]) {
        capabilities.push(format!("\"extensions\":{{{}:{{}}}}", mcp::string(meta::TASKS)));
    }
    let instructions = session.instructions.as_deref().map(|text| format!(",\"instructions\":{text}"));
    let result = format!(
        r#"{{"supportedVersions":["2026-07-28"],"capabilities":{{{}}}{}}}"#,
        capabilities.join(","),
        instructions.unwrap_or_default(),
    );
    finished(&result, "complete", true, session).unwrap_or(result)
}
