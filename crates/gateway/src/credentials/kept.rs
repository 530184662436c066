//! Credentials that the store keeps: sealed for one server, one agent and one kind, and for nothing else.

use serde_json::Value;
use store::{Credential, Kept, Store, StoreError};

use crate::config::AgentCredentials;
use crate::vault::{Unopened, Vault};

/// Bytes of what people see of a credential.
const MAX_HINT: usize = 1024;

/// How many credentials are read at once.
const PAGE: u32 = 200;

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

/// A credential as the store keeps it. `read` is what its value means.
pub(crate) fn seal(
    vault: &Vault,
    (server, agent, kind): (&str, Option<&str>, &str),
    value: &Value,
    read: &AgentCredentials,
) -> Result<Credential, Unopened> {
    let sealed = vault.seal(&about(server, agent, kind), value.to_string().as_bytes())?;
    let (server, agent, kind) = (server.to_owned(), agent.map(str::to_owned), kind.to_owned());
    Ok(Credential { server, agent, kind, sealed, hint: hint(read) })
}

/// What it means; or why not, without a word of it.
pub(crate) fn open(vault: Option<&Vault>, kept: &Credential) -> Result<AgentCredentials, String> {
    let vault = vault.ok_or("there is no `store.key` here")?;
    let (server, agent) = (&*kept.server, kept.agent.as_deref());
    let text = vault.open(&about(server, agent, &kept.kind), &kept.sealed).map_err(|why| why.to_string())?;
    let value: Value = serde_json::from_slice(&text).map_err(|_| "what was sealed is not JSON")?;
    AgentCredentials::of_store(server, agent, &kept.kind, &value).map_err(|errors| errors.to_string())
}

/// Seals all that another key than the first one sealed under the first one. May be done while gateways run that know both.
pub async fn reseal(store: &Store, vault: &Vault) -> Result<Resealed, StoreError> {
    let (mut done, mut after) = (Resealed::default(), None::<String>);
    loop {
        let page = store.list::<Credential>(after.as_deref(), PAGE).await?;
        for Kept { id, version, value, .. } in page.items {
            if !vault.is_old(&value.sealed) {
                done.kept += 1;
                continue;
            }
            match again(vault, &value) {
                Ok(sealed) => {
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

fn again(vault: &Vault, value: &Credential) -> Result<Vec<u8>, Unopened> {
    let about = about(&value.server, value.agent.as_deref(), &value.kind);
    vault.seal(&about, &vault.open(&about, &value.sealed)?)
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
        format!("client `{id}` at {}{}", url.host().unwrap_or_default(), url.path())
    });
    let mut hint = oauth.unwrap_or_else(|| names.join(", "));
    hint.truncate(hint.floor_char_boundary(MAX_HINT));
    hint
}
