//! Months, quarters and years: buckets of uneven length over the bounds of the data.

use crate::date::{DAY, civil_from_days, days_from_civil};

/// Least and greatest value of each date field that has calendar buckets, milliseconds.
pub(crate) type Bounds = std::collections::HashMap<String, (i64, i64)>;

/// The first instants of all periods of `months` that touch `from..=to`, and the first behind; `None` when there are more than `limit`.
pub(super) fn periods(months: i64, from: i64, to: i64, limit: usize) -> Option<Vec<i64>> {
    let (year, month, _) = civil_from_days(from.div_euclid(DAY));
    let mut at = (year * 12 + month - 1).div_euclid(months) * months;
    let mut starts = Vec::new();
    loop {
        let start = days_from_civil(at.div_euclid(12), at.rem_euclid(12) + 1, 1) * DAY;
        starts.push(start);
        if start > to {
            return Some(starts);
        }
        if starts.len() > limit {
            return None;
        }
        at += months;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::{Round, parse_iso};

    #[test]
    fn starts_of_months() {
        let at = |text: &str| parse_iso(text, Round::Down).unwrap();
        assert_eq!(
            periods(1, at("2024-01-31"), at("2024-03-01"), 10),
            Some(vec![at("2024-01-01"), at("2024-02-01"), at("2024-03-01"), at("2024-04-01")])
        );
        assert_eq!(periods(3, at("2024-05-01"), at("2024-05-02"), 10), Some(vec![at("2024-04-01"), at("2024-07-01")]));
        assert_eq!(
            periods(12, at("1969-05-01"), at("1970-05-02"), 10),
            Some(vec![at("1969-01-01"), at("1970-01-01"), at("1971-01-01")])
        );
        assert_eq!(periods(1, 0, i64::MAX / 4, 100), None);
    }
}
