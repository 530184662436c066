//! A person at the admin API, as fast as a program: sees what waits, and decides.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, ORIGIN, SET_COOKIE};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::client::Client;
use super::stage::{Gateway, LOOK, PATIENCE};

const JSON: &str = "application/json";

/// One page of the list.
const PAGE: usize = 100;

pub(super) struct Approver {
    client: Client,
    token: String,
}

/// What became of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decided {
    Done,
    /// Somebody was faster, or its time was over.
    TooLate,
}

impl Approver {
    /// The first admin, by the link that the gateway prints.
    pub(super) async fn sign_in(gateway: &Gateway) -> anyhow::Result<Self> {
        let link = gateway.login().await?;
        let (base, key) = link.split_once("/login#").context("a strange login link")?;
        let mut client = Client::new(gateway.admin);
        let login = Request::post("/api/v1/login").header(CONTENT_TYPE, JSON).header(ORIGIN, base);
        let answer = client.ask(login, &json!({ "token": key }).to_string()).await?;
        let session = answer.headers.get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok()?.split(';').next());
        let session = session.context("no session")?.to_owned();
        let csrf = answer.text("csrf").context("no `csrf`")?;
        let mine = Request::post("/api/v1/me/tokens").header(CONTENT_TYPE, JSON).header(ORIGIN, base);
        let mine = mine.header(COOKIE, session).header("x-csrf-token", csrf);
        let answer = client.ask(mine, &json!({ "label": "soak" }).to_string()).await?;
        Ok(Self::with(gateway.admin, answer.text("token").context("no token")?))
    }

    pub(super) fn with(admin: SocketAddr, token: String) -> Self {
        Self { client: Client::new(admin), token }
    }

    pub(super) fn token(&self) -> String {
        self.token.clone()
    }

    /// The one that is waiting and is not that one.
    pub(super) async fn waiting(&mut self, not: &str) -> anyhow::Result<String> {
        let looks = async {
            loop {
                let waiting = self.pending().await?;
                let mut ids = waiting.iter().filter_map(|waits| waits.get("id")?.as_str());
                if let Some(id) = ids.find(|id| *id != not) {
                    return anyhow::Ok(id.to_owned());
                }
                sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, looks).await.context("nothing waits for approval")?
    }

    pub(super) async fn approve(&mut self, id: &str) -> anyhow::Result<Decided> {
        self.decide(id, "approve").await
    }

    pub(super) async fn deny(&mut self, id: &str) -> anyhow::Result<Decided> {
        self.decide(id, "deny").await
    }

    /// Approves whatever comes, until it is stopped or the gateway is gone: what was sent for which number,
    /// be it answered or not.
    pub(super) async fn approve_all(mut self, mut stop: watch::Receiver<bool>) -> Vec<(String, u64)> {
        let (mut sent, mut done) = (Vec::new(), BTreeSet::new());
        loop {
            let round = async {
                let waiting = self.pending().await.unwrap_or_default();
                for id in waiting.iter().filter_map(|waits| waits.get("id")?.as_str()) {
                    if !done.insert(id.to_owned()) {
                        continue;
                    }
                    let Ok(number) = self.number(id).await else { continue };
                    sent.push((id.to_owned(), number));
                    _ = self.approve(id).await; // cut off, it may have been done all the same
                }
                sleep(LOOK).await;
            };
            tokio::select! {
                () = round => {}
                _ = stop.changed() => return sent,
            }
        }
    }

    /// What a call has as its argument `round`.
    async fn number(&mut self, id: &str) -> anyhow::Result<u64> {
        let shown = self.get(&format!("/api/v1/approvals/{id}")).await?;
        let arguments: Value = serde_json::from_str(shown.get("arguments").and_then(Value::as_str).context("none")?)?;
        arguments.get("round").and_then(Value::as_u64).context("another call")
    }

    async fn pending(&mut self) -> anyhow::Result<Vec<Value>> {
        let page = self.get(&format!("/api/v1/approvals?state=pending&limit={PAGE}")).await?;
        Ok(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        let request = Request::get(path).header(AUTHORIZATION, format!("Bearer {}", self.token));
        Ok(self.client.ask(request, "").await?.body)
    }

    async fn decide(&mut self, id: &str, verdict: &str) -> anyhow::Result<Decided> {
        let request = Request::post(format!("/api/v1/approvals/{id}/{verdict}")).header(CONTENT_TYPE, JSON);
        let request = request.header(AUTHORIZATION, format!("Bearer {}", self.token));
        let answer = self.client.ask(request, "{}").await?;
        let status = answer.status;
        ensure!(matches!(status, 200 | 409 | 410), "`{verdict}` was answered with {status}: {}", answer.body);
        Ok(if status == 200 { Decided::Done } else { Decided::TooLate })
    }
}
