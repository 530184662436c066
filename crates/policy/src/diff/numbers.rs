//! Finds a number in every gap between the numbers that tests name: the bounds themselves, the next whole one, the next
//! that a cost can be, and one that is as close as it gets. Digits are text here, so nothing is ever rounded.

use std::collections::BTreeSet;

use crate::counter::ONE;
use crate::decimal::Decimal;

/// Beyond it numbers are not written out to tell whole ones from others.
const FAR: i64 = 400;

/// A number that a test names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bound {
    negative: bool,
    /// From the first that is not zero to the last; empty for zero.
    digits: String,
    /// What the first digit counts.
    power: i64,
}

/// What the tests on one value ask of numbers.
#[derive(Default)]
pub(super) struct Numbers {
    bounds: BTreeSet<Bound>,
    pub(super) whole: bool,
    priced: bool,
}

impl Numbers {
    pub(super) fn add(&mut self, number: &Decimal<Box<str>>) {
        let (negative, digits, power) = number.parts();
        self.bounds.insert(Bound { negative, digits, power });
    }

    /// A cost of at most this many millionths is asked for.
    pub(super) fn add_cost(&mut self, max: u64) {
        self.priced = true;
        let (whole, part) = (max / ONE, max % ONE);
        self.bounds.extend(Decimal::parse(&format!("{whole}.{part:06}")).to_owned().map(|max| {
            let (negative, digits, power) = max.parts();
            Bound { negative, digits, power }
        }));
    }

    /// As JSON, the plainest first. The second is whether they are known to be enough.
    pub(super) fn examples(mut self) -> (Vec<String>, bool) {
        self.bounds.insert(Bound { negative: false, digits: String::new(), power: 0 });
        let near = self.bounds.iter().all(|bound| bound.power.abs() <= FAR);
        let mut examples = self.bounds.iter().map(Bound::text).collect::<Vec<_>>();
        // Whole, then simple, then payable, then tiny.
        for (places, steps) in [(0, 1), (1, 1), (6, 1), (6, 2)] {
            examples.extend(self.bounds.iter().flat_map(|bound| bound.next(places, steps)));
        }
        let width = self.bounds.iter().map(|bound| bound.digits.len()).max().unwrap_or_default();
        let least = self.bounds.iter().map(|bound| bound.power).min().unwrap_or_default().min(-7);
        examples.extend(self.bounds.iter().flat_map(|bound| bound.beyond(width, least)));
        (examples, near || !self.whole && !self.priced)
    }
}

/// As JSON.
pub(super) fn text(number: &Decimal<Box<str>>) -> String {
    let (negative, digits, power) = number.parts();
    written(negative, &digits, power)
}

impl Bound {
    fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    fn text(&self) -> String {
        written(self.negative, &self.digits, self.power)
    }

    /// The next multiples of ten to minus `places`, away from zero; for zero, on both sides.
    fn next(&self, places: i64, steps: u32) -> Vec<String> {
        let length = self.power + places + 1;
        let (Ok(length), true) = (usize::try_from(length.max(0)), self.power <= FAR) else {
            return Vec::new();
        };
        let padded = format!("{:0<length$}", self.digits);
        let kept = padded.get(..length).unwrap_or_default();
        let digits = plus(kept, steps);
        let power = digits.len() as i64 - 1 - places;
        self.signs().map(|negative| written(negative, &digits, power)).collect()
    }

    /// Nearer to this number than any other bound, away from zero, and neither whole nor payable where it can be.
    fn beyond(&self, width: usize, least: i64) -> Vec<String> {
        let (digits, power) = if self.is_zero() {
            ("1".to_owned(), least - 1)
        } else {
            let payable = usize::try_from((self.power + 7).clamp(0, FAR + 7)).unwrap_or_default();
            let width = width.max(payable);
            (format!("{:0<width$}1", self.digits), self.power)
        };
        self.signs().map(|negative| written(negative, &digits, power)).collect()
    }

    fn signs(&self) -> impl Iterator<Item = bool> {
        let both = [false, true].into_iter();
        both.filter(|negative| self.is_zero() || *negative == self.negative)
    }
}

/// The sum of digits and a small number.
fn plus(digits: &str, steps: u32) -> String {
    let mut carry = steps;
    let mut sum = Vec::new();
    for digit in digits.bytes().rev() {
        let here = u32::from(digit - b'0') + carry;
        sum.push(here % 10);
        carry = here / 10;
    }
    if carry > 0 {
        sum.push(carry);
    }
    sum.iter().rev().filter_map(|digit| char::from_digit(*digit, 10)).collect()
}

/// As JSON writes it. `digits` may end in zeros.
fn written(negative: bool, digits: &str, power: i64) -> String {
    let sign = if negative { "-" } else { "" };
    let digits = digits.trim_end_matches('0');
    let Some((first, rest)) = digits.split_at_checked(1) else {
        return "0".to_owned();
    };
    let length = digits.len() as i64;
    match power {
        0..=30 => {
            let whole = power as usize + 1;
            let padded = format!("{digits:0<whole$}");
            let (whole, part) = padded.split_at_checked(whole).unwrap_or((&padded, ""));
            if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
        }
        -12..0 => format!("{sign}0.{}{digits}", "0".repeat((-power - 1) as usize)),
        _ if length == 1 => format!("{sign}{first}e{power}"),
        _ => format!("{sign}{first}.{rest}e{power}"),
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn owned(text: &str) -> Decimal<Box<str>> {
        Decimal::parse(text).to_owned().unwrap()
    }

    fn examples(bounds: &[String]) -> Vec<String> {
        let mut numbers = Numbers { whole: true, ..Numbers::default() };
        bounds.iter().for_each(|bound| numbers.add(&owned(bound)));
        numbers.add_cost(2_500_000);
        let (examples, enough) = numbers.examples();
        assert!(enough);
        examples
    }

    proptest! {
        #[test]
        fn no_number_comes_out_as_no_example_does(
            bounds in prop::collection::vec("-?(0|[1-9][0-9]{0,2})([.][0-9]{1,8})?(e-?[0-9])?", 0..5),
            others in prop::collection::vec("-?(0|[1-9][0-9]{0,2})([.][0-9]{1,8})?(e-?[0-9])?", 30),
        ) {
            let mut all = bounds.clone();
            all.extend(["2.5".to_owned(), "0".to_owned()]);
            let way = |text: &str| {
                let number = Decimal::parse(text);
                let order = |bound: &String| number.compare(&owned(bound));
                let payable = number.scaled(6).is_some_and(|cost| cost <= 2_500_000);
                (all.iter().map(order).collect::<Vec<Ordering>>(), number.is_whole(), payable)
            };
            let ways = examples(&bounds).iter().map(|example| way(example)).collect::<Vec<_>>();
            for other in others {
                prop_assert!(ways.contains(&way(&other)), "{other} between {bounds:?}");
            }
        }
    }
}
