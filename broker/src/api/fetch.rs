//! Fetch (1): record batches straight from the segments, waiting for more where there is too little.
//!
//! Versions 0-18; topics by name up to 12, by id from 13. Versions 0 and 1 get messages of magic 0, 2 and 3 of magic 1, converted from the batches; later ones
//! get what the segment holds. From 7 on there are fetch sessions (KIP-227). The wait is ended by the high watermark, never by polling.

mod down_convert;

use std::{borrow::Cow, sync::Arc, time::Duration};

use logmill_log::{Located, ReadError, ReadLimit, ReadSlice};
use logmill_protocol::{
    ErrorCode, Uuid,
    codec::RecordsOut,
    compression::Compression,
    messages::fetch::{
        AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
    },
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::request::{Outcome, Refused, Request, Response};
use crate::{
    broker::Broker,
    partition::{
        error::PartitionError,
        fetch_sessions::{Answer, Plan},
        replica::Partition,
    },
};

/// The most one response carries, as Kafka's fetch.max.bytes of the broker, except that a first batch is always whole.
const MAX_RESPONSE_BYTES: i32 = 55 << 20;

struct Wanted {
    topic: String,
    id: Uuid,
    request: FetchPartition,
    partition: Result<Arc<Partition>, PartitionError>,
}

/// What one partition gives now.
struct Found {
    error: ErrorCode,
    high_watermark: i64,
    last_stable_offset: i64,
    log_start_offset: i64,
    located: Option<Located>,
    /// The same, once it is verified.
    slice: Option<ReadSlice>,
    /// With records in the slice; only for who reads committed records alone.
    aborted: Vec<logmill_log::AbortedTransaction>,
    /// Instead of the slice, for old versions.
    converted: Option<Vec<u8>>,
}

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: FetchRequest<'_> = request.decode()?;
    let since_start = broker.clock.monotonic().saturating_duration_since(broker.started);
    let plan = match broker.fetch_sessions.begin(&decoded, request.version, since_start, new_session_id) {
        Ok(plan) => plan,
        Err(error_code) => return request.reply(&FetchResponse { error_code, ..Default::default() }),
    };
    let wanted = resolve(broker, &plan, request.version).await;
    let wait = Duration::from_millis(u64::try_from(decoded.max_wait_ms).unwrap_or(0));
    let deadline = broker.clock.monotonic() + wait;
    let mut waited = Duration::ZERO;
    let min_bytes = u64::try_from(decoded.min_bytes).unwrap_or(0);
    let max_bytes = u64::try_from(decoded.max_bytes.min(MAX_RESPONSE_BYTES)).unwrap_or(0);
    let read_committed = decoded.isolation_level == 1;
    let mut found = loop {
        let wake = Arc::new(Notify::new());
        // Registered before looking, so that nothing is missed in between.
        let _registrations: Vec<_> = if wait.is_zero() { Vec::new() } else { register(&wanted, &wake) };
        let (found, bytes, any_error) = look(&wanted, max_bytes, read_committed);
        if bytes >= min_bytes || any_error || wait.is_zero() || wanted.is_empty() {
            break found;
        }
        let waiting = broker.clock.monotonic();
        let more = woken(broker, &wake, deadline).await;
        waited += waiting.elapsed();
        if !more {
            break look(&wanted, max_bytes, read_committed).0;
        }
    };
    for (wanted, found) in wanted.iter().zip(&mut found) {
        verify(wanted, found).await;
    }
    if let Some(magic) = down_convert::magic_of(request.version) {
        for (wanted, found) in wanted.iter().zip(&mut found) {
            convert(broker, wanted, found, magic).await;
        }
    }
    for (wanted, found) in wanted.iter().zip(&found) {
        if let Ok(partition) = &wanted.partition {
            partition.metrics.fetches.count(found.error.is_none());
        }
    }
    let answers: Vec<_> = found.iter().map(Found::answer).collect();
    let told = broker.fetch_sessions.finish(&plan, &answers);
    let response = respond(&request, plan.session_id, wanted, found, &told, read_committed)?;
    Ok(Outcome::Now(Response { waited, ..response }))
}

fn new_session_id() -> i32 {
    // 31 random bits.
    let (bits, _) = uuid::Uuid::new_v4().as_u64_pair();
    i32::try_from(bits >> 33).unwrap_or(1)
}

impl Found {
    fn failed(error: ErrorCode) -> Self {
        Self {
            error,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            located: None,
            slice: None,
            aborted: Vec::new(),
            converted: None,
        }
    }

    fn answer(&self) -> Answer {
        Answer {
            failed: !self.error.is_none(),
            has_records: self.slice.is_some() || self.converted.is_some(),
            high_watermark: self.high_watermark,
            log_start_offset: self.log_start_offset,
        }
    }
}

/// Leaves of what was located what is sound; what nobody read since the start is read for that.
async fn verify(wanted: &Wanted, found: &mut Found) {
    let (Some(located), Ok(partition)) = (found.located.take(), &wanted.partition) else { return };
    let Some(log) = partition.opened() else { return };
    let verified = if located.is_verified() {
        log.verify(located).map_err(PartitionError::from)
    } else {
        let log = log.clone();
        let verifying = tokio::task::spawn_blocking(move || log.verify(located));
        verifying.await.map_or_else(|e| Err(PartitionError::Internal(e.to_string().into())), |slice| Ok(slice?))
    };
    match verified {
        Ok(slice) => found.slice = Some(slice),
        Err(error) => *found = refused(partition, &error),
    }
}

/// Damage was told of where it was found; consumers ask for it again and again.
fn refused(partition: &Partition, error: &PartitionError) -> Found {
    if !matches!(error, PartitionError::Read(ReadError::OffsetOutOfRange { .. } | ReadError::Corrupt { .. })) {
        tracing::error!(topic = %partition.topic().name, partition = partition.index(), %error, "fetch failed");
    }
    Found::failed(error.code())
}

/// Puts messages of an old format in the place of a slice.
async fn convert(broker: &Broker, wanted: &Wanted, found: &mut Found, magic: i8) {
    let (Some(slice), Ok(partition)) = (found.slice.take(), &wanted.partition) else { return };
    let Some(log) = partition.opened().cloned() else { return };
    let from = wanted.request.fetch_offset;
    let max_bytes = usize::try_from(wanted.request.partition_max_bytes.min(MAX_RESPONSE_BYTES)).unwrap_or(0);
    let max_decompressed = broker.settings.max_decompressed;
    let converting = tokio::task::spawn_blocking(move || {
        down_convert::messages(&log, slice, from, magic, max_bytes, max_decompressed)
    });
    let converted = converting.await.unwrap_or_else(|e| Err(PartitionError::Internal(e.to_string().into())));
    match converted {
        Ok(messages) => found.converted = (!messages.is_empty()).then_some(messages),
        Err(error) => {
            let topic = &partition.topic().name;
            if matches!(&error, PartitionError::Batch(error) if error.is_decompressed_too_large()) {
                broker.metrics.refused.with_label_values(&["decompressed"]).inc();
            }
            tracing::warn!(%topic, partition = partition.index(), %error, "records cannot be converted for an old client");
            *found = Found::failed(error.code());
        }
    }
}

/// Whether it was worth waiting: `false` once the time is up or the broker stops.
async fn woken(broker: &Broker, wake: &Notify, deadline: Instant) -> bool {
    tokio::select! {
        woken = timeout_at(deadline, wake.notified()) => woken.is_ok(),
        () = broker.stop.cancelled() => false,
    }
}

async fn resolve(broker: &Broker, plan: &Plan, version: i16) -> Vec<Wanted> {
    let mut all = Vec::with_capacity(plan.wanted.len());
    for (key, asked) in &plan.wanted {
        let partition = if version >= 13 {
            broker.partitions.get_by_id(uuid::Uuid::from_bytes(key.id), key.partition)
        } else {
            broker.partitions.get(&key.topic, key.partition)
        };
        let partition = match partition {
            Ok(partition) if zstd_too_early(&partition, version) => Err(PartitionError::UnsupportedCompression),
            Ok(partition) => partition.log().await.map(|_| ()).map(|()| partition),
            Err(error) => Err(error),
        };
        all.push(Wanted { topic: key.topic.clone(), id: key.id, request: asked.clone(), partition });
    }
    all
}

fn register(wanted: &[Wanted], wake: &Arc<Notify>) -> Vec<crate::partition::waiters::Registration> {
    let partitions = wanted.iter().filter_map(|wanted| wanted.partition.as_ref().ok());
    partitions
        .map(|partition| {
            let high_watermark = partition.opened().map_or(0, |log| log.high_watermark());
            partition.wake_past(high_watermark, wake.clone())
        })
        .collect()
}

/// Everything that can be read now, its bytes, and whether a partition has an error.
fn look(wanted: &[Wanted], max_bytes: u64, read_committed: bool) -> (Vec<Found>, u64, bool) {
    let (mut all, mut bytes, mut any_error) = (Vec::new(), 0, false);
    for wanted in wanted {
        let left = max_bytes.saturating_sub(bytes);
        let found = look_at(wanted, left, bytes == 0, read_committed);
        any_error |= !found.error.is_none();
        bytes += found.located.as_ref().map_or(0, Located::len);
        all.push(found);
    }
    (all, bytes, any_error)
}

/// As Apache Kafka, by the topic's setting: what is stored is not looked at.
fn zstd_too_early(partition: &Partition, version: i16) -> bool {
    version < 10 && partition.config().compression.is_some_and(|(codec, _)| codec == Compression::Zstd)
}

fn look_at(wanted: &Wanted, left: u64, first: bool, read_committed: bool) -> Found {
    let failed = Found::failed;
    let partition = match &wanted.partition {
        Ok(partition) => partition,
        Err(error) => return failed(error.code()),
    };
    let Some(log) = partition.opened() else { return failed(ErrorCode::KafkaStorageError) };
    let asked = &wanted.request;
    if let Err(error) = partition.check_leader_epoch(asked.current_leader_epoch) {
        return failed(error);
    }
    let max = left.min(u64::try_from(asked.partition_max_bytes).unwrap_or(0));
    // Taken before reading: a response never shows less of the log than its high watermark lets expect.
    let high_watermark = log.high_watermark();
    let (limit, last_stable_offset) = if read_committed {
        (ReadLimit::LastStable, log.last_stable_offset().min(high_watermark))
    } else {
        (ReadLimit::HighWatermark, high_watermark)
    };
    let located = log.locate(asked.fetch_offset, max, limit, first).and_then(|located| match located {
        Some(located) if read_committed => {
            log.aborted_transactions(located.base_offset()).map(|aborted| (Some(located), aborted))
        }
        located => Ok((located, Vec::new())),
    });
    match located {
        Ok((located, aborted)) => Found {
            error: ErrorCode::None,
            high_watermark,
            last_stable_offset,
            log_start_offset: log.log_start_offset(),
            located,
            slice: None,
            aborted,
            converted: None,
        },
        Err(error) => refused(partition, &error.into()),
    }
}

fn aborted(one: &logmill_log::AbortedTransaction) -> AbortedTransaction {
    AbortedTransaction { producer_id: one.producer_id, first_offset: one.first_offset }
}

/// `told`: which partitions the answer names.
fn respond(
    request: &Request,
    session_id: i32,
    wanted: Vec<Wanted>,
    found: Vec<Found>,
    told: &[bool],
    read_committed: bool,
) -> Result<Response, Refused> {
    let mut slices = Vec::new();
    let mut response = FetchResponse { session_id, ..Default::default() };
    for ((wanted, found), _) in wanted.into_iter().zip(found).zip(told).filter(|(_, told)| **told) {
        let (records, bytes) = match (found.slice, found.converted) {
            (_, Some(messages)) => {
                let bytes = messages.len() as u64;
                (RecordsOut::Bytes(Cow::Owned(messages)), bytes)
            }
            (Some(slice), None) => {
                let bytes = slice.len;
                slices.push(slice);
                (RecordsOut::Hole { len: u32::try_from(bytes).unwrap_or(u32::MAX) }, bytes)
            }
            (None, None) => (RecordsOut::Empty, 0),
        };
        if let Ok(partition) = &wanted.partition {
            partition.metrics.bytes_out.inc_by(bytes);
        }
        let data = PartitionData {
            partition_index: wanted.request.partition,
            error_code: found.error,
            high_watermark: found.high_watermark,
            last_stable_offset: found.last_stable_offset,
            log_start_offset: found.log_start_offset,
            aborted_transactions: read_committed.then(|| found.aborted.iter().map(aborted).collect()),
            records,
            ..Default::default()
        };
        match response.responses.last_mut() {
            Some(last) if last.topic == wanted.topic && last.topic_id == wanted.id => last.partitions.push(data),
            _ => response.responses.push(FetchableTopicResponse {
                topic: Cow::Owned(wanted.topic),
                topic_id: wanted.id,
                partitions: vec![data],
            }),
        }
    }
    Ok(Response { slices, ..request.responder().response(&response)? })
}
