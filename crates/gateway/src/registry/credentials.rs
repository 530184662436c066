//! The credentials of a snapshot: what the store has for servers, beside what their descriptions say. One that cannot be used is no fault
//! of the snapshot: the calls that would need it are refused, and readiness says so.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use store::{Credential, Snapshot};

use super::draft::Frame;
use super::files::Member;
use crate::config::{self, AgentCredentials, UpstreamHeaders};
use crate::control::{Fault, What};
use crate::credentials::{Credentials, Unusable, kept};
use crate::server::Server;
use crate::vault::Vault;

/// What a server's own description has for it; nothing for servers that are not reached by a URL.
pub(super) struct Own {
    headers: UpstreamHeaders,
    credentials: config::Credentials,
    /// What credentials of the store's are good for, and for no other.
    place: Arc<str>,
}

/// What was made of the store's word for one server, for the next time.
#[derive(Clone)]
pub(super) struct Worn {
    server: Arc<Server>,
    place: Option<Arc<str>>,
    said: Vec<Credential>,
    troubles: Vec<String>,
}

/// By server.
pub(super) type AllWorn = BTreeMap<Box<str>, Worn>;

/// What a server is shown from now on.
pub(super) type Dress = (Arc<Server>, Arc<Credentials>);

impl Own {
    pub(super) fn of(described: &config::Server) -> Option<Arc<Self>> {
        match &described.target {
            config::Target::Url(url) => {
                let (headers, credentials) = (described.headers.clone(), described.credentials.clone());
                Some(Arc::new(Self { headers, credentials, place: kept::place(url, described).into() }))
            }
            config::Target::Command(_) | config::Target::Finetuning(_) => None,
        }
    }

    /// With what the store says, and why not all of it.
    fn with(&self, opened: Vec<(&Credential, Result<AgentCredentials, String>)>) -> (Self, Vec<Unusable>) {
        let mut all = AgentCredentials { headers: self.headers.clone(), oauth: self.credentials.oauth.clone() };
        let (mut agents, mut unusable) = (self.credentials.agents.clone(), Vec::new());
        for (said, opened) in opened {
            let own = match said.agent.as_deref() {
                None => &mut all,
                Some(agent) => agents.entry(agent.into()).or_default(),
            };
            if let Err(why) = opened.and_then(|opened| own.add(&opened)) {
                unusable.push(Unusable { agent: said.agent.as_deref().map(Into::into), why: why.into() });
            }
        }
        let AgentCredentials { headers, oauth } = all;
        let credentials = config::Credentials { oauth, agents };
        (Self { headers, credentials, place: Arc::clone(&self.place) }, unusable)
    }
}

/// For readiness.
pub(super) fn troubles(worn: &AllWorn) -> Vec<String> {
    worn.values().flat_map(|worn| worn.troubles.iter().cloned()).collect()
}

impl Frame {
    /// What changes, and what there is. Tokens that were fetched with what stays as it is stay, too.
    pub(super) fn dresses(
        &self,
        snapshot: Option<&Snapshot>,
        members: &[&Member],
        before: &AllWorn,
    ) -> (AllWorn, Vec<Dress>) {
        let mut all = by_server(snapshot);
        let (mut now, mut dresses) = (AllWorn::new(), Vec::new());
        for member in members {
            let (server, said) = (&member.server, all.remove(&*member.server.id).unwrap_or_default());
            let known = before.get(&*server.id).filter(|known| Arc::ptr_eq(&known.server, server));
            match known {
                Some(known) if known.said == said => drop(now.insert((&*server.id).into(), known.clone())),
                // It was made with what its description says.
                None if said.is_empty() => {}
                Some(_) | None => {
                    let (credentials, unusable) = self.dressed(member, &said);
                    let troubles = unusable.iter().map(|unusable| told(&server.id, unusable)).collect();
                    dresses.push((Arc::clone(server), Arc::new(credentials)));
                    let (server, place) = (Arc::clone(server), place(member).cloned());
                    now.insert((&*server.id).into(), Worn { server, place, said, troubles });
                }
            }
        }
        (now, dresses)
    }

    fn dressed(&self, member: &Member, said: &[Credential]) -> (Credentials, Vec<Unusable>) {
        let id = &member.server.id;
        let no_way = |unusable: Vec<Unusable>| (Credentials::default().without(&unusable), unusable);
        let Some(own) = &member.own else {
            return no_way(vec![Unusable { agent: None, why: NOT_BY_URL.into() }]);
        };
        let opened = said.iter().map(|said| (said, kept::open(self.key.as_deref(), said, &own.place)));
        let (whole, unusable) = own.with(opened.collect());
        match self.here.credentials(id, &whole.headers, &whole.credentials) {
            Ok(credentials) => (credentials.without(&unusable), unusable),
            Err(error) => no_way(vec![Unusable { agent: None, why: error.to_string().into() }]),
        }
    }

    /// A credential, sealed; or why a snapshot with it would be of no use.
    pub(super) fn seal(
        &self,
        member: Option<&Member>,
        (server, agent, kind): (&str, Option<&str>, &str),
        value: &Value,
    ) -> Result<Option<Credential>, Fault> {
        let Some(vault) = &self.key else { return Ok(None) };
        let fault = |why: String| Fault { what: What::Credential, id: name(server, agent), why };
        let member = member.ok_or_else(|| fault("is for a server that is neither in force nor kept".to_owned()))?;
        let own = member.own.as_ref().ok_or_else(|| fault(NOT_BY_URL.to_owned()))?;
        let read =
            AgentCredentials::of_store(server, agent, kind, value).map_err(|errors| fault(errors.to_string()))?;
        let said = kept::seal(vault, (server, agent, kind), &own.place, value, &read);
        let said = said.map_err(|why| fault(why.to_string()))?;
        match own.with(vec![(&said, Ok(read))]).1.pop() {
            Some(unusable) => Err(fault(unusable.why.to_string())),
            None => Ok(Some(said)),
        }
    }

    /// Would a server that is described so make a credential useless that is there?
    pub(super) fn check_worn(&self, member: &Member, worn: &AllWorn) -> Result<(), Fault> {
        let Some(worn) = worn.get(&*member.server.id).filter(|worn| !worn.said.is_empty()) else { return Ok(()) };
        let fault = |why: String| Fault { what: What::Server, id: (*member.server.id).to_owned(), why };
        let moved = worn.place.as_ref() != place(member);
        match self.dressed(member, &worn.said).1.pop() {
            // It would be of no use there; what keeps it from being shown there is how it is sealed.
            Some(_) if moved => {
                let why = "is moved, and the store has a credential for where it was: remove that first, and set it again afterwards";
                Err(fault(why.to_owned()))
            }
            // It was so before.
            Some(_) if !worn.troubles.is_empty() => Ok(()),
            Some(unusable) => Err(fault(format!("and the store's credential cannot be both: {}", unusable.why))),
            None => Ok(()),
        }
    }
}

fn place(member: &Member) -> Option<&Arc<str>> {
    member.own.as_ref().map(|own| &own.place)
}

const NOT_BY_URL: &str = "is for a server that is not reached by `url`, and sees none";

fn by_server(snapshot: Option<&Snapshot>) -> HashMap<&str, Vec<Credential>> {
    let mut all: HashMap<&str, Vec<Credential>> = HashMap::new();
    for kept in snapshot.iter().flat_map(|snapshot| &snapshot.credentials) {
        all.entry(&kept.value.server).or_default().push(kept.value.clone());
    }
    all
}

/// Is the key that is here another one than sealed all of them?
pub(super) fn are_strange(vault: Option<&Vault>, snapshot: Option<&Snapshot>) -> bool {
    vault
        .zip(snapshot)
        .is_some_and(|(vault, snapshot)| kept::are_strange(vault, snapshot.credentials.iter().map(|kept| &kept.value)))
}

/// By whose they are.
pub(super) fn hashes(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let all = snapshot.credentials.iter().map(|kept| &kept.value);
    all.map(|said| {
        let hash = HEXLOWER.encode(&Sha256::digest(&said.sealed));
        (name(&said.server, said.agent.as_deref()), format!("{} {hash}", said.kind))
    })
    .collect()
}

fn told(server: &str, unusable: &Unusable) -> String {
    let name = name(server, unusable.agent.as_deref());
    format!("the credential of `{name}` cannot be used, and its calls are refused: {}", unusable.why)
}

/// As people see it.
fn name(server: &str, agent: Option<&str>) -> String {
    agent.map_or_else(|| server.to_owned(), |agent| format!("{server} for {agent}"))
}
