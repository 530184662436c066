//! `toolgate check`: what the policy loader says of each file, for people or for programs.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use miette::Severity;
use policy::{Finding, native};
use serde_json::{Value, json};

use crate::cli::{self, CheckFormat, Deny};
use crate::document::Document;
use crate::{exit, github, sarif};

pub(crate) struct Checked {
    pub(crate) file: String,
    /// Errors first, then what else is worth a word, each in the order of the text.
    pub(crate) findings: Vec<Finding>,
    /// The policy in the language's own form, if it is one.
    native: Option<String>,
}

pub(crate) fn run(args: &cli::Check) -> anyhow::Result<ExitCode> {
    let (mut checked, mut unread) = (Vec::new(), false);
    for file in &args.files {
        match check(file, args.tools.as_deref()) {
            Ok(one) => checked.push(one),
            // The others are worth looking at all the same.
            Err(error) => {
                unread = true;
                eprintln!("error: {error:#}");
            }
        }
    }
    let shown = match args.format {
        _ if args.print => print(&checked),
        CheckFormat::Human => show(&checked),
        CheckFormat::Json => writeln!(io::stdout(), "{}", Value::from_iter(checked.iter().map(report))),
        CheckFormat::Sarif => writeln!(io::stdout(), "{:#}", sarif::log(&checked)),
        CheckFormat::Github => github::annotate(&checked),
    };
    shown.context("cannot write the findings")?;
    let denies_warnings = args.deny.contains(&Deny::Warnings);
    let fails = |finding: &Finding| match finding.level() {
        Severity::Error => true,
        Severity::Warning => denies_warnings,
        Severity::Advice => false,
    };
    let any = checked.iter().flat_map(|checked| &checked.findings).any(fails);
    Ok(match (unread, any) {
        (true, _) => exit::RUNTIME,
        (false, true) => exit::FINDINGS,
        (false, false) => exit::OK,
    }
    .into())
}

fn check(path: &Path, tools: Option<&Path>) -> anyhow::Result<Checked> {
    let document = Document::read(path, tools)?;
    let (findings, native) = match document.policy() {
        Ok(policy) => {
            let mut findings = policy.warnings().to_vec();
            findings.extend(document.tools.iter().flat_map(|tools| tools.lint(&document.file, &document.text)));
            findings.sort_by_key(|finding| (finding.span().start, finding.span().end));
            (findings, native(&document.file, &document.text).ok())
        }
        Err(errors) => (errors.iter().cloned().collect(), None),
    };
    Ok(Checked { file: document.file, findings, native })
}

impl Checked {
    fn count(&self, level: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.level() == level).count()
    }
}

fn render(checked: &Checked) -> io::Result<()> {
    checked.findings.iter().try_for_each(|finding| writeln!(io::stderr(), "{:?}", miette::Report::new(finding.clone())))
}

fn show(checked: &[Checked]) -> io::Result<()> {
    for one in checked {
        render(one)?;
        let counts = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Advice, "note")]
            .map(|(level, noun)| (one.count(level), noun));
        let ok = (one.count(Severity::Error) == 0).then(|| "ok".to_owned());
        let counted = counts.into_iter().filter(|(number, _)| *number > 0).map(|(number, noun)| counted(number, noun));
        let verdict = ok.into_iter().chain(counted).collect::<Vec<_>>().join(", ");
        writeln!(io::stdout(), "{}: {verdict}", one.file)?;
    }
    Ok(())
}

fn print(checked: &[Checked]) -> io::Result<()> {
    for one in checked {
        match &one.native {
            Some(native) => io::stdout().write_all(native.as_bytes())?,
            None => render(one)?,
        }
    }
    Ok(())
}

fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn report(checked: &Checked) -> Value {
    let of = |level| Value::from_iter(checked.findings.iter().filter(|of| of.level() == level).map(finding));
    json!({
        "file": checked.file,
        "ok": checked.count(Severity::Error) == 0,
        "errors": of(Severity::Error),
        "warnings": of(Severity::Warning),
        "notes": of(Severity::Advice),
    })
}

fn finding(finding: &Finding) -> Value {
    let ((line, column), (end_line, end_column)) = (finding.position(), finding.end());
    json!({
        "code": finding.code().as_str(),
        "message": finding.message(),
        "help": finding.help(),
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    })
}
