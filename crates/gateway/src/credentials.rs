//! What the gateway shows to a server in place of what the client showed to the gateway: static headers, or a token that it fetches.

pub(crate) mod kept;
mod oauth;

use std::collections::HashMap;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

pub(crate) use self::oauth::{OAuth, TokenError};
use crate::config::{self, UpstreamHeaders};

/// Of one server: for every agent, and for some in place of that.
#[derive(Default)]
pub(crate) struct Credentials {
    all: Arc<Shown>,
    agents: HashMap<Box<str>, Arc<Shown>>,
}

/// What one agent's calls carry.
#[derive(Clone, Default)]
struct Shown {
    headers: HeaderMap,
    oauth: Option<Arc<OAuth>>,
    /// Something belongs to it that cannot be used: then nothing is shown, and nothing is sent.
    unusable: Option<Arc<str>>,
}

/// What one request carries. A token is shown with where it came from, so that its end can be told there.
pub(crate) struct Dress {
    shown: Arc<Shown>,
    token: Option<HeaderValue>,
}

/// A credential that there is, and that nobody can use.
#[derive(Clone, Debug)]
pub(crate) struct Unusable {
    /// None: that of all agents.
    pub(crate) agent: Option<Box<str>>,
    pub(crate) why: Arc<str>,
}

impl Credentials {
    /// `oauth` makes what fetches tokens. An agent's own headers are added to everybody's, over those of the same name; a way to
    /// authorize of its own replaces everybody's.
    pub(crate) fn new<E>(
        headers: &UpstreamHeaders,
        settings: &config::Credentials,
        mut oauth: impl FnMut(&config::ClientCredentials) -> Result<OAuth, E>,
    ) -> Result<Self, E> {
        let mut shown = |headers: &UpstreamHeaders, settings: Option<&config::ClientCredentials>| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            Ok(Shown { headers, oauth: settings.map(&mut oauth).transpose()?.map(Arc::new), unusable: None })
        };
        let all = shown(headers, settings.oauth.as_ref())?;
        let agents = settings.agents.iter().map(|(agent, own)| {
            let mut own = shown(&own.headers, own.oauth.as_ref())?;
            let authorizes = own.oauth.is_some() || own.headers.contains_key(AUTHORIZATION);
            if !authorizes {
                own.oauth.clone_from(&all.oauth);
            }
            let mut headers = all.headers.clone();
            if own.oauth.is_some() {
                headers.remove(AUTHORIZATION);
            }
            for (name, value) in own.headers.drain() {
                // One value a name: that is how they are configured.
                if let Some(name) = name {
                    headers.insert(name, value);
                }
            }
            own.headers = headers;
            Ok((agent.clone(), Arc::new(own)))
        });
        let agents = agents.collect::<Result<_, E>>()?;
        Ok(Self { all: Arc::new(all), agents })
    }

    /// Static ones, the same for all.
    pub(crate) fn headers(headers: &UpstreamHeaders) -> Self {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { all: Arc::new(Shown { headers, ..Shown::default() }), agents: HashMap::new() }
    }

    /// INVARIANT: nobody whose credential cannot be used goes without it, nor with somebody else's.
    pub(crate) fn without(mut self, unusable: &[Unusable]) -> Self {
        for Unusable { agent, why } in unusable {
            let refused = |shown: &mut Arc<Shown>| Arc::make_mut(shown).unusable = Some(Arc::clone(why));
            match agent {
                Some(agent) => refused(self.agents.entry(agent.clone()).or_insert_with(|| Arc::clone(&self.all))),
                None => {
                    refused(&mut self.all);
                    self.agents.values_mut().for_each(refused);
                }
            }
        }
        self
    }

    /// What a request of this agent's carries. Waits only where a token must be fetched first.
    pub(crate) async fn of(&self, agent: &str, deadline: Instant) -> Result<Dress, TokenError> {
        let shown = Arc::clone(self.agents.get(agent).unwrap_or(&self.all));
        if let Some(why) = &shown.unusable {
            return Err(TokenError::Unusable(Arc::clone(why)));
        }
        let token = match &shown.oauth {
            None => None,
            Some(oauth) => Some(oauth.token(deadline).await?),
        };
        Ok(Dress { shown, token })
    }
}

impl Dress {
    pub(crate) fn put_on(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.shown.headers {
            headers.insert(name, value.clone());
        }
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
    }

    /// The server does not take it: whoever comes next gets a token that is newer.
    pub(crate) fn was_refused(&self) {
        if let Some((oauth, token)) = self.shown.oauth.as_ref().zip(self.token.as_ref()) {
            oauth.forget(token);
        }
    }
}
