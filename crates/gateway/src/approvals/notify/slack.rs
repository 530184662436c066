//! What a chat is told: an incoming webhook's message, as Slack has them and others take them too.
//!
//! Names come from agents and servers, and must not become a mention, a link or a format: they stand in plain text, where nothing is one.

use serde_json::json;

use super::{Told, webhook};
use crate::record::visible;

/// Bytes of a name, and of a reason, as they are written. All together are fewer than the 3,000 that Slack has for a block: what is too long would
/// not be told at all.
const NAME: usize = 300;
const REASON: usize = 900;

pub(super) fn body(told: &Told<'_>) -> String {
    let asked = &told.approval.asked;
    let reason = asked.reason.as_deref().map(|reason| format!("\nReason: {}", shown(reason, REASON)));
    let details = format!(
        "Agent: {}\nServer: {}\n{}: {}\nRule: {}{}\nExpires: {}",
        shown(&asked.agent, NAME),
        shown(&asked.server, NAME),
        shown(&asked.method, NAME),
        shown(&asked.subject, NAME),
        shown(&asked.rule, NAME),
        reason.unwrap_or_default(),
        webhook::time(told.approval.expires_ms),
    );
    let link = format!("<{}|Look and decide>", address(told.url));
    let message = json!({
        // For notifications, and for chats that know no blocks: ours alone, as it is read with formats.
        "text": format!("A call waits for approval. {link}"),
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": [
            { "type": "header", "text": plain("A call waits for approval") },
            { "type": "section", "text": plain(&details) },
            { "type": "section", "text": { "type": "mrkdwn", "text": link } },
        ],
    });
    message.to_string()
}

fn plain(text: &str) -> serde_json::Value {
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

/// As plain text has it: with what cannot be seen written out, and without what Slack reads everywhere.
fn shown(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for c in visible(text.get(..text.floor_char_boundary(most)).unwrap_or_default()).chars() {
        let mut buffer = [0; 4];
        let written = escape(c).unwrap_or_else(|| c.encode_utf8(&mut buffer));
        if shown.len() + written.len() > most {
            shown.push('…');
            return shown;
        }
        shown.push_str(written);
    }
    if text.len() > most {
        shown.push('…');
    }
    shown
}

fn escape(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// In a link the bar ends it.
fn address(url: &str) -> String {
    url.chars().map(|c| escape(c).map_or_else(|| c.to_string(), str::to_owned)).collect::<String>().replace('|', "%7C")
}
