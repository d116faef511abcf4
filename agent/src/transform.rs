//! An input's program (`transform`) over its records, as they would be produced.
//!
//! No line is lost to a program that fails: its record goes on as it came, tagged, unless `on_error: drop` says otherwise. What
//! is left out, by `abort` or so, is in the ledger.

use std::{path::Path, time::Duration};

use logmill_config::{
    Problem,
    agent::{AgentConfig, Input, Key},
    transform::OnError,
};
use logmill_daemon::Throttle;
use logmill_transform::{Datum, Kind, Made as Ran, Names, Program, Runner};

use crate::{AgentError, ledger::Reason, line_id::LineId, record};

/// What a program sees of the line; `timestamp` (ms) is that of the Kafka record, the time of reading.
const NAMES: &Names = &[
    ("input", Kind::Text),
    ("path", Kind::Text),
    ("offset", Kind::Number),
    ("timestamp", Kind::Number),
    ("id", Kind::Text),
];

/// Of a record that the program failed with.
const TAG: &str = "transform_failure";
/// Bytes that the tag adds to a record at most.
pub(crate) const ROOM: usize = 32;
/// A failure is logged no more often.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// Of a failure's reason, which may hold parts of a line, so much is logged.
const LOGGED: usize = 300;

/// The mistakes in the programs of a configuration, each at the key that names the program.
pub fn mistakes(config: &AgentConfig) -> Vec<Problem> {
    logmill_transform::mistakes(config.inputs.iter().filter_map(|input| input.transform.as_ref()), NAMES)
}

/// What is odd but allowed in them.
pub fn warnings(config: &AgentConfig) -> Vec<Problem> {
    logmill_transform::warnings(config.inputs.iter().filter_map(|input| input.transform.as_ref()), NAMES)
}

/// One input's program. Used from one thread.
pub(crate) struct Transform {
    runner: Runner,
    on_error: OnError,
    input: String,
    /// The field of a record that is its key.
    key: Option<String>,
    failures: Throttle,
}

/// Where a line comes from.
pub(crate) struct Place<'a> {
    pub(crate) path: &'a Path,
    pub(crate) offset: u64,
    pub(crate) time_ms: i64,
    pub(crate) id: LineId,
}

/// What became of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// With its key, where that is a field of it.
    Record { value: Vec<u8>, key: Option<Vec<u8>> },
    /// As it came, but for the tag; why, in words.
    Failed { value: Vec<u8>, failure: String },
    /// Left out, for the ledger and, where the program failed, in words.
    Dropped { reason: Reason, failure: Option<String> },
}

impl Made {
    /// In metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Record { .. } => "changed",
            Self::Dropped { failure: None, .. } => "aborted",
            Self::Failed { .. } | Self::Dropped { failure: Some(_), .. } => "failed",
        }
    }

    /// Why the program failed.
    pub(crate) fn failure(&self) -> Option<&str> {
        match self {
            Self::Failed { failure, .. } | Self::Dropped { failure: Some(failure), .. } => Some(failure),
            Self::Record { .. } | Self::Dropped { failure: None, .. } => None,
        }
    }
}

impl Transform {
    /// `None` where the input has no program.
    ///
    /// # Errors
    /// It cannot be read, or does not compile.
    pub(crate) fn open(input: &Input) -> Result<Option<Self>, AgentError> {
        let Some(config) = &input.transform else { return Ok(None) };
        let program = Program::compile(config, NAMES)
            .map_err(|reason| AgentError::Transform { input: input.name.clone(), reason })?;
        if !program.warnings.is_empty() {
            tracing::warn!(input = input.name, "about its program: {}", program.warnings);
        }
        Ok(Some(Self {
            runner: program.runner(),
            on_error: config.on_error,
            input: input.name.clone(),
            key: if let Key::Field(field) = &input.key { Some(field.clone()) } else { None },
            failures: Throttle::every(LOG_INTERVAL),
        }))
    }

    /// `value`, a whole record, as the program makes it: with its key at most `most` bytes.
    pub(crate) fn run(&mut self, place: &Place<'_>, value: &[u8], most: usize) -> Made {
        let metadata = [
            ("input", Datum::Text(self.input.as_str().into())),
            ("path", Datum::Text(place.path.to_string_lossy())),
            ("offset", Datum::Number(place.offset.try_into().unwrap_or(i64::MAX))),
            ("timestamp", Datum::Number(place.time_ms)),
            ("id", Datum::Id(place.id)),
        ];
        let failure = match self.runner.run(value, &metadata, most) {
            Ran::Dropped => return Made::Dropped { reason: Reason::Aborted, failure: None },
            Ran::Failed(failure) => failure,
            Ran::Event(made) => {
                let mut key = Vec::new();
                let key = self.key.as_ref().and_then(|field| record::field_key(&made, field, &mut key).then_some(key));
                let bytes = made.len() + key.as_ref().map_or(0, Vec::len);
                if bytes <= most {
                    return Made::Record { value: made, key };
                }
                format!("the program made {bytes} bytes of it with its key, expected at most {most}")
            }
        };
        match self.on_error {
            OnError::Drop => Made::Dropped { reason: Reason::TransformFailure, failure: Some(failure) },
            OnError::Pass | OnError::DeadLetter => Made::Failed { value: record::tagged(value, TAG), failure },
        }
    }

    /// Logs a failure, but not each.
    pub(crate) fn warn(&self, place: &Place<'_>, reason: &str) {
        if let Some(left_out) = self.failures.pass() {
            let reason = reason.get(..reason.floor_char_boundary(LOGGED)).unwrap_or_default();
            let (input, path, offset) = (&self.input, place.path.display(), place.offset);
            tracing::warn!(input, %path, offset, left_out, reason, "the program of an input failed");
        }
    }
}

#[cfg(test)]
mod tests;
