//! The commands that decide about calls.

use clap::{Args, Subcommand, ValueEnum};

use super::manage::{At, TOKEN};

#[derive(Args)]
#[command(after_help = TOKEN)]
pub(crate) struct Approvals {
    #[command(flatten)]
    pub(crate) at: At,
    #[command(subcommand)]
    pub(crate) command: ApprovalsCommand,
}

#[derive(Subcommand)]
pub(crate) enum ApprovalsCommand {
    /// Show calls, the newest first: those that wait, when nothing else is said
    List {
        #[arg(long, value_enum, default_value_t = State::Pending)]
        state: State,
        #[command(flatten)]
        of: Of,
    },
    /// Show all of a call: its arguments, with what hides written out, who may decide, and who has
    Show { id: String },
    /// Approve a call, this once
    Approve {
        id: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Deny a call; one no is enough
    Deny {
        id: String,
        /// Why; the agent is told
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Show calls as they begin to wait, and what becomes of them
    Watch,
    /// Approve a call, and allow more like it
    Grant {
        id: String,
        /// What must hold of their arguments: a JSON list, as `require` of a policy has it
        #[arg(long, value_name = "JSON", required_unless_present = "any_arguments", conflicts_with = "any_arguments")]
        require: Option<String>,
        /// Any arguments at all
        #[arg(long)]
        any_arguments: bool,
        /// How many calls, beside this one
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..=10_000))]
        uses: i64,
        /// How long, such as 1h; at most 30 days
        #[arg(long = "for", value_name = "SPAN")]
        lasting: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Show grants, the newest first
    Grants {
        #[command(flatten)]
        of: Of,
    },
    /// Revoke a grant, from the next call on
    Revoke { grant: String },
}

#[derive(Args)]
pub(crate) struct Of {
    /// Of this agent
    #[arg(long, value_name = "ID")]
    pub(crate) agent: Option<String>,
    /// To this server
    #[arg(long, value_name = "ID")]
    pub(crate) server: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum State {
    Pending,
    Approved,
    Denied,
    Expired,
    Used,
    All,
}
