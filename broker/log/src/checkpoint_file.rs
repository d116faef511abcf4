//! Kafka's text checkpoints: a version line (0), a count line, one line per entry.

use std::{collections::BTreeMap, fmt::Write};

/// Topic and partition.
pub(crate) type PartitionKey = (String, i32);
/// One offset per partition, as in `recovery-point-offset-checkpoint`.
pub(crate) type Offsets = BTreeMap<PartitionKey, i64>;

pub(crate) fn print_offsets(offsets: &Offsets) -> String {
    let mut text = format!("0\n{}\n", offsets.len());
    for ((topic, partition), offset) in offsets {
        let _ = writeln!(text, "{topic} {partition} {offset}");
    }
    text
}

/// Fails with what was expected and the line's number.
pub(crate) fn parse_offsets(text: &[u8]) -> Result<Offsets, String> {
    parse(text, |line| {
        let mut fields = line.split(' ');
        let topic = fields.next()?.to_owned();
        let partition = fields.next()?.parse().ok()?;
        let offset = fields.next()?.parse().ok()?;
        fields.next().is_none().then_some(((topic, partition), offset))
    })
    .map(|entries| entries.into_iter().collect())
}

/// Leader epochs with their start offsets, ascending.
pub(crate) fn print_epochs(epochs: &[(i32, i64)]) -> String {
    let mut text = format!("0\n{}\n", epochs.len());
    for (epoch, start) in epochs {
        let _ = writeln!(text, "{epoch} {start}");
    }
    text
}

pub(crate) fn parse_epochs(text: &[u8]) -> Result<Vec<(i32, i64)>, String> {
    parse(text, |line| {
        let (epoch, start) = line.split_once(' ')?;
        Some((epoch.parse().ok()?, start.parse().ok()?))
    })
}

fn parse<T>(text: &[u8], entry: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "expected text".to_owned())?;
    let mut lines = text.lines();
    match lines.next() {
        Some("0") => {}
        other => return Err(format!("line 1: expected version 0, found {:?}", other.unwrap_or_default())),
    }
    let count: usize =
        lines.next().and_then(|line| line.parse().ok()).ok_or("line 2: expected the number of entries")?;
    let mut entries = Vec::new();
    for (at, line) in lines.enumerate() {
        entries.push(entry(line).ok_or_else(|| format!("line {}: malformed entry {line:?}", at + 3))?);
    }
    if entries.len() == count { Ok(entries) } else { Err(format!("expected {count} entries, found {}", entries.len())) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn offsets_go_both_ways_and_damage_is_named() {
        let offsets: Offsets = [(("a.b".to_owned(), 0), 5), (("z".to_owned(), 12), 0)].into();
        let text = print_offsets(&offsets);
        assert_eq!(text, "0\n2\na.b 0 5\nz 12 0\n");
        assert_eq!(parse_offsets(text.as_bytes()).unwrap(), offsets);
        assert!(parse_offsets(b"").unwrap_err().contains("version"));
        assert!(parse_offsets(b"0\n2\na 0 5\n").unwrap_err().contains("expected 2"));
        assert!(parse_offsets(b"0\n1\na 0\n").unwrap_err().contains("line 3"));
        assert!(parse_offsets(&[0; 40]).is_err());
    }

    #[test]
    fn epochs_go_both_ways() {
        let epochs = vec![(0, 0), (3, 100)];
        assert_eq!(print_epochs(&epochs), "0\n2\n0 0\n3 100\n");
        assert_eq!(parse_epochs(print_epochs(&epochs).as_bytes()).unwrap(), epochs);
    }
}
