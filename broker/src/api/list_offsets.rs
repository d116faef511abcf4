//! ListOffsets (2): a partition's start, its end, or the offset at a time.
//!
//! Versions 0-11. Version 0 returns a list of offsets: where segments begin, newest first, that were last written at the time or before. Without tiered storage the local start (-4) is the start, and nothing is in the
//! remote tier (-5, -6). Each of these may be asked for from the version on that brought it.

use std::{borrow::Cow, sync::Arc};

use logmill_log::Log;
use logmill_protocol::{
    ErrorCode,
    messages::list_offsets::{
        ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
        ListOffsetsTopicResponse,
    },
};

use super::request::{Outcome, Refused, Request};
use crate::{
    broker::Broker,
    partition::{error::PartitionError, replica::Partition},
};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

struct At {
    timestamp: i64,
    offset: i64,
    epoch: i32,
}

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: ListOffsetsRequest<'_> = request.decode()?;
    let mut topics = Vec::with_capacity(decoded.topics.len());
    for topic in &decoded.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let partition = broker.partitions.get(topic.name, asked.partition_index).map_err(|error| error.code());
            partitions.push(match partition {
                Err(error) => answer(asked, Err(error)),
                Ok(partition) if request.version == 0 => old_answer(asked, before(partition, asked).await),
                Ok(_) if request.version < first_version(asked.timestamp) => {
                    answer(asked, Err(ErrorCode::UnsupportedVersion))
                }
                Ok(partition) => answer(asked, find(partition, asked, decoded.isolation_level == 1).await),
            });
        }
        topics.push(ListOffsetsTopicResponse { name: Cow::Borrowed(topic.name), partitions });
    }
    request.reply(&ListOffsetsResponse { topics, ..Default::default() })
}

/// The version from which on a client may ask for it.
fn first_version(timestamp: i64) -> i16 {
    match timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        _ => 0,
    }
}

fn answer(asked: &ListOffsetsPartition, found: Result<Option<At>, ErrorCode>) -> ListOffsetsPartitionResponse {
    let mut response = ListOffsetsPartitionResponse { partition_index: asked.partition_index, ..Default::default() };
    match found {
        Err(error_code) => response.error_code = error_code,
        Ok(None) => {}
        Ok(Some(at)) => {
            response.timestamp = at.timestamp;
            response.offset = at.offset;
            response.leader_epoch = at.epoch;
        }
    }
    response
}

async fn find(
    partition: Arc<Partition>,
    asked: &ListOffsetsPartition,
    read_committed: bool,
) -> Result<Option<At>, ErrorCode> {
    let log = partition.log().await.map_err(|error| error.code())?;
    partition.check_leader_epoch(asked.current_leader_epoch)?;
    let epoch = partition.leader_epoch();
    let at = |offset: i64| Ok(Some(At { timestamp: -1, offset, epoch }));
    let end = if read_committed { log.last_stable_offset() } else { log.high_watermark() };
    match asked.timestamp {
        LATEST => at(end),
        EARLIEST | EARLIEST_LOCAL => at(log.log_start_offset()),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(None),
        time if time == MAX_TIMESTAMP || time >= 0 => {
            let log = log.clone();
            // Reads the disk.
            let found = tokio::task::spawn_blocking(move || by_time(&log, time)).await;
            let found = found.map_err(|_| ErrorCode::UnknownServerError)?.map_err(|error| error.code())?;
            Ok(found.filter(|found| found.offset < end))
        }
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}

fn old_answer(asked: &ListOffsetsPartition, found: Result<Vec<i64>, ErrorCode>) -> ListOffsetsPartitionResponse {
    let mut response = ListOffsetsPartitionResponse { partition_index: asked.partition_index, ..Default::default() };
    match found {
        Ok(offsets) => response.old_style_offsets = offsets,
        Err(error_code) => response.error_code = error_code,
    }
    response
}

async fn before(partition: Arc<Partition>, asked: &ListOffsetsPartition) -> Result<Vec<i64>, ErrorCode> {
    let log = partition.log().await.map_err(|error| error.code())?.clone();
    let (time, max) = (asked.timestamp, usize::try_from(asked.max_num_offsets).unwrap_or(0));
    if time < EARLIEST {
        return Err(ErrorCode::UnsupportedVersion);
    }
    // Reads the disk.
    let found = tokio::task::spawn_blocking(move || match time {
        EARLIEST => Ok(vec![log.log_start_offset()]),
        LATEST => log.starts_before(i64::MAX),
        time => log.starts_before(time),
    });
    let mut offsets =
        found.await.map_err(|_| ErrorCode::UnknownServerError)?.map_err(PartitionError::from).map_err(|e| e.code())?;
    offsets.truncate(max);
    Ok(offsets)
}

fn by_time(log: &Log, time: i64) -> Result<Option<At>, PartitionError> {
    let found = if time == MAX_TIMESTAMP { log.max_timestamp()? } else { log.offset_for_time(time)? };
    Ok(found.map(|found| At { timestamp: found.timestamp, offset: found.offset, epoch: found.leader_epoch }))
}
