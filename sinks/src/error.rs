//! Why the sinks cannot run at all.

use thiserror::Error;

/// What no waiting can mend: the process should end with a clear message.
#[derive(Debug, Error)]
pub enum SinksError {
    #[error("sink {sink}: librdkafka refuses its configuration: {source}")]
    Kafka { sink: String, source: rdkafka::error::KafkaError },

    #[error("sink {sink}: {output}: {reason}")]
    Client { sink: String, output: &'static str, reason: String },

    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),

    #[error("cannot start a thread for sink {sink}: {source}")]
    Thread { sink: String, source: std::io::Error },
}

/// An error with its causes: reqwest alone says only "error sending request".
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        cause = error.source();
    }
    text
}
