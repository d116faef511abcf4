//! A sink's program (`transform`) over its events: compiled once, run on each, within bounds.

mod compile;

use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use logmill_config::sinks::{OnError, Sink};
use prometheus::IntCounterVec;
use vrl::{
    compiler::{ExpressionError, Program, TargetValue, TimeZone, runtime::Runtime, runtime::Terminate},
    value::{ObjectMap, Secrets, Value},
};

use crate::{error::SinksError, event::Record, metrics::Metrics};

pub use compile::{mistakes, warnings};

/// Expressions that a program evaluates for one event, at most.
const MOST_STEPS: u32 = 1_000_000;
/// A larger event is no event: Kafka takes no such record either.
const MOST_BYTES: usize = 16 << 20;

/// The compiled program of one sink.
#[derive(Clone)]
pub(crate) struct Transform {
    program: Arc<Program>,
    on_error: OnError,
    sink: String,
    counts: IntCounterVec,
}

/// Runs it for one reader.
pub(crate) struct Transformer {
    transform: Transform,
    runtime: Runtime,
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
        let compiled = compile::compile(config).map_err(|reason| SinksError::Client {
            sink: sink.name.clone(),
            output: "transform",
            reason,
        })?;
        if !compiled.warnings.is_empty() {
            tracing::warn!(sink = %sink.name, "about its program: {}", compiled.warnings);
        }
        let (program, counts) = (Arc::new(compiled.program), metrics.transformed.clone());
        Ok(Some(Self { program, on_error: config.on_error, sink: sink.name.clone(), counts }))
    }

    pub(crate) fn transformer(&self) -> Transformer {
        Transformer { transform: self.clone(), runtime: Runtime::default() }
    }
}

impl Transformer {
    /// `value`, one JSON object, as the program makes it.
    pub(crate) fn run(&mut self, record: &Record<'_>, id: Option<[u8; 16]>, value: &[u8]) -> Made {
        let program = self.transform.program.clone();
        let runtime = &mut self.runtime;
        // The interpreter is not ours: a panic of its is a mistake with this event, and the sink goes on.
        let made = catch_unwind(AssertUnwindSafe(|| run(runtime, &program, record, id, value)));
        let made = made.unwrap_or_else(|_| Made::Failed("the program's interpreter panicked".to_owned()));
        self.runtime.clear();
        let Transform { on_error, sink, counts, .. } = &self.transform;
        let outcome = match &made {
            Made::Event(_) | Made::Same => "changed",
            Made::Dropped => "aborted",
            Made::Failed(_) => "failed",
        };
        counts.with_label_values(&[sink.as_str(), outcome]).inc();
        match (made, on_error) {
            (Made::Failed(_), OnError::Drop) => Made::Dropped,
            (Made::Failed(_), OnError::Pass) => Made::Same,
            (made, _) => made,
        }
    }
}

fn run(runtime: &mut Runtime, program: &Program, record: &Record<'_>, id: Option<[u8; 16]>, value: &[u8]) -> Made {
    let value = match serde_json::from_slice(value) {
        Ok(value) => value,
        Err(e) => return Made::Failed(format!("no value of the program's comes of it: {e}")),
    };
    let mut target = TargetValue { value, metadata: metadata(record, id), secrets: Secrets::default() };
    let utc = TimeZone::parse("UTC").unwrap_or_default();
    let mut steps = 0;
    let mut control = || {
        steps += 1;
        if steps > MOST_STEPS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    match runtime.resolve_with_control(&mut target, program, &utc, &mut control) {
        Ok(_) => written(&target.value),
        Err(Terminate::Abort(ExpressionError::Abort { .. })) => Made::Dropped,
        Err(Terminate::Interrupted) => Made::Failed(format!("the program took more than {MOST_STEPS} steps")),
        Err(Terminate::Abort(e) | Terminate::Error(e)) => Made::Failed(e.to_string()),
    }
}

fn written(value: &Value) -> Made {
    if !value.is_object() {
        return Made::Failed(format!("the program made {} of the event, expected an object", value.kind_str()));
    }
    match serde_json::to_vec(value) {
        Ok(bytes) if bytes.len() <= MOST_BYTES => Made::Event(bytes),
        Ok(bytes) => {
            Made::Failed(format!("the program made {} bytes of it, expected at most {MOST_BYTES}", bytes.len()))
        }
        Err(e) => Made::Failed(format!("what the program made is no JSON: {e}")),
    }
}

/// What a program sees of the record: `%topic`, `%partition`, `%offset`, `%timestamp` (ms), `%key`, `%id`.
fn metadata(record: &Record<'_>, id: Option<[u8; 16]>) -> Value {
    let text = |text: String| Value::from(text);
    let fields = [
        ("topic", text(record.topic.to_owned())),
        ("partition", Value::from(i64::from(record.partition))),
        ("offset", Value::from(record.offset)),
        ("timestamp", Value::from(record.timestamp)),
        ("key", record.key.map_or(Value::Null, |key| text(String::from_utf8_lossy(key).into_owned()))),
        ("id", id.map_or(Value::Null, |id| text(URL_SAFE_NO_PAD.encode(id)))),
    ];
    Value::Object(fields.into_iter().map(|(name, value)| (name.into(), value)).collect::<ObjectMap>())
}

#[cfg(test)]
mod tests;
