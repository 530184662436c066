//! Whether a decision costs more under more rules: the bench `growth` of `policy`, read.

use anyhow::Context as _;

use super::Plan;
use crate::shell;

/// Nanoseconds of one kind of decision, under few rules and under many.
#[derive(Debug, PartialEq)]
pub(super) struct Decision {
    pub(super) case: String,
    pub(super) few: f64,
    pub(super) many: f64,
    /// Not that of the two figures, but the median of those of the rounds.
    pub(super) ratio: f64,
}

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Decision>> {
    eprintln!("decisions under few and many rules");
    let mut bench = shell::cargo(&["bench", "--quiet", "--package", "policy", "--bench", "growth", "--"]);
    if plan.smoke {
        bench.arg("--quick");
    }
    read(&shell::read(&mut bench)?)
}

/// Lines of a name and three numbers, between tabs.
fn read(output: &str) -> anyhow::Result<Vec<Decision>> {
    let decisions = output.lines().map(|line| {
        let mut fields = line.split('\t');
        let case = fields.next()?.to_owned();
        let mut number = || fields.next()?.parse().ok();
        Some(Decision { case, few: number()?, many: number()?, ratio: number()? })
    });
    let decisions: Option<Vec<_>> = decisions.collect();
    decisions.filter(|decisions| !decisions.is_empty()).context("the bench of `policy` printed nothing to compare")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_bench_prints() {
        let decision = |case: &str, few, many, ratio| Decision { case: case.to_owned(), few, many, ratio };
        let expected = [decision("glob", 50.0, 52.1, 1.041), decision("3 conditions", 630.0, 631.0, 1.0)];
        assert_eq!(read("glob\t50.0\t52.1\t1.041\n3 conditions\t630.0\t631.0\t1.000\n").unwrap(), expected);
        assert!(read("").is_err());
        assert!(read("glob\t50.0\n").is_err());
    }
}
