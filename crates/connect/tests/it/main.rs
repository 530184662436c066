//! What becomes of other people's files.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod backups;
mod edits;
mod entries;
mod laws;
mod places;

use connect::{Client, Request, Transport, clients};

pub(crate) fn client(id: &str) -> Client {
    clients().unwrap().into_iter().find(|client| client.id == id).unwrap()
}

pub(crate) fn request(servers: &[&str]) -> Request {
    Request {
        gateway: "http://127.0.0.1:4480".to_owned(),
        servers: servers.iter().map(|server| server.parse().unwrap()).collect(),
        name: None,
        transport: Transport::Best { program: "/bin/toolgate".to_owned() },
        token: None,
    }
}
