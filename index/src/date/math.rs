//! Date math: `now-1h/d`, `2026-11-21||+1d/M`, as in Elasticsearch's range queries.

use super::{DAY, HOUR, MINUTE, Round, SECOND, civil_from_days, days_from_civil, days_in_month, parse};

/// Reads a date with optional math; `now` in milliseconds. `None` when it is none.
pub(crate) fn parse_math(text: &str, now: i64, round: Round) -> Option<i64> {
    let (base, operations) = if let Some(rest) = text.strip_prefix("now") {
        (now, rest)
    } else if let Some((date, rest)) = text.split_once("||") {
        (parse(date, Round::Down)?, rest)
    } else {
        return parse(text, round);
    };
    let mut ms = base;
    let mut rest = operations;
    while let Some(operation) = rest.chars().next() {
        rest = rest.get(1..)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = if digits == 0 { 1 } else { rest.get(..digits)?.parse().ok()? };
        rest = rest.get(digits..)?;
        let unit = rest.chars().next().filter(char::is_ascii)?;
        rest = rest.get(1..)?;
        ms = match operation {
            '+' => add(ms, count, unit)?,
            '-' => add(ms, count.checked_neg()?, unit)?,
            '/' if digits == 0 => floor(ms, unit, round)?,
            _ => return None,
        };
    }
    Some(ms)
}

fn add(ms: i64, count: i64, unit: char) -> Option<i64> {
    let months = match unit {
        'y' => count.checked_mul(12)?,
        'M' => count,
        _ => return ms.checked_add(count.checked_mul(fixed(unit)?)?),
    };
    let (year, month, day) = civil_from_days(ms.div_euclid(DAY));
    let total = year.checked_mul(12)?.checked_add(month - 1)?.checked_add(months)?;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    if year.abs() > 200_000_000 {
        return None;
    }
    Some(days_from_civil(year, month, day.min(days_in_month(year, month))) * DAY + ms.rem_euclid(DAY))
}

fn fixed(unit: char) -> Option<i64> {
    Some(match unit {
        's' => SECOND,
        'm' => MINUTE,
        'h' | 'H' => HOUR,
        'd' => DAY,
        'w' => 7 * DAY,
        _ => return None,
    })
}

/// The start of the unit `ms` lies in (weeks start on Monday), or its last millisecond when rounding up.
fn floor(ms: i64, unit: char, round: Round) -> Option<i64> {
    let (year, month, _) = civil_from_days(ms.div_euclid(DAY));
    let start = match unit {
        'y' => days_from_civil(year, 1, 1) * DAY,
        'M' => days_from_civil(year, month, 1) * DAY,
        'w' => (ms - 4 * DAY).div_euclid(7 * DAY) * 7 * DAY + 4 * DAY,
        _ => ms.div_euclid(fixed(unit)?) * fixed(unit)?,
    };
    match round {
        Round::Down => Some(start),
        Round::Up => Some(add(start, 1, unit)? - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_elasticsearch() {
        let now = parse("2026-11-21T07:16:46.123Z", Round::Down).unwrap();
        let at = |text: &str| parse(text, Round::Down);
        assert_eq!(parse_math("now", now, Round::Down), Some(now));
        assert_eq!(parse_math("now-1h", now, Round::Down), Some(now - HOUR));
        assert_eq!(parse_math("now/d", now, Round::Down), at("2026-11-21"));
        assert_eq!(parse_math("now/d", now, Round::Up), at("2026-11-21T23:59:59.999Z"));
        assert_eq!(parse_math("now/w", now, Round::Down), at("2026-11-16"));
        assert_eq!(parse_math("2024-01-31||+1M", now, Round::Down), at("2024-02-29"));
        assert_eq!(parse_math("now-1y/y", now, Round::Down), at("2025-01-01"));
        assert_eq!(parse_math("now-1x", now, Round::Down), None);
        assert_eq!(parse_math("now-", now, Round::Down), None);
        assert_eq!(parse_math("now-99999999999999999h", now, Round::Down), None);
    }
}
