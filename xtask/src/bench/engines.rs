//! Toolgate's decisions beside those of other engines: the excluded crate `benches`, run and read. It takes minutes to compile, so
//! it is measured only when asked for, and its part of `docs/benchmarks.md` stands until it is measured again.

use std::fmt::Write as _;

use anyhow::Context as _;

use super::Plan;
use super::report::{PAGE, machine};
use crate::shell;

const HEADING: &str = "\n## Beside cedar-policy and regorus\n";

/// The nanoseconds of Toolgate, cedar-policy and regorus, then the ratios of the second and third to the first.
const FIGURES: usize = 5;

#[derive(Debug, PartialEq)]
struct Row {
    policy: String,
    call: String,
    from: String,
    figures: [f64; FIGURES],
}

pub(super) fn run(plan: &Plan, write: bool, command: &str) -> anyhow::Result<()> {
    // Other versions of the same dependencies: in a folder of their own, they do not push out the usual ones.
    let mut bench = shell::cargo(&["bench", "--quiet", "--manifest-path", "benches/Cargo.toml"]);
    bench.args(["--target-dir", "target/engines", "--bench", "ratios", "--"]);
    if plan.smoke {
        bench.arg("--quick");
    }
    let rows = read(&shell::read(&mut bench)?)?;
    let lock = std::fs::read_to_string(shell::root().join("benches/Cargo.lock"))?;
    let section = section(&rows, &lock, command);
    print!("{section}");
    if write {
        let page = shell::root().join(PAGE);
        let text = std::fs::read_to_string(&page)?;
        let before = text.split_once(HEADING).map_or(text.as_str(), |(before, _)| before);
        std::fs::write(&page, format!("{before}{section}"))?;
    }
    Ok(())
}

/// What the page says about engines already.
pub(super) fn written() -> String {
    let page = std::fs::read_to_string(shell::root().join(PAGE)).unwrap_or_default();
    page.split_once(HEADING).map_or(String::new(), |(_, section)| format!("{HEADING}{section}"))
}

fn section(rows: &[Row], lock: &str, command: &str) -> String {
    let [cedar, regorus] = ["cedar-policy", "regorus"].map(|name| version(lock, name));
    let mut text = format!(
        "{HEADING}\n\
         The same policies and calls, put to cedar-policy {cedar} and to regorus {regorus} (Rego, as bytecode) by the crate `benches`, which first\n\
         makes sure that all three answer alike. Short batches in turn; a figure is the median of the rounds, a ratio the median of the rounds'\n\
         ratios: how many times as long the other engine takes. From `text`, the arguments come as they do off the wire, and Toolgate looks at\n\
         them as JSON once more; for `ready`, each engine was given them as it likes them best. All with the system's allocator.\n\n\
         The others can say more than Toolgate's language: relations between entities, rules that compute. They can look up names, and try\n\
         globs one after the other. Neither has limits or approvals, so no policy here has any.\n\n\
         ```\n{command}\n```\n\n{}\n\n\
         | policy | call | from | toolgate, ns | cedar-policy, ns | regorus, ns | cedar-policy, ratio | regorus, ratio |\n\
         |---|---|---|---:|---:|---:|---:|---:|\n",
        machine(),
    );
    for Row { policy, call, from, figures: [toolgate, cedar, regorus, to_cedar, to_regorus] } in rows {
        // Writing to a `String` cannot fail.
        _ = writeln!(
            text,
            "| {policy} | {call} | {from} | {toolgate:.0} | {cedar:.0} | {regorus:.0} | {to_cedar:.1} | {to_regorus:.1} |"
        );
    }
    text
}

/// Lines of three words and five numbers, between tabs.
fn read(output: &str) -> anyhow::Result<Vec<Row>> {
    let rows = output.lines().map(|line| {
        let mut fields = line.split('\t');
        let mut word = || fields.next().map(str::to_owned);
        let (policy, call, from) = (word()?, word()?, word()?);
        let figures: Option<Vec<_>> = fields.map(|figure| figure.parse().ok()).collect();
        Some(Row { policy, call, from, figures: figures?.try_into().ok()? })
    });
    let rows: Option<Vec<_>> = rows.collect();
    rows.filter(|rows| !rows.is_empty()).context("the bench of the engines printed nothing to compare")
}

fn version<'l>(lock: &'l str, package: &str) -> &'l str {
    let after = lock.split_once(&format!("name = \"{package}\"\nversion = \"")).map(|(_, after)| after);
    after.and_then(|after| after.split('"').next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_bench_prints() {
        let rows = read("10 rules\tby name\ttext\t68.0\t6475.3\t1238.6\t95.36\t18.25\n").unwrap();
        let figures = [68.0, 6475.3, 1238.6, 95.36, 18.25];
        let expected = Row { policy: "10 rules".into(), call: "by name".into(), from: "text".into(), figures };
        assert_eq!(rows, [expected]);
        let lock = "name = \"cedar-policy\"\nversion = \"4.1.0\"\n\nname = \"regorus\"\nversion = \"0.9.1\"\n";
        let section = section(&rows, lock, "cargo xtask bench");
        assert!(section.contains("cedar-policy 4.1.0 and to regorus 0.9.1"), "{section}");
        assert!(section.ends_with("| 10 rules | by name | text | 68 | 6475 | 1239 | 95.4 | 18.2 |\n"), "{section}");
        assert!(read("").is_err());
        assert!(read("10 rules\tby name\ttext\t68.0\n").is_err());
    }
}
