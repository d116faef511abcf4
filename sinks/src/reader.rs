//! The reading half of a sink: one thread that polls, prepares batches, commits, and carries out rebalances.
//!
//! It never stops polling for longer than a second: while the budget is spent it pauses its partitions instead, so that
//! the group keeps this member.

mod commit;
mod lag;
mod rebalance;
mod stop;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use logmill_config::sinks::{Bulk, Sink};
use logmill_daemon::Pulse;
use rdkafka::{
    TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};
use tokio::{
    runtime::Handle,
    sync::mpsc::{Sender, error::TrySendError},
};
use tokio_util::sync::CancellationToken;

use crate::{
    alarms::Alarm,
    batch::BatchBuilder,
    clock,
    consumer::Consumer,
    dispatch::{Rejected, Shared, Work},
    event::Record,
    intake::{Intake, Preparer},
    ledger::Finish,
    native,
    partitions::Taken,
};

/// Longest poll without a message: how soon a stop, a commit and the alarms are looked at.
const POLL: Duration = Duration::from_millis(250);
/// Messages taken between two looks at everything else.
const BURST: usize = 500;
/// How long the reader may wait for room without polling.
const UNPOLLED: Duration = Duration::from_secs(1);

/// What a reader is made of.
pub(crate) struct Parts {
    pub(crate) sink: Sink,
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) preparer: Preparer,
    pub(crate) shared: Arc<Shared>,
    pub(crate) work: Sender<Work>,
    pub(crate) runtime: Handle,
    pub(crate) stop: CancellationToken,
    /// Beats with each turn of the loop.
    pub(crate) pulse: Pulse,
    pub(crate) shutdown_timeout: Duration,
    /// Bytes of a bulk request that leave room for several in the budget.
    pub(crate) batch_bytes: usize,
}

pub(crate) struct Reader {
    sink: Sink,
    bulk: Bulk,
    batch_bytes: usize,
    consumer: Arc<Consumer>,
    preparer: Preparer,
    shared: Arc<Shared>,
    work: Sender<Work>,
    runtime: Handle,
    stop: CancellationToken,
    pulse: Pulse,
    shutdown_timeout: Duration,

    assignments: BTreeMap<String, BTreeMap<i32, u32>>,
    builder: BatchBuilder,
    rejected: Vec<Rejected>,
    /// When the oldest record of the open batch came.
    opened: Option<Instant>,
    /// A full batch the dispatcher has no room for.
    pending: Option<Work>,
    blocked: Option<Instant>,
    paused: bool,

    commits: commit::Commits,
    ends: lag::Ends,
    revoking: Option<rebalance::Revoking>,
    assign_again: Option<Instant>,
    housekept: Instant,
    complained: Option<Instant>,
    kafka_down: bool,
}

/// The consumer cannot go on and must be made anew (a fenced static member).
#[derive(Debug)]
pub(crate) struct Fatal(pub(crate) String);

impl Reader {
    pub(crate) fn new(parts: Parts) -> Self {
        let now = clock::now();
        parts.shared.set_paused(false);
        Self {
            bulk: parts.sink.output.batching(),
            sink: parts.sink,
            batch_bytes: parts.batch_bytes,
            consumer: parts.consumer,
            preparer: parts.preparer,
            shared: parts.shared,
            work: parts.work,
            runtime: parts.runtime,
            stop: parts.stop,
            pulse: parts.pulse,
            shutdown_timeout: parts.shutdown_timeout,
            assignments: BTreeMap::new(),
            builder: BatchBuilder::default(),
            rejected: Vec::new(),
            opened: None,
            pending: None,
            blocked: None,
            paused: false,
            commits: commit::Commits::new(now),
            ends: lag::Ends::default(),
            revoking: None,
            assign_again: None,
            housekept: now,
            complained: None,
            kafka_down: false,
        }
    }

    /// Reads until stopped, then finishes and commits.
    pub(crate) fn run(mut self) -> Result<(), Fatal> {
        let read = self.read();
        if read.is_ok() {
            self.finish();
        }
        self.close();
        read
    }

    fn read(&mut self) -> Result<(), Fatal> {
        while !self.stop.is_cancelled() {
            self.pulse.working();
            let now = clock::now();
            self.rebalance(now);
            self.commit(now);
            self.keep_house(now);
            if self.opened.is_some_and(|opened| now.duration_since(opened) >= self.bulk.linger) {
                self.flush();
            }
            if self.is_blocked() {
                self.wait_for_room(now)?;
                continue;
            }
            self.blocked = None;
            if self.paused {
                self.pause(false);
            }
            self.poll_burst(now)?;
        }
        Ok(())
    }

    fn poll_burst(&mut self, now: Instant) -> Result<(), Fatal> {
        let linger = self.opened.map_or(POLL, |opened| (opened + self.bulk.linger).saturating_duration_since(now));
        let mut timeout = linger.min(POLL);
        for _ in 0..BURST {
            if !self.poll(timeout)? || self.is_blocked() {
                break;
            }
            timeout = Duration::ZERO;
        }
        Ok(())
    }

    /// Polls once; whether there may be more.
    fn poll(&mut self, timeout: Duration) -> Result<bool, Fatal> {
        // The message borrows the consumer, which outlives it within this call: taken out and put back is not possible,
        // so everything taking needs is a field beside it.
        let Self { consumer, preparer, shared, assignments, builder, .. } = self;
        match consumer.poll(timeout) {
            None => Ok(false),
            Some(Ok(message)) => {
                let taken = take(consumer, preparer, shared, assignments, builder, &message);
                drop(message);
                if let Some(intake) = taken {
                    self.taken(intake);
                }
                Ok(true)
            }
            Some(Err(error)) => self.complain(error).map(|()| true),
        }
    }

    fn taken(&mut self, intake: Intake) {
        match intake {
            Intake::Document(cost) => self.shared.budget.take(cost),
            Intake::Rejected(rejected) => {
                self.shared.budget.take(rejected.record.items.iter().map(|i| i.cost).sum());
                self.rejected.push(rejected);
            }
            Intake::Filtered => return,
        }
        if self.opened.is_none() {
            self.opened = Some(clock::now());
        }
        let full = self.builder.body_bytes() >= self.batch_bytes || self.builder.len() >= self.bulk.max_documents;
        if full || self.rejected.len() >= self.bulk.max_documents || self.shared.budget.spent() {
            self.flush();
        }
    }

    /// Hands the open batch to the dispatcher, or keeps it until there is room.
    fn flush(&mut self) {
        if self.pending.is_some() {
            return;
        }
        self.opened = None;
        if self.builder.is_empty() && self.rejected.is_empty() {
            return;
        }
        let work = Work { batch: self.builder.finish(), rejected: std::mem::take(&mut self.rejected) };
        if let Err(TrySendError::Full(work) | TrySendError::Closed(work)) = self.work.try_send(work) {
            self.pending = Some(work);
        }
    }

    fn is_blocked(&self) -> bool {
        self.pending.is_some() || self.shared.budget.spent() || (self.paused && !self.shared.budget.relaxed())
    }

    /// Waits a little for room; after a while without it the partitions are paused and polling goes on.
    fn wait_for_room(&mut self, now: Instant) -> Result<(), Fatal> {
        let since = *self.blocked.get_or_insert(now);
        if !self.paused && now.duration_since(since) >= UNPOLLED {
            self.pause(true);
        }
        self.hand_over(POLL);
        if self.paused {
            // Nothing is fetched while paused; what was on its way is kept all the same.
            self.poll(Duration::ZERO)?;
        }
        Ok(())
    }

    fn hand_over(&mut self, patience: Duration) {
        let (work, budget) = (self.work.clone(), &self.shared.budget);
        if self.pending.is_some() {
            let permit = self.runtime.block_on(async { tokio::time::timeout(patience, work.reserve()).await });
            if let Ok(Ok(permit)) = permit
                && let Some(pending) = self.pending.take()
            {
                permit.send(pending);
            }
        } else {
            let _ = self.runtime.block_on(async { tokio::time::timeout(patience, budget.freed()).await });
        }
    }

    fn pause(&mut self, pause: bool) {
        let mut list = TopicPartitionList::new();
        for (topic, partitions) in &self.assignments {
            for partition in partitions.keys() {
                list.add_partition(topic, *partition);
            }
        }
        let done = if pause { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        if let Err(e) = done {
            tracing::debug!(sink = %self.sink.name, "pause or resume: {e}");
        }
        self.paused = pause;
        self.shared.set_paused(pause);
    }

    fn complain(&mut self, error: KafkaError) -> Result<(), Fatal> {
        if let KafkaError::MessageConsumptionFatal(code) = error {
            return Err(Fatal(code.to_string()));
        }
        let code = error.rdkafka_error_code();
        let refused = matches!(
            code,
            Some(
                RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::SaslAuthenticationFailed
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::GroupAuthorizationFailed
            )
        );
        if refused {
            self.kafka_down = true;
            self.shared.alarms.raise(Alarm::Kafka, &error.to_string());
        }
        let now = clock::now();
        let quiet = self.complained.is_some_and(|last| now.duration_since(last) < Duration::from_secs(60));
        if !quiet && code != Some(RDKafkaErrorCode::AllBrokersDown) {
            self.complained = Some(now);
            tracing::info!(sink = %self.sink.name, "Kafka: {error}; goes on trying");
        }
        Ok(())
    }

    fn keep_house(&mut self, now: Instant) {
        if now.duration_since(self.housekept) < Duration::from_secs(1) {
            return;
        }
        self.housekept = now;
        self.shared.burials.look();
        self.measure_lag(now);
        let used = i64::try_from(self.shared.budget.used()).unwrap_or(i64::MAX);
        self.shared.metrics.buffer.with_label_values(&[self.sink.name.as_str()]).set(used);
        if let Some(reason) = self.consumer.context().kafka_down() {
            self.kafka_down = true;
            self.shared.alarms.raise(Alarm::Kafka, &format!("no broker can be reached: {reason}"));
        } else if self.kafka_down {
            let known = self.sink.topics.iter().find(|t| !t.starts_with('^')).unwrap_or(&self.sink.dead_letters.topic);
            if self.consumer.fetch_metadata(Some(known), Duration::from_secs(1)).is_ok() {
                self.kafka_up();
            }
        }
    }

    fn kafka_up(&mut self) {
        self.kafka_down = false;
        self.shared.alarms.clear(Alarm::Kafka);
    }
}

/// Takes one message in; `None` where it is not this sink's to deliver.
fn take(
    consumer: &Consumer,
    preparer: &mut Preparer,
    shared: &Shared,
    assignments: &mut BTreeMap<String, BTreeMap<i32, u32>>,
    builder: &mut BatchBuilder,
    message: &BorrowedMessage<'_>,
) -> Option<Intake> {
    let record = Record::of(message);
    let Record { topic, partition, offset, timestamp, .. } = record;
    let number = assignments.get_mut(topic)?.get_mut(&partition)?;
    let client = consumer.client();
    let log_start = || native::known_watermarks(client, client.native_ptr(), topic, partition).0;
    match shared.partitions.take(*number, offset, timestamp, log_start) {
        Taken::Yes { expired: 0 } => {}
        Taken::Yes { expired } => {
            tracing::warn!(sink = %shared.sink, topic, partition, "{expired} records before offset {offset} were deleted by retention before they were read");
        }
        Taken::No => return None,
        Taken::Rewound => {
            tracing::warn!(sink = %shared.sink, topic, partition, "the log goes back to offset {offset}: the topic was made anew or cut, reading all of it");
            *number = shared.partitions.rewind(*number, offset)?;
            if !matches!(shared.partitions.take(*number, offset, timestamp, log_start), Taken::Yes { .. }) {
                return None;
            }
        }
    }
    let intake = preparer.message(message, record, *number, builder);
    if matches!(intake, Intake::Filtered) {
        shared.partitions.finish(std::iter::once((*number, offset, Finish::Filtered)));
    }
    Some(intake)
}
