//! Checks of a modern request: its `_meta` and headers agree with each other, with the body and with what is spoken here.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use mcp::{Method, Mirror, MirrorFault, Object, Params, Request, Revision, meta};

use crate::head::one;
use crate::refusal::{Addressee, Refusal, Refused};
use crate::upstream::{MCP_METHOD, MCP_NAME, PROTOCOL_VERSION};

const PARAM: &str = "mcp-param-";

/// What a request says of its revision, in its header and in its `_meta`.
pub(crate) struct Claim {
    header: Option<Box<str>>,
    meta: Option<Box<str>>,
}

impl Claim {
    pub(crate) fn of(headers: &HeaderMap, params: &Object<'_>) -> Result<Self, Refusal> {
        let header = one(headers, &PROTOCOL_VERSION)?;
        let header = header
            .map(|value| value.to_str().map_err(|_| Refusal::Header("MCP-Protocol-Version".into())))
            .transpose()?;
        let meta = params.object("_meta").and_then(|meta| meta.text(meta::PROTOCOL_VERSION));
        Ok(Self { header: header.map(|text| text.trim().into()), meta: meta.as_deref().map(Into::into) })
    }

    /// Modern requests say so in `_meta`, or at least in the header; all others are legacy.
    pub(crate) fn is_modern(&self) -> bool {
        self.meta.is_some() || self.header.as_deref().is_some_and(|header| !is_legacy(header))
    }

    /// A legacy header, where there is one, names a revision that we know.
    pub(crate) fn header(&self) -> Option<&str> {
        self.header.as_deref()
    }
}

fn is_legacy(version: &str) -> bool {
    Revision::named(version).is_some_and(|revision| revision.era() == mcp::Era::Legacy)
}

/// Everything but the name, which the method's params must be read for.
pub(crate) fn check(
    claim: &Claim,
    headers: &HeaderMap,
    request: &Request<'_>,
    to: &Addressee,
) -> Result<Method, Refused> {
    let Some(header) = claim.header.as_deref() else {
        return Err(to.refuse(Refusal::Header("`MCP-Protocol-Version` is missing".into())));
    };
    match claim.meta.as_deref() {
        Some(meta) if meta != header => {
            return Err(to.refuse(Refusal::Header("`MCP-Protocol-Version` does not match `_meta`".into())));
        }
        _ if header != Revision::MODERN.as_str() => {
            return Err(to.refuse(Refusal::Version { requested: header.into() }));
        }
        None => return Err(to.refuse(Refusal::Meta("`_meta` lacks `io.modelcontextprotocol/protocolVersion`"))),
        Some(_) => {}
    }
    let capabilities = request.params.object("_meta").and_then(|meta| meta.object(meta::CLIENT_CAPABILITIES));
    let Some(capabilities) = capabilities else {
        return Err(to.refuse(Refusal::Meta("`_meta` lacks `io.modelcontextprotocol/clientCapabilities`")));
    };
    let method = match &request.method {
        Ok(method) => method.as_str(),
        Err(name) => name.as_ref(),
    };
    // Plain: the sentinel is for names and arguments only.
    mirrored(headers, &MCP_METHOD, |said| said == method.as_bytes()).map_err(|why| to.refuse(why))?;
    match &request.method {
        Ok(method) if method.is_of_a_task() && !has_tasks(&capabilities) => Err(to.refuse(Refusal::NoTasks)),
        Ok(method) if method.is_in(Revision::MODERN) => Ok(*method),
        _ => Err(to.refuse(Refusal::Unknown(method.into()))),
    }
}

fn has_tasks(capabilities: &Object<'_>) -> bool {
    capabilities.object("extensions").is_some_and(|extensions| extensions.get(meta::TASKS).is_some())
}

/// `Mcp-Name` where the method has a name.
pub(crate) fn check_name(headers: &HeaderMap, params: &Params<'_>) -> Result<(), Refusal> {
    match params.name() {
        Some(name) => mirrored(headers, &MCP_NAME, |said| mcp::matches(said, name)),
        None => Ok(()),
    }
}

fn mirrored(headers: &HeaderMap, name: &HeaderName, agrees: impl Fn(&[u8]) -> bool) -> Result<(), Refusal> {
    match one(headers, name)? {
        None => Err(Refusal::Header(format!("`{name}` is missing").into())),
        Some(value) if agrees(value.as_bytes()) => Ok(()),
        Some(_) => Err(Refusal::Header(format!("`{name}` does not match the body").into())),
    }
}

/// The client's `Mcp-Param-*` headers, if it sent any.
pub(crate) fn has_params(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with(PARAM))
}

/// The `Mcp-Param-*` headers for the upstream, written anew from the arguments that the client's headers must match.
pub(crate) fn params(mirrors: &[Mirror], headers: &HeaderMap, arguments: Option<&str>) -> Result<HeaderMap, Refusal> {
    let mut fresh = HeaderMap::new();
    for mirror in mirrors {
        let name: HeaderName =
            mirror.header.parse().map_err(|_| Refusal::Header("a declared header is malformed".into()))?;
        let given = one(headers, &name)?;
        let value = mirror
            .header_value(arguments, given.map(HeaderValue::as_bytes))
            .map_err(|fault: MirrorFault| Refusal::Header(fault.to_string().into()))?;
        if let Some(value) = value {
            let value =
                HeaderValue::from_str(&value).map_err(|_| Refusal::Header("an argument cannot be mirrored".into()))?;
            fresh.insert(name, value);
        }
    }
    Ok(fresh)
}
