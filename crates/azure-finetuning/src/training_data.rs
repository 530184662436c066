//! Says what is wrong with training data before it is sent. Reads line by line and holds no more than one.

mod lines;
mod problem;
mod rules;

use std::io::{self, BufRead};

use serde_json::Value;

use crate::model::MethodKind;
use lines::{Line, Lines};
pub use problem::{DataFault, DataProblem};

/// The fewest examples the service trains on.
const FEWEST: u64 = 10;

/// The largest file of training data the service takes, in bytes.
const LARGEST: u64 = 512 * 1024 * 1024;

/// How many problems are told one by one.
const TOLD: usize = 100;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What was found in a file of training data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataReport {
    /// The examples: lines that are not blank.
    pub examples: u64,
    /// The size in bytes.
    pub bytes: u64,
    /// Whether the file begins with a byte order mark. The service's documentation wants one; files without have been taken.
    pub has_bom: bool,
    /// What is wrong, in the order of the file, at most a hundred of it.
    pub problems: Vec<DataProblem>,
    /// How many more problems there are.
    pub more_problems: u64,
}

impl DataReport {
    /// Whether nothing is wrong. A missing byte order mark is not: see [`DataReport::has_bom`].
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    /// Looks at the file as a whole.
    fn whole(&mut self) {
        if self.examples < FEWEST {
            self.tell(None, DataFault::TooFew(self.examples));
        }
        if self.bytes >= LARGEST {
            self.tell(None, DataFault::TooLarge(self.bytes));
        }
    }

    fn tell(&mut self, line: Option<u64>, fault: DataFault) {
        if self.problems.len() < TOLD {
            self.problems.push(DataProblem { line, fault });
        } else {
            self.more_problems += 1;
        }
    }
}

/// Checks training or validation data. The service does so too, but only after an upload and a queue, and one problem at a time.
///
/// The rules are those the service documents: JSON lines in UTF-8, ten examples or more, less than 512 MB, and for each line the
/// shape that `method` wants. For [`MethodKind::Unknown`] the lines have to be JSON objects and no more. What a model takes of
/// tools, images and tokens is not checked.
///
/// ```
/// use azure_finetuning::{MethodKind, validate_jsonl};
///
/// # fn main() -> std::io::Result<()> {
/// let data = "{\"messages\": []}\n{\"prompt\": \"an older form\"}\n";
/// let report = validate_jsonl(data.as_bytes(), &MethodKind::Supervised)?;
/// let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
/// assert_eq!(
///     problems,
///     ["line 1: `messages` is empty", "line 2: `messages` is missing", "there are 2 examples, 10 are needed"]
/// );
/// # Ok(()) }
/// ```
///
/// # Errors
/// What `reader` fails with.
pub fn validate_jsonl(reader: impl BufRead, method: &MethodKind) -> io::Result<DataReport> {
    let mut report = DataReport::default();
    let mut lines = Lines::new(reader);
    while let Some((number, line)) = lines.next()? {
        let text = match line {
            Line::Whole(text) => text,
            Line::TooLong => {
                report.examples += 1;
                report.tell(Some(number), DataFault::TooLong);
                continue;
            }
        };
        let rest = text.strip_prefix(BOM).filter(|_| number == 1);
        report.has_bom |= rest.is_some();
        let text = rest.unwrap_or(text).trim_ascii();
        if text.is_empty() {
            continue;
        }
        report.examples += 1;
        for fault in faults(text, method) {
            report.tell(Some(number), fault);
        }
    }
    report.bytes = lines.bytes();
    report.whole();
    Ok(report)
}

fn faults(text: &[u8], method: &MethodKind) -> Vec<DataFault> {
    let Ok(text) = std::str::from_utf8(text) else { return vec![DataFault::NotUtf8] };
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(example)) => rules::faults(&example, method),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            vec![DataFault::NotAnObject]
        }
        Err(error) => vec![DataFault::NotJson { column: error.column() }],
    }
}

#[cfg(test)]
mod tests;
