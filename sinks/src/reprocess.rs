//! Retained records through the present configuration once more, beside the live group: nothing of it is committed, and no
//! partition moves. What cannot be delivered becomes a dead letter, as ever; each record is counted with its end.

use std::{sync::Arc, time::Duration};

use logmill_config::sinks::{Output, Sink, SinksConfig};
use logmill_daemon::context::Context;
use rdkafka::Message;
use thiserror::Error;
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, Sender},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    batch::BatchBuilder,
    clock,
    connector::Connector as _,
    consumer::Shares,
    destination::Destination,
    dispatch::{Rejected, Shared, Work},
    elastic,
    error::SinksError,
    event::Record,
    intake::{Intake, Preparer},
    ledger::{Finish, Ledger, OUTCOMES},
    metrics::Metrics,
    partitions::{Counted, Taken},
    processors::Processors,
    sink,
    slice::{Extent, Slice, SliceError},
};

/// Which records go where.
#[derive(Debug, Clone)]
pub struct Job {
    pub sink: String,
    /// Kafka's timestamps in ms: from the first to before the last.
    pub from: i64,
    pub to: i64,
    /// In place of the index or data stream of the configuration.
    pub into: Option<String>,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Offsets in all, of which not each needs to hold a record.
    pub offsets: u64,
    pub read: u64,
    /// Records that have come to their end, and by outcome.
    pub finished: u64,
    pub outcomes: Vec<(&'static str, u64)>,
    /// What it waits for, where it does.
    pub waits: Option<String>,
}

#[derive(Debug, Error)]
pub enum ReprocessError {
    #[error("no sink is named {name}, expected one of: {known}")]
    NoSink { name: String, known: String },
    #[error("sink {0} delivers to no index, --into is for Elasticsearch")]
    NoIndex(String),
    #[error("--into {index}: {reason}")]
    Index { index: String, reason: String },
    #[error(transparent)]
    Sink(#[from] SinksError),
    #[error("cannot read the records: {0}")]
    Slice(#[from] SliceError),
    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("the reading thread broke off: {0}")]
    Thread(#[from] tokio::task::JoinError),
    #[error("stopped before the end: run it again with the same times, what is there already is then a duplicate")]
    Stopped,
}

/// How often `tell` hears of it.
const TELL: Duration = Duration::from_millis(200);
/// How long it is waited at a time: for records, for room.
const WAIT: Duration = Duration::from_millis(100);

/// Runs `job` to its end; needs a tokio runtime with threads. Tells how it stands now and then.
///
/// # Errors
/// It cannot begin, Kafka cannot be read, or `context.stop` was cancelled.
pub async fn run(
    config: &SinksConfig,
    job: &Job,
    context: &Context,
    mut tell: impl FnMut(&Standing),
) -> Result<Standing, ReprocessError> {
    let chosen = chosen(config, job)?;
    let metrics = Metrics::register(&context.metrics)?;
    let shares = Shares::of(config.buffer_bytes, 1);
    let connector = Arc::new(Destination::new(&chosen, &metrics)?);
    let (shared, graves) = sink::shared(config, &chosen, shares, &metrics, context, Counted::default())?;
    let preparer = Processors::open(&chosen, &metrics)?.preparer(connector.encoder());
    let (work, works) = mpsc::channel(1);
    let dispatcher = sink::dispatcher(&chosen, shared.clone(), connector, graves, works);
    let delivering = tokio::spawn(dispatcher.run());
    let (kafka, extent) = (config.kafka.clone(), Extent::Between(job.from, job.to));
    let dead: Vec<_> = config.sinks.iter().map(|sink| sink.dead_letters.topic.clone()).collect();
    let opened = {
        let chosen = chosen.clone();
        tokio::task::spawn_blocking(move || Slice::open(&kafka, &chosen, &dead, extent)).await??
    };
    let offsets = opened.offsets();
    let (runtime, stop) = (Handle::current(), context.stop.clone());
    let reader = Reader { slice: opened, preparer, shared: shared.clone(), work, runtime, stop, sink: chosen };
    let mut reading = tokio::task::spawn_blocking(move || reader.run());
    let mut delivering = std::pin::pin!(delivering);
    let mut read = None;
    loop {
        tell(&standing(&shared, offsets));
        tokio::select! {
            done = &mut reading, if read.is_none() => read = Some(done??),
            done = &mut delivering, if read.is_some() => { done?; break }
            () = context.stop.cancelled() => return Err(ReprocessError::Stopped),
            () = tokio::time::sleep(TELL) => {}
        }
    }
    let standing = Standing { read: read.unwrap_or_default(), ..standing(&shared, offsets) };
    tell(&standing);
    Ok(standing)
}

/// The sink as configured, with the job's own index.
fn chosen(config: &SinksConfig, job: &Job) -> Result<Sink, ReprocessError> {
    let found = config.sinks.iter().find(|sink| sink.name == job.sink).cloned();
    let mut sink = found.ok_or_else(|| {
        let known: Vec<_> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
        ReprocessError::NoSink { name: job.sink.clone(), known: known.join(", ") }
    })?;
    if let Some(into) = &job.into {
        let Output::Elasticsearch(output) = &mut sink.output else {
            return Err(ReprocessError::NoIndex(sink.name));
        };
        elastic::check_index(into).map_err(|reason| ReprocessError::Index { index: into.clone(), reason })?;
        output.index.clone_from(into);
        output.data_stream = false;
        // The template is for the sink's own indices.
        output.template.put = false;
    }
    Ok(sink)
}

fn standing(shared: &Shared, offsets: u64) -> Standing {
    let ledger: Ledger = shared.partitions.total();
    let outcomes = OUTCOMES.into_iter().zip(ledger.outcomes()).filter(|(_, count)| *count > 0).collect();
    let waits = shared.alarms.words();
    Standing { offsets, read: ledger.records, finished: ledger.records, outcomes, waits }
}

struct Reader {
    slice: Slice,
    preparer: Preparer,
    shared: Arc<Shared>,
    work: Sender<Work>,
    runtime: Handle,
    stop: CancellationToken,
    sink: Sink,
}

impl Reader {
    /// How many records it handed over.
    fn run(mut self) -> Result<u64, SliceError> {
        let places: Vec<_> =
            self.slice.partitions().map(|(topic, partition, low)| (topic.to_owned(), partition, low)).collect();
        let partitions = &self.shared.partitions;
        let numbers: std::collections::HashMap<(String, i32), u32> = places
            .into_iter()
            .map(|(topic, partition, low)| {
                let number = partitions.assign(&topic, partition, None, Some(low), Ledger::default());
                ((topic, partition), number)
            })
            .collect();
        let bulk = self.sink.output.batching();
        let most = usize::try_from(bulk.max_bytes).unwrap_or(usize::MAX);
        let (mut builder, mut rejected, mut read) = (BatchBuilder::default(), Vec::new(), 0);
        let mut opened = clock::now();
        while !self.slice.is_finished() && !self.stop.is_cancelled() {
            if self.shared.budget.spent() {
                self.flush(&mut builder, &mut rejected);
                let freed = self.shared.budget.freed();
                let _ = self.runtime.block_on(async { timeout(WAIT, freed).await });
                continue;
            }
            let Some(message) = self.slice.next(WAIT)? else { continue };
            let Some(number) = numbers.get(&(message.topic().to_owned(), message.partition())).copied() else {
                continue;
            };
            let offset = message.offset();
            if !matches!(self.shared.partitions.take(number, offset, -1, || None), Taken::Yes { .. }) {
                continue;
            }
            read += 1;
            let intake = self.preparer.message(&message, Record::of(&message), number, &mut builder);
            drop(message);
            if builder.is_empty() && rejected.is_empty() {
                opened = clock::now();
            }
            match intake {
                Intake::Filtered => self.shared.partitions.finish(std::iter::once((number, offset, Finish::Filtered))),
                Intake::Document(cost) => self.shared.budget.take(cost),
                Intake::Rejected(letter) => {
                    self.shared.budget.take(letter.record.items.iter().map(|item| item.cost).sum());
                    rejected.push(letter);
                }
            }
            let full = builder.body_bytes() >= most || builder.len() + rejected.len() >= bulk.max_documents;
            if full || opened.elapsed() >= bulk.linger.max(WAIT) {
                self.flush(&mut builder, &mut rejected);
                opened = clock::now();
            }
        }
        self.flush(&mut builder, &mut rejected);
        Ok(read)
    }

    /// Hands over what was gathered, and waits for that.
    fn flush(&self, builder: &mut BatchBuilder, rejected: &mut Vec<Rejected>) {
        if builder.is_empty() && rejected.is_empty() {
            return;
        }
        let work = Work { batch: builder.finish(), rejected: std::mem::take(rejected) };
        let (sender, stop) = (&self.work, &self.stop);
        self.runtime.block_on(async {
            tokio::select! {
                // Closed only when the job is over.
                _ = sender.send(work) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}
