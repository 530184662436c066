//! What the gateway shows to a server in place of what the client showed to the gateway: static headers, or a token that it fetches.

mod oauth;
mod vault;

use std::collections::HashMap;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

pub(crate) use self::oauth::{OAuth, TokenError};
pub use self::vault::{BadKey, Unopened, Vault};
use crate::config::{self, UpstreamHeaders};

/// Of one server: for every agent, and for some in place of that.
#[derive(Default)]
pub(crate) struct Credentials {
    all: Shown,
    agents: HashMap<Box<str>, Shown>,
}

/// What one agent's calls carry.
#[derive(Clone, Default)]
struct Shown {
    headers: HeaderMap,
    oauth: Option<Arc<OAuth>>,
}

/// What one request carries. A token is shown with where it came from, so that its end can be told there.
pub(crate) struct Dress<'a> {
    headers: &'a HeaderMap,
    token: Option<(HeaderValue, &'a OAuth)>,
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
            Ok(Shown { headers, oauth: settings.map(&mut oauth).transpose()?.map(Arc::new) })
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
            Ok((agent.clone(), own))
        });
        let agents = agents.collect::<Result<_, E>>()?;
        Ok(Self { all, agents })
    }

    /// Static ones, the same for all.
    pub(crate) fn headers(headers: &UpstreamHeaders) -> Self {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { all: Shown { headers, oauth: None }, agents: HashMap::new() }
    }

    /// What a request of this agent's carries. Waits only where a token must be fetched first.
    pub(crate) async fn of(&self, agent: &str, deadline: Instant) -> Result<Dress<'_>, TokenError> {
        let shown = self.agents.get(agent).unwrap_or(&self.all);
        let token = match &shown.oauth {
            None => None,
            Some(oauth) => Some((oauth.token(deadline).await?, &**oauth)),
        };
        Ok(Dress { headers: &shown.headers, token })
    }
}

impl Dress<'_> {
    pub(crate) fn put_on(&self, headers: &mut HeaderMap) {
        for (name, value) in self.headers {
            headers.insert(name, value.clone());
        }
        if let Some((token, _)) = &self.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
    }

    /// The server does not take it: whoever comes next gets a token that is newer.
    pub(crate) fn was_refused(&self) {
        if let Some((token, oauth)) = &self.token {
            oauth.forget(token);
        }
    }
}
