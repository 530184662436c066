//! The commands that manage a running gateway.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Format, setting};

pub(super) const TOKEN: &str = "The admin's token is read from TOOLGATE_ADMIN_TOKEN, or from the file that TOOLGATE_ADMIN_TOKEN_FILE or --token-file names. \
                     It is sent over https, or to this machine. `toolgate admins login LINK` makes the first one.";

/// Which gateway, and who asks
#[derive(Args)]
pub(crate) struct At {
    /// The admin listener of the gateway; what the configuration says, when absent
    #[arg(long, value_name = "URL", env = "TOOLGATE_ADMIN_URL", hide_env_values = true, global = true)]
    pub(crate) url: Option<String>,
    /// The configuration to find the address in; `toolgate.toml` in the working directory, if there is one, when absent
    #[arg(short, long, value_name = "FILE", env = "TOOLGATE_CONFIG", hide_env_values = true, global = true)]
    pub(crate) config: Option<PathBuf>,
    /// A file that holds the admin's token
    #[arg(long, value_name = "FILE", env = "TOOLGATE_ADMIN_TOKEN_FILE", hide_env_values = true, global = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Human, global = true)]
    pub(crate) format: Format,
}

#[derive(Args)]
#[command(after_help = TOKEN)]
pub(crate) struct Agents {
    #[command(flatten)]
    pub(crate) at: At,
    #[command(subcommand)]
    pub(crate) command: AgentsCommand,
}

#[derive(Subcommand)]
pub(crate) enum AgentsCommand {
    /// Make a token, and show it once, with what toolgate.toml says of it; needs no running gateway
    NewToken(super::NewToken),
    #[command(flatten)]
    Running(AgentsCommandOfGateway),
}

/// What only a running gateway can do.
#[derive(Subcommand)]
pub(crate) enum AgentsCommandOfGateway {
    /// Make an agent, and give it a token
    Add(AddAgent),
    /// Show all agents
    List,
    /// Show an agent and its tokens
    Show { id: String },
    /// Give an agent a new token for an old one, which is good for a while longer
    Rotate {
        id: String,
        /// The id of the token; the only good one, when absent
        #[arg(long, value_name = "TOKEN_ID")]
        token: Option<String>,
        /// How long the old token is still good
        #[arg(long, value_name = "SPAN", default_value = "1h")]
        overlap: String,
        /// How long the new token is good, such as 90d, or `never` for ever; as long as the old one was at first, when absent
        #[arg(long, value_name = "SPAN")]
        expires_in: Option<String>,
    },
    /// Revoke a token, or all of an agent's: it works no longer from the next request on
    Revoke {
        id: String,
        /// The id of the token; all of them, when absent
        #[arg(long, value_name = "TOKEN_ID")]
        token: Option<String>,
    },
    /// Remove an agent and all its tokens
    Remove { id: String },
}

#[derive(Args)]
pub(crate) struct AddAgent {
    pub(crate) id: String,
    /// A label, which policies read as `agent.labels.KEY`; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) label: Vec<(String, String)>,
    /// A server that it may use; may be given several times
    #[arg(long, value_name = "ID", required_unless_present = "all_servers", conflicts_with = "all_servers")]
    pub(crate) server: Vec<String>,
    /// It may use all servers, also those that are yet to come
    #[arg(long)]
    pub(crate) all_servers: bool,
    /// A policy in place of the server's own; may be given several times
    #[arg(long, value_name = "SERVER=POLICY", value_parser = setting)]
    pub(crate) policy: Vec<(String, String)>,
    /// How long its token is good, such as 90d; for ever, when absent
    #[arg(long, value_name = "SPAN")]
    pub(crate) expires_in: Option<String>,
}

#[derive(Args)]
#[command(after_help = TOKEN)]
pub(crate) struct Servers {
    #[command(flatten)]
    pub(crate) at: At,
    #[command(subcommand)]
    pub(crate) command: ServersCommand,
}

#[derive(Subcommand)]
pub(crate) enum ServersCommand {
    /// Show all servers
    List,
    /// Show a server and how it is doing
    Show { id: String },
    /// Make a server
    Add {
        id: String,
        /// Where it is
        #[arg(value_name = "URL", required_unless_present = "document")]
        server_url: Option<String>,
        /// What `[servers.ID]` can say, as JSON, but for its policy; `-` reads stdin
        #[arg(long, value_name = "JSON", conflicts_with = "server_url")]
        document: Option<String>,
        /// The name of its policy; every call is denied, when absent
        #[arg(long, value_name = "NAME")]
        policy: Option<String>,
    },
    /// Remove a server
    Remove { id: String },
}

#[derive(Args)]
#[command(after_help = TOKEN)]
pub(crate) struct Credentials {
    #[command(flatten)]
    pub(crate) at: At,
    #[command(subcommand)]
    pub(crate) command: CredentialsCommand,
}

#[derive(Subcommand)]
pub(crate) enum CredentialsCommand {
    /// Show all credentials, without what makes them that
    List,
    /// Make a credential, or put it in the place of the one of that id. The secret is read from a file or stdin, never from an argument
    Set(SetCredential),
    /// Remove a credential
    Remove { id: String },
}

#[derive(Args)]
pub(crate) struct SetCredential {
    /// The server that is shown it
    pub(crate) server: String,
    /// The agent whose calls carry it; all who have none of their own, when absent
    #[arg(long, value_name = "AGENT", requires = "id")]
    pub(crate) agent: Option<String>,
    /// What it is called: letters, digits, `.`, `_` and `-`. The server's id when absent; what is for one agent needs another
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// The file is the value of this one header
    #[arg(long, value_name = "NAME", conflicts_with = "kind")]
    pub(crate) header: Option<String>,
    /// The file is JSON: the keys of `[servers.ID.headers]`, or of `[servers.ID.oauth]`
    #[arg(long, value_enum, required_unless_present = "header")]
    pub(crate) kind: Option<CredentialKind>,
    /// Where the secret is; stdin, when absent
    #[arg(long, value_name = "FILE", default_value = "-", hide_default_value = true)]
    pub(crate) file: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum CredentialKind {
    Headers,
    Oauth,
}

#[derive(Args)]
#[command(after_help = TOKEN)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) at: At,
    #[command(subcommand)]
    pub(crate) command: SettingsCommand,
}

#[derive(Subcommand)]
pub(crate) enum SettingsCommand {
    /// Show all settings that may change while the gateway runs, and who says what they are
    List,
    /// Change a setting, on all nodes, until it is unset
    Set {
        /// As in toolgate.toml, such as log.level
        key: String,
        /// As it is written there; a text needs no quotation marks
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Take back what was set: the setting is again what a file says, or its default
    Unset { key: String },
}

#[derive(Args)]
#[command(after_help = TOKEN)]
pub(crate) struct Policies {
    #[command(flatten)]
    pub(crate) at: At,
    #[command(subcommand)]
    pub(crate) command: PoliciesCommand,
}

#[derive(Subcommand)]
pub(crate) enum PoliciesCommand {
    /// Show all policies
    List,
    /// Show a policy and its versions, or the text of one version
    Show {
        name: String,
        /// Show the text of this version
        #[arg(long = "number", value_name = "NUMBER")]
        number: Option<i64>,
    },
    /// Make a policy, or give it a new version, which judges calls at once
    Put {
        name: String,
        /// The policy; `-` reads stdin
        file: PathBuf,
        /// The catalogue that it is read with
        #[arg(long, value_name = "FILE")]
        catalogue: Option<PathBuf>,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        note: String,
    },
    /// Have another version judge calls, be it newer or older
    Activate { name: String, number: i64 },
    /// Say what changes from one version to another
    Diff { name: String, from: i64, to: i64 },
    /// Remove a policy that nothing is judged by
    Remove { name: String },
}

#[derive(Args)]
#[command(after_help = TOKEN)]
pub(crate) struct Admins {
    #[command(flatten)]
    pub(crate) at: At,
    #[command(subcommand)]
    pub(crate) command: AdminsCommand,
}

#[derive(Subcommand)]
pub(crate) enum AdminsCommand {
    /// Show all admins
    List,
    /// Make an admin, and show a link that lets them in once
    Add {
        name: String,
        /// What they may do
        #[arg(long, value_enum)]
        role: Role,
        /// A group, which rules that say who approves may name; may be given several times
        #[arg(long, value_name = "NAME")]
        group: Vec<String>,
        /// Show a token for programs instead of a link
        #[arg(long)]
        token: bool,
    },
    /// Change what an admin may do; what is not said stays as it is
    Set {
        name: String,
        #[arg(long, value_enum)]
        role: Option<Role>,
        /// The groups, all of them; may be given several times
        #[arg(long, value_name = "NAME")]
        group: Vec<String>,
        /// No groups
        #[arg(long, conflicts_with = "group")]
        no_groups: bool,
        /// Whether they are let in
        #[arg(long, value_name = "BOOL")]
        enabled: Option<bool>,
    },
    /// Show a link that lets an admin in once
    Link { name: String },
    /// Remove an admin, with all tokens and sessions
    Remove { name: String },
    /// Use a one-time link, such as the gateway prints when it starts for the first time: shows a token for these commands
    Login {
        /// As it was printed
        link: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    Viewer,
    Approver,
    #[value(name = "policy_manager")]
    PolicyManager,
    Admin,
}
