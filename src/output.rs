//! A table for people, JSON for programs.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{Table, presets};

/// `--output`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
}

/// Prints `json` pretty, or a table of `rows` under `header`.
pub(crate) fn print(
    output: Output,
    header: &[&str],
    rows: Vec<Vec<String>>,
    json: &serde_json::Value,
) -> io::Result<()> {
    let text = match output {
        Output::Json => serde_json::to_string_pretty(json)?,
        Output::Table => table(header, rows),
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Columns two spaces apart, no lines, as `kubectl` and Kafka's tools print them.
fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().map(|h| h.to_uppercase().replace('_', "-")));
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// A number that may be unknown: `-` in tables, as in Kafka's.
pub(crate) fn dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".into(), |v| v.to_string())
}

/// `3,1,2`
pub(crate) fn ids(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn tables_are_aligned_without_lines() {
        let rows = vec![vec!["a".into(), "1".into()], vec!["longer.name".into(), "12".into()]];
        assert_eq!(
            table(&["topic", "log_end_offset"], rows),
            "TOPIC        LOG-END-OFFSET\na            1\nlonger.name  12"
        );
    }
}
