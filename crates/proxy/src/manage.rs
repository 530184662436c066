//! `toolgate agents|servers|credentials|policies|settings|admins`, and what `approvals` shares with them: says to a running gateway what was asked, and shows the answer.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use console::client::{self, Client, ClientError, NewAgent, NewCredential, Told};
use gateway::config::{Config, ConfigFile, Layers};
use serde_json::{Value, json};

use crate::cli::Format;
use crate::cli::manage::{
    AddAgent, Admins, AdminsCommand, Agents, AgentsCommand, AgentsCommandOfGateway, At, CredentialKind, Credentials,
    CredentialsCommand, Policies, PoliciesCommand, Role, Servers, ServersCommand, SetCredential, Settings,
    SettingsCommand,
};
use crate::exit;

/// Bytes of a document that is read from a file or stdin.
const MAX_DOCUMENT: u64 = 1 << 20;

pub(crate) fn agents(args: &Agents) -> anyhow::Result<ExitCode> {
    let command = match &args.command {
        AgentsCommand::NewToken(new) => return crate::agents::new_token(new, args.at.format),
        AgentsCommand::Running(command) => command,
    };
    run(&args.at, async |client| match command {
        AgentsCommandOfGateway::Add(add) => client.add_agent(&new_agent(add)).await,
        AgentsCommandOfGateway::List => client.agents().await,
        AgentsCommandOfGateway::Show { id } => client.agent(id).await,
        AgentsCommandOfGateway::Rotate { id, token, overlap, expires_in } => {
            client.rotate(id, token.as_deref(), overlap, expires_in.as_deref()).await
        }
        AgentsCommandOfGateway::Revoke { id, token } => client.revoke(id, token.as_deref()).await,
        AgentsCommandOfGateway::Remove { id } => client.remove_agent(id).await,
    })
}

fn new_agent(add: &AddAgent) -> NewAgent {
    NewAgent {
        id: add.id.clone(),
        labels: add.label.iter().cloned().collect(),
        servers: (!add.all_servers).then(|| add.server.iter().cloned().collect()),
        policies: add.policy.iter().cloned().collect(),
        expires_in: add.expires_in.clone(),
    }
}

pub(crate) fn servers(args: &Servers) -> anyhow::Result<ExitCode> {
    let document = match &args.command {
        ServersCommand::Add { server_url: Some(url), .. } => json!({ "url": url }),
        ServersCommand::Add { document: Some(document), .. } => {
            let text = if document == "-" { text(Path::new("-"))? } else { document.clone() };
            serde_json::from_str(&text).context("--document is not JSON")?
        }
        ServersCommand::Add { .. }
        | ServersCommand::List
        | ServersCommand::Show { .. }
        | ServersCommand::Remove { .. } => Value::Null,
    };
    run(&args.at, async |client| match &args.command {
        ServersCommand::List => client.servers().await,
        ServersCommand::Show { id } => client.server(id).await,
        ServersCommand::Add { id, policy, .. } => client.add_server(id, &document, policy.as_deref()).await,
        ServersCommand::Remove { id } => client.remove_server(id).await,
    })
}

pub(crate) fn credentials(args: &Credentials) -> anyhow::Result<ExitCode> {
    let new = match &args.command {
        CredentialsCommand::Set(set) => Some(new_credential(set)?),
        CredentialsCommand::List | CredentialsCommand::Remove { .. } => None,
    };
    run(&args.at, async |client| match (&args.command, &new) {
        (CredentialsCommand::Set(_), Some(new)) => client.set_credential(new).await,
        (CredentialsCommand::Remove { id }, _) => client.remove_credential(id).await,
        (CredentialsCommand::List, _) | (CredentialsCommand::Set(_), None) => client.credentials().await,
    })
}

pub(crate) fn settings(args: &Settings) -> anyhow::Result<ExitCode> {
    run(&args.at, async |client| match &args.command {
        SettingsCommand::List => client.settings().await,
        SettingsCommand::Set { key, value } => client.set_setting(key, &written(value)).await,
        SettingsCommand::Unset { key } => client.unset_setting(key).await,
    })
}

/// A number where it is one, and otherwise a text.
fn written(value: &str) -> Value {
    let value = value.trim();
    value.parse::<i64>().map_or_else(|_| value.into(), Value::from)
}

fn new_credential(set: &SetCredential) -> anyhow::Result<NewCredential> {
    let text = text(&set.file)?;
    let (kind, value) = match (&set.header, set.kind) {
        (Some(name), _) => ("headers", json!({ name.as_str(): text.trim_end_matches(['\r', '\n']) })),
        // What serde says may quote what it read.
        (None, kind) => {
            let value = serde_json::from_str(&text).map_err(|_| anyhow::anyhow!("what was read is not JSON"))?;
            (if matches!(kind, Some(CredentialKind::Oauth)) { "oauth" } else { "headers" }, value)
        }
    };
    let id = set.id.clone().unwrap_or_else(|| set.server.clone());
    Ok(NewCredential { id, server: set.server.clone(), agent: set.agent.clone(), kind: kind.to_owned(), value })
}

pub(crate) fn policies(args: &Policies) -> anyhow::Result<ExitCode> {
    let (document, with) = match &args.command {
        PoliciesCommand::Put { file, catalogue, .. } => (text(file)?, catalogue.as_deref().map(text).transpose()?),
        PoliciesCommand::List
        | PoliciesCommand::Show { .. }
        | PoliciesCommand::Activate { .. }
        | PoliciesCommand::Diff { .. }
        | PoliciesCommand::Remove { .. } => (String::new(), None),
    };
    run(&args.at, async |client| match &args.command {
        PoliciesCommand::List => client.policies().await,
        PoliciesCommand::Show { name, number } => client.policy(name, *number).await,
        PoliciesCommand::Put { name, note, .. } => client.put_policy(name, &document, with.as_deref(), note).await,
        PoliciesCommand::Activate { name, number } => client.activate(name, *number).await,
        PoliciesCommand::Diff { name, from, to } => client.diff_policy(name, *from, *to).await,
        PoliciesCommand::Remove { name } => client.remove_policy(name).await,
    })
}

pub(crate) fn admins(args: &Admins) -> anyhow::Result<ExitCode> {
    if let AdminsCommand::Login { link } = &args.command {
        return login(&args.at, link);
    }
    run(&args.at, async |client| match &args.command {
        AdminsCommand::List | AdminsCommand::Login { .. } => client.admins().await,
        AdminsCommand::Add { name, role, group, token } => client.add_admin(name, (*role).into(), group, *token).await,
        AdminsCommand::Set { name, role, group, no_groups, enabled } => {
            let groups = (*no_groups || !group.is_empty()).then_some(group.as_slice());
            client.set_admin(name, role.map(Into::into), groups, *enabled).await
        }
        AdminsCommand::Link { name } => client.let_in(name, false).await,
        AdminsCommand::Remove { name } => client.remove_admin(name).await,
    })
}

/// The token alone goes to stdout, to be kept in a file; what it is goes to stderr.
fn login(at: &At, link: &str) -> anyhow::Result<ExitCode> {
    match runtime()?.block_on(client::login(link, "toolgate admins login")) {
        Ok((name, token)) => {
            let mut out = io::stdout().lock();
            let wrote = match at.format {
                Format::Human => {
                    eprintln!("signed in as `{name}`; keep this token as TOOLGATE_ADMIN_TOKEN, it is not shown again:");
                    writeln!(out, "{token}")
                }
                Format::Json => writeln!(out, "{}", json!({ "name": name, "token": token })),
            };
            wrote.context("cannot write to stdout")?;
            Ok(exit::OK.into())
        }
        Err(error) => Ok(complain(error)),
    }
}

impl From<Role> for console::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Approver => Self::Approver,
            Role::PolicyManager => Self::PolicyManager,
            Role::Admin => Self::Admin,
        }
    }
}

pub(crate) fn run(at: &At, ask: impl AsyncFnOnce(&Client) -> Result<Told, ClientError>) -> anyhow::Result<ExitCode> {
    let Some(client) = client(at)? else { return Ok(exit::USAGE.into()) };
    match runtime()?.block_on(ask(&client)) {
        Ok(told) => {
            let shown = match at.format {
                Format::Human => told.text(),
                Format::Json => told.json_text() + "\n",
            };
            if matches!(at.format, Format::Human) && !told.aside().is_empty() {
                eprintln!("{}", told.aside());
            }
            io::stdout().write_all(shown.as_bytes()).context("cannot write to stdout")?;
            Ok(exit::OK.into())
        }
        Err(error) => Ok(complain(error)),
    }
}

/// None, and it is said why, where the arguments make no sense.
pub(crate) fn client(at: &At) -> anyhow::Result<Option<Client>> {
    // One of them is not what was meant, and which one is not for us to guess. A file that an argument names is.
    let by_variable = std::env::var_os("TOOLGATE_ADMIN_TOKEN_FILE").filter(|file| !file.is_empty());
    if std::env::var_os("TOOLGATE_ADMIN_TOKEN").is_some()
        && by_variable.is_some_and(|file| at.token_file.as_deref() == Some(Path::new(&file)))
    {
        eprintln!("error: TOOLGATE_ADMIN_TOKEN and TOOLGATE_ADMIN_TOKEN_FILE are both set: unset one of them");
        return Ok(None);
    }
    let Some(token) = token(at)? else {
        eprintln!(
            "error: no admin's token: set TOOLGATE_ADMIN_TOKEN, or name a file by --token-file; `toolgate admins login LINK` makes the first one"
        );
        return Ok(None);
    };
    let made = Client::new(&url(at)?, token.trim());
    Ok(made.inspect_err(|error| eprintln!("error: {error}")).ok())
}

pub(crate) fn complain(error: ClientError) -> ExitCode {
    let refused = error.is_refusal();
    eprintln!("error: {:#}", anyhow::Error::from(error));
    if refused { exit::FINDINGS.into() } else { exit::RUNTIME.into() }
}

pub(crate) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Never an argument: others can read those.
fn token(at: &At) -> anyhow::Result<Option<String>> {
    match (std::env::var("TOOLGATE_ADMIN_TOKEN"), &at.token_file) {
        (_, Some(file)) => text(file).map(Some),
        (Ok(token), None) => Ok(Some(token)),
        (Err(std::env::VarError::NotPresent), None) => Ok(None),
        (Err(error @ std::env::VarError::NotUnicode(_)), None) => {
            Err(error).context("TOOLGATE_ADMIN_TOKEN cannot be read")
        }
    }
}

fn url(at: &At) -> anyhow::Result<String> {
    if let Some(url) = &at.url {
        return Ok(url.clone());
    }
    let file = match &at.config {
        Some(path) => ConfigFile::Required(path.clone()),
        None => ConfigFile::IfPresent("toolgate.toml".into()),
    };
    let layers = Layers { file, env: std::env::vars_os().collect(), flags: Vec::new() };
    let config = Config::load(&layers).context("the configuration cannot be read: say --url")?;
    anyhow::ensure!(config.listen.admin.port() != 0, "`listen.admin` has no fixed port: say --url");
    let scheme = if config.listen.admin_tls.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{}", config.listen.admin))
}

fn text(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().take(MAX_DOCUMENT + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_DOCUMENT + 1).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read `{}`", path.display()))?;
    let fits = u64::try_from(text.len()).is_ok_and(|size| size <= MAX_DOCUMENT);
    anyhow::ensure!(fits, "`{}` is larger than {MAX_DOCUMENT} bytes, which is all that the API takes", path.display());
    Ok(text)
}
