//! The server on stdin and stdout. Nothing else may write to stdout meanwhile.

use rmcp::ServiceExt as _;

use crate::FineTuningServer;

/// Why serving ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the client did not begin as MCP asks")]
    Begin(#[source] Box<rmcp::service::ServerInitializeError>),
    #[error("the server stopped")]
    Stopped(#[from] tokio::task::JoinError),
}

/// Serves one client on stdin and stdout until it hangs up.
///
/// # Errors
/// [`ServeError`] when the client does not speak MCP.
pub async fn serve_stdio(server: FineTuningServer) -> Result<(), ServeError> {
    let serving = server.serve(rmcp::transport::stdio()).await.map_err(|error| ServeError::Begin(Box::new(error)))?;
    serving.waiting().await?;
    Ok(())
}
