//! `toolgate check`: what the policy loader says of each file, for people or for programs.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use policy::{Catalogue, Finding, Policy};
use serde_json::{Value, json};

use crate::cli::{self, Format};
use crate::exit;

struct Checked {
    file: String,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

pub(crate) fn run(args: &cli::Check) -> anyhow::Result<ExitCode> {
    let checked = args.files.iter().map(|file| check(file)).collect::<anyhow::Result<Vec<_>>>()?;
    let shown = match args.format {
        Format::Human => show(&checked),
        Format::Json => writeln!(io::stdout(), "{}", Value::from_iter(checked.iter().map(report))),
    };
    shown.context("cannot write the findings")?;
    let any_errors = checked.iter().any(|checked| !checked.errors.is_empty());
    Ok(if any_errors { exit::FINDINGS } else { exit::OK }.into())
}

fn check(path: &Path) -> anyhow::Result<Checked> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{file}`"))?;
    let beside = path.with_file_name("catalog.json");
    let parsed = if beside.exists() {
        let name = beside.display().to_string();
        let text_beside = std::fs::read_to_string(&beside).with_context(|| format!("cannot read `{name}`"))?;
        Catalogue::parse(&name, &text_beside).and_then(|catalogue| Policy::parse_with(&file, &text, &catalogue))
    } else {
        Policy::parse(&file, &text)
    };
    let (errors, warnings) = match parsed {
        Ok(policy) => (Vec::new(), policy.warnings().to_vec()),
        Err(errors) => (errors.iter().cloned().collect(), Vec::new()),
    };
    Ok(Checked { file, errors, warnings })
}

fn show(checked: &[Checked]) -> io::Result<()> {
    for Checked { file, errors, warnings } in checked {
        for finding in errors.iter().chain(warnings) {
            writeln!(io::stderr(), "{:?}", miette::Report::new(finding.clone()))?;
        }
        let verdict = match (errors.len(), warnings.len()) {
            (0, 0) => "ok".to_owned(),
            (0, warnings) => format!("ok, {}", counted(warnings, "warning")),
            (errors, _) => counted(errors, "error"),
        };
        writeln!(io::stdout(), "{file}: {verdict}")?;
    }
    Ok(())
}

fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn report(checked: &Checked) -> Value {
    json!({
        "file": checked.file,
        "ok": checked.errors.is_empty(),
        "errors": Value::from_iter(checked.errors.iter().map(finding)),
        "warnings": Value::from_iter(checked.warnings.iter().map(finding)),
    })
}

fn finding(finding: &Finding) -> Value {
    let (line, column) = finding.position();
    json!({
        "code": finding.code().as_str(),
        "message": finding.message(),
        "help": finding.help(),
        "line": line,
        "column": column,
    })
}
