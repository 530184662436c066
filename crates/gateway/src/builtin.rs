//! Servers that run inside the gateway, each on a loopback port where only the gateway is answered: whoever else on this machine
//! finds the port lacks the token, so there is no way around the policy.

use http::Uri;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::config::UpstreamHeaders;
use crate::start::{StartError, bind, thread};

/// A server of our own that runs. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    pub(crate) url: Uri,
    /// The token it wants to see.
    pub(crate) headers: UpstreamHeaders,
    pub(crate) alive: oneshot::Sender<()>,
}

/// Starts the fine-tuning tools.
pub(crate) fn finetuning(id: &str, settings: finetuning_server::Settings) -> Result<BuiltIn, StartError> {
    let failed = |source| StartError::BuiltIn { server: id.into(), source };
    let server = finetuning_server::FineTuningServer::new(settings).map_err(|error| failed(error.into()))?;
    let (listener, at) = bind("built-in server", ([127, 0, 0, 1], 0).into())?;
    let url = format!("http://{at}/mcp").parse().map_err(|error: http::uri::InvalidUri| failed(error.into()))?;
    let token = token().map_err(|error| failed(error.into()))?;
    let headers = UpstreamHeaders::bearer(&token).map_err(|error| failed(error.into()))?;
    let (alive, ended) = oneshot::channel::<()>();
    thread(id, async move || {
        let Ok(listener) = TcpListener::from_std(listener) else { return };
        tokio::select! {
            () = finetuning_server::serve_http(server, listener, Some(token.into())) => {}
            _ = ended => {}
        }
    })?;
    Ok(BuiltIn { url, headers, alive })
}

/// 256 bits from the system, in hexadecimal.
fn token() -> Result<String, getrandom::Error> {
    crate::random::hex::<32>()
}
