//! What the clients said, a column each, a row for each check.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The outcome of each check of one client: nothing, or why it failed.
pub(super) struct Column {
    name: String,
    checks: BTreeMap<String, Option<String>>,
}

#[derive(Default)]
pub(super) struct Table {
    columns: Vec<Column>,
}

impl Column {
    /// Reads the lines `ok CHECK` and `FAIL CHECK: why`. A check of `expected` that is not there failed.
    pub(super) fn read(name: String, said: &str, succeeded: bool, expected: &[&str]) -> Self {
        let mut checks = BTreeMap::new();
        for line in said.lines() {
            if let Some(check) = line.strip_prefix("ok ") {
                checks.insert(check.to_owned(), None);
            } else if let Some((check, why)) = line.strip_prefix("FAIL ").and_then(|rest| rest.split_once(": ")) {
                checks.insert(check.to_owned(), Some(why.to_owned()));
            }
        }
        for check in expected {
            checks.entry((*check).to_owned()).or_insert_with(|| Some("was not made".to_owned()));
        }
        if !succeeded && checks.values().all(Option::is_none) {
            checks.insert("exit".to_owned(), Some("the client failed after its checks".to_owned()));
        }
        Self { name, checks }
    }
}

impl Table {
    pub(super) fn add(&mut self, column: Column) {
        self.columns.push(column);
    }

    pub(super) fn failures(&self) -> usize {
        self.columns.iter().flat_map(|column| column.checks.values()).filter(|why| why.is_some()).count()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, column) in (1..).zip(&self.columns) {
            writeln!(f, "{number:>3}  {}", column.name)?;
        }
        let checks: BTreeSet<_> = self.columns.iter().flat_map(|column| column.checks.keys()).collect();
        let width = checks.iter().map(|check| check.len()).max().unwrap_or_default();
        write!(f, "\n{:<width$}", "check")?;
        for number in 1..=self.columns.len() {
            write!(f, " {number:>4}")?;
        }
        for check in checks {
            write!(f, "\n{check:<width$}")?;
            for column in &self.columns {
                let cell = match column.checks.get(check) {
                    None => "-",
                    Some(None) => "ok",
                    Some(Some(_)) => "FAIL",
                };
                write!(f, " {cell:>4}")?;
            }
        }
        writeln!(f)?;
        for column in &self.columns {
            for (check, why) in column.checks.iter().filter_map(|(check, why)| Some((check, why.as_ref()?))) {
                write!(f, "\nFAIL {}: {check}: {why}", column.name)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_failed_or_was_not_made_counts() {
        let mut table = Table::default();
        table.add(Column::read("good".into(), "ok list\nnoise\n", true, &["list"]));
        assert_eq!(table.failures(), 0);
        table.add(Column::read("bad".into(), "ok list\nFAIL call: it: broke\n", false, &["list", "limit"]));
        table.add(Column::read("late".into(), "ok list\n", false, &["list"]));
        let shown = table.to_string();
        assert_eq!(table.failures(), 3);
        assert!(shown.contains("FAIL bad: call: it: broke"), "{shown}");
        assert!(shown.contains("FAIL bad: limit: was not made"), "{shown}");
        assert!(shown.contains("FAIL late: exit: the client failed after its checks"), "{shown}");
    }
}
