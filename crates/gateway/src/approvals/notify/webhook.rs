//! What a program is told: JSON, signed as Standard Webhooks has it, so that the receiver can tell that it is ours and not old.

use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Failure, Told};

const EVENT: &str = "approval.requested";

#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    id: &'a str,
    agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    server: &'a str,
    method: &'a str,
    /// The tool, prompt or resource.
    subject: &'a str,
    /// Only if the operator wants them told.
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a RawValue>,
    arguments_sha256: &'a str,
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    approvers: &'a [String],
    quorum: u32,
    created: String,
    expires: String,
    url: &'a str,
}

pub(super) fn body(told: &Told<'_>, with_arguments: bool) -> Result<String, Failure> {
    let (approval, asked) = (told.approval, &told.approval.asked);
    let arguments = Some(&*asked.arguments).filter(|arguments| with_arguments && !arguments.is_empty());
    let failed = |error: serde_json::Error| Failure::Ever(format!("it cannot be written: {error}"));
    let event = Event {
        r#type: EVENT,
        timestamp: time(told.now_ms),
        data: Data {
            id: &approval.id,
            agent: &asked.agent,
            owner: asked.owner.as_deref(),
            server: &asked.server,
            method: &asked.method,
            subject: &asked.subject,
            arguments: arguments.map(serde_json::from_str).transpose().map_err(failed)?,
            arguments_sha256: &asked.digest,
            rule: &asked.rule,
            reason: asked.reason.as_deref(),
            approvers: &asked.approvers,
            quorum: asked.quorum,
            created: time(approval.created_ms),
            expires: time(approval.expires_ms),
            url: told.url,
        },
    };
    serde_json::to_string(&event).map_err(failed)
}

/// Over the id, the time of sending and the body.
pub(super) fn sign(key: &hmac::Key, told: &Told<'_>, body: &str) -> Vec<(&'static str, String)> {
    let seconds = told.now_ms.div_euclid(1000);
    let tag = hmac::sign(key, format!("{}.{seconds}.{body}", told.id).as_bytes());
    vec![
        ("webhook-id", told.id.clone()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", format!("v1,{}", STANDARD.encode(tag))),
    ]
}

/// As RFC 3339 has it.
pub(super) fn time(ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}
