//! `toolgate agents new-token`: the tokens by which agents are known.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;
use gateway::NewToken;
use serde_json::json;

use crate::{cli, exit};

pub(crate) fn new_token(args: &cli::NewToken, format: cli::Format) -> anyhow::Result<ExitCode> {
    let expires =
        args.expires.map(|span| SystemTime::now().checked_add(span).context("that is too long")).transpose()?;
    let token = NewToken::generate().context("there is no randomness to make a token of")?;
    let lines = token.toml(&args.agent, &args.label, expires)?;
    let mut out = io::stdout().lock();
    match format {
        cli::Format::Json => {
            let said = json!({
                "agent": args.agent.as_str(),
                "token": token.text(),
                "prefix": token.prefix(),
                "sha256": token.sha256_hex(),
                "label": args.label,
                "expires": expires.map(|at| humantime::format_rfc3339_seconds(at).to_string()),
                "toml": lines,
            });
            writeln!(out, "{said}")?;
        }
        cli::Format::Human => {
            writeln!(out, "{}\n", token.text())?;
            writeln!(out, "It is shown this once. toolgate.toml says of it:\n\n{lines}")?;
        }
    }
    Ok(exit::OK.into())
}
