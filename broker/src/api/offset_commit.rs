//! OffsetCommit (8), versions 0 to 9 (10 names topics by id). Answered when the offsets are durable. Versions 2 to 4 may
//! name their own retention, version 1 a time stamp; from 9 on an unknown group has its own error.

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::offset_commit::{
        OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitResponse, OffsetCommitResponsePartition,
        OffsetCommitResponseTopic,
    },
};

use super::request::{Outcome, Refused, Request};
use crate::{
    broker::Broker,
    coordinator::{groups::Commit, offsets::CommittedOffset},
};

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let message: OffsetCommitRequest<'_> = request.decode()?;
    let image = broker.image();
    let now_ms = broker.groups.wall_ms();
    let mut offsets = Vec::new();
    let mut topics = Vec::with_capacity(message.topics.len());
    for topic in &message.topics {
        let known = image.topic(topic.name);
        let mut results = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let metadata_bytes = partition.committed_metadata.map_or(0, str::len);
            let error_code = match known.filter(|t| (0..t.partitions).contains(&index)) {
                None => ErrorCode::UnknownTopicOrPartition,
                Some(_) if metadata_bytes > broker.groups.settings().max_offset_metadata_bytes => {
                    ErrorCode::OffsetMetadataTooLarge
                }
                Some(topic) => {
                    let committed = committed(partition, message.retention_time_ms, now_ms);
                    offsets.push((Arc::clone(&topic.name), index, committed));
                    ErrorCode::None
                }
            };
            results.push(OffsetCommitResponsePartition { partition_index: index, error_code });
        }
        topics.push(OffsetCommitResponseTopic {
            name: Cow::Borrowed(topic.name),
            partitions: results,
            ..Default::default()
        });
    }
    let commit = Commit {
        member_id: message.member_id.to_owned(),
        instance_id: message.group_instance_id.map(str::to_owned),
        generation: message.generation_id_or_member_epoch,
        offsets,
    };
    if let Err(error) = broker.groups.commit(message.group_id, commit).await {
        let error = match error {
            // Its own error would not be understood.
            ErrorCode::GroupIdNotFound if request.version < 9 => ErrorCode::IllegalGeneration,
            other => other,
        };
        for result in topics.iter_mut().flat_map(|t| &mut t.partitions).filter(|r| r.error_code == ErrorCode::None) {
            result.error_code = error;
        }
    }
    request.reply(&OffsetCommitResponse { topics, ..Default::default() })
}

fn committed(partition: &OffsetCommitRequestPartition<'_>, retention_ms: i64, now_ms: i64) -> CommittedOffset {
    let commit_ms = if partition.commit_timestamp >= 0 { partition.commit_timestamp } else { now_ms };
    CommittedOffset {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.unwrap_or_default().into(),
        commit_ms,
        expires_ms: (retention_ms >= 0).then(|| commit_ms.saturating_add(retention_ms)),
    }
}
