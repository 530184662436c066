//! A wire to the database that can be cut, or go silent with everything that is connected.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Relay {
    pub(crate) port: u16,
    /// Wires that were made before this many silences carry nothing any more.
    silences: Arc<watch::Sender<u32>>,
}

impl Relay {
    pub(crate) async fn to(host: String, port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().port();
        let silences = Arc::new(watch::Sender::new(0));
        let made = Arc::clone(&silences);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect((&*host, port)).await else { continue };
                tokio::spawn(carry(near, far, made.subscribe()));
            }
        });
        Self { port: here, silences }
    }

    /// As if the other machine had lost its power: nobody says goodbye. New connections work.
    pub(crate) fn silence(&self) {
        self.silences.send_modify(|count| *count += 1);
    }
}

async fn carry(mut near: TcpStream, mut far: TcpStream, mut silences: watch::Receiver<u32>) {
    silences.mark_unchanged();
    let (mut there, mut back) = ([0; 4096], [0; 4096]);
    loop {
        tokio::select! {
            biased;
            _ = silences.changed() => return std::future::pending().await, // both ends stay open
            read = near.read(&mut there) => match read {
                Ok(0) | Err(_) => return,
                Ok(length) => if far.write_all(&there[..length]).await.is_err() { return },
            },
            read = far.read(&mut back) => match read {
                Ok(0) | Err(_) => return,
                Ok(length) => if near.write_all(&back[..length]).await.is_err() { return },
            },
        }
    }
}
