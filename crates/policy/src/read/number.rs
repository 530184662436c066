//! Reads the numbers of a limit, exactly: no floating point, nothing rounded.

use std::time::Duration;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadNumber {
    NotANumber,
    NotPositive,
    TooFine,
    TooLarge,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadWindow {
    NotADuration,
    Zero,
    TooLong,
}

/// Limits look back one window, so a window also bounds what must be remembered.
pub(super) const LONGEST: u64 = 366 * DAY;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What may stand in place of a number and a unit.
pub(super) const WORDS: [(&str, u64); 3] = [("minute", MINUTE), ("hour", HOUR), ("day", DAY)];

/// What follows a number, in seconds.
pub(super) const UNITS: [(&str, u64); 4] = [("s", 1), ("m", MINUTE), ("h", HOUR), ("d", DAY)];

/// A JSON number above zero, in millionths.
pub(super) fn millionths(text: &str) -> Result<u64, BadNumber> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    if digits.starts_with('-') || digits.is_empty() {
        return Err(BadNumber::NotPositive);
    }
    let significant = digits.trim_end_matches('0');
    let trailing = (digits.len() - significant.len()) as i64;
    // An exponent too long for an i64 saturates; either way the number is far out of range.
    let exponent =
        exponent.parse::<i64>().unwrap_or(if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 });
    let scale = exponent.saturating_add(trailing - fraction.len() as i64).saturating_add(6);
    let scale = u32::try_from(scale).map_err(|_| if scale < 0 { BadNumber::TooFine } else { BadNumber::TooLarge })?;
    let factor = 10_u64.checked_pow(scale).ok_or(BadNumber::TooLarge)?;
    let significant = significant.parse::<u64>().map_err(|_| BadNumber::TooLarge)?;
    significant.checked_mul(factor).ok_or(BadNumber::TooLarge)
}

/// Seconds, as a JSON number without fraction or exponent.
pub(super) fn window_of_number(text: &str) -> Result<Duration, BadWindow> {
    seconds(text, 1)
}

/// `30s`, `5m`, `1h`, `1d`, or the word for one of them.
pub(super) fn window_of_text(text: &str) -> Result<Duration, BadWindow> {
    if let Some((_, window)) = WORDS.iter().find(|(word, _)| *word == text) {
        return Ok(Duration::from_secs(*window));
    }
    let split = UNITS.iter().find_map(|(letter, unit)| Some((text.strip_suffix(letter)?, unit)));
    let (number, unit) = split.ok_or(BadWindow::NotADuration)?;
    seconds(number, *unit)
}

fn seconds(number: &str, unit: u64) -> Result<Duration, BadWindow> {
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadWindow::NotADuration);
    }
    // Digits alone fail to parse only by being too many.
    let number = number.parse::<u64>().map_err(|_| BadWindow::TooLong)?;
    match number.checked_mul(unit) {
        Some(0) => Err(BadWindow::Zero),
        Some(seconds) if seconds <= LONGEST => Ok(Duration::from_secs(seconds)),
        Some(_) | None => Err(BadWindow::TooLong),
    }
}

/// What was probably meant by `hourly`, `2 min`, `90sec` or `1w`.
pub(super) fn window_advice(bad: &BadWindow, written: &str) -> String {
    match bad {
        BadWindow::TooLong => return "write \"366d\" or less".to_owned(),
        BadWindow::Zero => return "write \"1s\" or more".to_owned(),
        BadWindow::NotADuration => {}
    }
    let number = written.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = written.get(number.len()..).unwrap_or_default().trim();
    let number = if number.is_empty() { Ok(1) } else { number.trim().parse::<u32>() };
    let meant = match (number, unit.chars().next()) {
        (Ok(number), None | Some('s')) => Some(format!("{number}s")),
        (Ok(number), Some('m')) if unit.starts_with("min") => Some(format!("{number}m")),
        (Ok(number), Some('h')) => Some(format!("{number}h")),
        (Ok(number), Some('d')) => Some(format!("{number}d")),
        (Ok(number), Some('w')) => Some(format!("{}d", u64::from(number) * 7)),
        _ => None,
    };
    match meant {
        Some(meant) if window_of_text(&meant).is_ok() => format!("write \"{meant}\""),
        _ => "write whole seconds, or a whole number and one of s, m, h, d".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ONE;

    #[test]
    fn millionths_are_exact() {
        let check = |text: &str, expected| assert_eq!(millionths(text), expected, "{text}");
        check("1", Ok(ONE));
        check("1.0", Ok(ONE));
        check("10e-1", Ok(ONE));
        check("0.1E+1", Ok(ONE));
        check("0.000001", Ok(1));
        check("0.0000010", Ok(1));
        check("2.5", Ok(2_500_000));
        check("1e3", Ok(1_000 * ONE));
        check("18446744073709.551615", Ok(u64::MAX));
        check("18446744073709.551616", Err(BadNumber::TooLarge));
        check("1e99999999999999999999", Err(BadNumber::TooLarge));
        check("1e-99999999999999999999", Err(BadNumber::TooFine));
        check("0.0000001", Err(BadNumber::TooFine));
        check("0", Err(BadNumber::NotPositive));
        check("0e9", Err(BadNumber::NotPositive));
        check("-0", Err(BadNumber::NotPositive));
        check("-1", Err(BadNumber::NotPositive));
    }

    #[test]
    fn windows() {
        let check = |text: &str, expected: Result<u64, BadWindow>| {
            assert_eq!(window_of_text(text), expected.map(Duration::from_secs), "{text}");
        };
        check("30s", Ok(30));
        check("5m", Ok(300));
        check("1h", Ok(3_600));
        check("1d", Ok(86_400));
        check("minute", Ok(60));
        check("hour", Ok(3_600));
        check("day", Ok(86_400));
        check("366d", Ok(LONGEST));
        check("367d", Err(BadWindow::TooLong));
        check("99999999999999999999d", Err(BadWindow::TooLong));
        check("0s", Err(BadWindow::Zero));
        for text in ["", "s", "60", "1.5h", "-1s", "+1s", " 1s", "1 s", "1S", "1h30m", "hourly", "٣s", "second"] {
            check(text, Err(BadWindow::NotADuration));
        }
        assert_eq!(window_of_number("60"), Ok(Duration::from_secs(60)));
        assert_eq!(window_of_number("60.0"), Err(BadWindow::NotADuration));
        assert_eq!(window_of_number("0"), Err(BadWindow::Zero));
    }

    #[test]
    fn advice_on_windows() {
        let check = |text: &str, expected: &str| {
            assert_eq!(window_advice(&BadWindow::NotADuration, text), expected, "{text}");
        };
        let generic = "write whole seconds, or a whole number and one of s, m, h, d";
        check("hourly", "write \"1h\"");
        check("2 min", "write \"2m\"");
        check("90", "write \"90s\"");
        check("2w", "write \"14d\"");
        check("month", generic);
        check("1.5h", generic);
        check("99999999999d", generic);
    }
}
