//! `logmill topics list`

use serde_json::json;

use super::Shown;
use crate::output;

pub(super) fn run(shown: &Shown) -> anyhow::Result<()> {
    let consumer = shown.connection.consumer(None)?;
    let metadata = shown.connection.metadata(&consumer, None)?;
    let mut topics: Vec<_> = metadata.topics().iter().collect();
    topics.sort_by_key(|t| t.name());
    let (mut rows, mut list) = (Vec::new(), Vec::new());
    for topic in topics {
        let partitions = topic.partitions().len();
        let replicas = topic.partitions().iter().map(|p| p.replicas().len()).max().unwrap_or(0);
        rows.push(vec![topic.name().to_owned(), partitions.to_string(), replicas.to_string()]);
        list.push(json!({ "topic": topic.name(), "partition_count": partitions, "replication_factor": replicas }));
    }
    output::print(shown.output, &["topic", "partitions", "replication_factor"], rows, &list.into())?;
    Ok(())
}
