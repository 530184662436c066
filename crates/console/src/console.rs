//! The service behind the admin listener.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use gateway::{AdminReply, AdminRequest, AdminService, Control};
use http_body_util::BodyExt as _;
use store::Admin;
use tower_service::Service as _;

use crate::guard::Peer;
use crate::here::{Clock, Here, system_clock};
use crate::links::{self, FIRST};
use crate::{api, openapi};

/// What may be chosen.
#[derive(Clone)]
pub struct Options {
    pub clock: Clock,
    /// What approvals go by; the gateway's own clock, which nobody sets, when there is none here.
    pub approvals: Option<Clock>,
    /// Does the admin listener speak TLS? Then its cookies are for TLS only.
    pub secure: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: system_clock(), approvals: None, secure: false }
    }
}

/// The admin API.
pub struct Console {
    here: Arc<Here>,
    router: Router,
}

/// Why there is no admin API.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    #[error("the API's description cannot be written")]
    Description(#[from] serde_json::Error),
}

/// Why nobody can be let in for the first time.
#[derive(Debug, thiserror::Error)]
pub enum FirstLoginError {
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error("there is no randomness to make a link of")]
    Random,
}

impl Console {
    /// None for a gateway without a store: there is nothing to manage, and nobody to do it.
    pub fn new(control: Control, options: Options) -> Result<Option<Self>, ConsoleError> {
        let Some(store) = control.store().cloned() else { return Ok(None) };
        let here = Arc::new(Here::new(control, store, options));
        let (router, described) = api::router(&here);
        let document = openapi::document(&described)?;
        here.openapi.get_or_init(|| document.to_string());
        Ok(Some(Self { here, router }))
    }

    /// While there is no admin at all: the path of a link that makes its user the first one. It is for whoever started the gateway, so it
    /// is shown where that was done, and never logged.
    pub async fn first_login(&self) -> Result<Option<String>, FirstLoginError> {
        if self.here.store.count::<Admin>().await? > 0 {
            return Ok(None);
        }
        let secret = links::secret().map_err(|_| FirstLoginError::Random)?;
        links::make(&self.here, &secret, FIRST).await?;
        Ok(Some(links::path(&secret)))
    }
}

impl AdminService for Console {
    fn answer(&self, request: AdminRequest, peer: IpAddr) -> Pin<Box<dyn Future<Output = AdminReply> + Send>> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        let answer = self.router.clone().call(request);
        Box::pin(async move {
            let response = answer.await.unwrap_or_else(|never| match never {});
            response.map(|body| body.map_err(Into::into).boxed_unsync())
        })
    }
}
