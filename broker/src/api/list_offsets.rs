//! ListOffsets (2): a partition's start, its end, or the offset at a time.
//!
//! Versions 0-11. Version 0 returns a list of offsets. Without tiered storage the local start (-4) is the start, and nothing is in the
//! remote tier (-5, -6).

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
            let found = match broker.partitions.get(topic.name, asked.partition_index) {
                Ok(partition) => find(partition, asked).await,
                Err(error) => Err(error.code()),
            };
            partitions.push(answer(asked, found, request.version));
        }
        topics.push(ListOffsetsTopicResponse { name: Cow::Borrowed(topic.name), partitions });
    }
    request.reply(&ListOffsetsResponse { topics, ..Default::default() })
}

fn answer(
    asked: &ListOffsetsPartition,
    found: Result<Option<At>, ErrorCode>,
    version: i16,
) -> ListOffsetsPartitionResponse {
    let mut response = ListOffsetsPartitionResponse { partition_index: asked.partition_index, ..Default::default() };
    match found {
        Err(error_code) => response.error_code = error_code,
        Ok(None) => {}
        Ok(Some(at)) if version == 0 => response.old_style_offsets = vec![at.offset],
        Ok(Some(at)) => {
            response.timestamp = at.timestamp;
            response.offset = at.offset;
            response.leader_epoch = at.epoch;
        }
    }
    response
}

async fn find(partition: Arc<Partition>, asked: &ListOffsetsPartition) -> Result<Option<At>, ErrorCode> {
    let epoch = partition.leader_epoch();
    partition.check_leader_epoch(asked.current_leader_epoch)?;
    let log = partition.log().await.map_err(|error| error.code())?;
    let at = |offset: i64| Ok(Some(At { timestamp: -1, offset, epoch }));
    match asked.timestamp {
        LATEST => at(log.high_watermark()),
        EARLIEST | EARLIEST_LOCAL => at(log.log_start_offset()),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(None),
        time if time == MAX_TIMESTAMP || time >= 0 => {
            let log = log.clone();
            // Reads the disk.
            let found = tokio::task::spawn_blocking(move || by_time(&log, time)).await;
            found.map_err(|_| ErrorCode::UnknownServerError)?.map_err(|error| error.code())
        }
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}

fn by_time(log: &Log, time: i64) -> Result<Option<At>, PartitionError> {
    let found = if time == MAX_TIMESTAMP { log.max_timestamp()? } else { log.offset_for_time(time)? };
    Ok(found.map(|found| At { timestamp: found.timestamp, offset: found.offset, epoch: found.leader_epoch }))
}
