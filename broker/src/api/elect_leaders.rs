//! ElectLeaders (43): with one replica of everything the leader always is the right one, so there is nothing to elect. Versions 0-2.

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::elect_leaders::{
        ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult, TopicPartitions,
    },
};

use super::request::{Outcome, Refused, Request};
use crate::{broker::Broker, metadata::image::Image};

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: ElectLeadersRequest<'_> = request.decode()?;
    // Preferred, unclean.
    if !(0..=1).contains(&decoded.election_type) {
        return request.reply(&ElectLeadersResponse { error_code: ErrorCode::InvalidRequest, ..Default::default() });
    }
    let image = broker.image();
    // Of all partitions only those are told where an election took place.
    let asked = decoded.topic_partitions.unwrap_or_default();
    let replica_election_results = asked.iter().map(|topic| result(&image, topic)).collect();
    request.reply(&ElectLeadersResponse { replica_election_results, ..Default::default() })
}

fn result<'a>(image: &Image, asked: &TopicPartitions<'a>) -> ReplicaElectionResult<'a> {
    let topic = image.topic(asked.topic);
    let one = |index: i32| match topic {
        None => (ErrorCode::UnknownTopicOrPartition, format!("No such topic as {}", asked.topic)),
        Some(topic) if !(0..topic.partitions).contains(&index) => {
            (ErrorCode::UnknownTopicOrPartition, format!("No such partition as {}-{index}", asked.topic))
        }
        Some(_) => (ErrorCode::ElectionNotNeeded, "Leader election not needed for topic partition.".to_owned()),
    };
    let partition_result = asked.partitions.iter().map(|index| {
        let (error_code, message) = one(*index);
        PartitionResult { partition_id: *index, error_code, error_message: Some(Cow::Owned(message)) }
    });
    ReplicaElectionResult { topic: Cow::Borrowed(asked.topic), partition_result: partition_result.collect() }
}
