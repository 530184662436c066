//! What a person is told by mail: plain text, handed to a mail server of the operator's. The connection is ours, judged and secured as those to
//! servers are; the library only speaks SMTP over it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use lettre::Message;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service as _;

use super::{Failure, PATIENCE, Told, short, webhook};
use crate::config::Mail;
use crate::guard;
use crate::policies::chain;
use crate::server::Road;

/// Characters of a name, and of a reason, that are shown.
const NAME: usize = 500;
const REASON: usize = 2000;

pub(super) async fn send(road: &Road, url: &Uri, mail: &Mail, told: &Told<'_>) -> Result<(), Failure> {
    let message = message(mail, told).map_err(|error| Failure::Ever(format!("it cannot be written: {error}")))?;
    let connected = guard::connector(road, PATIENCE).call(url.clone()).await;
    let stream = connected.map_err(|error| Failure::Now(chain(&*error), None))?;
    let wire = Wire(TokioIo::new(stream));
    let connection = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &ClientId::default()).await;
    let mut connection = connection.map_err(|error| failure(&error))?;
    if let Some((user, password)) = &mail.login {
        let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
        connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await.map_err(|error| failure(&error))?;
    }
    connection.send(message.envelope(), &message.formatted()).await.map_err(|error| failure(&error))?;
    _ = connection.quit().await; // it has the message
    Ok(())
}

fn message(mail: &Mail, told: &Told<'_>) -> Result<Message, lettre::error::Error> {
    let asked = &told.approval.asked;
    let subject = format!("{} on {} waits for approval", short(&asked.subject, 80), short(&asked.server, 80));
    let mut message = Message::builder()
        .from(mail.from.clone())
        .subject(subject)
        .message_id(Some(format!("<{}@toolgate.invalid>", told.id)))
        .header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        message = message.to(to.clone());
    }
    message.body(text(told))
}

fn text(told: &Told<'_>) -> String {
    let asked = &told.approval.asked;
    let reason = asked.reason.as_deref().map(|reason| format!("Reason:  {}\n", short(reason, REASON)));
    format!(
        "A call waits for approval.\n\nAgent:   {}\nServer:  {}\nMethod:  {}\nSubject: {}\nRule:    {}\n{}Expires: {}\n\n\
         Look at it, with its arguments, and decide:\n{}\n",
        short(&asked.agent, NAME),
        short(&asked.server, NAME),
        short(&asked.method, NAME),
        short(&asked.subject, NAME),
        short(&asked.rule, NAME),
        reason.unwrap_or_default(),
        webhook::time(told.approval.expires_ms),
        told.url,
    )
}

/// What the server says may repeat addresses, so only its code is kept.
fn failure(error: &Error) -> Failure {
    match error.status() {
        Some(code) if error.is_permanent() => Failure::Ever(format!("the mail server answered {code}")),
        Some(code) => Failure::Now(format!("the mail server answered {code}"), None),
        None if error.is_client() => Failure::Ever("the mail server lacks what this needs".to_owned()),
        None => Failure::Now("the mail server does not speak SMTP, or hung up".to_owned(), None),
    }
}

/// Our connection, as the library takes it.
struct Wire(TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self.0.inner() {
            MaybeHttpsStream::Http(stream) => stream.inner().peer_addr(),
            MaybeHttpsStream::Https(stream) => stream.inner().get_ref().0.inner().inner().peer_addr(),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
