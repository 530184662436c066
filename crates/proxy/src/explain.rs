//! `toolgate explain`: why a policy decides a call as it does.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;
use policy::{Call, Context, Subject};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::cli::{self, Format};
use crate::document::Document;
use crate::{document, exit};

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
            document::complain(&errors);
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

/// An object without two equal keys at any depth: the gateway refuses others before a rule is asked.
struct Lawful;

impl<'de> Deserialize<'de> for Lawful {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys).map(|()| Self)
    }
}

struct Any;

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Keys).map(|()| Self)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element::<Any>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some((key, _)) = members.next_entry::<String, Any>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!("key `{key}` stands twice in the same object")));
            }
        }
        Ok(())
    }
}

fn asked(args: &cli::Explain) -> anyhow::Result<Asked> {
    let asked = written(args)?;
    if let Some(arguments) = &asked.arguments {
        serde_json::from_str::<Lawful>(arguments.get()).context("no tool can be called with these arguments")?;
    }
    Ok(asked)
}

fn written(args: &cli::Explain) -> anyhow::Result<Asked> {
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
