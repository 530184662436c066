//! The metrics of a finished job: the rows of its result file, whichever way the service has written it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::summary::{self, MetricsSummary};
use crate::error::Error;
use crate::files::Files;
use crate::model::{Event, Job, StepMetrics};

/// The largest result file that is read, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What the rows of all result files of a job may take in memory, in bytes; more than a million rows of the known columns.
const LARGEST_TABLE: usize = 256 * 1024 * 1024;

/// More columns than any method has.
const MOST_COLUMNS: usize = 1_000;

/// What a member of [`StepMetrics::extra`] takes beside its texts, in bytes: about, and rather too much.
const MEMBER: usize = 256;

const OPERATION: &str = "jobs.metrics";

type Column = (&'static str, fn(&StepMetrics) -> Option<f64>);

/// The columns with a place of their own, but for the step.
const COLUMNS: [Column; 6] = [
    ("train_loss", |row| row.train_loss),
    ("train_mean_token_accuracy", |row| row.train_mean_token_accuracy),
    ("valid_loss", |row| row.valid_loss),
    ("valid_mean_token_accuracy", |row| row.valid_mean_token_accuracy),
    ("full_valid_loss", |row| row.full_valid_loss),
    ("full_valid_mean_token_accuracy", |row| row.full_valid_mean_token_accuracy),
];

/// The metrics of a job, a row per step.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MetricsTable {
    /// The columns as the file names them.
    pub columns: Vec<String>,
    /// The rows, in the order of the file. Columns without a place of their own are texts in [`StepMetrics::extra`].
    pub rows: Vec<StepMetrics>,
}

impl MetricsTable {
    /// What events tell of a job that still runs and has no result file yet: a row for each with a step, in order, each once.
    #[must_use]
    pub fn from_events<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let has_step = |event: &&Event| event.data.as_ref().is_some_and(|data| data.step.is_some());
        let mut events: Vec<&Event> = events.into_iter().filter(has_step).collect();
        events.sort_by_cached_key(|event| event.order());
        events.dedup_by_key(|event| &event.id);
        let rows: Vec<StepMetrics> = events.iter().filter_map(|event| event.data.clone()).collect();
        let columns = COLUMNS.iter().filter(|(_, value)| rows.iter().any(|row| value(row).is_some()));
        let mut columns: Vec<String> = columns.map(|(name, _)| (*name).to_owned()).collect();
        if !rows.is_empty() {
            columns.insert(0, "step".to_owned());
        }
        let more: BTreeSet<&String> = rows.iter().flat_map(|row| row.extra.keys()).collect();
        columns.extend(more.into_iter().cloned());
        Self { columns, rows }
    }

    /// The table at a glance: first, last and best losses, and whether the model may have learnt its examples by heart.
    #[must_use]
    pub fn summary(&self) -> MetricsSummary {
        summary::of(&self.rows)
    }
}

pub(super) async fn read(files: &Files, job: &Job) -> Result<MetricsTable, Error> {
    let (mut table, mut left) = (MetricsTable::default(), LARGEST_TABLE);
    for id in &job.result_files {
        let content = files.content(id).await?.bytes(LARGEST).await?;
        let part;
        (part, left) = parse(&content, left)?;
        if table.columns.is_empty() {
            table.columns = part.columns;
        }
        table.rows.extend(part.rows);
    }
    Ok(table)
}

/// The table, and what is left of the memory that it may take.
fn parse(content: &[u8], mut left: usize) -> Result<(MetricsTable, usize), Error> {
    let too_large = || Error::TableTooLarge { operation: OPERATION, limit: LARGEST_TABLE };
    let no_table = |source| Error::Csv { operation: OPERATION, source };
    let decoded = unwrapped(content);
    let content = decoded.as_deref().unwrap_or(content);
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(content);
    let header = reader.headers().map_err(no_table)?;
    if header.len() > MOST_COLUMNS {
        return Err(too_large());
    }
    let columns: Vec<String> = header.iter().map(str::to_owned).collect();
    let (mut rows, mut record) = (Vec::new(), csv::StringRecord::new());
    while reader.read_record(&mut record).map_err(no_table)? {
        let row = row(&columns, &record);
        left = left.checked_sub(bytes(&row)).ok_or_else(too_large)?;
        rows.push(row);
    }
    Ok((MetricsTable { columns, rows }, left))
}

/// What a row takes in memory.
fn bytes(row: &StepMetrics) -> usize {
    let text = |value: &serde_json::Value| value.as_str().map_or(0, str::len);
    let members = row.extra.iter().map(|(name, value)| MEMBER + name.len() + text(value));
    size_of::<StepMetrics>() + members.sum::<usize>()
}

/// The file inside a wrapping of base64. A table has commas, which base64 has not.
fn unwrapped(content: &[u8]) -> Option<Vec<u8>> {
    if content.contains(&b',') {
        return None;
    }
    let text: Vec<u8> = content.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(text).ok().filter(|decoded| decoded.contains(&b','))
}

fn row(columns: &[String], record: &csv::StringRecord) -> StepMetrics {
    let mut row = StepMetrics::default();
    for (column, cell) in columns.iter().zip(record) {
        // An empty cell says that there was nothing to measure at this step, and so does -1.
        if cell.is_empty() {
            continue;
        }
        let number = cell.parse::<f64>().ok().filter(|number| number.is_finite());
        let place = match column.as_str() {
            "step" => {
                row.step = cell.parse().ok().or_else(|| cell.strip_suffix(".0")?.parse().ok());
                continue;
            }
            "train_loss" => &mut row.train_loss,
            "train_mean_token_accuracy" | "train_accuracy" => &mut row.train_mean_token_accuracy,
            "valid_loss" => &mut row.valid_loss,
            "valid_mean_token_accuracy" | "validation_mean_token_accuracy" => &mut row.valid_mean_token_accuracy,
            "full_valid_loss" => &mut row.full_valid_loss,
            "full_valid_mean_token_accuracy" => &mut row.full_valid_mean_token_accuracy,
            other => {
                row.extra.insert(other.to_owned(), cell.into());
                continue;
            }
        };
        *place = number.filter(|number| *number >= 0.0);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULTS: &str = include_str!("../../tests/data/results.csv");

    /// `step train_loss train_accuracy valid_loss valid_accuracy` of each row.
    #[track_caller]
    fn check(content: &[u8], expected: &[&str]) {
        let show = |number: Option<f64>| number.map_or("-".to_owned(), |number| number.to_string());
        let line = |row: &StepMetrics| {
            let step = row.step.map_or("-".to_owned(), |step| step.to_string());
            let numbers =
                [row.train_loss, row.train_mean_token_accuracy, row.valid_loss, row.valid_mean_token_accuracy];
            [step].into_iter().chain(numbers.map(show)).collect::<Vec<_>>().join(" ")
        };
        let rows: Vec<String> = parse(content, LARGEST_TABLE).unwrap().0.rows.iter().map(line).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn every_form_of_the_file() {
        let rows = ["1 2.301 0.512 2.412 0.498", "2 1.905 0.587 - -", "20 0.412 0.88 0.61 0.8"];
        check(RESULTS.as_bytes(), &rows);
        check(RESULTS.replace('\n', "\r\n").as_bytes(), &rows);
        check(RESULTS.replace("validation_mean", "valid_mean").as_bytes(), &rows);
        check(format!("\u{feff}{RESULTS}").as_bytes(), &rows);
        check(STANDARD.encode(RESULTS).as_bytes(), &rows);
        check(b"step,train_loss,train_accuracy,valid_loss\n1.0,-1,0.5,-1.0\n2,NaN\n", &["1 - 0.5 - -", "2 - - - -"]);
        check(b"", &[]);
        check(b"step,train_loss\n", &[]);
        check(b"step\n1\n2\n", &["1 - - - -", "2 - - - -"]);
    }

    #[test]
    fn events_tell_what_the_file_will() {
        let page = include_str!("../../tests/data/events.json");
        let events: crate::Page<Event> = serde_json::from_str(page).unwrap();
        let mut twice: Vec<Event> = events.data.iter().chain(&events.data).cloned().collect();
        let mut earlier = events.data[0].clone();
        (earlier.id, earlier.created_at) = ("ftevent-00".parse().unwrap(), crate::UnixTime(5));
        earlier.data = Some(serde_json::from_str(r#"{"step":1,"train_loss":2,"train_reward_mean":0.5}"#).unwrap());
        twice.push(earlier);
        let table = MetricsTable::from_events(&twice);
        assert_eq!(table.rows.iter().filter_map(|row| row.step).collect::<Vec<_>>(), [1, 20]);
        let columns = ["step", "train_loss", "train_mean_token_accuracy", "valid_loss", "valid_mean_token_accuracy"];
        assert_eq!(table.columns, [&columns[..], &["train_reward_mean"]].concat());
        assert_eq!(MetricsTable::from_events([]), MetricsTable::default());
    }

    #[test]
    fn a_table_has_a_bound() {
        let left = |content: &[u8], left: usize| parse(content, left).map(|(table, left)| (table.rows.len(), left));
        let row = size_of::<StepMetrics>();
        assert_eq!(left(b"step\n1\n2\n", 2 * row + 10).unwrap(), (2, 10));
        let error = left(b"step\n1\n2\n", 2 * row - 1).unwrap_err();
        let told = "`jobs.metrics` found metrics that take more than 268435456 bytes of memory";
        assert_eq!(error.to_string(), told);
        assert!(left(b"step,other\n1,x\n", row + 5).is_err(), "what is kept of other columns counts more");
        let wide = "c,".repeat(MOST_COLUMNS);
        assert!(left(wide.as_bytes(), LARGEST_TABLE).is_err());
    }

    #[test]
    fn unknown_columns_are_kept() {
        let (table, _) = parse(b"step,train_reward_mean\n1,0.25\n", LARGEST_TABLE).unwrap();
        assert_eq!(table.columns, ["step", "train_reward_mean"]);
        assert_eq!(table.rows[0].extra["train_reward_mean"], serde_json::json!("0.25"));
    }
}
