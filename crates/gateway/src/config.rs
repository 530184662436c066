//! What the operator decided, checked. The written form lies in layers (`config/layers.rs`); here every value has its type and its bounds,
//! and a `Config` that exists may be run as it is.

mod agents;
mod aggregate;
mod approvals;
mod client;
mod command;
mod credentials;
mod document;
mod error;
mod headers;
mod jwt;
mod layers;
mod listen_tls;
mod live;
mod notify;
mod origin;
mod reach;
mod server;
mod sessions;
mod settings;
mod store;
mod tls;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use http::uri::Authority;

pub(crate) use self::agents::check_labels;
pub use self::agents::{Agent, AgentId, InvalidAgentId, Token};
pub use self::aggregate::Aggregate;
pub use self::approvals::Approvals;
pub use self::client::Wrapped;
pub use self::command::{Command, Environment};
pub use self::credentials::{AgentCredentials, ClientCredentials, ClientSecretIn, Credentials};
pub use self::error::{ConfigErrors, Problem};
pub use self::headers::UpstreamHeaders;
pub use self::jwt::{Issuer, Jwt, KeySource};
pub(crate) use self::layers::read_text;
pub use self::layers::{ConfigFile, Layers};
pub use self::listen_tls::{Certificates, ClientCertificates, ListenTls, NameOf};
pub(crate) use self::live::Adjustable;
pub use self::live::{Adjusted, Live, NotAdjustable};
pub use self::notify::{Channel, Mail, Notify};
pub use self::origin::Origin;
pub use self::reach::{Reach, Transport};
pub(crate) use self::server::upstream_url as server_url;
pub use self::server::{InvalidServerId, PolicySource, Server, ServerId, Target};
pub use self::sessions::Sessions;
use self::settings::Settings;
pub use self::store::{Store, StoreUrl};
pub use self::tls::TlsOptions;
pub(crate) use self::tls::{BadPair, authorities, pair};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Not public to make: `Config::load` has checked what no single field can show.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    pub listen: Listen,
    /// Empty when nothing is configured.
    pub servers: BTreeMap<ServerId, Server>,
    pub auth: Auth,
    /// Those that files name; the store may know more.
    pub agents: BTreeMap<AgentId, Agent>,
    /// Where they are described; for people.
    pub(crate) agents_in: Box<str>,
    pub jwt: Jwt,
    /// Client certificates as identities.
    pub certificates: Option<Certificates>,
    pub audit: Audit,
    pub limits: Limits,
    pub sessions: Sessions,
    pub store: Store,
    pub bounds: Bounds,
    pub aggregate: Aggregate,
    pub approvals: Approvals,
    pub log: Log,
    pub(crate) live: Live,
    /// What the store may make of it.
    pub(crate) adjustable: Adjustable,
    /// Where the configuration file lies, if there is one.
    pub(crate) folder: Option<PathBuf>,
    printed: String,
}

#[derive(Clone, Debug)]
pub struct Listen {
    pub data: SocketAddr,
    pub admin: SocketAddr,
    /// `Host` values that are accepted beside the listener's own address and the loopback names.
    pub hosts: Vec<Authority>,
    /// `Origin` values that are accepted beside loopback origins.
    pub origins: Vec<WebOrigin>,
    /// None: one per core.
    pub workers: Option<NonZeroUsize>,
    /// What clients call this gateway: the origin that comes before `/mcp`. None: its own address.
    pub url: Option<url::Origin>,
    pub tls: Option<ListenTls>,
    /// Of the admin listener.
    pub admin_tls: Option<ListenTls>,
}

/// An `Origin` header as browsers write it: scheme, host, port; in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebOrigin(Box<str>);

impl WebOrigin {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let url: Uri = text.parse().ok()?;
        let (scheme, authority) = (url.scheme_str()?, host(url.authority()?.as_str())?);
        let origin = format!("{scheme}://{authority}").to_ascii_lowercase();
        (origin == text.to_ascii_lowercase()).then(|| Self(origin.into()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Nobody says who they are; therefore only this machine may connect.
    Anonymous,
    /// Everybody shows a token that we gave out.
    Tokens,
    /// Or one that somebody signed whom the operator trusts.
    Jwt,
}

/// The journal of all decisions.
#[derive(Clone, Debug)]
pub struct Audit {
    /// None: nothing is recorded but in the log.
    pub dir: Option<PathBuf>,
    pub node: String,
    pub sync: journal::Sync,
    pub segment: usize,
    pub queue: NonZeroUsize,
    pub patience: Duration,
    pub keep: journal::Keep,
    /// Whether records are copied to the store, to be asked there.
    pub index: bool,
    /// How old they may become there; for ever, if nothing is said.
    pub keep_index: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct Limits {
    pub store: LimitStore,
    /// How many keys are counted at most, in memory.
    pub keys: NonZeroUsize,
    /// How long a call waits for the store.
    pub timeout: Duration,
    /// What our keys in the store start with.
    pub prefix: redis_link::Prefix,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitStore {
    Memory,
    Redis(redis_link::Address),
}

/// What each thing that grows or waits may reach. `docs/operations.md` says what happens then.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub body: usize,
    pub headers: NonZeroUsize,
    pub header_bytes: usize,
    pub connections: NonZeroUsize,
    pub connections_per_peer: NonZeroUsize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub write_timeout: Duration,
    pub connect_timeout: Duration,
    pub call_timeout: Duration,
    pub idle_timeout: Duration,
    pub input_timeout: Duration,
    pub response: usize,
    pub event: usize,
    pub sessions: NonZeroUsize,
    pub session_idle: Duration,
    pub in_flight_per_session: NonZeroUsize,
    pub drain: Duration,
    pub keepalive: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Log {
    pub format: LogFormat,
    /// At the start; see [`Live`].
    pub level: tracing::Level,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: tracing::Level::INFO }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Config {
    pub fn load(layers: &Layers) -> Result<Self, ConfigErrors> {
        let mut settings = Settings::merge(layers)?;
        let (adjustable, live) = Adjustable::read(&mut settings);
        let auth = Auth::read(&mut settings);
        let listen = Listen::read(&mut settings, auth);
        let servers = server::read_all(&mut settings, layers);
        Ok(Self {
            agents_in: settings.origin(&["agents"]).to_string().into(),
            agents: agents::read_all(&mut settings, auth, &servers),
            aggregate: Aggregate::read(&mut settings, servers.keys()),
            servers,
            approvals: Approvals::read(&mut settings, layers),
            audit: Audit::read(&mut settings, layers),
            limits: Limits::read(&mut settings),
            sessions: Sessions::read(&mut settings),
            store: Store::read(&mut settings, layers),
            bounds: Bounds::read(&mut settings),
            log: Log::read(&mut settings, live.level),
            live,
            adjustable,
            jwt: Jwt::read(&mut settings, auth, &listen),
            certificates: listen_tls::certificates(&mut settings, auth, &listen),
            listen,
            auth,
            folder: layers.folder(),
            // Last: it fails if anything above was wrong, and calls unknown what nobody read.
            printed: settings.finish()?,
        })
    }

    /// For a gateway without servers: the fine-tuning tools, for the service that these variables describe, behind the policy that
    /// comes with them. `Err` says which variable is wrong.
    pub fn with_finetuning(mut self, variables: &[(OsString, OsString)]) -> Result<Self, String> {
        let server = Server {
            target: server::finetuning(variables)?,
            policy: PolicySource::FINETUNING,
            headers: UpstreamHeaders::default(),
            credentials: Credentials::default(),
            reach: Reach::default(),
            place: "built in".into(),
            written: serde_json::json!({ "builtin": server::FINETUNING }),
        };
        let id = server::FINETUNING.parse().map_err(|error: InvalidServerId| error.to_string())?;
        self.servers.insert(id, server);
        Ok(self)
    }

    /// The effective values with where each came from, secrets masked.
    pub fn print(&self) -> &str {
        &self.printed
    }
}

impl Listen {
    fn read(settings: &mut Settings, auth: Auth) -> Self {
        let data = settings.address("listen.data");
        let admin = settings.address("listen.admin");
        let open = match auth {
            Auth::Anonymous => exposed("listen.data", &data),
            Auth::Tokens | Auth::Jwt => None,
        };
        let admin_tls = listen_tls::admin(settings);
        // Who comes by TLS is asked who it is, by the API.
        let admin_open = exposed("listen.admin", &admin).filter(|_| admin_tls.is_none());
        for problem in open.into_iter().chain(admin_open) {
            settings.problem(problem);
        }
        let ((data, _), (admin, origin)) = (data, admin);
        if data == admin && data.port() != 0 {
            settings.problem(Problem::Unusable {
                key: "listen.admin".to_owned(),
                reason: format!("is {admin}, the same as `listen.data`"),
                origin,
            });
        }
        Self {
            data,
            admin,
            hosts: settings.read("listen.hosts", Vec::new(), "a list such as [\"gateway.internal:4480\"]", |found| {
                value::list(found, host)
            }),
            origins: settings.read(
                "listen.origins",
                Vec::new(),
                "a list such as [\"https://app.example.com\"]",
                |found| value::list(found, WebOrigin::parse),
            ),
            workers: settings.read("listen.workers", None, "a number from 0 (one per core) to 1024", |found| {
                let workers = value::count(found).filter(|&workers| workers <= 1024)?;
                Some(NonZeroUsize::new(workers))
            }),
            url: settings.read(
                "listen.url",
                None,
                "an origin such as \"https://gateway.example.com\", or \"\"",
                origin_of,
            ),
            tls: listen_tls::read(settings),
            admin_tls,
        }
    }
}

/// What other machines may reach, and nobody would have to say who they are.
fn exposed(key: &str, (address, origin): &(SocketAddr, Origin)) -> Option<Problem> {
    if address.ip().to_canonical().is_loopback() {
        return None;
    }
    Some(Problem::Unusable {
        key: key.to_owned(),
        reason: format!(
            "is {address}, which other machines may reach, and nothing authenticates them: {}",
            match key {
                "listen.data" => "give agents tokens and set `auth.mode = \"tokens\"`, or bind to 127.0.0.1",
                _ => "give it a certificate by `admin.tls`, or bind to 127.0.0.1 and put a tunnel in front",
            }
        ),
        origin: origin.clone(),
    })
}

/// Nothing for an empty text: it is made of the listener's address then.
fn origin_of(found: &value::Written) -> Option<Option<url::Origin>> {
    let text = value::text(found)?;
    if text.is_empty() {
        return Some(None);
    }
    let url: url::Url = text.parse().ok()?;
    let origin = url.origin();
    let plain = url.as_str().trim_end_matches('/') == origin.ascii_serialization();
    (plain && matches!(url.scheme(), "http" | "https")).then_some(Some(origin))
}

fn host(text: &str) -> Option<Authority> {
    let host: Authority = text.parse().ok()?;
    (!host.host().is_empty() && !text.contains('@')).then_some(host)
}

impl Auth {
    fn read(settings: &mut Settings) -> Self {
        let choices = [("anonymous", Self::Anonymous), ("tokens", Self::Tokens), ("jwt", Self::Jwt)];
        choice(settings, "auth.mode", Self::Anonymous, &choices, &[])
    }
}

impl Audit {
    fn read(settings: &mut Settings, layers: &Layers) -> Self {
        let origin = settings.origin(&["audit", "dir"]);
        let dir = settings.read("audit.dir", String::new(), "a folder, or \"\" for no journal", |found| {
            value::text(found).map(str::to_owned)
        });
        let dir = match (dir.is_empty(), layers.beside(&origin, &dir)) {
            (true, _) => None,
            (false, Ok(dir)) => Some(dir),
            (false, Err(error)) => {
                let reason = format!("cannot be made absolute: {error}");
                settings.problem(Problem::Unusable { key: "audit.dir".to_owned(), reason, origin });
                None
            }
        };
        Self {
            dir,
            node: settings.read("audit.node", String::new(), "a name of 1 to 64 characters", |found| {
                let text = value::text(found)?;
                let lawful = (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
                lawful.then(|| text.to_owned())
            }),
            sync: settings.read("audit.sync", journal::Sync::Always, "\"always\", or a duration up to 1m", |found| {
                match value::text(found) {
                    Some("always") => Some(journal::Sync::Always),
                    _ => value::span(found)
                        .filter(|span| (MILLISECOND..=60 * SECOND).contains(span))
                        .map(journal::Sync::Every),
                }
            }),
            segment: settings.bytes("audit.segment", 64 * KIB..=GIB),
            queue: settings.count("audit.queue", 1_000_000),
            patience: settings.span("audit.patience", MILLISECOND..=60 * SECOND),
            keep: keep(settings),
            index: settings.read("audit.index", true, "true or false", value::flag),
            keep_index: age(settings, "audit.keep.index"),
        }
    }
}

/// How long records are kept; for ever where nothing is said.
fn keep(settings: &mut Settings) -> journal::Keep {
    journal::Keep {
        age: age(settings, "audit.keep.age"),
        bytes: settings.read("audit.keep.bytes", None, "\"\", or a size such as \"10GiB\", from 1MiB", |found| {
            match value::text(found) {
                Some("") => Some(None),
                _ => value::bytes(found).filter(|bytes| *bytes >= MIB).map(|bytes| Some(bytes as u64)),
            }
        }),
    }
}

/// How old something may become.
fn age(settings: &mut Settings, key: &'static str) -> Option<Duration> {
    settings.read(key, None, "\"\", or a duration such as \"90d\", from 1m to 100 years", |found| {
        match value::text(found) {
            Some("") => Some(None),
            _ => value::span(found).filter(|age| (MINUTE..=36_525 * DAY).contains(age)).map(Some),
        }
    })
}

impl Limits {
    fn read(settings: &mut Settings) -> Self {
        Self {
            store: redis(settings, "limits.store").map_or(LimitStore::Memory, LimitStore::Redis),
            keys: settings.count("limits.keys", 100_000_000),
            timeout: settings.span("limits.timeout", MILLISECOND..=10 * SECOND),
            prefix: prefix(settings, "limits.prefix"),
        }
    }
}

/// None: in memory.
fn redis(settings: &mut Settings, key: &str) -> Option<redis_link::Address> {
    let expected = "\"memory\", or a URL such as \"redis://user:password@host:6379/0\" or \"rediss://host\"";
    settings.read(key, None, expected, |found| match value::text(found)? {
        "memory" => Some(None),
        url => url.parse().ok().map(Some),
    })
}

fn prefix(settings: &mut Settings, key: &str) -> redis_link::Prefix {
    let expected = "1 to 64 of `a` to `z`, `A` to `Z`, `0` to `9`, `.`, `_` and `-`";
    settings.read(key, redis_link::Prefix::default(), expected, |found| value::text(found)?.parse().ok())
}

impl Bounds {
    fn read(settings: &mut Settings) -> Self {
        Self {
            body: settings.bytes("bounds.body", KIB..=GIB),
            headers: settings.count("bounds.headers", 1_000),
            // hyper reads heads into a buffer of at least this size.
            header_bytes: settings.bytes("bounds.header_bytes", 8 * KIB..=MIB),
            connections: settings.count("bounds.connections", 1_000_000),
            connections_per_peer: settings.count("bounds.connections_per_peer", 1_000_000),
            header_timeout: settings.span("bounds.header_timeout", MILLISECOND..=HOUR),
            body_timeout: settings.span("bounds.body_timeout", MILLISECOND..=HOUR),
            write_timeout: settings.span("bounds.write_timeout", MILLISECOND..=HOUR),
            connect_timeout: settings.span("bounds.connect_timeout", MILLISECOND..=HOUR),
            call_timeout: settings.span("bounds.call_timeout", MILLISECOND..=DAY),
            idle_timeout: settings.span("bounds.idle_timeout", MILLISECOND..=DAY),
            input_timeout: settings.span("bounds.input_timeout", MILLISECOND..=DAY),
            response: settings.bytes("bounds.response", KIB..=GIB),
            event: settings.bytes("bounds.event", KIB..=GIB),
            sessions: settings.count("bounds.sessions", 100_000_000),
            session_idle: settings.span("bounds.session_idle", SECOND..=30 * DAY),
            in_flight_per_session: settings.count("bounds.in_flight_per_session", 1_000_000),
            drain: settings.span("bounds.drain", Duration::ZERO..=HOUR),
            keepalive: settings.span("bounds.keepalive", SECOND..=HOUR),
        }
    }
}

impl Log {
    fn read(settings: &mut Settings, level: tracing::Level) -> Self {
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        Self { format: choice(settings, "log.format", LogFormat::Text, &formats, &[]), level }
    }
}

/// One of a few words. Those that start with one of `later` are known, and refused for now.
fn choice<T: Copy>(settings: &mut Settings, key: &str, placeholder: T, choices: &[(&str, T)], later: &[&str]) -> T {
    let path: Vec<&str> = key.split('.').collect();
    let origin = settings.origin(&path);
    let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let mut refused = None;
    let chosen = settings.read(key, placeholder, &names.join(" or "), |found| {
        let text = value::text(found)?;
        refused = later.iter().find(|later| text.starts_with(**later));
        let chosen = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        chosen.or(refused.map(|_| placeholder))
    });
    if let Some(word) = refused {
        let written = format!("{key} = \"{word}\"");
        settings.problem(Problem::NotYet { written, origin });
    }
    chosen
}

#[cfg(test)]
mod agents_tests;
#[cfg(test)]
mod notify_tests;
#[cfg(test)]
mod tests;
