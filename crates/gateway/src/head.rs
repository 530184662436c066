//! The head of a request: the route, who may send it from where, and what it says of its body. Refuses before a byte is read.

use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, ORIGIN, UPGRADE};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method as Verb, Uri};

use crate::config::{Listen, WebOrigin};
use crate::refusal::Refusal;

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// From where requests may come, by their `Host` and `Origin` (DNS rebinding, vector 49).
pub(crate) struct Doors {
    hosts: Vec<Authority>,
    origins: Vec<WebOrigin>,
}

impl Doors {
    pub(crate) fn new(listen: &Listen, bound: std::net::SocketAddr) -> Self {
        let mut hosts = listen.hosts.clone();
        let own = listen.url.as_ref().map(url::Origin::ascii_serialization);
        hosts.extend(own.and_then(|own| own.split_once("://").and_then(|(_, host)| host.parse().ok())));
        hosts.extend(bound.to_string().parse());
        Self { hosts, origins: listen.origins.clone() }
    }

    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let host =
            one(headers, &HOST)?.and_then(|host| host.to_str().ok()).and_then(|host| host.parse::<Authority>().ok());
        if !host.is_some_and(|host| self.host(&host)) {
            return Err(Refusal::Host);
        }
        match one(headers, &ORIGIN)? {
            None => Ok(()),
            Some(origin) if origin.to_str().is_ok_and(|origin| self.origin(origin)) => Ok(()),
            Some(_) => Err(Refusal::Origin),
        }
    }

    fn host(&self, host: &Authority) -> bool {
        let same = |known: &Authority| {
            known.host().eq_ignore_ascii_case(host.host())
                && known.port_u16().is_none_or(|port| host.port_u16() == Some(port))
        };
        !host.as_str().contains('@') && (is_loopback(host.host()) || self.hosts.iter().any(same))
    }

    fn origin(&self, origin: &str) -> bool {
        if self.origins.iter().any(|known| known.as_str().eq_ignore_ascii_case(origin)) {
            return true;
        }
        let Ok(origin) = origin.parse::<Uri>() else { return false };
        let web = matches!(origin.scheme_str(), Some("http" | "https"));
        web && origin.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && origin.host().is_some_and(is_loopback)
    }
}

pub(crate) fn is_loopback(host: &str) -> bool {
    LOOPBACK.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// The server that the path names: exactly `/mcp/{server}`.
pub(crate) fn route(uri: &Uri) -> Option<&str> {
    uri.path().strip_prefix("/mcp/").filter(|id| !id.is_empty() && !id.contains('/'))
}

/// Where the old HTTP+SSE transport comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door<'u> {
    /// `/sse/{server}`, or `/sse` for all servers as one: the stream.
    Stream(Option<&'u str>),
    /// `/sse/{server}/message`, or `/sse/message`: what is posted for a stream.
    Message(Option<&'u str>),
}

/// The door that the path names, exactly.
pub(crate) fn sse<'u>(verb: &Verb, uri: &'u Uri) -> Option<Door<'u>> {
    let rest = match uri.path().strip_prefix("/sse")? {
        "" => return Some(Door::Stream(None)),
        // A server may be called `message`; but to a server's stream nothing is posted.
        "/message" if verb == Verb::POST => return Some(Door::Message(None)),
        rest => rest.strip_prefix('/')?,
    };
    match rest.split_once('/') {
        None => Some(Door::Stream(Some(rest))),
        Some((server, "message")) => Some(Door::Message(Some(server))),
        Some(_) => None,
    }
    .filter(|door| !matches!(door, Door::Stream(Some("")) | Door::Message(Some(""))))
}

/// Exactly `/mcp`, where all servers are one.
pub(crate) fn is_aggregate(uri: &Uri) -> bool {
    uri.path() == "/mcp"
}

/// What a POST must say of its body (R1) and of the answer.
pub(crate) fn media(headers: &HeaderMap) -> Result<(), Refusal> {
    json(headers)?;
    match accepts(headers, "application/json") && accepts(headers, "text/event-stream") {
        true => Ok(()),
        false => Err(Refusal::NotAcceptable),
    }
}

/// What a POST must say of its body.
pub(crate) fn json(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = one(headers, &CONTENT_TYPE)?.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (essence, parameter) = kind.split_once(';').unwrap_or((kind, ""));
    let charset = parameter.trim().to_ascii_lowercase();
    let utf8 = matches!(charset.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"");
    if !essence.trim().eq_ignore_ascii_case("application/json") || !utf8 {
        return Err(Refusal::MediaType);
    }
    match one(headers, &CONTENT_ENCODING)? {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"identity") => return Err(Refusal::Coding),
        _ => {}
    }
    if headers.contains_key(UPGRADE) {
        return Err(Refusal::Upgrade);
    }
    Ok(())
}

/// Does the client take that type? Saying nothing is taking anything.
pub(crate) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let mut said = false;
    for range in
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
    {
        said = true;
        let mut parts = range.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let refused = parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32)));
        let major = wanted.split('/').next().unwrap_or_default();
        let fits =
            essence == "*/*" || essence.eq_ignore_ascii_case(wanted) || essence.strip_suffix("/*") == Some(major);
        if fits && !refused {
            return true;
        }
    }
    !said
}

/// A header of which there is one line at most.
pub(crate) fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, Refusal> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next();
    match lines.next() {
        None => Ok(first),
        Some(_) => Err(Refusal::HeaderTwice(name.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[track_caller]
    fn door(lines: &[(&'static str, &str)], open: bool) {
        let doors =
            Doors { hosts: vec!["gate.example".parse().unwrap(), "10.0.0.7:4480".parse().unwrap()], origins: vec![] };
        assert_eq!(doors.check(&headers(lines)).is_ok(), open, "{lines:?}");
    }

    #[test]
    fn hosts_and_origins() {
        door(&[("host", "127.0.0.1:4480")], true);
        door(&[("host", "LOCALHOST")], true);
        door(&[("host", "[::1]:9")], true);
        door(&[("host", "gate.example:443")], true);
        door(&[("host", "10.0.0.7:4480")], true);
        door(&[("host", "10.0.0.7:1")], false);
        door(&[("host", "evil.example")], false);
        door(&[("host", "localhost@evil.example")], false);
        door(&[("host", "localhost.evil.example")], false);
        door(&[], false);
        door(&[("host", "localhost"), ("host", "localhost")], false);
        door(&[("host", "localhost"), ("origin", "http://localhost:6274")], true);
        door(&[("host", "localhost"), ("origin", "http://evil.example")], false);
        door(&[("host", "localhost"), ("origin", "null")], false);
        door(&[("host", "localhost"), ("origin", "http://localhost@evil.example")], false);
        door(&[("host", "localhost"), ("origin", "file://localhost")], false);
    }

    #[track_caller]
    fn body(lines: &[(&'static str, &str)], fine: bool) {
        assert_eq!(media(&headers(lines)).is_ok(), fine, "{lines:?}");
    }

    #[test]
    fn bodies() {
        const JSON: (&str, &str) = ("content-type", "application/json");
        body(&[JSON], true);
        body(&[("content-type", "application/json; charset=UTF-8")], true);
        body(&[("content-type", "application/json; charset=utf-16le")], false);
        body(&[("content-type", "application/json-seq")], false);
        body(&[("content-type", "text/plain")], false);
        body(&[], false);
        body(&[JSON, JSON], false);
        body(&[JSON, ("content-encoding", "gzip")], false);
        body(&[JSON, ("content-encoding", "identity")], true);
        body(&[JSON, ("upgrade", "h2c")], false);
        body(&[JSON, ("accept", "application/json, text/event-stream")], true);
        body(&[JSON, ("accept", "*/*")], true);
        body(&[JSON, ("accept", "application/json")], false);
        body(&[JSON, ("accept", "application/json, text/event-stream;q=0")], false);
    }

    #[test]
    fn routes() {
        let server = |path: &str| route(&path.parse().unwrap()).map(str::to_owned);
        assert_eq!(server("/mcp/a-b"), Some("a-b".into()));
        for path in ["/mcp", "/mcp/", "//mcp/a", "/mcp/a/", "/mcp//a", "/message", "/MCP/a", "/mcp/../mcp/a"] {
            assert_eq!(server(path), None, "{path}");
        }
        assert_eq!(server("/mcp/%61"), Some("%61".into())); // and no server is called that
    }

    #[test]
    fn doors_of_the_old_transport() {
        #[track_caller]
        fn door(path: &str, expected: Option<Door<'_>>) {
            assert_eq!(sse(&Verb::GET, &path.parse().unwrap()), expected, "{path}");
        }
        door("/sse/a-b", Some(Door::Stream(Some("a-b"))));
        door("/sse/a/message?id=1", Some(Door::Message(Some("a"))));
        door("/sse", Some(Door::Stream(None)));
        door("/sse/message", Some(Door::Stream(Some("message"))));
        assert_eq!(sse(&Verb::POST, &"/sse/message?id=1".parse().unwrap()), Some(Door::Message(None)));
        for path in [
            "/sse/",
            "/ssea",
            "/sse//",
            "//sse/a",
            "/sse/a/",
            "/sse/a/message/",
            "/sse//message",
            "/sse/a/b/message",
            "/SSE/a",
            "/mcp/a",
        ] {
            door(path, None);
        }
    }
}
