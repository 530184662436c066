//! The conformance fixture as a program: `fixture [--port N]`, or `PORT=N fixture`, says where it listens once it does.
//! `fixture --stdio` serves one client on standard input and output.

use std::io::{Error, ErrorKind, Result, Write};

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<()> {
    if std::env::args().nth(1).is_some_and(|mode| mode == "--stdio") {
        testkit::fixture::serve_stdio().await;
        return Ok(());
    }
    let listener = TcpListener::bind(("127.0.0.1", port()?)).await?;
    let addr = listener.local_addr()?;
    writeln!(std::io::stdout(), "fixture ready http://{addr}/mcp")?;
    testkit::fixture::serve_on(listener).await;
    Ok(())
}

/// The flag, else the variable, else 0: any free port.
fn port() -> Result<u16> {
    let mut arguments = std::env::args().skip(1);
    let text = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => std::env::var("PORT").unwrap_or_else(|_| "0".to_owned()),
        (Some("--port"), Some(port)) => port,
        _ => return Err(Error::new(ErrorKind::InvalidInput, "usage: fixture [--port N | --stdio]")),
    };
    text.parse().map_err(|_| Error::new(ErrorKind::InvalidInput, format!("`{text}` is no port")))
}
