//! Numbers with units: `30s`, `256MiB`, `20/min`.
//!
//! A number without a unit is refused: some programs read `timeout = 30` as seconds,
//! others as milliseconds.

use std::time::Duration;

use crate::grant::quotas::Rate;

/// The word that means no limit.
const UNLIMITED: &str = "unlimited";

/// Parses a duration as grant files write it: `250ms`, `30s`, `10min`, `2h`, `1d`.
///
/// # Errors
///
/// What was expected, if the number or the unit is missing or out of range.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let milliseconds = match unit {
        "ms" => Some(1),
        _ => seconds_of(unit).map(|seconds| seconds * 1000),
    };
    let number = number.parse::<u64>().ok();
    match milliseconds
        .zip(number)
        .and_then(|(unit, number)| unit.checked_mul(number))
    {
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        None => Err(format!(
            "expected a time with a unit (ms, s, min, h, d), such as \"30s\", not {text:?}"
        )),
    }
}

/// Parses a number of bytes as grant files write it: `64B`, `64KiB`, `256MiB`, `2GiB`.
///
/// # Errors
///
/// What was expected, if the number or the unit is missing or out of range.
pub fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let unit = match unit {
        "B" => Some(1u64),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        "TiB" => Some(1 << 40),
        _ => None,
    };
    let number = number.parse::<u64>().ok();
    unit.zip(number)
        .and_then(|(unit, number)| unit.checked_mul(number))
        .ok_or_else(|| {
            format!(
                "expected a size with a unit (B, KiB, MiB, GiB, TiB), such as \"64MiB\", not {text:?}"
            )
        })
}

/// Parses a rate: a count per second, minute, hour or day (`20/min`), or per several of
/// them (`5/10s`).
pub(in crate::grant) fn rate(text: &str) -> Result<Rate, String> {
    let parse = || {
        let (count, per) = text.split_once('/')?;
        let (number, unit) = split(per);
        let number = if number.is_empty() {
            1
        } else {
            number.parse::<u64>().ok()?
        };
        let per = seconds_of(unit)?
            .checked_mul(number)
            .filter(|&per| per > 0)?;
        Some(Rate {
            count: count.parse().ok()?,
            per: Duration::from_secs(per),
        })
    };
    parse().ok_or_else(|| format!("expected a rate, such as \"20/min\", not {text:?}"))
}

/// Parses `m..n`, from m to n times, both included; `m..` has no upper bound.
pub(in crate::grant) fn repeat(text: &str) -> Result<(usize, usize), String> {
    let parse = || {
        let (min, max) = text.split_once("..")?;
        let min = min.parse().ok()?;
        let max = if max.is_empty() {
            usize::MAX
        } else {
            max.parse().ok()?
        };
        (min <= max && max > 0).then_some((min, max))
    };
    parse().ok_or_else(|| format!("expected a range, such as \"0..8\", not {text:?}"))
}

/// Parses `unlimited` as `None`, and anything else by `parse`.
pub(in crate::grant) fn or_unlimited<T>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if is_unlimited(text) {
        Ok(None)
    } else {
        parse(text).map(Some)
    }
}

/// Returns whether `text` is the word that means no limit.
pub(in crate::grant) fn is_unlimited(text: &str) -> bool {
    text == UNLIMITED
}

fn seconds_of(unit: &str) -> Option<u64> {
    match unit {
        "s" => Some(1),
        "min" => Some(60),
        "h" => Some(60 * 60),
        "d" => Some(24 * 60 * 60),
        _ => None,
    }
}

/// Splits the leading digits from the rest.
fn split(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{show_bytes, show_duration};

    #[test]
    fn a_time_needs_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("10min"), Ok(Duration::from_secs(600)));
        for wrong in [
            "30",
            "s",
            "",
            "-1s",
            "1.5s",
            "30 s",
            "1m",
            "999999999999999999d",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_size_needs_a_unit() {
        assert_eq!(bytes("64MiB"), Ok(64 << 20));
        assert_eq!(bytes("7B"), Ok(7));
        for wrong in ["64", "64M", "64 MiB", "MiB", "99999999999TiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_size_and_a_time_are_shown_as_a_grant_file_has_them() {
        for text in ["64MiB", "1TiB", "3KiB", "1025B", "0B"] {
            assert_eq!(bytes(text).map(show_bytes).as_deref(), Ok(text));
        }
        for text in ["250ms", "30s", "90s", "10min", "2h", "1d", "0ms"] {
            assert_eq!(duration(text).map(show_duration).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_rate_needs_a_period_and_a_range_needs_an_order() {
        assert_eq!(
            rate("20/min"),
            Ok(Rate {
                count: 20,
                per: Duration::from_secs(60)
            })
        );
        assert_eq!(
            rate("5/10s"),
            Ok(Rate {
                count: 5,
                per: Duration::from_secs(10)
            })
        );
        assert!(rate("20").is_err() && rate("20/0s").is_err() && rate("20/m").is_err());
        assert_eq!(repeat("0..8"), Ok((0, 8)));
        assert_eq!(repeat("1.."), Ok((1, usize::MAX)));
        assert!(repeat("8..1").is_err() && repeat("8").is_err() && repeat("0..0").is_err());
    }
}
