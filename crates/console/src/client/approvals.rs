//! Calls that wait for somebody's word, and grants. Text of agents comes to a terminal from here: none of it moves the cursor, or hides.

mod watch;

use std::fmt::Write as _;

use gateway::visible;
use http::Method;
use serde_json::{Value, json};

use super::{Client, ClientError, Told, When};
use crate::legible;
use crate::reply::part;

const COLUMNS: &[&str] = &["id", "state", "agent", "server", "subject", "approvals", "quorum", "expires", "preview"];
const GRANTS: &[&str] = &["id", "state", "agent", "server", "subject", "require", "used", "uses", "expires", "made_by"];

/// Which calls, or whose grants.
#[derive(Clone, Debug, Default)]
pub struct Of {
    pub state: Option<String>,
    pub agent: Option<String>,
    pub server: Option<String>,
}

/// What to allow beyond one call.
#[derive(Clone, Debug, Default)]
pub struct NewGrant {
    /// A JSON list of predicates, as it is to be sent: a number keeps all its digits.
    pub require: String,
    pub uses: i64,
    pub lasting: String,
    pub reason: Option<String>,
}

fn at(id: &str) -> String {
    format!("/api/v1/approvals/{}", part(id))
}

impl Of {
    fn query(&self) -> String {
        let all = [("state", &self.state), ("agent", &self.agent), ("server", &self.server)];
        let given = all.iter().filter_map(|(name, value)| Some(format!("{name}={}", part(value.as_deref()?))));
        let given = given.collect::<Vec<_>>().join("&");
        if given.is_empty() { given } else { format!("?{given}") }
    }
}

impl Client {
    /// Calls, the newest first.
    pub async fn approvals(&self, of: &Of) -> Result<Told, ClientError> {
        Ok(Told::table(COLUMNS, self.all(&format!("/api/v1/approvals{}", of.query())).await?))
    }

    /// All of a call, as whoever decides should see it.
    pub async fn approval(&self, id: &str) -> Result<Told, ClientError> {
        let found = self.get(&at(id)).await?.body;
        Ok(Told::line(sheet(&found), found))
    }

    pub async fn approve(&self, id: &str, reason: Option<&str>) -> Result<Told, ClientError> {
        self.say(id, "approve", reason).await
    }

    pub async fn deny(&self, id: &str, reason: Option<&str>) -> Result<Told, ClientError> {
        self.say(id, "deny", reason).await
    }

    async fn say(&self, id: &str, verdict: &str, reason: Option<&str>) -> Result<Told, ClientError> {
        let post = json!({ "reason": reason });
        let said = self.send(Method::POST, &format!("{}/{verdict}", at(id)), When::Always, Some(&post)).await?.body;
        Ok(Told::line(outcome(&said), said))
    }

    /// Approves a call, and allows more like it.
    pub async fn grant(&self, id: &str, new: &NewGrant) -> Result<Told, ClientError> {
        let NewGrant { require, uses, lasting, reason } = new;
        let mut body = json!({ "uses": uses, "for": lasting, "reason": reason }).to_string();
        body.pop();
        body.push_str(&format!(",\"require\":{require}}}"));
        let path = format!("{}/grant", at(id));
        let made = self.send_text(Method::POST, &path, When::Always, Some(body)).await?.body;
        Ok(grants(vec![made]))
    }

    /// Grants, the newest first.
    pub async fn grants(&self, of: &Of) -> Result<Told, ClientError> {
        let of = Of { state: None, ..of.clone() };
        Ok(grants(self.all(&format!("/api/v1/grants{}", of.query())).await?))
    }

    pub async fn revoke_grant(&self, id: &str) -> Result<Told, ClientError> {
        let path = format!("/api/v1/grants/{}", part(id));
        let revoked = self.send(Method::DELETE, &path, When::Always, None).await?.body;
        Ok(grants(vec![revoked]))
    }
}

/// In a table predicates are as they were written.
fn grants(items: Vec<Value>) -> Told {
    let mut shown = items.clone();
    for item in &mut shown {
        if let Some(require) = item.get_mut("require") {
            *require = match require.as_array().is_some_and(Vec::is_empty) {
                true => "any arguments".into(),
                false => require.to_string().into(),
            };
        }
    }
    Told::table(GRANTS, shown).after("", Value::Array(items))
}

fn text(found: &Value, member: &str) -> String {
    match found.get(member) {
        Some(Value::String(text)) => visible(text),
        Some(Value::Null) | None => String::new(),
        Some(other) => visible(&other.to_string()),
    }
}

fn outcome(said: &Value) -> String {
    let (id, state) = (text(said, "id"), text(said, "state"));
    match state.as_str() {
        "used" => format!("{id} was approved, and the call was made at {}", text(said, "used")),
        "pending" => {
            format!("{id}: {} of {} approve, it waits for the others", text(said, "approvals"), text(said, "quorum"))
        }
        _ => format!("{id} is {state}"),
    }
}

fn sheet(found: &Value) -> String {
    let names = found.get("approvers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let names = names.map(visible).collect::<Vec<_>>().join(", ");
    let is_open = matches!(&*text(found, "state"), "pending" | "approved");
    let rows = [
        ("id", text(found, "id")),
        ("state", text(found, "state")),
        ("agent", text(found, "agent")),
        ("its owner", text(found, "owner")),
        ("server", text(found, "server")),
        ("call", format!("{} {}", text(found, "method"), text(found, "subject"))),
        ("why it is asked", text(found, "reason")),
        ("rule", text(found, "rule")),
        ("who may approve", if names.is_empty() { "any approver".to_owned() } else { names }),
        ("approve", format!("{} of {}", text(found, "approvals"), text(found, "quorum"))),
        ("asked", format!("{}, {} times", text(found, "created"), text(found, "asks"))),
        ("until", text(found, "expires")),
        ("digest", text(found, "digest")),
        ("policy", text(found, "policy")),
        ("definition", text(found, "definition")),
        ("decided", text(found, "decided")),
        ("made", text(found, "used")),
        ("in vain, since", if is_open { text(found, "why_not_redeemable") } else { String::new() }),
        ("not for you, since", text(found, "why_not")),
    ];
    let mut sheet = String::new();
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing to a `String` cannot fail.
        _ = writeln!(sheet, "{name:<19} {value}");
    }
    for vote in found.get("votes").and_then(Value::as_array).into_iter().flatten() {
        let word = if vote.get("approve") == Some(&Value::Bool(true)) { "approves" } else { "denies" };
        _ = writeln!(sheet, "{:<19} {word} at {} {}", text(vote, "by"), text(vote, "at"), text(vote, "reason"));
    }
    let arguments = found.get("arguments").and_then(Value::as_str).unwrap_or_default();
    for warning in legible::warnings(arguments) {
        _ = writeln!(sheet, "warning: {warning}; they are written out below");
    }
    _ = write!(
        sheet,
        "\n{}",
        if arguments.is_empty() { "no arguments".to_owned() } else { legible::laid_out(arguments) }
    );
    sheet
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::sheet;

    #[test]
    fn nothing_of_an_agents_reaches_the_terminal_as_it_is() {
        let hostile = "\u{1b}[2J\u{1b}]0;x\u{7}\r\u{202e}\u{9b}1A\u{200b}";
        let found = json!({
            "id": hostile, "agent": hostile, "subject": hostile, "reason": hostile, "owner": hostile, "approvers": [hostile],
            "votes": [{ "by": hostile, "approve": true, "at": "t", "reason": hostile }],
            "arguments": format!("{{\"a\":\"{hostile}\"}}"),
        });
        let shown = sheet(&found);
        assert!(shown.chars().all(|c| c == '\n' || !(c.is_control() || gateway::is_unseen(c))), "{shown:?}");
        assert!(shown.contains("\"a\": \"\\u{1b}[2J\\u{1b}]0;x\\u{7}\\u{d}\\u{202e}\\u{9b}1A\\u{200b}\""), "{shown}");
        assert!(shown.contains("warning: contains invisible or direction-changing characters"), "{shown}");
    }
}
