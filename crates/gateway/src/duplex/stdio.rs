//! The client at the other end of stdin and stdout: a message a line, and nothing but messages.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::lines::Lines;
use super::{FAREWELL, Front, Service, serve};
use crate::config::Bounds;

/// Serves until the client ends, or `stop` does.
pub(super) async fn run(
    service: Service,
    bounds: Arc<Bounds>,
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin + Send + 'static,
    stop: impl Future<Output = ()>,
) {
    let mut lines = Lines::new(BufReader::new(reader), bounds.body);
    let (front, said) = Front::new(service, bounds);
    let mut writing = tokio::spawn(write(said, writer));
    serve(&front, async || lines.next().await, stop).await;
    if timeout(FAREWELL, &mut writing).await.is_err() {
        writing.abort();
    }
}

async fn write(mut said: mpsc::Receiver<Option<Vec<u8>>>, mut to: impl AsyncWrite + Unpin) {
    while let Some(Some(mut line)) = said.recv().await {
        line.push(b'\n');
        let written = async {
            to.write_all(&line).await?;
            to.flush().await
        };
        if let Err(error) = written.await {
            return tracing::warn!(%error, "the client does not take messages any more");
        }
    }
}
