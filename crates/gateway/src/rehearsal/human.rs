//! A report for people: a line for each case, more where it failed, then what no case has met.

use std::fmt;

use super::{Rehearsed, Report, Tried, Unplayable};
use crate::policies::PolicyTrouble;
use crate::record::visible;

/// Shows a report as a table.
pub struct Human<'a>(&'a Report);

impl Report {
    pub fn human(&self) -> Human<'_> {
        Human(self)
    }
}

impl fmt::Display for Human<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Human(report) = self;
        let (mut cases, mut failed, mut bad) = (0, 0, 0);
        for rehearsed in &report.rehearsed {
            show(report, rehearsed, f)?;
            match &rehearsed.played {
                Ok(played) => {
                    cases += played.cases.len();
                    failed += played.failed();
                }
                Err(_) => bad += 1,
            }
        }
        write!(
            f,
            "{}, {}",
            counted(cases, "case"),
            if failed == 0 { "none failed".into() } else { format!("{failed} failed") }
        )?;
        match bad {
            0 => writeln!(f),
            1 => writeln!(f, "; 1 policy could not be played"),
            several => writeln!(f, "; {several} policies could not be played"),
        }
    }
}

fn show(report: &Report, rehearsed: &Rehearsed, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (policy, cases) = (rehearsed.script.policy.display(), rehearsed.script.cases.display());
    let played = match &rehearsed.played {
        Ok(played) => played,
        Err(Unplayable::Cases(errors)) => return writeln!(f, "{cases}: {}\n", counted(errors.iter().count(), "error")),
        Err(Unplayable::Policy(PolicyTrouble::Invalid { path, source })) => {
            return writeln!(f, "{}: {}\n", path.display(), counted(source.iter().count(), "error"));
        }
        Err(Unplayable::Policy(trouble)) => return writeln!(f, "{trouble}\n"),
    };
    writeln!(f, "{policy}")?;
    for tried in &played.cases {
        case(tried, &cases, f)?;
    }
    let coverage = &played.coverage;
    let (met, parts, percent) = (coverage.met(), coverage.parts, coverage.percent());
    let too_little = match report.fail_under {
        Some(least) if report.is_too_little(coverage) => format!(", below {least} %: FAILED"),
        Some(_) | None => String::new(),
    };
    writeln!(f, "  coverage: {met} of {parts} rules, predicates and limits ({percent} %){too_little}")?;
    if !coverage.unmet.is_empty() {
        writeln!(f, "  met by no case:")?;
    }
    coverage.unmet.iter().try_for_each(|pointer| writeln!(f, "    {pointer}"))?;
    writeln!(f)
}

fn case(tried: &Tried, file: &impl fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(failed) = &tried.failed else { return writeln!(f, "  ok      {}", tried.title) };
    let call = if failed.call > 1 { format!(", call {}", failed.call) } else { String::new() };
    writeln!(f, "  FAILED  {} ({file}:{}{call})", tried.title, tried.line)?;
    for mismatch in &failed.mismatches {
        let (expected, got) = (visible(&mismatch.expected), visible(&mismatch.got));
        writeln!(f, "          {}: expected {expected}, got {got}", mismatch.what)?;
    }
    match &tried.answer {
        // Whoever expects something else wants to know why.
        Some(answer) if failed.mismatches.iter().all(|mismatch| mismatch.what != "rule") => {
            writeln!(f, "          it was {} by {}", answer.code, answer.rule)
        }
        Some(_) | None => Ok(()),
    }
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
