//! What a table of metrics says at a glance.

use crate::model::StepMetrics;

/// How much worse than its best a validation loss has to end before that is a sign.
const WORSE: f64 = 1.1;

/// A number, and the step at which it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The step, where the row says so.
    pub step: Option<i64>,
    /// The number.
    pub value: f64,
}

/// What a table of metrics says at a glance. Losses are cross-entropies, accuracies lie between 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MetricsSummary {
    /// The first loss on a batch.
    pub first_train_loss: Option<Measured>,
    /// The last loss on a batch.
    pub last_train_loss: Option<Measured>,
    /// The least loss on a batch.
    pub best_train_loss: Option<Measured>,
    /// The last loss on the validation file: on the whole of it where that was measured, else on a batch.
    pub last_valid_loss: Option<Measured>,
    /// The least loss on the validation file, measured likewise.
    pub best_valid_loss: Option<Measured>,
    /// The last share of a batch's tokens that were predicted.
    pub last_train_accuracy: Option<Measured>,
    /// The last share of the validation file's tokens that were predicted, measured likewise.
    pub last_valid_accuracy: Option<Measured>,
    /// Whether the validation loss ends more than a tenth above its best while the training loss went on falling: a sign that
    /// the model learns its examples by heart. The checkpoint nearest the best step may be the better model.
    pub may_overfit: bool,
}

pub(super) fn of(rows: &[StepMetrics]) -> MetricsSummary {
    let is_full = rows.iter().any(|row| row.full_valid_loss.is_some());
    let train = column(rows, |row| row.train_loss);
    let valid = column(rows, |row| if is_full { row.full_valid_loss } else { row.valid_loss });
    let accuracy = |row: &StepMetrics| {
        if is_full { row.full_valid_mean_token_accuracy } else { row.valid_mean_token_accuracy }
    };
    let (last_train_loss, best_train_loss) = (train.last().copied(), least(&train));
    let (last_valid_loss, best_valid_loss) = (valid.last().copied(), least(&valid));
    let until = |step: i64| train.iter().rev().find(|loss| loss.step.is_some_and(|found| found <= step));
    let at_best = best_valid_loss.and_then(|best| until(best.step?));
    let is_worse = last_valid_loss.zip(best_valid_loss).is_some_and(|(last, best)| last.value > best.value * WORSE);
    let went_on = last_train_loss.zip(at_best).is_some_and(|(last, at_best)| last.value < at_best.value);
    MetricsSummary {
        first_train_loss: train.first().copied(),
        last_train_loss,
        best_train_loss,
        last_valid_loss,
        best_valid_loss,
        last_train_accuracy: column(rows, |row| row.train_mean_token_accuracy).last().copied(),
        last_valid_accuracy: column(rows, accuracy).last().copied(),
        may_overfit: is_worse && went_on,
    }
}

fn column(rows: &[StepMetrics], value: impl Fn(&StepMetrics) -> Option<f64>) -> Vec<Measured> {
    rows.iter().filter_map(|row| Some(Measured { step: row.step, value: value(row)? })).collect()
}

fn least(column: &[Measured]) -> Option<Measured> {
    column.iter().copied().min_by(|one, other| one.value.total_cmp(&other.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of `train_loss` and `valid_loss`, a step each.
    fn rows(losses: &[(f64, Option<f64>)]) -> Vec<StepMetrics> {
        let row = |(step, (train, valid)): (i64, &(f64, Option<f64>))| StepMetrics {
            step: Some(step),
            train_loss: Some(*train),
            valid_loss: *valid,
            ..StepMetrics::default()
        };
        (1..).zip(losses).map(row).collect()
    }

    fn at(step: i64, value: f64) -> Option<Measured> {
        Some(Measured { step: Some(step), value })
    }

    #[test]
    fn first_last_and_best() {
        assert_eq!(of(&[]), MetricsSummary::default());
        let summary = of(&rows(&[(2.0, None), (0.5, Some(1.0)), (0.7, None)]));
        assert_eq!(summary.first_train_loss, at(1, 2.0));
        assert_eq!(summary.last_train_loss, at(3, 0.7));
        assert_eq!(summary.best_train_loss, at(2, 0.5));
        assert_eq!((summary.last_valid_loss, summary.best_valid_loss), (at(2, 1.0), at(2, 1.0)));
        assert_eq!(summary.last_train_accuracy, None);
    }

    #[test]
    fn the_whole_validation_file_counts_for_more_than_a_batch() {
        let mut rows = rows(&[(1.0, Some(0.1)), (1.0, Some(0.2))]);
        rows[0].full_valid_loss = Some(3.0);
        rows[0].full_valid_mean_token_accuracy = Some(0.25);
        rows[1].valid_mean_token_accuracy = Some(0.75);
        let summary = of(&rows);
        assert_eq!((summary.last_valid_loss, summary.last_valid_accuracy), (at(1, 3.0), at(1, 0.25)));
    }

    #[test]
    fn learning_by_heart() {
        let sign = |losses: &[(f64, Option<f64>)]| of(&rows(losses)).may_overfit;
        assert!(sign(&[(2.0, Some(2.0)), (1.0, Some(1.0)), (0.5, Some(1.2))]));
        assert!(!sign(&[(2.0, Some(2.0)), (1.0, Some(1.0)), (0.5, Some(1.05))]));
        assert!(!sign(&[(2.0, Some(2.0)), (1.0, Some(1.0)), (1.5, Some(1.6))]));
        assert!(!sign(&[(2.0, None), (1.0, None)]));
    }
}
