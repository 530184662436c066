//! Whether a decision costs more under more rules: the bench of `policy`, read.

use std::collections::BTreeMap;

use super::Plan;
use crate::shell;

const FEW: &str = "10";
const MANY: &str = "10000";

/// Nanoseconds of one kind of decision.
pub(super) struct Decision {
    pub(super) case: String,
    pub(super) few: f64,
    pub(super) many: f64,
}

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Decision>> {
    eprintln!("decisions under {FEW} and {MANY} rules");
    let times = if plan.smoke { ["0.1", "0.1", "10"] } else { ["1", "3", "100"] };
    let [warm_up, measure, samples] = times;
    let mut bench = shell::cargo(&["bench", "--quiet", "--package", "policy", "--bench", "decide", "--"]);
    bench.args(["--output-format", "bencher", "--noplot"]);
    bench.args(["--warm-up-time", warm_up, "--measurement-time", measure, "--sample-size", samples]);
    let decisions = read(&shell::read(&mut bench)?);
    anyhow::ensure!(!decisions.is_empty(), "the bench of `policy` printed nothing to compare");
    Ok(decisions)
}

/// Lines such as `test exact/10 ... bench:         123 ns/iter (+/- 4)`.
fn read(output: &str) -> Vec<Decision> {
    let lines = output.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("test ")?.split_once(" ... bench:")?;
        let time = rest.trim().split(' ').next()?.replace(',', "").parse::<f64>().ok()?;
        let (case, rules) = name.rsplit_once('/')?;
        Some(((case, rules), time))
    });
    let times: BTreeMap<_, _> = lines.collect();
    let few = times.iter().filter(|((_, rules), _)| *rules == FEW);
    let pairs = few.filter_map(|((case, _), few)| {
        let many = times.get(&(*case, MANY))?;
        Some(Decision { case: (*case).to_owned(), few: *few, many: *many })
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn pairs_of_few_and_many() {
        let output = "test exact/10 ... bench:          50 ns/iter (+/- 1)\n\
                      test exact/100 ... bench:          51 ns/iter (+/- 1)\n\
                      test exact/10000 ... bench:       1,060 ns/iter (+/- 9)\n\
                      test lone/10 ... bench:           1 ns/iter (+/- 0)\n";
        let read: Vec<_> = super::read(output).into_iter().map(|d| (d.case, d.few, d.many)).collect();
        assert_eq!(read, [("exact".to_owned(), 50.0, 1060.0)]);
    }
}
