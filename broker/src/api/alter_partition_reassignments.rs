//! AlterPartitionReassignments (45): a single node has every replica already, and never one on its way. Version 0.

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::alter_partition_reassignments::{
        AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartitionResponse,
        ReassignableTopicResponse,
    },
};

use super::{
    config_resource::Refusing,
    request::{Outcome, Refused, Request},
};
use crate::broker::Broker;

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: AlterPartitionReassignmentsRequest<'_> = request.decode()?;
    let image = broker.image();
    let node = broker.cluster.node_id;
    let responses = decoded.topics.iter().map(|topic| {
        let known = image.topic(topic.name).map(|topic| topic.partitions);
        let partitions = topic.partitions.iter().map(|asked| {
            let index = asked.partition_index;
            let done = check(topic.name, known, index).and_then(|()| reassign(node, asked.replicas.as_deref()));
            let (error_code, message) = done.err().unzip();
            ReassignablePartitionResponse {
                partition_index: index,
                error_code: error_code.unwrap_or_default(),
                error_message: message.map(Cow::Owned),
            }
        });
        ReassignableTopicResponse { name: Cow::Borrowed(topic.name), partitions: partitions.collect() }
    });
    request.reply(&AlterPartitionReassignmentsResponse { responses: responses.collect(), ..Default::default() })
}

fn check(topic: &str, partitions: Option<i32>, index: i32) -> Result<(), Refusing> {
    let unknown = |message: String| Err((ErrorCode::UnknownTopicOrPartition, message));
    match partitions {
        None => unknown(format!("Unable to find a topic named {topic}.")),
        Some(count) if !(0..count).contains(&index) => unknown(format!("Unable to find partition {topic}:{index}.")),
        Some(_) => Ok(()),
    }
}

/// Without replicas: stops moving.
fn reassign(node: i32, replicas: Option<&[i32]>) -> Result<(), Refusing> {
    let invalid = |message: String| Err((ErrorCode::InvalidReplicaAssignment, message));
    match replicas {
        None => Err((ErrorCode::NoReassignmentInProgress, "No partition reassignment is in progress.".to_owned())),
        Some([]) => invalid("The manual partition assignment includes an empty replica list.".to_owned()),
        Some([one]) if *one == node => Ok(()),
        Some(replicas) => match replicas.iter().find(|replica| **replica != node) {
            Some(other) => invalid(format!(
                "The manual partition assignment includes broker {other}, but no such broker is registered."
            )),
            None => invalid(format!("The manual partition assignment includes the broker {node} more than once.")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_already_can_be_assigned() {
        let code = |replicas| reassign(1, replicas).err().map(|(code, _)| code);
        assert_eq!(code(Some(&[1])), None);
        assert_eq!(code(None), Some(ErrorCode::NoReassignmentInProgress));
        for replicas in [&[][..], &[2], &[1, 2], &[1, 1]] {
            assert_eq!(code(Some(replicas)), Some(ErrorCode::InvalidReplicaAssignment), "{replicas:?}");
        }
        assert_eq!(check("t", Some(2), 1), Ok(()));
        for (partitions, index) in [(None, 0), (Some(2), 2), (Some(2), -1)] {
            assert!(check("t", partitions, index).is_err());
        }
    }
}
