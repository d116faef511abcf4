//! The event's own time, for the date in an index name: UTC, any year Elasticsearch takes.

/// A moment in UTC, as far as an index name can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hour {
    /// Days since 1970-01-01, before it negative.
    pub(crate) day: i64,
    /// 0..=23.
    pub(crate) hour: u8,
}

const HOUR_MILLIS: i64 = 3_600_000;

impl Hour {
    pub(crate) fn from_millis(millis: i64) -> Self {
        let hours = millis.div_euclid(HOUR_MILLIS);
        Self { day: hours.div_euclid(24), hour: u8::try_from(hours.rem_euclid(24)).unwrap_or(0) }
    }

    /// RFC 3339 (`T` or a space, any offset, any precision), or digits only: epoch milliseconds.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(hour) = utc(text.as_bytes()) {
            return Some(hour);
        }
        if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
            return Some(Self::from_millis(timestamp.as_millisecond()));
        }
        Self::from_number(text)
    }

    /// A JSON number: epoch milliseconds, as Elasticsearch's default date format takes it.
    pub(crate) fn from_number(text: &str) -> Option<Self> {
        let millis = match text.parse::<i64>() {
            Ok(millis) => millis,
            Err(_) => {
                let millis = text.parse::<f64>().ok()?;
                if !(-1e17..1e17).contains(&millis) {
                    return None;
                }
                millis as i64
            }
        };
        // The years jiff can tell: -9999 to 9999.
        jiff::Timestamp::from_millisecond(millis).ok().map(|_| Self::from_millis(millis))
    }

    pub(crate) fn date(self) -> Option<jiff::civil::Date> {
        let days = i32::try_from(self.day).ok()?;
        jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().try_days(days).ok()?).ok()
    }
}

/// The shape nearly every event has: `2026-11-21T07:16:47…Z`, without allocation.
fn utc(text: &[u8]) -> Option<Hour> {
    let (head, tail) = text.split_at_checked(19)?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2] = head else {
        return None;
    };
    let fraction = match tail {
        [b'Z'] => true,
        [b'.', digits @ .., b'Z'] => (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let digits =
        |list: &[&u8]| list.iter().try_fold(0i16, |n, c| c.is_ascii_digit().then(|| n * 10 + i16::from(**c - b'0')));
    let (minute, second) = (digits(&[n1, n2])?, digits(&[s1, s2])?);
    let hour = u8::try_from(digits(&[h1, h2])?).ok()?;
    if !fraction || minute > 59 || second > 59 || hour > 23 {
        return None;
    }
    let (month, day) = (i8::try_from(digits(&[m1, m2])?).ok()?, i8::try_from(digits(&[d1, d2])?).ok()?);
    let date = jiff::civil::Date::new(digits(&[y1, y2, y3, y4])?, month, day).ok()?;
    let days = date.since((jiff::Unit::Day, jiff::civil::date(1970, 1, 1))).ok()?.get_days();
    Some(Hour { day: i64::from(days), hour })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        let hour = Hour::parse(text)?;
        Some(format!("{} {}", hour.date()?, hour.hour))
    }

    #[test]
    fn reads_every_usual_form_in_utc() {
        for (text, expected) in [
            ("2026-11-21T07:16:47Z", "2026-11-21 7"),
            ("2026-11-21T07:16:47.123456789Z", "2026-11-21 7"),
            ("2026-11-21T01:16:47+02:00", "2026-11-20 23"),
            ("2026-11-21 07:16:47.5-05:00", "2026-11-21 12"),
            ("1971-02-03T04:05:06Z", "1971-02-03 4"),
            ("1969-12-31T23:59:59Z", "1969-12-31 23"),
            ("2099-12-31T23:59:59.999Z", "2099-12-31 23"),
            ("1795245407000", "2026-11-21 7"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(Hour::from_number("1795245407123.5").and_then(Hour::date).unwrap().to_string(), "2026-11-21");
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-11-21T24:00:00Z", "1e300", "99999999999999999"] {
            assert_eq!(Hour::parse(text), None, "{text}");
        }
        for (fast, slow) in [
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00+00:00"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
        ] {
            assert_eq!(Hour::parse(fast), Hour::parse(slow));
        }
    }
}
