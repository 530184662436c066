//! A report for the test pages of build servers: JUnit's XML, one suite for each policy.

use std::fmt;

use super::{Failed, Rehearsed, Report, Tried, Unplayable};
use crate::policies;

/// Shows a report as XML.
pub struct Junit<'a>(&'a Report);

impl Report {
    pub fn junit(&self) -> Junit<'_> {
        Junit(self)
    }
}

impl fmt::Display for Junit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Junit(report) = self;
        writeln!(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"toolgate test\">")?;
        report.rehearsed.iter().try_for_each(|rehearsed| suite(report, rehearsed, f))?;
        writeln!(f, "</testsuites>")
    }
}

fn suite(report: &Report, rehearsed: &Rehearsed, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let policy = rehearsed.script.policy.display().to_string();
    let name = Text(&policy);
    let played = match &rehearsed.played {
        Ok(played) => played,
        Err(unplayable) => {
            let why = match unplayable {
                Unplayable::Policy(trouble) => policies::chain(trouble),
                Unplayable::Cases(errors) => errors.to_string(),
            };
            writeln!(f, "  <testsuite name=\"{name}\" tests=\"1\" failures=\"0\" errors=\"1\">")?;
            writeln!(
                f,
                "    <testcase classname=\"{name}\" name=\"loads\"><error message=\"{}\"/></testcase>",
                Text(&why)
            )?;
            return writeln!(f, "  </testsuite>");
        }
    };
    // What coverage must reach is one more thing that may fail.
    let required = report.fail_under.map(|least| (least, report.is_too_little(&played.coverage)));
    let tests = played.cases.len() + usize::from(required.is_some());
    let failures = played.failed() + usize::from(required.is_some_and(|(_, failed)| failed));
    writeln!(f, "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">")?;
    let percent = played.coverage.percent();
    writeln!(f, "    <properties><property name=\"coverage\" value=\"{percent}\"/></properties>")?;
    let file = rehearsed.script.cases.display().to_string();
    for (number, tried) in (1..).zip(&played.cases) {
        case(number, tried, name, Text(&file), f)?;
    }
    if let Some((least, failed)) = required {
        write!(f, "    <testcase classname=\"{name}\" name=\"coverage\"")?;
        match failed {
            false => writeln!(f, "/>")?,
            true => {
                let unmet = played.coverage.unmet.join("\n");
                let message = format!("{percent} % is below {least} %");
                writeln!(f, "><failure message=\"{message}\">{}</failure></testcase>", Text(&unmet))?;
            }
        }
    }
    writeln!(f, "  </testsuite>")
}

fn case(number: usize, tried: &Tried, name: Text<'_>, file: Text<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (title, line) = (Text(&tried.title), tried.line);
    // Some servers take two cases of one name for one.
    write!(f, "    <testcase classname=\"{name}\" name=\"{number} {title}\" file=\"{file}\" line=\"{line}\"")?;
    let Some(Failed { call, mismatches }) = &tried.failed else { return writeln!(f, "/>") };
    let shown = mismatches.iter().map(|m| format!("{}: expected {}, got {}", m.what, m.expected, m.got));
    let shown: Vec<String> = shown.collect();
    let message = shown.first().map_or("", String::as_str);
    let body = format!("call {call}\n{}", shown.join("\n"));
    writeln!(f, "><failure message=\"{}\">{}</failure></testcase>", Text(message), Text(&body))
}

/// Text within an element or an attribute. What XML cannot hold at all is shown as U+FFFD.
#[derive(Clone, Copy)]
struct Text<'t>(&'t str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&apos;"),
            '\t' | '\n' | '\r' => write!(f, "&#{};", u32::from(c)),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => f.write_str("\u{fffd}"),
            c => write!(f, "{c}"),
        })
    }
}
