//! What the sinks tell of themselves when they are asked: where each partition stands, and what it waits for.

use std::{collections::BTreeMap, sync::Arc};

use logmill_daemon::Pages;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{alarms::Said, dispatch::Shared, partitions::Standing};

/// The sinks at work, by name.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<Mutex<BTreeMap<String, Arc<Shared>>>>);

impl Board {
    /// Shows `sink`, in place of one of that name from before.
    pub(crate) fn put(&self, sink: &Arc<Shared>) {
        self.0.lock().insert(sink.sink.clone(), sink.clone());
    }

    pub(crate) fn remove(&self, sink: &str) {
        self.0.lock().remove(sink);
    }

    pub(crate) fn serve(&self, pages: &Pages) {
        for (page, words) in [("status", table as fn(&[SinkStatus]) -> String), ("status.json", lines)] {
            let board = self.clone();
            pages.add(page, move || {
                let board = board.clone();
                async move { words(&board.look()) }
            });
        }
    }

    fn look(&self) -> Vec<SinkStatus> {
        let sinks: Vec<_> = self.0.lock().values().cloned().collect();
        sinks.iter().map(|sink| status(sink)).collect()
    }
}

/// One sink at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SinkStatus {
    sink: String,
    /// What keeps all of it from working.
    waits: Option<String>,
    error: Option<Said>,
    partitions: Vec<Standing>,
}

fn status(sink: &Shared) -> SinkStatus {
    let full = || sink.is_paused().then(|| "room in buffer_bytes".to_owned());
    SinkStatus {
        sink: sink.sink.clone(),
        waits: sink.alarms.words().or_else(full),
        error: sink.alarms.last(),
        partitions: sink.partitions.standing(),
    }
}

impl SinkStatus {
    fn state(&self, partition: Option<&Standing>) -> String {
        match (&self.waits, partition) {
            (Some(waits), _) => format!("waits for {waits}"),
            (None, None) => "waits for partitions".to_owned(),
            (None, Some(Standing { end: None, in_flight: 0, .. })) => "starting".to_owned(),
            (None, Some(Standing { lag: 0, in_flight: 0, .. })) => "caught up".to_owned(),
            (None, Some(_)) => "delivering".to_owned(),
        }
    }

    /// Its partitions; one that stands for none where it has none.
    fn rows(&self) -> Vec<Option<&Standing>> {
        if self.partitions.is_empty() { vec![None] } else { self.partitions.iter().map(Some).collect() }
    }

    fn json(&self, partition: Option<&Standing>) -> Value {
        json!({
            "sink": self.sink,
            "topic": partition.map(|p| p.topic.to_string()),
            "partition": partition.map(|p| p.partition),
            "committed": partition.and_then(|p| p.committed),
            "end": partition.and_then(|p| p.end),
            "lag": partition.map(|p| p.lag),
            "lag_seconds": partition.map(|p| p.lag_seconds),
            "records_per_second": partition.map(|p| p.rate),
            "in_flight": partition.map(|p| p.in_flight),
            "state": self.state(partition),
            "last_error": self.error.as_ref().map(|said| said.words.clone()),
            "last_error_at": self.error.as_ref().map(Said::time),
        })
    }
}

/// One object per partition and line, as programs read it.
fn lines(sinks: &[SinkStatus]) -> String {
    let of = |sink: &SinkStatus| sink.rows().iter().map(|row| format!("{}\n", sink.json(*row))).collect::<String>();
    sinks.iter().map(of).collect()
}

const COLUMNS: usize = 10;
const HEAD: [&str; COLUMNS] =
    ["SINK", "TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "LAG-SECONDS", "RATE/S", "IN-FLIGHT", "STATE"];

/// A table for people, of each sink the partition with the largest lag first, and the last error of each.
fn table(sinks: &[SinkStatus]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    for sink in sinks {
        let mut partitions = sink.rows();
        partitions.sort_by_key(|row| std::cmp::Reverse(row.map(|p| p.lag)));
        rows.extend(partitions.into_iter().map(|partition| row(sink, partition)));
    }
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|t| t.chars().count()).max();
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut out = String::new();
    for row in &rows {
        for (column, (text, width)) in row.iter().zip(widths).enumerate() {
            let gap = " ".repeat(width - text.chars().count());
            match column {
                0 | 1 => out.extend([text, gap.as_str(), "  "]),
                9 => out.push_str(text),
                _ => out.extend([gap.as_str(), text, "  "]),
            }
        }
        out.push('\n');
    }
    for sink in sinks {
        if let Some(said) = &sink.error {
            out.push_str(&format!("{}: last error {}: {}\n", sink.sink, said.time(), said.words));
        }
    }
    out
}

fn row(sink: &SinkStatus, partition: Option<&Standing>) -> [String; COLUMNS] {
    let state = sink.state(partition);
    let Some(p) = partition else {
        let mut row: [String; COLUMNS] = std::array::from_fn(|_| "-".to_owned());
        row[0].clone_from(&sink.sink);
        row[9] = state;
        return row;
    };
    let offset = |offset: Option<i64>| offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
    [
        sink.sink.clone(),
        p.topic.to_string(),
        p.partition.to_string(),
        offset(p.committed),
        offset(p.end),
        p.lag.to_string(),
        p.lag_seconds.to_string(),
        p.rate.to_string(),
        p.in_flight.to_string(),
        state,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(partition: i32, lag: u64) -> Standing {
        Standing {
            topic: "logs.app".into(),
            partition,
            committed: Some(1000),
            end: Some(1000 + lag as i64),
            lag,
            lag_seconds: lag / 10,
            rate: 7,
            in_flight: 0,
        }
    }

    #[test]
    fn the_partition_that_is_furthest_behind_comes_first() {
        let sink = |name: &str, partitions| SinkStatus { sink: name.into(), waits: None, error: None, partitions };
        let mut mail = sink("mail", vec![Standing { committed: None, ..partition(0, 5) }]);
        mail.waits = Some("unavailable: nobody there".into());
        mail.error = Some(Said { millis: 1_795_245_407_123, words: "nobody there".into() });
        let all = [sink("app", vec![partition(0, 0), partition(1, 120)]), sink("idle", Vec::new()), mail];
        let expected = "\
SINK  TOPIC     PARTITION  COMMITTED   END  LAG  LAG-SECONDS  RATE/S  IN-FLIGHT  STATE
app   logs.app          1       1000  1120  120           12       7          0  delivering
app   logs.app          0       1000  1000    0            0       7          0  caught up
idle  -                 -          -     -    -            -       -          -  waits for partitions
mail  logs.app          0          -  1005    5            0       7          0  waits for unavailable: nobody there
mail: last error 2026-11-21T07:16:47Z: nobody there
";
        assert_eq!(table(&all), expected);
        let text = lines(&all);
        let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects.len(), 4);
        assert_eq!((&objects[1]["lag"], &objects[1]["state"]), (&json!(120), &json!("delivering")));
        assert_eq!((&objects[2]["topic"], &objects[2]["lag"]), (&Value::Null, &Value::Null));
        assert_eq!(objects[3]["last_error"], "nobody there");
    }
}
