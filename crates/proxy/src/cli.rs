//! What can be written on the command line. The texts here are what `--help` shows.

pub(crate) mod approvals;
pub(crate) mod manage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A policy gateway for the Model Context Protocol: no call reaches a server unless a rule allows it.
#[derive(Parser)]
#[command(name = "toolgate", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the gateway (the default command)
    Serve(Serve),
    /// Connect a client that speaks over stdin and stdout to a gateway that runs elsewhere
    Bridge(Bridge),
    /// Guard one local server: a client on stdin and stdout, a policy, and the server as a command
    Wrap(Wrap),
    /// Say everything that is wrong with policy files; exit code 1 if anything is
    Check(Check),
    /// Say why a policy decides a call as it does: every step, rule and value
    Explain(Explain),
    /// Compare two policies by what they mean: which calls change, each with an example
    Diff(Diff),
    /// Put policy files and catalogues into the one layout; comments stay
    Fmt(Fmt),
    /// Show the JSON Schema of policies, for editors
    Schema(Schema),
    /// Run the Azure OpenAI fine-tuning tools alone, as an MCP server without a policy
    Finetuning(Finetuning),
    /// Run a small Azure OpenAI fine-tuning service for tests and demos, on the loopback interface
    Emulator(Emulator),
    /// Play the cases beside policies; exit code 1 if one goes another way than expected
    Test(Test),
    /// Verify, read and export the journal of decisions
    Audit(Audit),
    /// Manage who may call: agents and their tokens
    Agents(manage::Agents),
    /// Manage what may be called: servers
    Servers(manage::Servers),
    /// Manage policies and their versions
    Policies(manage::Policies),
    /// Manage settings that may change while the gateway runs
    Settings(manage::Settings),
    /// Manage who manages the gateway
    Admins(manage::Admins),
    /// Manage what the gateway shows to servers: their credentials
    Credentials(manage::Credentials),
    /// Make the key that secrets in the store are sealed by, and seal them anew when it is replaced
    Store(StoreArgs),
    /// Decide about calls that wait for it: show, approve, deny, allow more like them
    Approvals(approvals::Approvals),
    /// Say what a new policy would have done with recorded calls
    Simulate(Simulate),
    /// Move everything that the API manages to another store, such as from SQLite to PostgreSQL; stop the gateways first
    Migrate(Migrate),
    /// Put the gateway into the configuration of an MCP client, with a look at what changes, a backup and a way back
    Connect(Connect),
}

#[derive(Args)]
pub(crate) struct Serve {
    /// The configuration; `toolgate.toml` in the working directory, if there is one, when absent
    #[arg(short, long, value_name = "FILE", env = "TOOLGATE_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// Override one setting, such as `listen.data=127.0.0.1:0`; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(String, String)>,
    /// Show the effective settings with where each came from, secrets masked, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Short for `--set log.format=…`
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"])]
    pub(crate) log_format: Option<String>,
    /// Short for `--set log.level=…`
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub(crate) log_level: Option<String>,
}

#[derive(Args)]
#[command(
    after_help = "The token that the gateway wants, if it wants one, is read from a variable. It is sent over https, or to \
                  this machine. Log lines go to stderr."
)]
pub(crate) struct Bridge {
    /// The server's address at the gateway, such as http://127.0.0.1:4480/mcp/github
    pub(crate) url: String,
    /// The variable that holds the token, if the gateway wants to see one
    #[arg(long, value_name = "VARIABLE", default_value = "TOOLGATE_TOKEN")]
    pub(crate) token_env: String,
    /// Trust these certificates (PEM) as well
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Args)]
#[command(
    after_help = "The command sees PATH, HOME and a few more harmless variables, and what --env and --inherit give it. The policy is watched: \
                  a change is in force at once. Log lines go to stderr."
)]
pub(crate) struct Wrap {
    /// The policy
    #[arg(short, long, value_name = "FILE")]
    pub(crate) policy: String,
    /// The server's id, for rules and log lines
    #[arg(long, value_name = "ID", default_value = "server")]
    pub(crate) name: String,
    /// A variable for the command; may be given several times. Others can read arguments: use --inherit for secrets
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) env: Vec<(String, String)>,
    /// A variable of this program's that the command may see; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) inherit: Vec<String>,
    /// Where the command runs; here, when absent
    #[arg(long, value_name = "FOLDER")]
    pub(crate) cwd: Option<String>,
    /// The server's program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Check {
    /// Policy files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = CheckFormat::Human)]
    pub(crate) format: CheckFormat,
    /// Fail on these as well
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) deny: Vec<Deny>,
    /// What the server answers to `tools/list`, to hold names and arguments against; `tools.json` beside the policy, if it
    /// is there, when absent
    #[arg(long, value_name = "FILE")]
    pub(crate) tools: Option<PathBuf>,
    /// Show the policies in the language's own form, with other dialects and short forms written out
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Args)]
#[command(
    after_help = "Exit code 0 for a call that is permitted, 1 for one that is refused. Limits are named, not counted."
)]
pub(crate) struct Explain {
    /// The policy; `catalog.json` beside it is read as well
    #[arg(value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    /// The tool that is called
    #[arg(required_unless_present = "call")]
    pub(crate) name: Option<String>,
    /// The arguments, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) arguments: Option<String>,
    /// The whole call as JSON, its parameters or a JSON-RPC request; `-` reads stdin
    #[arg(long, value_name = "JSON", conflicts_with_all = ["name", "arguments", "resource", "prompt"])]
    pub(crate) call: Option<String>,
    /// The name is a resource's URI
    #[arg(long, conflicts_with = "prompt")]
    pub(crate) resource: bool,
    /// The name is a prompt's
    #[arg(long)]
    pub(crate) prompt: bool,
    /// Who calls; nobody known, when absent
    #[arg(long, value_name = "ID")]
    pub(crate) agent: Option<String>,
    /// A label of the agent; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) label: Vec<(String, String)>,
    /// The server's id
    #[arg(long, value_name = "ID", default_value = "server")]
    pub(crate) server: String,
    /// When, such as 2026-11-23T09:30:00Z; now, when absent
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339_weak)]
    pub(crate) at: Option<SystemTime>,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args)]
#[command(after_help = "The service is what AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY (or an Entra identity), \
                        AZURE_OPENAI_API_VERSION and SWAGGER_PATH describe.")]
#[group(required = true, multiple = false)]
pub(crate) struct Finetuning {
    /// Speak MCP on stdin and stdout
    #[arg(long)]
    pub(crate) stdio: bool,
    /// Speak MCP over HTTP at /mcp of this address, which must be a loopback one
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    pub(crate) http: Option<SocketAddr>,
}

#[derive(Args)]
pub(crate) struct Migrate {
    /// The store to read: `sqlite:PATH` or `postgres://…`
    #[arg(long, value_name = "URL", env = "TOOLGATE_MIGRATE_FROM", hide_env_values = true)]
    pub(crate) from: String,
    /// The store to write, which must be empty; the same forms, and an SQLite file is made
    #[arg(long, value_name = "URL", env = "TOOLGATE_MIGRATE_TO", hide_env_values = true)]
    pub(crate) to: String,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args)]
pub(crate) struct Emulator {
    /// The port on 127.0.0.1; 0 picks one
    #[arg(long, default_value_t = 4010)]
    pub(crate) port: u16,
    /// Seconds that pass in the service for each real one
    #[arg(long, default_value_t = 60.0, value_parser = speed)]
    pub(crate) speed: f64,
    /// What is there at the start
    #[arg(long, value_enum, default_value_t = Seed::Demo)]
    pub(crate) seed: Seed,
    /// The API key it wants to see
    #[arg(long, default_value = "emulator-key", env = "AZURE_EMULATOR_KEY", hide_env_values = true)]
    pub(crate) key: String,
    /// Keep the contents of files in this folder instead of in memory
    #[arg(long, value_name = "FOLDER")]
    pub(crate) directory: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Seed {
    /// Five jobs in different states, files, checkpoints, a deployment
    Demo,
    Empty,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
}

#[derive(Args)]
#[command(
    after_help = "Every example is a call that both policies were asked about. Where a difference cannot be decided, `unknown` says so."
)]
pub(crate) struct Diff {
    /// The policy as it was; `catalog.json` beside it is read as well
    pub(crate) old: PathBuf,
    /// The policy as it is to be
    pub(crate) new: PathBuf,
    /// Exit with code 1 if the new policy lets anything through that the old one did not, or that cannot be ruled out
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) fail_on: Option<Gate>,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Gate {
    Widen,
    /// Anything that changes, or may
    Change,
}

#[derive(Args)]
pub(crate) struct Fmt {
    /// Files; `-` reads stdin and writes stdout
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Change nothing; exit with code 1 if anything would change
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Args)]
pub(crate) struct Schema {
    /// The schema of catalogues instead
    #[arg(long)]
    pub(crate) catalog: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum CheckFormat {
    Human,
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Deny {
    Warnings,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "expected an address such as 127.0.0.1:4020".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("other machines could reach it, and nothing authenticates them: put `toolgate serve` in front".to_owned())
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if speed.is_finite() && (0.0..=1_000_000.0).contains(&speed) {
        Ok(speed)
    } else {
        Err("expected 0 to 1000000".to_owned())
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("expected KEY=VALUE".to_owned()),
    }
}

#[derive(Args)]
#[command(after_help = CASES)]
pub(crate) struct Test {
    /// Policies, or folders to look through for policies with cases; `policies` when absent, or else the working directory
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// For people, for programs, or for build servers
    #[arg(long, value_enum, default_value_t = TestFormat::Human)]
    pub(crate) format: TestFormat,
    /// Fail as well where the cases meet less than this share of a policy's rules, predicates and limits
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
    pub(crate) fail_under: Option<u8>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum TestFormat {
    Human,
    Json,
    Junit,
}

const CASES: &str = r#"A `cases.json` (or `cases.yaml`) beside a policy has calls in order, and what is expected of each:

  [{ "tool": "get_issue", "arguments": { "id": 7 }, "agent": "alice", "times": 10, "expect": { "outcome": "permit" } },
   { "tool": "get_issue", "agent": "alice", "after": "20s",
     "expect": { "code": "limited", "rule": "/tools/get_issue/rate_limit", "retry_after": "40s" } }]

A case names one of `tool`, `resource`, `prompt`. It may have `name`, `arguments`, `agent`, `labels`, `session`, `server`, `times`,
and `at` (a time such as 2026-11-23T09:00:00Z, or one since the start) or `after` (the case above): the clock stands still otherwise.
`expect` has at least one of `outcome` (permit, deny, approve, hide), `code`, `rule`, `reason`, `owed`, `retry_after`, `remaining`,
`shadow` (a code), `approval` (`approvers`, `quorum`)."#;

#[derive(Args)]
#[command(after_help = RECORDS)]
pub(crate) struct Simulate {
    /// The new policy
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,
    /// The recorded calls, one JSON object a line; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) against: PathBuf,
    /// Hold the new policy against this one, not against what was recorded
    #[arg(long, value_name = "POLICY")]
    pub(crate) old: Option<PathBuf>,
    /// Look at the calls of this server only
    #[arg(long, value_name = "ID")]
    pub(crate) server: Option<String>,
    /// Look at calls from this time on, such as 2026-11-23T09:00:00Z; those before only fill the counts of limits
    #[arg(long, value_name = "TIME", value_parser = gateway::replay::time)]
    pub(crate) since: Option<std::time::SystemTime>,
    /// Exit with code 1 if any call changes, comes further, no longer comes as far, or is unknown; may be a list
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    pub(crate) fail_on: Vec<FailOn>,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args)]
#[command(
    after_help = "The token goes to the agent, who shows it as `Authorization: Bearer TOKEN`. The configuration holds its hash only: a \
                        token that is lost is replaced, and cannot be shown again."
)]
pub(crate) struct NewToken {
    /// The agent's id
    #[arg(value_name = "AGENT")]
    pub(crate) agent: gateway::config::AgentId,
    /// What people call this token, such as where it is used
    #[arg(long, default_value = "token")]
    pub(crate) label: String,
    /// How long it is good, such as 90d; for ever, when absent
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    pub(crate) expires: Option<std::time::Duration>,
}

#[derive(Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Find the first record that was changed, cut, swapped or dropped; exit code 1 if there is one
    Verify(AuditVerify),
    /// Write records to stdout
    Export(AuditExport),
    /// Show the last records
    Tail(AuditTail),
    /// Ask the store for records, of all gateways that share it
    Query(AuditQuery),
    /// Read the journal into the store once more
    Index(AuditIndex),
}

#[derive(Args)]
pub(crate) struct AuditQuery {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) filter: AuditFilter,
    /// Records of this kind; decisions, when absent
    #[arg(long, default_value = "decision", value_name = "KIND")]
    pub(crate) kind: String,
    /// At most so many, the newest
    #[arg(short = 'n', long, default_value_t = 50)]
    pub(crate) limit: usize,
    /// For people, for programs (a line each), or a table for a spreadsheet
    #[arg(long, value_enum, default_value_t = QueryFormat::Table)]
    pub(crate) format: QueryFormat,
}

#[derive(Args)]
pub(crate) struct AuditIndex {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Forget what the store has of this journal, and read in all of it. If that is cut short, do it again
    #[arg(long, required = true)]
    pub(crate) rebuild: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum QueryFormat {
    Table,
    Json,
    Csv,
}

#[derive(Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    pub(crate) command: StoreCommand,
}

#[derive(Subcommand)]
pub(crate) enum StoreCommand {
    /// Show a new key, for the file or the variable that `store.key` names
    NewKey,
    /// Seal what older keys of `store.key` sealed by the first one; exit code 1 if something cannot be opened
    Reseal(Reseal),
}

#[derive(Args)]
pub(crate) struct Reseal {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// Where the settings are
#[derive(Args)]
pub(crate) struct ConfigArgs {
    /// The configuration; `toolgate.toml` in the working directory, if there is one, when absent
    #[arg(short, long, value_name = "FILE", env = "TOOLGATE_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// Override one setting, such as `store.url=sqlite:data/toolgate.db`; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(String, String)>,
}

#[derive(Args)]
pub(crate) struct AuditVerify {
    /// The folder of the journal, which is `audit.dir` of the configuration
    #[arg(default_value = "data/audit")]
    pub(crate) dir: PathBuf,
    /// The public key that must have signed every checkpoint, in base64, or a file with it; without it, a journal that was
    /// written anew as a whole passes
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args)]
pub(crate) struct AuditExport {
    /// The folder of the journal
    #[arg(default_value = "data/audit")]
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) filter: AuditFilter,
    /// Lines as they were written, or a table
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    pub(crate) format: ExportFormat,
}

#[derive(Args)]
pub(crate) struct AuditTail {
    /// The folder of the journal
    #[arg(default_value = "data/audit")]
    pub(crate) dir: PathBuf,
    /// Go on as records come
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many
    #[arg(short = 'n', long, default_value_t = 20)]
    pub(crate) lines: usize,
    #[command(flatten)]
    pub(crate) filter: AuditFilter,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// Only records that meet all of these
#[derive(Args)]
pub(crate) struct AuditFilter {
    /// Of this agent
    #[arg(long, value_name = "ID")]
    pub(crate) agent: Option<String>,
    /// To this server
    #[arg(long, value_name = "ID")]
    pub(crate) server: Option<String>,
    /// About this tool, prompt or resource
    #[arg(long, value_name = "NAME")]
    pub(crate) subject: Option<String>,
    /// That ended so: allowed, denied, refused
    #[arg(long, value_name = "OUTCOME")]
    pub(crate) outcome: Option<String>,
    /// With this code, such as limited
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// From this time on, such as 2026-11-23T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = gateway::replay::time)]
    pub(crate) since: Option<SystemTime>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = gateway::replay::time)]
    pub(crate) until: Option<SystemTime>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ExportFormat {
    Jsonl,
    Csv,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum FailOn {
    Change,
    Widen,
    Narrow,
    Unknown,
}

const RECORDS: &str = r#"A record is one line, such as

  {"time": "2026-11-23T09:00:00Z", "server": "github", "agent": "alice", "method": "tools/call", "subject": "get_issue",
   "arguments": {"id": 7}, "outcome": "allowed", "code": "allowed", "rule": "/tools/get_issue"}

`tool` may stand for `method` and `subject`. Without --old, `outcome` (allowed, denied) and `code` are what the old policy did. `labels`
and `session` may be there; other members are not read. What is missing was not recorded, null says that there was none: a call
is unknown where rules look at what was not recorded. The log of `toolgate serve --log-format json` has such records among its lines, without
arguments and without the query of URIs; its other lines are passed over.

Limits count the calls of the file by their own times. They know nothing of what came before, nor of calls that are unknown."#;

#[derive(Args)]
#[command(
    after_help = "Exit code 1 if nothing was written because you said no, or because the file was changed by somebody else; 2 if the \
                        file is broken or the client is not there. The token itself is never asked for and never written."
)]
pub(crate) struct Connect {
    /// The client; without one, all are listed: where its file is, and whether that is there, absent, or the client itself is not
    /// found
    pub(crate) client: Option<String>,
    /// Connect to this server by itself, not to all that the gateway has; may be given several times
    #[arg(long, value_name = "ID")]
    pub(crate) server: Vec<gateway::config::ServerId>,
    /// The gateway
    #[arg(long, default_value = "http://127.0.0.1:4480")]
    pub(crate) url: String,
    /// The name of the entry; the server's id when absent, or `toolgate` for all servers
    #[arg(long)]
    pub(crate) name: Option<connect::Name>,
    /// The file of the project in the working directory, not the user's
    #[arg(long, conflicts_with = "config_file")]
    pub(crate) project: bool,
    /// This file instead of the client's own
    #[arg(long, value_name = "FILE", requires = "client")]
    pub(crate) config_file: Option<PathBuf>,
    /// Let the client start `toolgate bridge` even if it could be told the URL
    #[arg(long)]
    pub(crate) stdio: bool,
    /// The environment variable that the client takes the token from
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) token_env: Option<String>,
    /// Take the entries out
    #[arg(long, conflicts_with_all = ["url", "stdio", "token_env", "create"], requires = "client")]
    pub(crate) remove: bool,
    /// Put back what was in the file before the last change of Toolgate's
    #[arg(
        long,
        conflicts_with_all = ["server", "url", "name", "stdio", "token_env", "remove", "create"],
        requires = "client"
    )]
    pub(crate) undo: bool,
    /// Show what to paste, and touch nothing
    #[arg(long, conflicts_with_all = ["remove", "undo", "dry_run", "yes"], requires = "client")]
    pub(crate) print: bool,
    /// Show what would change, and change nothing
    #[arg(long, requires = "client")]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long, requires = "client")]
    pub(crate) yes: bool,
    /// Make the client's folder if it is not there
    #[arg(long, requires = "client")]
    pub(crate) create: bool,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}
