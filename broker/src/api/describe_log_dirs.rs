//! DescribeLogDirs (35): the data directories, their partitions with their sizes, and the room on their file systems. Versions 0-4.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use logmill_log::DataDir;
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
        move || broker.partitions.data_dirs().iter().map(|dir| describe(&broker, dir, &wanted)).collect::<Vec<_>>()
    });
    let mut response = DescribeLogDirsResponse::default();
    match measured.await {
        Ok(results) => response.results = results,
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
fn describe(broker: &Broker, data_dir: &Arc<DataDir>, wanted: &Wanted) -> DescribeLogDirsResult<'static> {
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
        let one = |partition_index: i32| DescribeLogDirsPartition {
            partition_index,
            partition_size: size(broker, data_dir, name, partition_index),
            ..Default::default()
        };
        let here = partitions.iter().copied().filter(|index| is_in(broker, data_dir, name, *index));
        let partitions: Vec<_> = here.map(one).collect();
        if partitions.is_empty() {
            continue;
        }
        result.topics.push(DescribeLogDirsTopic { name: Cow::Owned(name.to_string()), partitions });
    }
    result
}

/// A partition that was never used is in none yet: it is told of the first.
fn is_in(broker: &Broker, data_dir: &Arc<DataDir>, topic: &str, partition: i32) -> bool {
    let data_dirs = broker.partitions.data_dirs();
    let has_it = data_dirs.of(topic, partition).or_else(|| data_dirs.iter().next());
    has_it.is_some_and(|dir| Arc::ptr_eq(dir, data_dir))
}

/// Bytes of its segments, whether its log is open or not. A partition that was never used has none.
fn size(broker: &Broker, data_dir: &DataDir, topic: &str, partition: i32) -> i64 {
    let open = broker.partitions.get(topic, partition).ok().and_then(|partition| partition.opened().cloned());
    let bytes = match open {
        Some(log) => log.size_bytes(),
        None => data_dir.size_of(topic, partition).unwrap_or_else(|error| {
            tracing::warn!(topic, partition, %error, "the partition's directory cannot be read");
            0
        }),
    };
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
