//! `_cat`: tables for people, as text or with `format=json`.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Call, Rest, failure, names, reply::Reply};
use crate::engine::Shard;

type Row = Vec<(&'static str, String)>;

pub(super) fn cat(rest: &Arc<Rest>, what: &str, name: Option<&str>, call: &Call) -> Result<Reply, Reply> {
    let rows: Vec<Row> = match what {
        "indices" => names::expand(rest, name, call)?.iter().map(|shard| index_row(rest, shard)).collect(),
        "count" => {
            let shards = names::expand(rest, name, call)?;
            let count: u64 = shards.iter().map(|shard| rest.engine.statistics(shard).0).sum();
            vec![vec![("count", count.to_string())]]
        }
        "health" => vec![vec![
            ("cluster", "logmill".to_owned()),
            ("status", if rest.engine.failed().is_some() { "red" } else { "green" }.to_owned()),
        ]],
        other => {
            return Err(failure::error(
                400,
                "illegal_argument_exception",
                &format!("_cat/{other} is not supported here"),
            ));
        }
    };
    let wanted: Option<Vec<&str>> = call.param("h").map(|list| list.split(',').collect());
    let rows: Vec<Row> = match &wanted {
        None => rows,
        Some(wanted) => rows
            .into_iter()
            .map(|row| {
                wanted
                    .iter()
                    .filter_map(|name| {
                        row.iter().find(|(column, _)| column == name || alias(name) == Some(*column)).cloned()
                    })
                    .collect()
            })
            .collect(),
    };
    if call.param("format") == Some("json") {
        let rows: Vec<Map<String, Value>> = rows
            .into_iter()
            .map(|row| row.into_iter().map(|(column, text)| (column.to_owned(), Value::String(text))).collect())
            .collect();
        return Ok(Reply::json(200, &rows));
    }
    Ok(Reply::text(table(&rows, call.flag("v"))))
}

fn alias(name: &str) -> Option<&'static str> {
    Some(match name {
        "i" | "idx" => "index",
        "dc" | "docsCount" => "docs.count",
        "ss" | "storeSize" => "store.size",
        "s" => "status",
        _ => return None,
    })
}

fn index_row(rest: &Rest, shard: &Shard) -> Row {
    let (documents, deleted, bytes) = rest.engine.statistics(shard);
    vec![
        ("health", "green".to_owned()),
        ("status", "open".to_owned()),
        ("index", shard.name.to_string()),
        ("uuid", shard.uuid.clone()),
        ("pri", "1".to_owned()),
        ("rep", "0".to_owned()),
        ("docs.count", documents.to_string()),
        ("docs.deleted", deleted.to_string()),
        ("store.size", size(bytes)),
        ("pri.store.size", size(bytes)),
        ("dataset.size", size(bytes)),
    ]
}

/// As Elasticsearch writes sizes: `12.3kb`.
#[allow(clippy::cast_precision_loss)]
fn size(bytes: u64) -> String {
    for (unit, name) in [(1_u64 << 40, "tb"), (1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")] {
        if bytes >= unit {
            let text = format!("{:.1}", bytes as f64 / unit as f64);
            return format!("{}{name}", text.strip_suffix(".0").unwrap_or(&text));
        }
    }
    format!("{bytes}b")
}

fn table(rows: &[Row], heads: bool) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let lines: Vec<Vec<&str>> = heads
        .then(|| first.iter().map(|(column, _)| *column).collect())
        .into_iter()
        .chain(rows.iter().map(|row| row.iter().map(|(_, text)| text.as_str()).collect()))
        .collect();
    let widths: Vec<usize> = (0..first.len())
        .map(|column| {
            lines.iter().map(|line| line.get(column).map_or(0, |text| text.chars().count())).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for line in lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}")).collect();
        out.push_str(cells.join(" ").trim_end());
        out.push('\n');
    }
    out
}
