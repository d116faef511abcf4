//! What came of deleting several topics or groups.

use anyhow::bail;
use rdkafka::error::RDKafkaErrorCode;

use super::code_words;

/// Tells of each that was deleted, and fails with the reasons of all others. With `if_exists` a missing one is no failure.
#[allow(clippy::print_stdout)]
pub(crate) fn told(
    kind: &str,
    results: Vec<Result<String, (String, RDKafkaErrorCode)>>,
    if_exists: bool,
) -> anyhow::Result<()> {
    use RDKafkaErrorCode::{GroupIdNotFound, NonEmptyGroup, UnknownTopic, UnknownTopicOrPartition};
    let mut failures = Vec::new();
    for result in results {
        match result {
            Ok(name) => println!("deleted {kind} {name}"),
            Err((_, GroupIdNotFound | UnknownTopic | UnknownTopicOrPartition)) if if_exists => {}
            Err((name, GroupIdNotFound | UnknownTopic | UnknownTopicOrPartition)) => {
                failures.push(format!("{kind} \"{name}\" does not exist"));
            }
            Err((name, NonEmptyGroup)) => failures.push(format!("{kind} \"{name}\" has members, stop them first")),
            Err((name, code)) => failures.push(format!("cannot delete {kind} \"{name}\": {}", code_words(code))),
        }
    }
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
}
