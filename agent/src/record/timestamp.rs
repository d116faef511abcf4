//! When the event happened, from the line's own field, as RFC 3339 in UTC.

use std::fmt::Write;

use jiff::Timestamp;

use super::scan::Kind;

/// Fields that may hold the event's time, in the order in which they are asked.
pub(crate) const FIELDS: [&str; 4] = ["@timestamp", "timestamp", "time", "ts"];

/// What a field says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Time {
    /// Already as a record has it: to be taken over as it is.
    Canonical,
    Of(Timestamp),
}

/// Reads a field's value (`text` with its quotes, if a string): RFC 3339, or seconds, milli-, micro- or nanoseconds
/// since 1970, told apart by size. A number below 10^11 is seconds (to the year 5138).
pub(crate) fn parse(kind: Kind, text: &str) -> Option<Time> {
    match kind {
        Kind::Number => epoch(text).map(Time::Of),
        Kind::String => {
            let text = text.get(1..text.len().checked_sub(1)?)?;
            if is_canonical(text.as_bytes()) {
                return Some(Time::Canonical);
            }
            let digits = text.trim_start_matches('-');
            if digits.len() >= 9 && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
                return epoch(text).map(Time::Of);
            }
            in_range(text.parse().ok()?).map(Time::Of)
        }
        _ => None,
    }
}

/// Appends `time` as a record has it.
pub(crate) fn append(out: &mut Vec<u8>, time: Timestamp) {
    let mut text = String::with_capacity(32);
    // Writing into a String does not fail.
    let _ = write!(text, "{time}");
    out.extend_from_slice(text.as_bytes());
}

/// An RFC 3339 time as a record has it.
pub(crate) fn canonical(text: &str) -> Option<String> {
    if is_canonical(text.as_bytes()) {
        return Some(text.to_owned());
    }
    in_range(text.parse().ok()?).map(|time: Timestamp| time.to_string())
}

/// A reading time as a record has it, with milliseconds.
pub(crate) fn read_time(unix_ms: i64) -> String {
    let time = Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

/// Years that Elasticsearch's date format has.
fn in_range(time: Timestamp) -> Option<Timestamp> {
    const FIRST: i64 = -62_135_596_800; // year 1
    (FIRST..=253_402_300_799).contains(&time.as_second()).then_some(time)
}

fn epoch(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanos: i128 = match (whole.parse::<i64>(), fraction.bytes().all(|b| b.is_ascii_digit())) {
        (Ok(whole), true) => {
            let unit: i128 = unit_nanos(whole.unsigned_abs());
            let mut nanos = i128::from(whole) * unit;
            let (mut place, negative) = (unit, text.starts_with('-'));
            for digit in fraction.bytes() {
                place /= 10;
                let part = i128::from(digit - b'0') * place;
                nanos += if negative { -part } else { part };
            }
            nanos
        }
        _ => {
            let number: f64 = text.parse().ok().filter(|n: &f64| n.is_finite() && n.abs() < 1e19)?;
            (number * unit_nanos(number.abs() as u64) as f64) as i128
        }
    };
    in_range(Timestamp::from_nanosecond(nanos).ok()?)
}

fn unit_nanos(size: u64) -> i128 {
    match size {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    }
}

/// `YYYY-MM-DDThh:mm:ss[.f{1,9}]Z` with every part in its range.
fn is_canonical(text: &[u8]) -> bool {
    let (Some(head), Some(tail)) = (text.get(..19), text.get(19..)) else { return false };
    let number = |range: std::ops::Range<usize>| {
        head[range].iter().try_fold(0_u32, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
    };
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if !separators.iter().all(|(at, b)| head[*at] == *b) {
        return false;
    }
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else { return false };
    let (Some(hour), Some(minute), Some(second)) = (number(11..13), number(14..16), number(17..19)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 0,
    };
    let fraction_fits = match tail {
        [b'Z'] => true,
        [b'.', digits @ .., b'Z'] => (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    year > 0 && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60 && fraction_fits
}
