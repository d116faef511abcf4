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
    connector::Connector as _,
    consumer::{self, Consumer, Shares},
    dead_letters::DeadLetters,
    destination::Destination,
    dispatch::{Dispatcher, Shared},
    error::SinksError,
    intake::Preparer,
    metrics::Metrics,
    pace::Pace,
    partitions::Partitions,
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
    stop: CancellationToken,
    progress: Progress,
    shutdown_timeout: Duration,
}

impl Prepared {
    pub(crate) fn new(
        config: &SinksConfig,
        at: usize,
        metrics: &Metrics,
        context: &Context,
    ) -> Result<Option<Self>, SinksError> {
        let Some(sink) = config.sinks.get(at).cloned() else { return Ok(None) };
        let blueprint = Blueprint {
            kafka: config.kafka.clone(),
            dead_letter_topics: config.sinks.iter().map(|s| s.dead_letters.topic.clone()).collect(),
            shares: Shares::of(config.buffer_bytes, config.sinks.len()),
            connector: Arc::new(Destination::new(&sink)?),
            stop: context.stop.clone(),
            progress: context.progress.clone(),
            shutdown_timeout: config.shutdown_timeout,
            sink,
        };
        let sink = &blueprint.sink;
        let consumer = blueprint.consumer()?;
        let alarms = Arc::new(Alarms::new(&sink.name, context.health.clone(), metrics.paused.clone()));
        let graves = DeadLetters::new(&config.kafka, sink, blueprint.shares.queue / 4, alarms.clone())?;
        let shared = Arc::new(Shared {
            sink: sink.name.clone(),
            partitions: Partitions::new(&sink.name, metrics.clone()),
            budget: Budget::new(blueprint.shares.records),
            alarms,
            burials: Burials::new(
                &sink.name,
                sink.dead_letters.alarm_per_minute,
                context.health.clone(),
                metrics.clone(),
            ),
            metrics: metrics.clone(),
        });
        Ok(Some(Self { blueprint, consumer, graves, shared }))
    }

    pub(crate) fn start(self, runtime: Handle) -> Result<Running, SinksError> {
        let Self { blueprint, consumer, graves, shared } = self;
        let sink = blueprint.sink.clone();
        let pace = match &sink.output {
            Output::Webhook(webhook) => webhook.rate.map(Pace::new),
            Output::Elasticsearch(_) | Output::File(_) => None,
        };
        let (work, works) = mpsc::channel(1);
        let (connector, in_flight) = (blueprint.connector.clone(), sink.output.batching().in_flight);
        let dispatcher = Dispatcher::new(shared.clone(), connector, graves, sink.retry, in_flight, pace, works);
        let dispatcher = runtime.spawn(dispatcher.run());
        let (ended_tx, ended) = oneshot::channel();
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
            .map_err(|source| SinksError::Thread { sink: sink.name, source })?;
        Ok(Running { ended, dispatcher })
    }
}

impl Blueprint {
    fn consumer(&self) -> Result<Consumer, SinksError> {
        let consumer = consumer::create(&self.kafka, &self.sink, &self.dead_letter_topics, self.shares)?;
        let topics: Vec<&str> = self.sink.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(|source| SinksError::Kafka { sink: self.sink.name.clone(), source })?;
        Ok(consumer)
    }

    fn reader(
        &self,
        consumer: Consumer,
        shared: &Arc<Shared>,
        work: &mpsc::Sender<crate::dispatch::Work>,
        runtime: &Handle,
    ) -> Reader {
        let batching = self.sink.output.batching();
        let room = self.shares.records / (batching.in_flight + 2);
        let wanted = usize::try_from(batching.max_bytes).unwrap_or(usize::MAX);
        Reader::new(Parts {
            sink: self.sink.clone(),
            consumer: Arc::new(consumer),
            preparer: Preparer::new(&self.sink.name, self.connector.encoder()),
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
    ended: oneshot::Receiver<()>,
    dispatcher: JoinHandle<()>,
}

impl Running {
    /// Returns when the reader has committed and left its group.
    pub(crate) async fn ended(&mut self) {
        let _ = (&mut self.ended).await;
        self.dispatcher.abort();
    }
}
