//! Names to addresses: by the operator's own table first, otherwise by the system; and none but those that may be connected to.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

use super::Guard;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Addresses that the operator wrote for names.
pub(crate) type Pinned = BTreeMap<Box<str>, Vec<IpAddr>>;

#[derive(Debug, thiserror::Error)]
#[error("the name cannot be resolved")]
pub(crate) struct Unresolved(#[source] std::io::Error);

/// Looks names up.
#[derive(Clone)]
pub(crate) struct Names {
    pinned: Arc<Pinned>,
    system: GaiResolver,
}

impl Names {
    pub(super) fn new(pinned: Arc<Pinned>) -> Self {
        Self { pinned, system: GaiResolver::new() }
    }
}

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Answer<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let pinned = self.pinned.get(name.as_str().to_ascii_lowercase().as_str());
        let pinned: Option<Vec<_>> = pinned.map(|all| all.iter().map(|address| (*address, 0).into()).collect());
        let system = pinned.is_none().then(|| self.system.call(name));
        Box::pin(async move {
            match system {
                Some(system) => Ok(system.await.map_err(Unresolved)?.collect::<Vec<_>>().into_iter()),
                None => Ok(pinned.unwrap_or_default().into_iter()),
            }
        })
    }
}

/// Hands out only addresses that were judged, to be connected to as they are: nothing is looked up again in between.
#[derive(Clone)]
pub(crate) struct Checked<R> {
    pub(super) names: R,
    pub(super) guard: Arc<Guard>,
}

impl<R, A> Service<Name> for Checked<R>
where
    R: Service<Name, Response = A, Error = BoxError>,
    R::Future: Send + 'static,
    A: Iterator<Item = SocketAddr>,
{
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Answer<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.names.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (found, guard) = (self.names.call(name), Arc::clone(&self.guard));
        Box::pin(async move {
            let (mut lawful, mut refused) = (Vec::new(), None);
            for at in found.await? {
                match guard.check(at.ip()) {
                    Ok(()) => lawful.push(at),
                    Err(forbidden) => refused = Some(forbidden),
                }
            }
            match refused {
                Some(forbidden) if lawful.is_empty() => Err(forbidden.into()),
                Some(_) | None => Ok(lawful.into_iter()),
            }
        })
    }
}
