//! The only site that the server `fetch` may see: two pages on loopback, and a third that nobody should ask for.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Context as _;

const PAGE: &str = "<html><head><title>A page</title></head><body><article><h1>A page</h1>\
                    <p>The page of the test, with a paragraph that is long enough to be one.</p></article></body></html>";

/// How long a visitor may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running site. It ends with this program.
pub(super) struct Site {
    port: u16,
}

impl Site {
    pub(super) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        let port = listener.local_addr()?.port();
        std::thread::spawn(move || {
            let mut denied = 0;
            for visitor in listener.incoming().map_while(Result::ok) {
                // One who went away early harms nobody else.
                let _ = answer(visitor, &mut denied);
            }
        });
        Ok(Self { port })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

fn answer(mut visitor: TcpStream, denied: &mut usize) -> std::io::Result<()> {
    visitor.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(visitor.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let (status, kind, body) = match request.split(' ').nth(1).unwrap_or_default() {
        "/page" => ("200 OK", "text/html", PAGE.to_owned()),
        "/denied" => {
            *denied += 1;
            ("200 OK", "text/plain", "nobody may see this".to_owned())
        }
        "/denials" => ("200 OK", "text/plain", format!("denied was asked for {denied} times")),
        _ => ("404 Not Found", "text/plain", String::new()),
    };
    let length = body.len();
    write!(
        visitor,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
