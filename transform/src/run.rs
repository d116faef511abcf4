//! One event through a program.

use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use vrl::{
    compiler::{ExpressionError, Program, TargetValue, TimeZone, runtime::Runtime, runtime::Terminate},
    value::{Secrets, Value},
};

use crate::metadata::{self, Datum};

/// Expressions that a program evaluates for one event, at most.
pub const MOST_STEPS: u32 = 1_000_000;
/// A larger event is no event: Kafka takes no such record either.
pub const MOST_BYTES: usize = 16 << 20;

/// What became of an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Made {
    /// One JSON object.
    Event(Vec<u8>),
    /// The program aborted.
    Dropped,
    /// Why, in words.
    Failed(String),
}

impl Made {
    /// In metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Event(_) => "changed",
            Self::Dropped => "aborted",
            Self::Failed(_) => "failed",
        }
    }
}

/// Runs a program in one thread.
pub struct Runner {
    program: Arc<Program>,
    runtime: Runtime,
}

impl Runner {
    pub(crate) fn new(program: Arc<Program>) -> Self {
        Self { program, runtime: Runtime::default() }
    }

    /// `value`, one JSON object, as the program makes it, of at most `most` bytes.
    pub fn run(&mut self, value: &[u8], metadata: &[(&'static str, Datum<'_>)], most: usize) -> Made {
        let Self { program, runtime } = self;
        let made = guarded(|| run(runtime, program, value, metadata, most));
        self.runtime.clear();
        made
    }
}

/// The interpreter is not ours: a panic of its is a failure with this event.
fn guarded(run: impl FnOnce() -> Made) -> Made {
    let panicked = |_| Made::Failed("the program's interpreter panicked".to_owned());
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(panicked)
}

fn run(
    runtime: &mut Runtime,
    program: &Program,
    value: &[u8],
    metadata: &[(&'static str, Datum<'_>)],
    most: usize,
) -> Made {
    let value = match serde_json::from_slice(value) {
        Ok(value) => value,
        Err(e) => return Made::Failed(format!("no value of the program's comes of it: {e}")),
    };
    let mut target = TargetValue { value, metadata: metadata::object(metadata), secrets: Secrets::default() };
    let utc = TimeZone::parse("UTC").unwrap_or_default();
    let mut steps = 0;
    let mut control = || {
        steps += 1;
        if steps > MOST_STEPS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    match runtime.resolve_with_control(&mut target, program, &utc, &mut control) {
        Ok(_) => written(&target.value, most),
        Err(Terminate::Abort(ExpressionError::Abort { .. })) => Made::Dropped,
        Err(Terminate::Interrupted) => Made::Failed(format!("the program took more than {MOST_STEPS} steps")),
        Err(Terminate::Abort(e) | Terminate::Error(e)) => Made::Failed(e.to_string()),
    }
}

fn written(value: &Value, most: usize) -> Made {
    if !value.is_object() {
        return Made::Failed(format!("the program made {} of the event, expected an object", value.kind_str()));
    }
    match serde_json::to_vec(value) {
        Ok(bytes) if bytes.len() <= most => Made::Event(bytes),
        Ok(bytes) => Made::Failed(format!("the program made {} bytes of it, expected at most {most}", bytes.len())),
        Err(e) => Made::Failed(format!("what the program made is no JSON: {e}")),
    }
}

#[cfg(test)]
mod tests;
