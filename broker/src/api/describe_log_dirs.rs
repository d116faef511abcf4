//! DescribeLogDirs (35): the data directory, its partitions with their sizes, and the room on its file system. Versions 0-4.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use logmill_protocol::{
    ErrorCode,
    messages::describe_log_dirs::{
        DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
        DescribeLogDirsTopic,
    },
};

use super::request::{Outcome, Refused, Request};
use crate::{broker::Broker, metadata::image::Image};

type Wanted = BTreeMap<Arc<str>, BTreeSet<i32>>;

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: DescribeLogDirsRequest<'_> = request.decode()?;
    let image = broker.image();
    let wanted: Wanted = match &decoded.topics {
        None => image.topics.values().map(|topic| (topic.name.clone(), (0..topic.partitions).collect())).collect(),
        Some(topics) => asked(&image, topics.iter().map(|topic| (topic.topic, topic.partitions.as_slice()))),
    };
    let measured = tokio::task::spawn_blocking({
        let broker = broker.clone();
        move || describe(&broker, wanted)
    });
    let mut response = DescribeLogDirsResponse::default();
    match measured.await {
        Ok(result) => response.results.push(result),
        Err(_) => response.error_code = ErrorCode::UnknownServerError,
    }
    request.reply(&response)
}

/// What was asked for and exists: of anything else there is nothing in the directory.
fn asked<'a>(image: &Image, topics: impl Iterator<Item = (&'a str, &'a [i32])>) -> Wanted {
    let mut wanted = Wanted::new();
    for (name, partitions) in topics {
        let Some(topic) = image.topic(name) else { continue };
        let there = partitions.iter().copied().filter(|index| (0..topic.partitions).contains(index));
        wanted.entry(topic.name.clone()).or_default().extend(there);
    }
    wanted.retain(|_, partitions| !partitions.is_empty());
    wanted
}

/// Asks the disk.
fn describe(broker: &Broker, wanted: Wanted) -> DescribeLogDirsResult<'static> {
    let data_dir = broker.partitions.data_dir();
    let path = std::path::absolute(data_dir.path()).unwrap_or_else(|_| data_dir.path().to_owned());
    let mut result = DescribeLogDirsResult { log_dir: Cow::Owned(path.display().to_string()), ..Default::default() };
    match data_dir.space() {
        Ok(space) => {
            result.total_bytes = i64::try_from(space.total).unwrap_or(i64::MAX);
            result.usable_bytes = i64::try_from(space.usable).unwrap_or(i64::MAX);
        }
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "the data directory cannot be asked for its room");
            result.error_code = ErrorCode::KafkaStorageError;
            return result;
        }
    }
    for (name, partitions) in wanted {
        let one = |partition_index| DescribeLogDirsPartition {
            partition_index,
            partition_size: size(broker, &name, partition_index),
            ..Default::default()
        };
        let partitions = partitions.into_iter().map(one).collect();
        result.topics.push(DescribeLogDirsTopic { name: Cow::Owned(name.to_string()), partitions });
    }
    result
}

/// Bytes of its segments. A partition that was never used has none.
fn size(broker: &Broker, topic: &str, partition: i32) -> i64 {
    let partition = broker.partitions.get(topic, partition).ok();
    let bytes = partition.and_then(|partition| partition.opened().map(|log| log.size_bytes())).unwrap_or(0);
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
