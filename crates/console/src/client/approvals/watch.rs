//! Calls as they begin to wait, and what becomes of them until they are over: by the gateway's live events, and by a look at what is open
//! whenever some may have been missed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::{Of, at, outcome, text};
use crate::client::{Client, ClientError, Told, read};
use crate::legible;

/// The gateway says something so often, and twice as often as this: who hears nothing for so long has lost it.
const SILENCE: Duration = Duration::from_secs(45);

/// Until the gateway is asked again, when it does not answer.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Bytes of one event.
const MAX_EVENT: usize = 1 << 20;

/// What is heard.
enum Event {
    /// Nothing is missed from here on; or it is time to look.
    Beat,
    Approval(Value),
    Other,
}

/// Whether to go on.
#[derive(PartialEq, Eq)]
enum Then {
    On,
    Enough,
}

struct Watch<'c, F> {
    client: &'c Client,
    /// Those that were told of and are not over, each with the state that was told.
    open: BTreeMap<String, String>,
    told: F,
}

impl Client {
    /// Tells of every call that waits, now and as they come, and of what becomes of it; and of a gateway that does not answer, which is asked
    /// again. Until `told` says no.
    pub async fn watch_approvals(
        &self,
        told: impl FnMut(Result<Told, ClientError>) -> bool,
    ) -> Result<(), ClientError> {
        let mut watch = Watch { client: self, open: BTreeMap::new(), told };
        let (mut ever, mut wait) = (false, FIRST_WAIT);
        loop {
            let lost = match watch.listen().await {
                Ok(mut stream) => {
                    (ever, wait) = (true, FIRST_WAIT);
                    match watch.follow(&mut stream).await {
                        Ok(()) => return Ok(()),
                        Err(error) => error,
                    }
                }
                Err(error) if !ever => return Err(error),
                Err(error) => error,
            };
            if is_final(&lost) {
                return Err(lost);
            }
            if !(watch.told)(Err(lost)) {
                return Ok(());
            }
            tokio::time::sleep(wait).await;
            wait = LONGEST_WAIT.min(wait * 2);
        }
    }
}

/// Trying again is no use: it is not the gateway's trouble.
fn is_final(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { status, .. } if *status < 500)
}

impl<F: FnMut(Result<Told, ClientError>) -> bool> Watch<'_, F> {
    async fn listen(&self) -> Result<Stream, ClientError> {
        let url = self.client.base.join("/api/v1/events").map_err(|_| ClientError::Address("events".to_owned()))?;
        let http = super::super::builder().read_timeout(SILENCE).build();
        let http = http.map_err(|source| ClientError::Broken { url: url.clone(), source })?;
        let asked = http.get(url.clone()).bearer_auth(&self.client.token).send().await;
        let response = asked.map_err(|source| ClientError::NotRunning { url: url.clone(), source })?;
        match response.status().is_success() {
            true => Ok(Stream { response, url, rest: Vec::new() }),
            false => Err(read(response, url.clone()).await.err().unwrap_or(ClientError::Odd(url))),
        }
    }

    /// Until it is enough.
    async fn follow(&mut self, stream: &mut Stream) -> Result<(), ClientError> {
        loop {
            let then = match stream.next().await? {
                Event::Beat => self.look().await?,
                Event::Approval(event) => self.heard(&event).await?,
                Event::Other => Then::On,
            };
            if then == Then::Enough {
                return Ok(());
            }
        }
    }

    /// All that waits, the oldest first; and what has become of those that were told of and are not what they were.
    async fn look(&mut self) -> Result<Then, ClientError> {
        let (waiting, approved) = (self.all_that_are("pending").await?, self.all_that_are("approved").await?);
        let new = waiting.iter().rev().filter(|id| !self.open.contains_key(*id));
        let approved: BTreeSet<&String> = approved.iter().collect();
        let is_so =
            |id: &String, state: &str| if state == "approved" { approved.contains(id) } else { waiting.contains(id) };
        let changed = self.open.iter().filter(|(id, state)| !is_so(id, state)).map(|(id, _)| id);
        for id in changed.chain(new).cloned().collect::<Vec<_>>() {
            if self.tell(id).await? == Then::Enough {
                return Ok(Then::Enough);
            }
        }
        Ok(Then::On)
    }

    /// Their ids, the newest first.
    async fn all_that_are(&self, state: &str) -> Result<Vec<String>, ClientError> {
        let of = Of { state: Some(state.to_owned()), ..Of::default() };
        let found = self.client.all(&format!("/api/v1/approvals{}", of.query())).await?;
        Ok(found.iter().filter_map(|item| item.get("id")?.as_str().map(str::to_owned)).collect())
    }

    async fn heard(&mut self, event: &Value) -> Result<Then, ClientError> {
        let member = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (id, state) = (member("id"), member("state"));
        match state == "pending" || self.open.contains_key(&id) {
            true => self.tell(id).await,
            false => Ok(Then::On),
        }
    }

    /// What it is now, once: that it waits, that it was approved, that it is over.
    async fn tell(&mut self, id: String) -> Result<Then, ClientError> {
        let found = match self.client.get(&at(&id)).await {
            Ok(found) => found.body,
            // It has gone meanwhile.
            Err(ClientError::Refused { status: 404, .. }) => {
                self.open.remove(&id);
                return Ok(Then::On);
            }
            Err(error) => return Err(error),
        };
        let state = text(&found, "state");
        let (said, state) = match self.open.get(&id) {
            Some(told) if *told == state => return Ok(Then::On),
            Some(_) => (outcome(&found), state),
            // What became of it meanwhile is heard next.
            None => (line(&found), "pending".to_owned()),
        };
        self.open.remove(&id);
        if matches!(&*state, "pending" | "approved") {
            self.open.insert(id, state);
        }
        Ok(go_on((self.told)(Ok(Told::line(said, found)))))
    }
}

fn go_on(on: bool) -> Then {
    if on { Then::On } else { Then::Enough }
}

fn line(found: &Value) -> String {
    let arguments = found.get("arguments").and_then(Value::as_str).unwrap_or_default();
    let warnings: String =
        legible::warnings(arguments).iter().map(|warning| format!("\n  warning: {warning}")).collect();
    format!(
        "{} {} wants {} {} at {}, until {}\n  {}{warnings}",
        text(found, "id"),
        text(found, "agent"),
        text(found, "method"),
        text(found, "subject"),
        text(found, "server"),
        text(found, "expires"),
        legible::preview(arguments),
    )
}

/// Server-sent events, one after the other.
struct Stream {
    response: reqwest::Response,
    url: url::Url,
    rest: Vec<u8>,
}

impl Stream {
    async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            if let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.rest.drain(..end + 2).collect();
                return Ok(parse(&String::from_utf8_lossy(&event)));
            }
            let broken = |source| ClientError::Broken { url: self.url.clone(), source };
            match self.response.chunk().await.map_err(broken)? {
                Some(part) if self.rest.len() + part.len() <= MAX_EVENT => self.rest.extend_from_slice(&part),
                Some(_) | None => return Err(ClientError::Odd(self.url.clone())),
            }
        }
    }
}

fn parse(event: &str) -> Event {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    match field("event:") {
        Some("approval") => {
            let data = field("data:").and_then(|data| serde_json::from_str(data).ok());
            data.map_or(Event::Other, Event::Approval)
        }
        Some("lagged") | None => Event::Beat,
        Some(_) => Event::Other,
    }
}
