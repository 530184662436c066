//! A very fast MCP server of both eras, for benches: it reads only what it needs and answers from constants.
//! `echo_upstream` picks a port and says where it listens; any path is its endpoint. `--stdio` speaks on stdin and stdout instead.
//! `--only legacy|modern` leaves one era out, `--tools N` lists so many tools.

use std::convert::Infallible;
use std::io::{BufRead, Result, Write};
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

const MODERN: &str = "2026-07-28";
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

const CALLED: &str = r#""content":[{"type":"text","text":"{\"number\":42,\"state\":\"open\",\"title\":\"Widgets turn too fast\",\"comments\":7}"}]"#;
const TOOL: &str = r#""description":"Reads one issue","inputSchema":{"type":"object","properties":{"owner":{"type":"string"},"repo":{"type":"string"},"number":{"type":"integer"}}}}"#;
const OFFERED: &str = r#""capabilities":{"tools":{}}"#;
const SERVER: &str = r#"{"name":"echo","version":"1"}"#;

static SESSIONS: AtomicU64 = AtomicU64::new(1);

static OPTIONS: OnceLock<Options> = OnceLock::new();

/// What the command line asks for.
struct Options {
    legacy: bool,
    modern: bool,
    stdio: bool,
    listed: String,
}

impl Options {
    fn read() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let after = |name: &str| arguments.iter().skip_while(|given| *given != name).nth(1).map(String::as_str);
        let tools: usize = after("--tools").and_then(|given| given.parse().ok()).unwrap_or(1);
        let more = (1..tools).map(|number| format!(r#",{{"name":"get_issue_{number}",{TOOL}"#));
        Self {
            legacy: after("--only") != Some("modern"),
            modern: after("--only") != Some("legacy"),
            stdio: arguments.iter().any(|given| given == "--stdio"),
            listed: format!(r#""tools":[{{"name":"get_issue",{TOOL}{}]"#, more.collect::<String>()),
        }
    }

    fn given() -> &'static Self {
        OPTIONS.get_or_init(Self::read)
    }
}

fn main() -> Result<()> {
    if Options::given().stdio {
        return stdio();
    }
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    writeln!(std::io::stdout(), "echo_upstream ready http://{}/mcp", listener.local_addr()?)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads: Vec<_> = (0..threads)
        .map(|_| listener.try_clone().map(|listener| std::thread::spawn(move || work(listener))))
        .collect::<Result<_>>()?;
    threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
}

fn work(listener: std::net::TcpListener) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(connection(stream));
        }
    })
}

async fn connection(stream: TcpStream) {
    _ = stream.set_nodelay(true);
    // How a connection ends is the peer's business.
    _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn answer(request: Request<Incoming>) -> std::result::Result<Response<Answer>, hyper::Error> {
    match *request.method() {
        Method::POST => {}
        Method::GET => return Ok(typed(EVENTS, Answer::Silence)),
        _ => return Ok(Response::new(Answer::Whole(None))),
    }
    let modern = request.headers().get("mcp-protocol-version").is_some_and(|version| version == MODERN);
    let body = request.into_body().collect().await?.to_bytes();
    let Some(said) = reply(&body, modern) else { return Ok(status(StatusCode::ACCEPTED)) };
    let mut response = typed(JSON, Answer::Whole(Some(said.message.into())));
    if said.opens {
        response.headers_mut().insert("mcp-session-id", HeaderValue::from(SESSIONS.fetch_add(1, Ordering::Relaxed)));
    }
    *response.status_mut() = said.status;
    Ok(response)
}

/// One line in, one line out, until there is no more.
fn stdio() -> Result<()> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let modern = holds(&line, MODERN.as_bytes());
        if let Some(said) = reply(&line, modern) {
            output.write_all(said.message.as_bytes())?;
            output.write_all(b"\n")?;
            output.flush()?;
        }
        line.clear();
    }
    Ok(())
}

fn holds(line: &[u8], wanted: &[u8]) -> bool {
    line.windows(wanted.len()).any(|text| text == wanted)
}

struct Said {
    message: String,
    /// A session begins.
    opens: bool,
    status: StatusCode,
}

/// None for what has no answer.
fn reply(body: &[u8], modern: bool) -> Option<Said> {
    let options = Options::given();
    let member = |key: &str| member(body, key).and_then(|value| str::from_utf8(value).ok());
    let (id, method) = (member("id")?, member("method")?);
    let error = |status, code| {
        let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"no"}}}}"#);
        Some(Said { message, opens: false, status })
    };
    let spoken = if modern { options.modern } else { options.legacy };
    if !spoken {
        return error(StatusCode::BAD_REQUEST, -32000);
    }
    let Some(members) = result(method, modern, &options.listed) else {
        return error(if modern { StatusCode::NOT_FOUND } else { StatusCode::OK }, -32601);
    };
    let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{{members}}}}}"#);
    Some(Said { message, opens: method == r#""initialize""#, status: StatusCode::OK })
}

/// The members of a method's result.
fn result(method: &str, modern: bool, listed: &str) -> Option<String> {
    let more = if modern { r#""resultType":"complete","# } else { "" };
    Some(match method {
        r#""tools/call""# => format!("{more}{CALLED}"),
        r#""tools/list""# if modern => format!(r#"{more}"ttlMs":0,"cacheScope":"private",{listed}"#),
        r#""tools/list""# => listed.to_owned(),
        r#""server/discover""# if modern => format!(
            r#"{more}"ttlMs":0,"cacheScope":"private","supportedVersions":["{MODERN}"],{OFFERED},"_meta":{{"io.modelcontextprotocol/serverInfo":{SERVER}}}"#
        ),
        r#""initialize""# if !modern => format!(r#""protocolVersion":"2025-11-25","serverInfo":{SERVER},{OFFERED}"#),
        _ => return None,
    })
}

fn typed(content_type: HeaderValue, answer: Answer) -> Response<Answer> {
    let mut response = Response::new(answer);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn status(status: StatusCode) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(None));
    *response.status_mut() = status;
    response
}

/// The text of a string or number that is a member of the outermost object. Good enough for lawful messages, and only for them.
fn member<'b>(json: &'b [u8], key: &str) -> Option<&'b [u8]> {
    let (mut depth, mut at) = (0, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let text = string(json.get(at..)?)?;
                let after = json.get(at + text.len()..)?;
                if depth == 1 && text.get(1..text.len() - 1) == Some(key.as_bytes()) && after.first() == Some(&b':') {
                    let value = after.get(1..)?;
                    return match value.first()? {
                        b'"' => string(value),
                        _ => value.get(..value.iter().position(|byte| matches!(byte, b',' | b'}'))?),
                    };
                }
                at += text.len();
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The string that `json` begins with, in its quotes.
fn string(json: &[u8]) -> Option<&[u8]> {
    let mut escaped = false;
    let closes = |byte: &u8| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    };
    let end = json.get(1..)?.iter().position(closes)?;
    json.get(..end + 2)
}

enum Answer {
    Whole(Option<Bytes>),
    /// A stream that is open and says nothing.
    Silence,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Silence => Poll::Pending, // woken by nothing: it ends with its connection
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Silence => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, key: &str, expected: Option<&str>) {
        assert_eq!(member(json.as_bytes(), key), expected.map(str::as_bytes), "{key} of {json}");
    }

    #[test]
    fn members_of_the_outermost_object() {
        check(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#, "id", Some("7"));
        check(r#"{"jsonrpc":"2.0","method":"ping","id":"a\"b"}"#, "id", Some(r#""a\"b""#));
        check(r#"{"params":{"id":1,"x":[{"id":2}],"y":"\"id\":3}"},"id":4}"#, "id", Some("4"));
        check(r#"{"x":"id","id":5}"#, "id", Some("5"));
        check(r#"{"method":"m","params":{"id":1}}"#, "id", None);
        check(r#"{"id":"#, "id", None);
        check("", "id", None);
    }
}
