//! Credentials that the store keeps: sealed for one server where it is, one agent and one kind, and for nothing else.

use std::collections::{BTreeMap, BTreeSet};

use http::Uri;
use serde_json::{Value, json};
use store::{Credential, Kept, Store, StoreError};

use crate::config::{self, AgentCredentials, Reach};
use crate::vault::{Unopened, Vault};

/// Bytes of what people see of a credential.
const MAX_HINT: usize = 1024;

/// How many credentials are read at once.
const PAGE: u32 = 200;

const ELSEWHERE: &str = "it was given for another address of the server: set it again";

/// What became of credentials that were to be sealed anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Under the first key now.
    pub sealed: u64,
    /// That were so before.
    pub kept: u64,
    /// That nobody can open with these keys, by id. They are left as they are.
    pub lost: Vec<String>,
}

/// A credential as the store keeps it, for its server at that place. `read` is what its value means.
pub(crate) fn seal(
    vault: &Vault,
    (server, agent, kind): (&str, Option<&str>, &str),
    place: &str,
    value: &Value,
    read: &AgentCredentials,
) -> Result<Credential, Unopened> {
    // The place is inside, so that who seals anew under another key need not know where any server is.
    let text = json!({ "place": place, "value": value }).to_string();
    let sealed = vault.seal(&about(server, agent, kind), text.as_bytes())?;
    let (server, agent, kind) = (server.to_owned(), agent.map(str::to_owned), kind.to_owned());
    Ok(Credential { server, agent, kind, sealed, hint: hint(read) })
}

/// What it means, for its server at that place; or why not, without a word of it.
pub(crate) fn open(vault: Option<&Vault>, kept: &Credential, place: &str) -> Result<AgentCredentials, String> {
    let vault = vault.ok_or("there is no `store.key` here")?;
    let (server, agent) = (&*kept.server, kept.agent.as_deref());
    let text = vault.open(&about(server, agent, &kept.kind), &kept.sealed).map_err(|why| why.to_string())?;
    let within: Value = serde_json::from_slice(&text).map_err(|_| "what was sealed is not JSON")?;
    // INVARIANT: whoever says where a server is, wherever that is said, gets nothing that was given for another place
    if within.get("place").and_then(Value::as_str) != Some(place) {
        return Err(ELSEWHERE.to_owned());
    }
    let value = within.get("value").ok_or("what was sealed has no value")?;
    AgentCredentials::of_store(server, agent, &kept.kind, value).map_err(|errors| errors.to_string())
}

/// Where a server is, in one spelling: all that makes the gateway go to another one, or trust another one there.
pub(crate) fn place(url: &Uri, described: &config::Server) -> String {
    let Reach { resolve, tls, transport, .. } = &described.reach;
    let default = if url.scheme_str() == Some("https") { 443 } else { 80 };
    let resolve: BTreeMap<&str, BTreeSet<_>> =
        resolve.iter().map(|(host, addresses)| (&**host, addresses.iter().collect())).collect();
    let name = tls.as_ref().and_then(|tls| tls.server_name.as_ref()).map(|name| name.to_str());
    json!({
        "scheme": url.scheme_str(),
        "host": url.host().map(str::to_ascii_lowercase),
        "port": url.port_u16().unwrap_or(default),
        "path": url.path_and_query().map(|path| path.as_str()),
        "resolve": resolve,
        "ca": described.written.pointer("/tls/ca"),
        "ca_only": tls.as_ref().is_some_and(|tls| tls.ca_only),
        "server_name": name,
        "transport": format!("{transport:?}"),
    })
    .to_string()
}

/// Did another key than any of ours seal them? If one of them opens, ours is not a wrong one.
pub(crate) fn are_strange<'c>(vault: &Vault, kept: impl Iterator<Item = &'c Credential> + Clone) -> bool {
    let opened =
        |kept: &Credential| vault.open(&about(&kept.server, kept.agent.as_deref(), &kept.kind), &kept.sealed).map(drop);
    !kept.clone().any(|kept| opened(kept).is_ok()) && kept.clone().any(|kept| opened(kept) == Err(Unopened::OtherKey))
}

/// Seals all that another key than the first one sealed under the first one. May be done while gateways run that know both.
pub async fn reseal(store: &Store, vault: &Vault) -> Result<Resealed, StoreError> {
    let (mut done, mut after) = (Resealed::default(), None::<String>);
    loop {
        let page = store.list::<Credential>(after.as_deref(), PAGE).await?;
        for Kept { id, version, value, .. } in page.items {
            match again(vault, &value) {
                Ok(None) => done.kept += 1,
                Ok(Some(sealed)) => {
                    store.replace(&id, Credential { sealed, ..value }, Some(version)).await?;
                    done.sealed += 1;
                }
                Err(_) => done.lost.push(id),
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(done);
        }
    }
}

/// None: it is under the first key already. It is opened all the same, so that what nobody can open is told.
fn again(vault: &Vault, value: &Credential) -> Result<Option<Vec<u8>>, Unopened> {
    let about = about(&value.server, value.agent.as_deref(), &value.kind);
    let text = vault.open(&about, &value.sealed)?;
    vault.is_old(&value.sealed).then(|| vault.seal(&about, &text)).transpose()
}

/// No agent's id is empty.
fn about<'a>(server: &'a str, agent: Option<&'a str>, kind: &'a str) -> [&'a str; 4] {
    ["credential", server, agent.unwrap_or_default(), kind]
}

/// What may be seen of it: names, and where a token is fetched as whom.
fn hint(read: &AgentCredentials) -> String {
    let names: Vec<&str> = read.headers.iter().map(|(name, _)| name.as_str()).collect();
    let oauth = read.oauth.as_ref().map(|oauth| {
        let (url, id) = (&oauth.token_url, oauth.client_id.escape_debug());
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("client `{id}` at {}{port}{}", url.host().unwrap_or_default(), url.path())
    });
    let mut hint = oauth.unwrap_or_else(|| names.join(", "));
    hint.truncate(hint.floor_char_boundary(MAX_HINT));
    hint
}
