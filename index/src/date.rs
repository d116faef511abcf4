//! Dates as Elasticsearch reads and writes them: `strict_date_optional_time||epoch_millis`, date math, rendering.
//!
//! A date is milliseconds since the epoch, UTC, as in Elasticsearch's `date` type (smaller fractions are cut).

pub(crate) mod math;

use std::fmt::Write as _;

pub(crate) const SECOND: i64 = 1_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Which end of an incomplete date (`2026-11`) is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// The first millisecond of it.
    Down,
    /// The last millisecond of it, as `lte` and `gt` need.
    Up,
}

/// Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant's days_from_civil).
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month 1..=12 and day 1..=31 of a day since 1970-01-01.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Renders as `strict_date_time`: `2026-11-21T07:16:46.000Z`.
pub(crate) fn render(ms: i64) -> String {
    let (year, month, day) = civil_from_days(ms.div_euclid(DAY));
    let rest = ms.rem_euclid(DAY);
    let mut out = String::with_capacity(24);
    let _ = match year {
        0..=9999 => write!(out, "{year:04}"),
        _ if year < 0 => write!(out, "-{:04}", -year),
        _ => write!(out, "{year}"),
    };
    let _ = write!(
        out,
        "-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        rest / HOUR,
        rest % HOUR / MINUTE,
        rest % MINUTE / SECOND,
        rest % SECOND
    );
    out
}

/// `strict_date_optional_time`: `yyyy[-MM[-dd[THH[:mm[:ss[.fraction]]]][zone]]]`.
pub(crate) fn parse_iso(text: &str, round: Round) -> Option<i64> {
    let mut cursor = Cursor(text.as_bytes());
    let year = cursor.digits(4)?;
    let (mut month, mut day) = (None, None);
    if cursor.take(b'-') {
        month = Some(cursor.digits(2)?);
        if cursor.take(b'-') {
            day = Some(cursor.digits(2)?);
        }
    }
    let (mut hour, mut minute, mut second, mut ms) = (None, None, None, None);
    let mut offset = 0;
    if day.is_some() && cursor.take(b'T') && !cursor.0.is_empty() {
        hour = Some(cursor.digits(2)?);
        if cursor.take(b':') {
            minute = Some(cursor.digits(2)?);
            if cursor.take(b':') {
                second = Some(cursor.digits(2)?);
                if cursor.take(b'.') || cursor.take(b',') {
                    ms = Some(cursor.fraction()?);
                }
            }
        }
        offset = cursor.zone()?;
    }
    if !cursor.0.is_empty() {
        return None;
    }
    let up = round == Round::Up;
    let month_value = month.unwrap_or(if up { 12 } else { 1 });
    if !(1..=12).contains(&month_value) {
        return None;
    }
    let day_value = day.unwrap_or(if up { days_in_month(year, month_value) } else { 1 });
    let (hour, minute, second) = (
        hour.unwrap_or(if up { 23 } else { 0 }),
        minute.unwrap_or(if up { 59 } else { 0 }),
        second.unwrap_or(if up { 59 } else { 0 }),
    );
    if !(1..=days_in_month(year, month_value)).contains(&day_value) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let ms = ms.unwrap_or(if up { 999 } else { 0 });
    Some(
        days_from_civil(year, month_value, day_value) * DAY + hour * HOUR + minute * MINUTE + second * SECOND + ms
            - offset,
    )
}

/// `strict_date_optional_time||epoch_millis`, a date field's default format.
pub(crate) fn parse(text: &str, round: Round) -> Option<i64> {
    parse_iso(text, round).or_else(|| text.parse::<i64>().ok())
}

/// What dynamic mapping takes for a date: the default `dynamic_date_formats`, never a pure number.
pub(crate) fn detect(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 7 || !bytes[0].is_ascii_digit() || !matches!(bytes.get(4), Some(b'-' | b'/')) {
        return false;
    }
    parse_iso(text, Round::Down).is_some() || parse_slashes(text).is_some()
}

/// `yyyy/MM/dd HH:mm:ss||yyyy/MM/dd`.
pub(crate) fn parse_slashes(text: &str) -> Option<i64> {
    let mut cursor = Cursor(text.as_bytes());
    let year = cursor.digits(4)?;
    let month = cursor.take(b'/').then(|| cursor.digits(2))??;
    let day = cursor.take(b'/').then(|| cursor.digits(2))??;
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    let mut ms = days_from_civil(year, month, day) * DAY;
    if cursor.take(b' ') {
        let hour = cursor.digits(2)?;
        let minute = cursor.take(b':').then(|| cursor.digits(2))??;
        let second = cursor.take(b':').then(|| cursor.digits(2))??;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        ms += hour * HOUR + minute * MINUTE + second * SECOND;
    }
    cursor.0.is_empty().then_some(ms)
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let head = self.0.get(..count)?;
        let mut value = 0;
        for byte in head {
            value = value * 10 + i64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
        }
        self.0 = &self.0[count..];
        Some(value)
    }

    /// One to nine digits, as milliseconds.
    fn fraction(&mut self) -> Option<i64> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&count) {
            return None;
        }
        let mut ms = 0;
        for index in 0..3 {
            ms = ms * 10 + if index < count { i64::from(self.0[index] - b'0') } else { 0 };
        }
        self.0 = &self.0[count..];
        Some(ms)
    }

    /// `Z`, `+hh`, `+hhmm`, `+hh:mm` or nothing, in milliseconds east of UTC.
    fn zone(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.take(b'Z') {
            return Some(0);
        }
        let sign = if self.take(b'+') {
            1
        } else if self.take(b'-') {
            -1
        } else {
            return None;
        };
        let hours = self.digits(2)?;
        let minutes = if self.take(b':') || !self.0.is_empty() { self.digits(2)? } else { 0 };
        (hours <= 18 && minutes <= 59).then_some(sign * (hours * HOUR + minutes * MINUTE))
    }
}

/// A time zone given as `UTC`, `Z` or a fixed offset, in milliseconds east of UTC; `None` for named zones.
pub(crate) fn parse_fixed_zone(text: &str) -> Option<i64> {
    if matches!(text, "UTC" | "Etc/UTC" | "GMT" | "utc") {
        return Some(0);
    }
    let mut cursor = Cursor(text.as_bytes());
    let offset = cursor.zone()?;
    (cursor.0.is_empty() && !text.is_empty()).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_elasticsearch_reads() {
        for (text, want) in [
            ("1970-01-01", Some(0)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:00.5Z", Some(500)),
            ("1970-01-01T00:00:00.123456789Z", Some(123)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("1970-01-01T01:00:00+0100", Some(0)),
            ("1969-12-31T23:59:59,999Z", Some(-1)),
            ("1970-01", Some(0)),
            ("2024-02-29", Some(1_709_164_800_000)),
            ("2023-02-29", None),
            ("2023-13-01", None),
            ("2023-1-1", None),
            ("1970-01-01 00:00:00", None),
            ("1970-01-01T00:00:60Z", None),
            ("", None),
        ] {
            assert_eq!(parse_iso(text, Round::Down), want, "{text}");
        }
        assert_eq!(parse_iso("1970", Round::Up), Some(365 * DAY - 1));
        assert_eq!(parse("86400000", Round::Down), Some(DAY));
    }

    #[test]
    fn detects_dates_but_no_numbers() {
        for (text, want) in [
            ("2026-11-21", true),
            ("2026-11-21T07:16:46.123Z", true),
            ("2026/11/21", true),
            ("2026/11/21 07:16:46", true),
            ("2026", false),
            ("20261121", false),
            ("2026-11-21 x", false),
            ("hello", false),
        ] {
            assert_eq!(detect(text), want, "{text}");
        }
    }

    #[test]
    fn renders_and_reads_back() {
        for ms in [0, -1, 1, 1_795_140_000_000, -62_135_596_800_000, 253_402_300_799_999] {
            assert_eq!(parse_iso(&render(ms), Round::Down), Some(ms), "{}", render(ms));
        }
        assert_eq!(render(0), "1970-01-01T00:00:00.000Z");
    }
}
