//! The step of the pipeline that a call takes when only a person's consent is missing: find one, owe, take it.

use std::sync::Arc;

use http::HeaderMap;
use policy::{Call, Denial};
use tokio::time::Instant;

use super::back::Back;
use super::{Approvals, Binding, Consent, Use, Wanted};
use crate::catalogue::{Asking, Catalogue};
use crate::judge::{self, Asked, Cleared};
use crate::limits::Held;
use crate::pipeline::{Entry, Lawful, Pipeline};
use crate::policies::Bound;
use crate::refusal::{Addressee, Refusal, Refused};
use crate::ruling::{Lack, Ruling, Unapproved, Why};
use crate::upstream::Upstream;

/// How often one call looks for a consent that no other call takes first.
const TRIES: usize = 4;

/// A call that only lacks a consent.
pub(crate) struct Lacking<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) lawful: &'a Lawful<'a>,
    pub(crate) bound: &'a Bound,
    pub(crate) asked: &'a Asked<'a>,
    pub(crate) to: Addressee,
    pub(crate) denial: Denial,
}

/// Where a tool is described.
pub(crate) struct Listing<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) upstream: &'a Upstream,
    /// The headers of the session that lists it; none for modern.
    pub(crate) session: Option<HeaderMap>,
}

/// A call that may leave: its consent is used up.
pub(crate) struct Consented<'a> {
    pub(crate) cleared: Cleared<'a>,
    pub(crate) held: Option<Held>,
    pub(crate) consent: Consent,
}

impl Pipeline {
    /// INVARIANT: what it owes is held before the consent is taken, and the consent is taken before the call is recorded: a call that lacks
    /// anything uses up no consent, and no consent is used twice.
    pub(crate) async fn consented<'a>(
        &self,
        lacking: Lacking<'a>,
        listing: Listing<'_>,
    ) -> Result<Consented<'a>, Refused> {
        let arrived = Instant::now();
        let (approvals, refuse) = (&self.shared.approvals, |why| lacking.refuse(why));
        // What nobody can be asked about, no server is asked about.
        approvals.could_ask(lacking.lawful.arguments).and(lacking.subject().map(drop)).map_err(refuse)?;
        lacking.brings_nothing_unseen().map_err(refuse)?;
        if self.shared.standing.is_away() {
            return Err(refuse(Why::Unavailable(Lack::Silent)));
        }
        // As the server describes it now: what a person is asked about, and what was approved.
        let definition = lacking.definition(&listing, arrived).await?;
        for _ in 0..TRIES {
            let agent = approvals.whose(&lacking.lawful.agent);
            let wanted = lacking.wanted(&agent, definition.as_deref()).map_err(refuse)?;
            let consent = match lacking.goes_on(approvals, &wanted).await.map_err(refuse)? {
                Some(consent) => consent,
                None => {
                    let found = approvals.look(&wanted, lacking.call()?, lacking.owner(), &lacking.denial).await;
                    found.map_err(refuse)?
                }
            };
            let Lacking { entry, lawful, bound, asked, ref to, .. } = lacking;
            let cleared = judge::consented(bound, asked, lawful.arguments, (&lawful.agent, &entry.server.id), to)?;
            let held = self.owe(entry, lawful, bound, &cleared, to).await?;
            let taken = approvals.take(&consent).await.map_err(|lack| refuse(Why::Unavailable(lack)))?;
            if taken {
                return Ok(Consented { cleared, held, consent });
            }
            if consent.usage != Use::First {
                return Err(refuse(Why::Used));
            }
            // Another call was faster: what this one owed is given back, and it looks again.
        }
        Err(refuse(Why::Unavailable(Lack::Busy)))
    }
}

impl Consent {
    /// Equal call, equal consent.
    fn is_for(&self, binding: &Binding) -> Result<Self, Why> {
        match self.binding == *binding {
            true => Ok(self.clone()),
            false => Err(Why::Changed),
        }
    }
}

impl<'a> Lacking<'a> {
    fn refuse(&self, why: Why) -> Refused {
        self.to.refuse(Unapproved::new(&self.denial, why))
    }

    /// The consent of a call that this goes on with; none where there is none yet.
    async fn goes_on(&self, approvals: &Approvals, wanted: &Wanted<'_>) -> Result<Option<Consent>, Why> {
        let binding = || wanted.binding(&wanted.meant());
        match (&self.lawful.consent, &self.lawful.back) {
            (Some(consent), _) => consent.is_for(&binding()).map(Some),
            (None, Some(back)) => approvals.comes_back(back, &binding(), wanted.agent).await,
            (None, None) => Ok(None),
        }
    }

    /// What is called. Not everything can wait for a person.
    fn subject(&self) -> Result<&str, Why> {
        match self.asked {
            Asked::Tool(name) | Asked::Resource(name) | Asked::Prompt(name) => Ok(name),
            Asked::Nothing | Asked::Resources(_) | Asked::NamesPrompt(_) | Asked::NamesResource(_) => {
                Err(Why::Unavailable(Lack::CannotWait))
            }
        }
    }

    /// What a person is asked about.
    fn wanted<'w>(&'w self, agent: &'w str, definition: Option<&'w str>) -> Result<Wanted<'w>, Why> {
        let subject = self.subject()?;
        Ok(Wanted {
            agent,
            server: &self.entry.server.id,
            method: self.lawful.method,
            subject,
            arguments: self.lawful.arguments,
            definition,
            policy: &self.bound.hash,
        })
    }

    fn call(&self) -> Result<Call<'_>, Refused> {
        let subject = self.asked.subject().ok_or_else(|| self.refuse(Why::Unavailable(Lack::CannotWait)))?;
        let context = judge::context(&self.lawful.agent, &self.entry.server.id);
        Ok(Call { subject, arguments: self.lawful.arguments, context })
    }

    fn owner(&self) -> Option<&str> {
        let labels = self.lawful.agent.labels();
        labels.iter().find(|(key, _)| **key == *super::who::OWNER).map(|(_, value)| &**value)
    }

    /// INVARIANT: a person is shown the arguments, so nothing else of the client's says what is done: an answer to a server's question, and the
    /// state that goes with it, are only taken where we gave that state out for this very call.
    fn brings_nothing_unseen(&self) -> Result<(), Why> {
        let goes_on = self.lawful.consent.is_some() || self.lawful.back.as_ref().is_some_and(Back::is_a_round);
        let brings = ["requestState", "inputResponses"].iter().any(|member| self.lawful.params.get(member).is_some());
        if brings && !goes_on { Err(Why::Changed) } else { Ok(()) }
    }

    /// The hash of the tool's definition, as listed since then. A tool that is not listed does not exist.
    async fn definition(&self, listing: &Listing<'_>, since: Instant) -> Result<Option<Arc<str>>, Refused> {
        let Asked::Tool(name) = self.asked else { return Ok(None) };
        let asking = Asking { upstream: listing.upstream, session: listing.session.clone() };
        let found = listing.catalogue.defined(name, &asking, Some(since)).await.map_err(|why| self.to.refuse(why))?;
        match found {
            Some(definition) => Ok(Some(definition)),
            None => Err(self.to.refuse(Refusal::Ruled(Ruling::hidden()))),
        }
    }
}
