//! Fetch (1): record batches straight from the segments, waiting for more where there is too little.
//!
//! Versions 4-18; topics by name up to 12, by id from 13. No fetch sessions (KIP-227): every answer has session id 0, so clients send the
//! full list each time. The wait is ended by the high watermark, never by polling.

use std::{borrow::Cow, sync::Arc, time::Duration};

use logmill_log::{ReadLimit, ReadSlice};
use logmill_protocol::{
    ErrorCode, Uuid,
    codec::RecordsOut,
    messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData},
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::request::{Outcome, Refused, Request, Response};
use crate::{
    broker::Broker,
    partition::{error::PartitionError, replica::Partition},
};

/// The most one response carries, as Kafka's fetch.max.bytes of the broker, except that a first batch is always whole.
const MAX_RESPONSE_BYTES: i32 = 55 << 20;

struct Topic {
    name: String,
    id: Uuid,
    wanted: Vec<Wanted>,
}

struct Wanted {
    request: FetchPartition,
    partition: Result<Arc<Partition>, PartitionError>,
}

/// What one partition gives now.
struct Found {
    error: ErrorCode,
    high_watermark: i64,
    log_start_offset: i64,
    slice: Option<ReadSlice>,
}

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: FetchRequest<'_> = request.decode()?;
    if decoded.session_id != 0 && decoded.session_epoch > 0 {
        let error_code = ErrorCode::FetchSessionIdNotFound;
        return request.reply(&FetchResponse { error_code, ..Default::default() });
    }
    let topics = resolve(broker, &decoded, request.version).await;
    let wait = Duration::from_millis(u64::try_from(decoded.max_wait_ms).unwrap_or(0));
    let deadline = broker.clock.monotonic() + wait;
    let min_bytes = u64::try_from(decoded.min_bytes).unwrap_or(0);
    let max_bytes = u64::try_from(decoded.max_bytes.min(MAX_RESPONSE_BYTES)).unwrap_or(0);
    let found = loop {
        let wake = Arc::new(Notify::new());
        // Registered before looking, so that nothing is missed in between.
        let _registrations: Vec<_> = if wait.is_zero() { Vec::new() } else { register(&topics, &wake) };
        let (found, bytes, any_error) = look(&topics, max_bytes);
        if bytes >= min_bytes || any_error || wait.is_zero() || !has_partitions(&topics) {
            break found;
        }
        if !woken(broker, &wake, deadline).await {
            break look(&topics, max_bytes).0;
        }
    };
    respond(&request, topics, found, decoded.isolation_level == 1)
}

/// Whether it was worth waiting: `false` once the time is up or the broker stops.
async fn woken(broker: &Broker, wake: &Notify, deadline: Instant) -> bool {
    tokio::select! {
        woken = timeout_at(deadline, wake.notified()) => woken.is_ok(),
        () = broker.stop.cancelled() => false,
    }
}

fn has_partitions(topics: &[Topic]) -> bool {
    topics.iter().any(|topic| !topic.wanted.is_empty())
}

async fn resolve(broker: &Broker, request: &FetchRequest<'_>, version: i16) -> Vec<Topic> {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut wanted = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let partition = if version >= 13 {
                broker.partitions.get_by_id(uuid::Uuid::from_bytes(topic.topic_id), asked.partition)
            } else {
                broker.partitions.get(topic.topic, asked.partition)
            };
            let partition = match partition {
                Ok(partition) => partition.log().await.map(|_| ()).map(|()| partition),
                Err(error) => Err(error),
            };
            wanted.push(Wanted { request: asked.clone(), partition });
        }
        topics.push(Topic { name: topic.topic.to_owned(), id: topic.topic_id, wanted });
    }
    topics
}

fn register(topics: &[Topic], wake: &Arc<Notify>) -> Vec<crate::partition::waiters::Registration> {
    let partitions = topics.iter().flat_map(|topic| &topic.wanted).filter_map(|wanted| wanted.partition.as_ref().ok());
    partitions
        .map(|partition| {
            let high_watermark = partition.opened().map_or(0, |log| log.high_watermark());
            partition.wake_past(high_watermark, wake.clone())
        })
        .collect()
}

/// Everything that can be read now, its bytes, and whether a partition has an error.
fn look(topics: &[Topic], max_bytes: u64) -> (Vec<Found>, u64, bool) {
    let (mut all, mut bytes, mut any_error) = (Vec::new(), 0, false);
    for wanted in topics.iter().flat_map(|topic| &topic.wanted) {
        let left = max_bytes.saturating_sub(bytes);
        let found = look_at(wanted, left, bytes == 0);
        any_error |= !found.error.is_none();
        bytes += found.slice.as_ref().map_or(0, |slice| slice.len);
        all.push(found);
    }
    (all, bytes, any_error)
}

fn look_at(wanted: &Wanted, left: u64, first: bool) -> Found {
    let failed = |error: ErrorCode| Found { error, high_watermark: -1, log_start_offset: -1, slice: None };
    let partition = match &wanted.partition {
        Ok(partition) => partition,
        Err(error) => return failed(error.code()),
    };
    let Some(log) = partition.opened() else { return failed(ErrorCode::KafkaStorageError) };
    let asked = &wanted.request;
    match asked.current_leader_epoch {
        epoch if epoch > partition.leader_epoch() => return failed(ErrorCode::UnknownLeaderEpoch),
        epoch if epoch >= 0 && epoch < partition.leader_epoch() => return failed(ErrorCode::FencedLeaderEpoch),
        _ => {}
    }
    let max = left.min(u64::try_from(asked.partition_max_bytes).unwrap_or(0));
    // Taken before reading: a response never shows less of the log than its high watermark lets expect.
    let high_watermark = log.high_watermark();
    match log.read(asked.fetch_offset, max, ReadLimit::HighWatermark, first) {
        Ok(slice) => {
            let log_start_offset = log.log_start_offset();
            Found { error: ErrorCode::None, high_watermark, log_start_offset, slice }
        }
        Err(error) => {
            let error = PartitionError::from(error);
            if error.code() != ErrorCode::OffsetOutOfRange {
                tracing::error!(topic = %partition.topic().name, partition = partition.index(), %error, "fetch failed");
            }
            failed(error.code())
        }
    }
}

fn respond(request: &Request, topics: Vec<Topic>, found: Vec<Found>, read_committed: bool) -> Result<Outcome, Refused> {
    let mut found = found.into_iter();
    let mut slices = Vec::new();
    let mut response = FetchResponse::default();
    for topic in topics {
        let mut partitions = Vec::with_capacity(topic.wanted.len());
        let mut bytes_out = 0;
        for (wanted, found) in topic.wanted.iter().zip(found.by_ref()) {
            let records = match found.slice {
                Some(slice) => {
                    bytes_out += slice.len;
                    let len = u32::try_from(slice.len).unwrap_or(u32::MAX);
                    slices.push(slice);
                    RecordsOut::Hole { len }
                }
                None => RecordsOut::Empty,
            };
            partitions.push(PartitionData {
                partition_index: wanted.request.partition,
                error_code: found.error,
                high_watermark: found.high_watermark,
                last_stable_offset: found.high_watermark,
                log_start_offset: found.log_start_offset,
                aborted_transactions: read_committed.then(Vec::new),
                records,
                ..Default::default()
            });
        }
        if let Some(partition) = topic.wanted.iter().find_map(|wanted| wanted.partition.as_ref().ok()) {
            partition.metrics.bytes_out.inc_by(bytes_out);
        }
        let (topic, topic_id) = (Cow::Owned(topic.name), topic.id);
        response.responses.push(FetchableTopicResponse { topic, topic_id, partitions });
    }
    let frame = request.responder().response(&response)?.frame;
    Ok(Outcome::Now(Response { frame, slices }))
}
