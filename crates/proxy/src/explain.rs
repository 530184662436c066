//! `toolgate explain`: why a policy decides a call as it does.

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;
use policy::{Call, Context, Subject};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::{self, Format};
use crate::document::Document;
use crate::exit;

/// The parameters of a call, or a whole JSON-RPC request of one. Members that say nothing to a policy are left aside.
#[derive(Default, Deserialize)]
struct Asked {
    method: Option<String>,
    params: Option<Box<RawValue>>,
    name: Option<String>,
    uri: Option<String>,
    arguments: Option<Box<RawValue>>,
}

pub(crate) fn run(args: &cli::Explain) -> anyhow::Result<ExitCode> {
    let document = Document::read(&args.policy, None)?;
    let policy = match document.policy() {
        Ok(policy) => policy,
        Err(errors) => {
            eprintln!("{:?}", miette::Report::new(errors));
            return Ok(exit::USAGE.into());
        }
    };
    let asked = match asked(args).and_then(|asked| subject(args, &asked).map(drop).map(|()| asked)) {
        Ok(asked) => asked,
        Err(problem) => {
            eprintln!("error: {problem:#}");
            return Ok(exit::USAGE.into());
        }
    };
    let labels = args.label.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect::<Vec<_>>();
    let context = Context {
        agent: args.agent.as_deref(),
        labels: &labels,
        server: &args.server,
        time: args.at.unwrap_or_else(SystemTime::now),
    };
    let told = policy.explain(Call { subject: subject(args, &asked)?, arguments: asked.arguments.as_deref(), context });
    let shown = match args.format {
        Format::Human => write!(io::stdout(), "{told}"),
        Format::Json => writeln!(io::stdout(), "{:#}", told.to_json()),
    };
    shown.context("cannot write to stdout")?;
    Ok(if told.verdict.code == "permit" { exit::OK } else { exit::FINDINGS }.into())
}

fn asked(args: &cli::Explain) -> anyhow::Result<Asked> {
    let Some(call) = &args.call else {
        let arguments =
            args.arguments.clone().map(RawValue::from_string).transpose().context("the arguments are not JSON")?;
        return Ok(Asked { name: args.name.clone(), arguments, ..Asked::default() });
    };
    let mut text = call.clone();
    if call == "-" {
        text.clear();
        io::stdin().read_to_string(&mut text).context("cannot read stdin")?;
    }
    let mut asked: Asked = serde_json::from_str(&text).context("the call is not a JSON object of a call")?;
    if let Some(params) = asked.params.take() {
        let method = asked.method.take();
        asked = serde_json::from_str(params.get()).context("the `params` are not those of a call")?;
        asked.method = method;
    }
    Ok(asked)
}

fn subject<'a>(args: &cli::Explain, asked: &'a Asked) -> anyhow::Result<Subject<'a>> {
    let name = asked.name.as_deref();
    match (asked.method.as_deref(), asked.uri.as_deref().or(name.filter(|_| args.resource)), name) {
        (None | Some("resources/read"), Some(uri), _) => Ok(Subject::Resource(uri)),
        (Some("prompts/get"), _, Some(name)) => Ok(Subject::Prompt(name)),
        (None, None, Some(name)) if args.prompt => Ok(Subject::Prompt(name)),
        (None | Some("tools/call"), None, Some(name)) => Ok(Subject::Tool(name)),
        (Some(method), ..) => anyhow::bail!("`{method}` with these parameters is no call that a policy judges by name"),
        (None, None, None) => anyhow::bail!("the call names nothing: it needs a `name` or a `uri`"),
    }
}
