//! Produce (0): appends batches as they came and answers once they are on disk.
//!
//! Versions 0-13. Message sets of before Kafka 0.11 (versions 0 to 2) are converted. acks=1 waits for the disk like acks=all: an
//! acknowledged record is never lost. While one request waits for its commit, the connection's next ones are appended.

use std::{borrow::Cow, ops::Range, sync::Arc, time::Duration};

use logmill_log::{Log, Origin};
use logmill_protocol::{
    ErrorCode, Uuid,
    messages::produce::{
        BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
        TopicProduceResponse,
    },
};

use super::request::{Outcome, Refused, Request, Responder, Response};
use crate::{
    broker::Broker,
    partition::{
        error::PartitionError,
        incoming::{Incoming, Rejected, Rules, check},
        replica::Partition,
    },
};

/// What became of one partition's records so far.
struct Item {
    index: i32,
    result: Result<Pending, Rejected>,
}

/// Appended, waiting for the disk.
struct Pending {
    partition: Arc<Partition>,
    log: Arc<Log>,
    appended: logmill_log::Appended,
}

struct Topic {
    name: String,
    id: Uuid,
    items: Vec<Item>,
}

/// What to append where: ranges of the request's frame.
struct Plan {
    name: String,
    id: Uuid,
    partitions: Vec<(i32, Option<Range<usize>>)>,
}

pub(crate) async fn handle(broker: &Arc<Broker>, mut request: Request) -> Result<Outcome, Refused> {
    let decoded: ProduceRequest<'_> = request.decode()?;
    let (acks, transactional) = (decoded.acks, decoded.transactional_id.is_some());
    let timeout = Duration::from_millis(u64::try_from(decoded.timeout_ms).unwrap_or(0));
    let plans: Vec<Plan> = decoded
        .topic_data
        .iter()
        .map(|topic| Plan {
            name: topic.name.to_owned(),
            id: topic.topic_id,
            partitions: topic.partition_data.iter().map(|p| (p.index, range_in(&request.frame, p))).collect(),
        })
        .collect();
    let refused = if !(-1..=1).contains(&acks) {
        Some(Rejected::new(ErrorCode::InvalidRequiredAcks, format!("acks is {acks}, expected -1, 0 or 1")))
    } else if transactional {
        Some(Rejected::new(ErrorCode::TransactionalIdAuthorizationFailed, "this broker has no transactions"))
    } else {
        None
    };
    let mut topics = Vec::with_capacity(plans.len());
    for plan in plans {
        let mut topic = Topic { name: plan.name, id: plan.id, items: Vec::with_capacity(plan.partitions.len()) };
        for (index, range) in plan.partitions {
            let result = match &refused {
                Some(refused) => Err(refused.clone()),
                None => append(broker, &mut request, &mut topic, index, range, acks).await,
            };
            topic.items.push(Item { index, result });
        }
        topics.push(topic);
    }
    let responder = request.responder();
    // Gives the request's memory back before waiting.
    drop(request);
    if acks == 0 {
        let failed = topics.iter().flat_map(|topic| &topic.items).find_map(|item| item.result.as_ref().err());
        return match failed {
            // The only way to tell the client that something is wrong, as Kafka does.
            Some(rejected) => Err(Refused::AcksZeroFailed(format!("{}: {}", rejected.code, rejected.message))),
            None => Ok(Outcome::Nothing),
        };
    }
    Ok(Outcome::Later(Box::pin(answer(topics, timeout, responder))))
}

fn range_in(frame: &[u8], data: &PartitionProduceData<'_>) -> Option<Range<usize>> {
    let records = data.records?;
    let start = (records.as_ptr() as usize).checked_sub(frame.as_ptr() as usize)?;
    Some(start..start.checked_add(records.len())?)
}

async fn append(
    broker: &Broker,
    request: &mut Request,
    topic: &mut Topic,
    index: i32,
    range: Option<Range<usize>>,
    acks: i16,
) -> Result<Pending, Rejected> {
    let by_id = request.version >= 13;
    let partition = if by_id {
        broker.partitions.get_by_id(uuid::Uuid::from_bytes(topic.id), index)
    } else {
        broker.partitions.get(&topic.name, index)
    };
    let partition = partition.map_err(told)?;
    if topic.name.is_empty() {
        topic.name = partition.topic().name.to_string();
    }
    let counted = partition.clone();
    let appended = append_to(broker, request, partition, range, acks).await;
    match &appended {
        Ok(_) if acks == 0 => counted.metrics.produces.count(true),
        // Counted when it is settled.
        Ok(_) => {}
        Err(rejected) => {
            counted.metrics.produces.count(false);
            if let Some(limit) = rejected.limit {
                broker.metrics.refused.with_label_values(&[limit]).inc();
            }
        }
    }
    appended
}

async fn append_to(
    broker: &Broker,
    request: &mut Request,
    partition: Arc<Partition>,
    range: Option<Range<usize>>,
    acks: i16,
) -> Result<Pending, Rejected> {
    let topic = partition.topic().clone();
    if partition.topic().is_internal() {
        let text = format!("topic '{}' is the broker's own", topic.name);
        return Err(Rejected::new(ErrorCode::InvalidTopicException, text));
    }
    let log = partition.log().await.map_err(told)?.clone();
    let config = partition.config();
    if acks == -1 && config.min_insync_replicas > 1 {
        let text = format!("1 replica is in sync, min.insync.replicas is {}", config.min_insync_replicas);
        return Err(Rejected::new(ErrorCode::NotEnoughReplicas, text));
    }
    let rules = Rules {
        version: request.version,
        topic: &topic.name,
        partition: partition.index(),
        config: &config,
        now_ms: broker.clock.now_ms(),
        max_decompressed: broker.settings.max_decompressed,
    };
    let records = range.and_then(|range| request.frame.get_mut(range)).unwrap_or_default();
    let Incoming { header, mut replaced } = check(records, &rules)?;
    if header.attributes.is_transactional() {
        return Err(Rejected::new(ErrorCode::InvalidTxnState, "this broker has no transactions"));
    }
    let records = replaced.as_deref_mut().unwrap_or(records);
    let (count, bytes) = (header.record_count, records.len());
    let appended = partition.append(&log, records, Origin::Client).map_err(told)?;
    partition.metrics.bytes_in.inc_by(bytes as u64);
    partition.metrics.messages_in.inc_by(u64::try_from(count).unwrap_or(0));
    Ok(Pending { partition, log, appended })
}

fn told(error: PartitionError) -> Rejected {
    Rejected::new(error.code(), error.to_string())
}

async fn answer(topics: Vec<Topic>, timeout: Duration, responder: Responder) -> Result<Response, Refused> {
    let mut response = ProduceResponse::default();
    for topic in topics {
        let mut partition_responses = Vec::with_capacity(topic.items.len());
        for item in topic.items {
            partition_responses.push(settle(item, timeout).await);
        }
        let (name, topic_id) = (Cow::Owned(topic.name), topic.id);
        response.responses.push(TopicProduceResponse { name, topic_id, partition_responses });
    }
    responder.response(&response)
}

async fn settle(item: Item, timeout: Duration) -> PartitionProduceResponse<'static> {
    let done = match item.result {
        Ok(pending) => {
            let wait = pending.partition.wait_durable(&pending.log, pending.appended.last_offset, timeout).await;
            pending.partition.metrics.produces.count(wait.is_ok());
            wait.map(|()| pending.appended).map_err(told)
        }
        Err(refused) => Err(refused),
    };
    match done {
        Ok(appended) => PartitionProduceResponse {
            index: item.index,
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time,
            log_start_offset: appended.log_start_offset,
            ..Default::default()
        },
        Err(rejected) => PartitionProduceResponse {
            index: item.index,
            error_code: rejected.code,
            base_offset: -1,
            record_errors: rejected
                .records
                .iter()
                .map(|index| BatchIndexAndErrorMessage {
                    batch_index: *index,
                    batch_index_error_message: Some(Cow::Owned(rejected.message.clone())),
                })
                .collect(),
            error_message: Some(Cow::Owned(rejected.message)),
            ..Default::default()
        },
    }
}
