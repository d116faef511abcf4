//! One sink put together: its consumer thread, its dispatcher, and what starts them again.

use std::{sync::Arc, time::Duration};

use logmill_config::{
    kafka::KafkaConfig,
    sinks::{Output, Sink, SinksConfig},
};
use logmill_daemon::{Progress, context::Context};
use rdkafka::consumer::Consumer as _;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    alarms::{Alarm, Alarms},
    budget::Budget,
    burials::Burials,
    concurrency::Concurrency,
    connector::Connector as _,
    consumer::{self, Consumer, Shares},
    dead_letters::DeadLetters,
    destination::Destination,
    dispatch::{Dispatcher, Shared, Work},
    error::SinksError,
    metrics::Metrics,
    pace::Pace,
    partitions::{Counted, Partitions},
    processors::Processors,
    reader::{Parts, Reader},
};

/// How long a consumer that failed for good is left before a new one is made.
const RENEW: Duration = Duration::from_secs(5);

/// A turn of the reader takes about a second at most; much longer, and it hangs.
const STALL: Duration = Duration::from_secs(60);

/// A sink with everything checked, not started.
pub(crate) struct Prepared {
    blueprint: Blueprint,
    consumer: Consumer,
    graves: DeadLetters,
    shared: Arc<Shared>,
}

/// What a reader is made from, again and again if need be.
struct Blueprint {
    sink: Sink,
    kafka: KafkaConfig,
    dead_letter_topics: Vec<String>,
    shares: Shares,
    connector: Arc<Destination>,
    processors: Processors,
    stop: CancellationToken,
    progress: Progress,
    shutdown_timeout: Duration,
}

/// What the reader and the dispatcher of `sink` share, and its dead letters.
pub(crate) fn shared(
    config: &SinksConfig,
    sink: &Sink,
    shares: Shares,
    metrics: &Metrics,
    context: &Context,
    counted: Counted,
) -> Result<(Arc<Shared>, DeadLetters), SinksError> {
    let alarms = Arc::new(Alarms::new(&sink.name, context.health.clone(), metrics.paused.clone()));
    let graves = DeadLetters::new(&config.kafka, sink, shares.queue / 4, alarms.clone())?;
    let limit = sink.dead_letters.alarm_per_minute;
    let partitions = Partitions::new(&sink.name, metrics.clone(), counted);
    let burials = Burials::new(&sink.name, limit, context.health.clone(), metrics.clone());
    let budget = Budget::new(shares.records);
    let shared = Shared::new(&sink.name, partitions, budget, alarms, burials, metrics.clone());
    Ok((Arc::new(shared), graves))
}

/// What delivers for `sink`.
pub(crate) fn dispatcher(
    sink: &Sink,
    shared: Arc<Shared>,
    connector: Arc<Destination>,
    graves: DeadLetters,
    works: mpsc::Receiver<Work>,
) -> Dispatcher<Destination> {
    let pace = match &sink.output {
        Output::Webhook(webhook) => webhook.rate.map(Pace::new),
        Output::Elasticsearch(_) | Output::File(_) => None,
    };
    let in_flight = sink.output.batching().in_flight;
    let concurrency = match &sink.output {
        Output::Elasticsearch(_) => Concurrency::adaptive(in_flight),
        Output::Webhook(_) | Output::File(_) => Concurrency::fixed(in_flight),
    };
    Dispatcher::new(shared, connector, graves, sink.retry, concurrency, pace, works)
}

impl Prepared {
    pub(crate) fn new(
        config: &SinksConfig,
        sink: &Sink,
        metrics: &Metrics,
        context: &Context,
        counted: Counted,
    ) -> Result<Self, SinksError> {
        let blueprint = Blueprint {
            kafka: config.kafka.clone(),
            dead_letter_topics: config.sinks.iter().map(|s| s.dead_letters.topic.clone()).collect(),
            shares: Shares::of(config.buffer_bytes, config.sinks.len()),
            connector: Arc::new(Destination::new(sink, metrics)?),
            processors: Processors::open(sink, metrics)?,
            stop: context.stop.child_token(),
            progress: context.progress.clone(),
            shutdown_timeout: config.shutdown_timeout,
            sink: sink.clone(),
        };
        let consumer = blueprint.consumer()?;
        let (shared, graves) = shared(config, sink, blueprint.shares, metrics, context, counted)?;
        Ok(Self { blueprint, consumer, graves, shared })
    }

    pub(crate) fn start(self, runtime: Handle) -> Result<Running, SinksError> {
        let Self { blueprint, consumer, graves, shared } = self;
        let sink = blueprint.sink.clone();
        let (work, works) = mpsc::channel(1);
        let connector = blueprint.connector.clone();
        let dispatcher = dispatcher(&sink, shared.clone(), connector.clone(), graves, works);
        let dispatcher = runtime.spawn(dispatcher.run());
        let (ended_tx, ended) = oneshot::channel();
        let (stop, kept) = (blueprint.stop.clone(), shared.clone());
        let name: String = format!("sink-{}", sink.name).chars().take(15).collect();
        std::thread::Builder::new()
            .name(name)
            .spawn(move || {
                let mut consumer = Some(consumer);
                while !blueprint.stop.is_cancelled() {
                    let made = consumer.take().map_or_else(|| blueprint.consumer(), Ok);
                    let fatal = match made {
                        Ok(consumer) => blueprint.reader(consumer, &shared, &work, &runtime).run().err().map(|f| f.0),
                        Err(e) => Some(e.to_string()),
                    };
                    if let Some(reason) = fatal {
                        shared.alarms.raise(Alarm::Kafka, &format!("the consumer failed and is made anew: {reason}"));
                        let stopped = blueprint.stop.clone();
                        let _ = runtime.block_on(async { timeout(RENEW, stopped.cancelled()).await });
                        shared.alarms.clear(Alarm::Kafka);
                    }
                }
                drop(work);
                let _ = ended_tx.send(());
            })
            .map_err(|source| SinksError::Thread { sink: sink.name.clone(), source })?;
        Ok(Running { sink, stop, shared: kept, ended, dispatcher, connector })
    }
}

impl Blueprint {
    fn consumer(&self) -> Result<Consumer, SinksError> {
        let consumer = consumer::create(&self.kafka, &self.sink, &self.dead_letter_topics, self.shares)?;
        let topics: Vec<&str> = self.sink.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(|source| SinksError::Kafka { sink: self.sink.name.clone(), source })?;
        Ok(consumer)
    }

    fn reader(&self, consumer: Consumer, shared: &Arc<Shared>, work: &mpsc::Sender<Work>, runtime: &Handle) -> Reader {
        let batching = self.sink.output.batching();
        let room = self.shares.records / (batching.in_flight + 2);
        let wanted = usize::try_from(batching.max_bytes).unwrap_or(usize::MAX);
        Reader::new(Parts {
            sink: self.sink.clone(),
            consumer: Arc::new(consumer),
            preparer: self.processors.preparer(self.connector.encoder()),
            shared: shared.clone(),
            work: work.clone(),
            runtime: runtime.clone(),
            stop: self.stop.clone(),
            pulse: self.progress.watch(&format!("sink {}", self.sink.name), STALL),
            shutdown_timeout: self.shutdown_timeout,
            batch_bytes: wanted.min(room.max(16 << 10)),
        })
    }
}

/// A sink at work.
pub(crate) struct Running {
    sink: Sink,
    stop: CancellationToken,
    shared: Arc<Shared>,
    ended: oneshot::Receiver<()>,
    dispatcher: JoinHandle<()>,
    connector: Arc<Destination>,
}

impl Running {
    pub(crate) fn sink(&self) -> &Sink {
        &self.sink
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns when the reader has committed and left its group.
    pub(crate) async fn ended(&mut self) {
        let _ = (&mut self.ended).await;
        self.dispatcher.abort();
    }

    /// Stops this sink alone; another can have its group and its file afterwards. Gives what its counters hold.
    pub(crate) async fn stopped(mut self) -> Counted {
        self.stop.cancel();
        self.ended().await;
        self.connector.close().await;
        self.shared.partitions.counted()
    }
}
