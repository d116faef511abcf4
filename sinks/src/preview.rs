//! What a sink would make of a record, without sending anything.

use logmill_config::sinks::{Output, Sink};
use rdkafka::message::BorrowedMessage;
use serde_json::Value;

use crate::{
    batch::BatchBuilder,
    destination,
    error::SinksError,
    event::Record,
    intake::{Intake, Preparer},
    metrics::Metrics,
    processors::Processors,
    webhook,
};

/// One sink, on paper.
pub struct Preview {
    output: Output,
    preparer: Preparer,
}

/// What would become of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Delivered: where to and as what, by name, and the document or body.
    Delivered { parts: Vec<(String, String)>, document: Vec<u8> },
    /// Meant for another sink, not what this one's condition holds for, or without a value where that means nothing.
    Filtered,
    /// To the dead letters.
    Rejected { class: &'static str, reason: String },
}

impl Preview {
    /// # Errors
    /// What the sink could not be started with either.
    pub fn new(sink: &Sink) -> Result<Self, SinksError> {
        let metrics = Metrics::register(&prometheus::Registry::new())?;
        let preparer = Processors::open(sink, &metrics)?.preparer(destination::encoder(sink)?);
        Ok(Self { output: sink.output.clone(), preparer })
    }

    pub fn look(&mut self, message: &BorrowedMessage<'_>) -> Seen {
        let mut builder = BatchBuilder::default();
        match self.preparer.message(message, Record::of(message), 0, &mut builder) {
            Intake::Filtered => Seen::Filtered,
            Intake::Rejected(rejected) => Seen::Rejected { class: rejected.class.name(), reason: rejected.reason },
            Intake::Document(_) => {
                let batch = builder.finish();
                let Some(item) = batch.items.first() else { return Seen::Filtered };
                let (head, document) = (batch.head(item), batch.document(item));
                match &self.output {
                    Output::Elasticsearch(_) => Seen::Delivered { parts: action(head), document: document.to_vec() },
                    Output::Webhook(config) => {
                        let (parts, body) = webhook::describe(config, head);
                        Seen::Delivered { parts, document: body.unwrap_or_else(|| document.to_vec()) }
                    }
                    Output::File(config) => {
                        let path = config.path.display().to_string();
                        Seen::Delivered { parts: vec![("path".to_owned(), path)], document: document.to_vec() }
                    }
                }
            }
        }
    }
}

/// `{"index":{"_index":"a","_id":"1"}}` as op, index, id and whatever else there is.
fn action(head: &[u8]) -> Vec<(String, String)> {
    let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
    let Ok(Value::Object(action)) = serde_json::from_slice(line) else { return Vec::new() };
    let Some((op, meta)) = action.into_iter().next() else { return Vec::new() };
    let meta = meta.as_object().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let first = ["_index", "_id"].into_iter().filter_map(|key| Some((key, meta.get(key)?)));
    let rest =
        meta.iter().map(|(key, value)| (key.as_str(), value)).filter(|(key, _)| !["_index", "_id"].contains(key));
    let mut parts = vec![("op".to_owned(), op)];
    parts.extend(first.chain(rest).map(|(key, value)| (key.trim_start_matches('_').to_owned(), text(value))));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_in_words() {
        let parts =
            action(b"{\"index\":{\"_index\":\"a\",\"_id\":\"k\",\"version\":7,\"version_type\":\"external\"}}\n");
        let words: Vec<_> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(words, ["op=index", "index=a", "id=k", "version=7", "version_type=external"]);
        assert!(action(b"").is_empty() && action(b"[]").is_empty() && action(b"{}").is_empty());
    }
}
