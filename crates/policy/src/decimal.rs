//! Exact numbers as JSON writes them: of any size and exponent, compared without rounding and without floating point.

use std::cmp::Ordering;
use std::fmt;

/// A number in its written digits. Kept as borrowed text for what a call says, as owned text for what a policy says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal<S> {
    negative: bool,
    /// From the first digit that is not zero to the last, perhaps with a point among them. Empty for zero.
    digits: S,
    /// The power of ten that the first digit counts.
    power: i64,
}

/// No number of a policy comes near: what lies beyond is larger (or finer) than all of them, whatever it is exactly.
pub(crate) const FARTHEST: i64 = 1_000_000_000_000;

impl<'t> Decimal<&'t str> {
    /// `text` must be a JSON number.
    pub(crate) fn parse(text: &'t str) -> Self {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let some = |c: char| matches!(c, '1'..='9');
        let (Some(start), Some(end)) = (mantissa.find(some), mantissa.rfind(some)) else {
            return Self { negative: false, digits: "", power: 0 };
        };
        let point = mantissa.find('.').unwrap_or(mantissa.len());
        // A mantissa is no longer than memory, so neither place is near the end of an i64.
        let power = if start < point { (point - start) as i64 - 1 } else { -((start - point) as i64) };
        let far = if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
        let exponent = exponent.parse::<i64>().unwrap_or(far).clamp(i64::MIN / 2, i64::MAX / 2);
        Self { negative, digits: mantissa.get(start..=end).unwrap_or_default(), power: power.saturating_add(exponent) }
    }

    /// None for a number that no policy may have.
    pub(crate) fn to_owned(self) -> Option<Decimal<Box<str>>> {
        let Self { negative, digits, power } = self;
        (-FARTHEST..FARTHEST).contains(&power).then(|| Decimal { negative, digits: digits.into(), power })
    }
}

impl<S: AsRef<str>> Decimal<S> {
    pub(crate) fn compare<T: AsRef<str>>(&self, other: &Decimal<T>) -> Ordering {
        let (sign, other_sign) = (self.sign(), other.sign());
        if sign != other_sign || sign == 0 {
            return sign.cmp(&other_sign);
        }
        let size = self.power.cmp(&other.power).then_with(|| self.digits().cmp(other.digits()));
        if self.negative { size.reverse() } else { size }
    }

    /// Whether it is below zero, its digits without a point, and the power of ten that the first of them counts.
    pub(crate) fn parts(&self) -> (bool, String, i64) {
        (self.negative, self.digits().map(char::from).collect(), self.power)
    }

    /// By value: `1.0` and `1e2` are whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_zero() || self.power >= self.digits().count() as i64 - 1
    }

    /// The number times ten to `places`, where that is a whole number of this type.
    pub(crate) fn scaled(&self, places: i64) -> Option<u64> {
        if self.is_zero() {
            return Some(0);
        }
        let last = self.power.saturating_add(1).saturating_sub(self.digits().count() as i64).saturating_add(places);
        let factor = 10_u64.checked_pow(u32::try_from(last).ok()?)?;
        let digit = |number: u64, digit: u8| number.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
        let number = self.digits().try_fold(0, digit)?.checked_mul(factor)?;
        (!self.negative).then_some(number)
    }

    fn is_zero(&self) -> bool {
        self.digits.as_ref().is_empty()
    }

    fn sign(&self) -> i8 {
        match (self.is_zero(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.digits.as_ref().bytes().filter(|byte| *byte != b'.')
    }
}

/// As JSON writes numbers; plain where that is short.
impl<S: AsRef<str>> fmt::Display for Decimal<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits().map(char::from).collect::<String>();
        let sign = if self.negative { "-" } else { "" };
        // So many digits stand before the point, or so many zeros after it.
        match (usize::try_from(self.power.saturating_add(1)), digits.split_at_checked(1)) {
            _ if digits.is_empty() => f.write_str("0"),
            (Ok(whole), _) if (digits.len()..=21).contains(&whole) => {
                write!(f, "{sign}{digits}{}", "0".repeat(whole - digits.len()))
            }
            (Ok(whole), _) if whole > 0 && whole < digits.len() => {
                let (whole, fraction) = digits.split_at_checked(whole).unwrap_or((&digits, "0"));
                write!(f, "{sign}{whole}.{fraction}")
            }
            _ if (-6..0).contains(&self.power) => {
                write!(
                    f,
                    "{sign}0.{:0>width$}",
                    digits,
                    width = digits.len() + usize::try_from(-self.power - 1).unwrap_or(0)
                )
            }
            (_, Some((first, ""))) => write!(f, "{sign}{first}e{}", self.power),
            (_, Some((first, rest))) => write!(f, "{sign}{first}.{rest}e{}", self.power),
            (_, None) => f.write_str("0"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, expected: Ordering) {
        assert_eq!(Decimal::parse(a).compare(&Decimal::parse(b)), expected, "{a} against {b}");
        assert_eq!(Decimal::parse(b).compare(&Decimal::parse(a)), expected.reverse(), "{b} against {a}");
    }

    #[test]
    fn comparing() {
        for (a, b) in
            [("1", "1.0"), ("1e2", "100"), ("0.1e1", "1"), ("-0", "0e9"), ("12.50", "0.1250E+2"), ("1E-2", "0.01")]
        {
            check(a, b, Ordering::Equal);
        }
        check("9007199254740993", "9007199254740992", Ordering::Greater);
        check("0.1", "0.10000000000000000000000000001", Ordering::Less);
        check("-2", "1", Ordering::Less);
        check("-2", "-1", Ordering::Less);
        check("-1", "0", Ordering::Less);
        check("99", "100", Ordering::Less);
        check("10.5", "1.05", Ordering::Greater);
        check("1e400", "9e399", Ordering::Greater);
        check("1e99999999999999999999999", "5", Ordering::Greater);
        check("-1e99999999999999999999999", "5", Ordering::Less);
        check("1e-99999999999999999999999", "0", Ordering::Greater);
        check("0e99999999999999999999999", "0", Ordering::Equal);
    }

    #[test]
    fn whole_numbers() {
        for text in ["0", "-0.0", "1.0", "1e2", "-12.50e1", "1e999999999999999999999"] {
            assert!(Decimal::parse(text).is_whole(), "{text}");
        }
        for text in ["0.5", "-1.25e1", "1e-1", "1e-999999999999999999999"] {
            assert!(!Decimal::parse(text).is_whole(), "{text}");
        }
    }

    #[test]
    fn scaling() {
        let check = |text: &str, expected| assert_eq!(Decimal::parse(text).scaled(6), expected, "{text}");
        check("0", Some(0));
        check("-0", Some(0));
        check("2.5", Some(2_500_000));
        check("0.000001", Some(1));
        check("1e3", Some(1_000_000_000));
        check("18446744073709.551615", Some(u64::MAX));
        check("18446744073709.551616", None);
        check("0.0000001", None);
        check("-1", None);
        check("1e99999999999999999999", None);
        check("1e-99999999999999999999", None);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_the_same(text in "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?") {
            let number = Decimal::parse(&text);
            let shown = number.to_string();
            prop_assert!(serde_json::from_str::<serde_json::Number>(&shown).is_ok(), "{} as {}", text, shown);
            prop_assert_eq!(number.compare(&Decimal::parse(&shown)), Ordering::Equal, "{} as {}", text, shown);
        }

        #[test]
        fn agrees_with_whole_numbers(a in -9_999_999_i64..9_999_999, b in -9_999_999_i64..9_999_999, zeros in 0..9_usize) {
            let shifted = format!("{a}{}e-{zeros}", "0".repeat(zeros));
            prop_assert_eq!(Decimal::parse(&shifted).compare(&Decimal::parse(&b.to_string())), a.cmp(&b));
        }
    }
}
