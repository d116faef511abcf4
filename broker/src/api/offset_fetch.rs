//! OffsetFetch (9), versions 0 to 9 (10 names topics by id): 2 asks for everything by null, 8 for several groups.
//!
//! `require_stable` (version 7) is granted always: no offset is shown before it is durable, and none is pending in a transaction.

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::offset_fetch::{
        OffsetFetchRequest, OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
        OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
    },
};

use super::request::{Outcome, Refused, Request};
use crate::{
    broker::Broker,
    coordinator::groups::{FetchedOffset, FetchedTopic},
};

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let message: OffsetFetchRequest<'_> = request.decode()?;
    if request.version >= 8 {
        return several_groups(broker, &request, &message);
    }
    let asked: Option<Vec<(&str, &[i32])>> =
        message.topics.as_ref().map(|topics| topics.iter().map(|t| (t.name, &*t.partition_indexes)).collect());
    let (fetched, error_code) = fetch(broker, message.group_id, asked.as_deref());
    let partition = |p: &FetchedOffset| {
        let (offset, leader_epoch, metadata) = shown(p);
        OffsetFetchResponsePartition {
            partition_index: p.partition,
            committed_offset: offset,
            committed_leader_epoch: leader_epoch,
            metadata: Some(Cow::Owned(metadata.to_owned())),
            error_code,
        }
    };
    let topics = fetched.iter().map(|t| OffsetFetchResponseTopic {
        name: Cow::Borrowed(&*t.name),
        partitions: t.partitions.iter().map(partition).collect(),
    });
    request.reply(&OffsetFetchResponse { topics: topics.collect(), error_code, ..Default::default() })
}

fn several_groups(broker: &Broker, request: &Request, message: &OffsetFetchRequest<'_>) -> Result<Outcome, Refused> {
    let partition = |p: &FetchedOffset| {
        let (offset, leader_epoch, metadata) = shown(p);
        OffsetFetchResponsePartitions {
            partition_index: p.partition,
            committed_offset: offset,
            committed_leader_epoch: leader_epoch,
            metadata: Some(Cow::Owned(metadata.to_owned())),
            error_code: ErrorCode::None,
        }
    };
    let groups = message.groups.iter().map(|group| {
        let asked: Option<Vec<(&str, &[i32])>> =
            group.topics.as_ref().map(|topics| topics.iter().map(|t| (t.name, &*t.partition_indexes)).collect());
        let (fetched, error_code) = fetch(broker, group.group_id, asked.as_deref());
        let topics = fetched.iter().map(|t| OffsetFetchResponseTopics {
            name: Cow::Owned(t.name.to_string()),
            partitions: t.partitions.iter().map(partition).collect(),
            ..Default::default()
        });
        OffsetFetchResponseGroup {
            group_id: Cow::Borrowed(group.group_id),
            topics: if error_code == ErrorCode::None { topics.collect() } else { Vec::new() },
            error_code,
        }
    });
    request.reply(&OffsetFetchResponse { groups: groups.collect(), ..Default::default() })
}

/// What is committed; with an error the partitions asked for, as if nothing were, since the oldest versions report it there.
fn fetch(broker: &Broker, group: &str, asked: Option<&[(&str, &[i32])]>) -> (Vec<FetchedTopic>, ErrorCode) {
    let fetched = match asked {
        Some(topics) => broker.groups.fetch(group, topics),
        None => broker.groups.fetch_all(group),
    };
    match fetched {
        Ok(fetched) => (fetched, ErrorCode::None),
        Err(error) => {
            let topics = asked.unwrap_or_default().iter().map(|(name, partitions)| FetchedTopic {
                name: (*name).into(),
                partitions: partitions.iter().map(|p| FetchedOffset { partition: *p, committed: None }).collect(),
            });
            (topics.collect(), error)
        }
    }
}

/// Offset, leader epoch and metadata; -1 and empty when nothing is committed.
fn shown(fetched: &FetchedOffset) -> (i64, i32, &str) {
    fetched.committed.as_ref().map_or((-1, -1, ""), |c| (c.offset, c.leader_epoch, &*c.metadata))
}
