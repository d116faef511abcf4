//! A sink's program (`transform`) over its events: what it sees of a record, and what becomes of an event by `on_error`.

use logmill_config::{
    Problem,
    sinks::{Sink, SinksConfig},
    transform::OnError,
};
use logmill_transform::{Datum, Kind, MOST_BYTES, Made as Ran, Names, Program, Runner};
use prometheus::IntCounterVec;

use crate::{error::SinksError, event::Record, metrics::Metrics};

/// What a program sees of the record; `timestamp` in ms, `key` and `id` may be null.
const NAMES: &Names = &[
    ("topic", Kind::Text),
    ("partition", Kind::Number),
    ("offset", Kind::Number),
    ("timestamp", Kind::Number),
    ("key", Kind::Optional),
    ("id", Kind::Optional),
];

/// The mistakes in the programs of a configuration, each at the key that names the program.
pub fn mistakes(config: &SinksConfig) -> Vec<Problem> {
    logmill_transform::mistakes(config.sinks.iter().filter_map(|sink| sink.transform.as_ref()), NAMES)
}

/// What is odd but allowed in them.
pub fn warnings(config: &SinksConfig) -> Vec<Problem> {
    logmill_transform::warnings(config.sinks.iter().filter_map(|sink| sink.transform.as_ref()), NAMES)
}

/// The compiled program of one sink.
#[derive(Clone)]
pub(crate) struct Transform {
    program: Program,
    on_error: OnError,
    sink: String,
    counts: IntCounterVec,
}

/// Runs it for one reader.
pub(crate) struct Transformer {
    transform: Transform,
    runner: Runner,
}

/// What became of an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Made {
    Event(Vec<u8>),
    /// It goes on as it came.
    Same,
    Dropped,
    Failed(String),
}

impl Transform {
    /// `None` where the sink has no program.
    ///
    /// # Errors
    /// It cannot be read, or does not compile.
    pub(crate) fn open(sink: &Sink, metrics: &Metrics) -> Result<Option<Self>, SinksError> {
        let Some(config) = &sink.transform else { return Ok(None) };
        let program = Program::compile(config, NAMES).map_err(|reason| SinksError::Client {
            sink: sink.name.clone(),
            output: "transform",
            reason,
        })?;
        if !program.warnings.is_empty() {
            tracing::warn!(sink = %sink.name, "about its program: {}", program.warnings);
        }
        let counts = metrics.transformed.clone();
        Ok(Some(Self { program, on_error: config.on_error, sink: sink.name.clone(), counts }))
    }

    pub(crate) fn transformer(&self) -> Transformer {
        Transformer { transform: self.clone(), runner: self.program.runner() }
    }
}

impl Transformer {
    /// `value`, one JSON object, as the program makes it.
    pub(crate) fn run(&mut self, record: &Record<'_>, id: Option<[u8; 16]>, value: &[u8]) -> Made {
        let metadata = [
            ("topic", Datum::Text(record.topic.into())),
            ("partition", Datum::Number(record.partition.into())),
            ("offset", Datum::Number(record.offset)),
            ("timestamp", Datum::Number(record.timestamp)),
            ("key", record.key.map_or(Datum::Null, |key| Datum::Text(String::from_utf8_lossy(key)))),
            ("id", id.map_or(Datum::Null, Datum::Id)),
        ];
        let made = self.runner.run(value, &metadata, MOST_BYTES);
        let Transform { on_error, sink, counts, .. } = &self.transform;
        counts.with_label_values(&[sink.as_str(), made.outcome()]).inc();
        match (made, on_error) {
            (Ran::Event(event), _) => Made::Event(event),
            (Ran::Dropped, _) | (Ran::Failed(_), OnError::Drop) => Made::Dropped,
            (Ran::Failed(_), OnError::Pass) => Made::Same,
            (Ran::Failed(reason), OnError::DeadLetter) => Made::Failed(reason),
        }
    }
}

#[cfg(test)]
mod tests;
