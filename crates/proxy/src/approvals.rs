//! `toolgate approvals`: says to a running gateway what somebody decided, and shows what waits.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use console::client::{ClientError, NewGrant, Of, Told};
use serde_json::value::RawValue;

use crate::cli::approvals::{Approvals, ApprovalsCommand, Of as Wanted, State};
use crate::cli::{Format, manage::At};
use crate::serve::Signals;
use crate::{exit, manage};

pub(crate) fn run(args: &Approvals) -> anyhow::Result<ExitCode> {
    let new = match &args.command {
        ApprovalsCommand::Watch => return watch(&args.at),
        ApprovalsCommand::Grant { require, uses, lasting, reason, .. } => {
            let require = require.as_deref().unwrap_or("[]");
            if serde_json::from_str::<Box<RawValue>>(require).is_err() {
                eprintln!("error: --require is not JSON");
                return Ok(exit::USAGE.into());
            }
            let (require, lasting) = (require.to_owned(), lasting.clone());
            NewGrant { require, uses: *uses, lasting, reason: reason.clone() }
        }
        ApprovalsCommand::List { .. }
        | ApprovalsCommand::Show { .. }
        | ApprovalsCommand::Approve { .. }
        | ApprovalsCommand::Deny { .. }
        | ApprovalsCommand::Grants { .. }
        | ApprovalsCommand::Revoke { .. } => NewGrant::default(),
    };
    manage::run(&args.at, async |client| match &args.command {
        ApprovalsCommand::List { state, of } => client.approvals(&wanted(*state, of)).await,
        ApprovalsCommand::Show { id } => client.approval(id).await,
        ApprovalsCommand::Approve { id, reason } => client.approve(id, reason.as_deref()).await,
        ApprovalsCommand::Deny { id, reason } => client.deny(id, reason.as_deref()).await,
        ApprovalsCommand::Grant { id, .. } => client.grant(id, &new).await,
        ApprovalsCommand::Grants { of } => client.grants(&wanted(State::All, of)).await,
        ApprovalsCommand::Revoke { grant } => client.revoke_grant(grant).await,
        ApprovalsCommand::Watch => client.approvals(&Of::default()).await,
    })
}

fn wanted(state: State, of: &Wanted) -> Of {
    let state = match state {
        State::Pending => Some("pending"),
        State::Approved => Some("approved"),
        State::Denied => Some("denied"),
        State::Expired => Some("expired"),
        State::Used => Some("used"),
        State::All => None,
    };
    Of { state: state.map(str::to_owned), agent: of.agent.clone(), server: of.server.clone() }
}

/// Until it is told to end, or nobody reads any more.
fn watch(at: &At) -> anyhow::Result<ExitCode> {
    let Some(client) = manage::client(at)? else { return Ok(exit::USAGE.into()) };
    manage::runtime()?.block_on(async {
        let mut signals = Signals::listen().context("cannot listen to signals")?;
        tokio::select! {
            () = signals.next() => Ok(exit::OK.into()),
            ended = client.watch_approvals(|told| show(told, at.format).is_ok()) => match ended {
                Ok(()) => Ok(exit::OK.into()),
                Err(error) => Ok(manage::complain(error)),
            },
        }
    })
}

fn show(told: Result<Told, ClientError>, format: Format) -> io::Result<()> {
    let told = match told {
        Ok(told) => told,
        Err(error) => {
            eprintln!("warning: {:#}; trying again", anyhow::Error::from(error));
            return Ok(());
        }
    };
    let mut out = io::stdout().lock();
    match format {
        Format::Human => write!(out, "{}", told.text())?,
        Format::Json => writeln!(out, "{}", told.json_line())?,
    }
    out.flush()
}
