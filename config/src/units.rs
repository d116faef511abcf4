//! Sizes (`64KiB`, `5MB`) and durations (`250ms`, `7d`) in words a person writes.

use std::time::Duration;

const SIZES: [(&str, u64); 10] = [
    ("", 1),
    ("b", 1),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

const DURATIONS_MS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Bytes. Units are powers of 1000 (KB, MB, GB, TB) or of 1024 (KiB, MiB, GiB, TiB), in any case; none means bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let unit = unit.to_ascii_lowercase();
    let parsed = number.parse::<u64>().ok().zip(SIZES.iter().find(|(name, _)| *name == unit));
    match parsed {
        Some((number, (_, factor))) => {
            number.checked_mul(*factor).ok_or_else(|| format!("\"{text}\" is too large for a size"))
        }
        None => {
            let hint = match unit.as_str() {
                "k" | "m" | "g" | "t" if !number.is_empty() => {
                    format!(", did you mean \"{number}{}iB\"?", unit.to_ascii_uppercase())
                }
                _ => String::new(),
            };
            Err(format!("\"{text}\" is not a size, expected a whole number with a unit such as 64KiB or 5MB{hint}"))
        }
    }
}

/// A duration: a whole number and one of ms, s, m, h, d.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let parsed = number.parse::<u64>().ok().zip(DURATIONS_MS.iter().find(|(name, _)| *name == unit));
    match parsed {
        Some((number, (_, factor))) => number
            .checked_mul(*factor)
            .map(Duration::from_millis)
            .ok_or_else(|| format!("\"{text}\" is too long for a duration")),
        None if text == "0" => Ok(Duration::ZERO),
        None => {
            let hint = match unit {
                "" if !number.is_empty() => format!(", did you mean \"{number}s\" or \"{number}ms\"?"),
                _ => String::new(),
            };
            Err(format!(
                "\"{text}\" is not a duration, expected a whole number with a unit such as 250ms, 10s, 5m, 1h or 7d{hint}"
            ))
        }
    }
}

/// As [`parse_size`] reads it, in the largest unit that divides it.
pub fn format_size(bytes: u64) -> String {
    for (unit, factor) in [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    format!("{bytes}B")
}

/// As [`parse_duration`] reads it, in the largest unit that divides it.
pub fn format_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    for (unit, factor) in DURATIONS_MS.iter().rev() {
        if ms >= *factor && ms.is_multiple_of(*factor) {
            return format!("{}{unit}", ms / factor);
        }
    }
    format!("{ms}ms")
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("5MB"), Ok(5_000_000));
        assert_eq!(parse_size("5 mb"), Ok(5_000_000));
        assert_eq!(parse_size("123"), Ok(123));
        assert!(parse_size("64K").unwrap_err().ends_with("did you mean \"64KiB\"?"));
        assert!(parse_size("-1").is_err());
        assert!(parse_size("1.5MB").is_err());
        assert!(parse_size("99999999999TiB").unwrap_err().contains("too large"));
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert!(parse_duration("10").unwrap_err().ends_with("did you mean \"10s\" or \"10ms\"?"));
        assert!(parse_duration("1 week").is_err());
        assert!(parse_duration("999999999999999999d").is_err());
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for bytes in [1, 1023, 1024, 5_000_000, 5 << 20, u64::MAX] {
            assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }
        for ms in [1, 250, 1000, 90_000, 7 * 86_400_000] {
            let d = Duration::from_millis(ms);
            assert_eq!(parse_duration(&format_duration(d)), Ok(d));
        }
    }
}
