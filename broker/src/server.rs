//! Starting, running and stopping a broker.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use logmill_config::broker::{BrokerConfig, Durability, GroupCommit};
use logmill_daemon::{Pulse, Throttle, context::Context};
use logmill_disk::{Disk, RealDisk};
use logmill_log::Options;
use prometheus::Registry;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    broker::Broker,
    clock::Clock,
    cluster::Cluster,
    coordinator::{
        groups::{Groups, GroupsOptions},
        metrics::GroupMetrics,
    },
    error::Error,
    metadata::{
        change::Change, embedded::EmbeddedStore, producer_ids::ProducerIds, store::MetadataStore,
        topic_config::Defaults,
    },
    metrics::Metrics,
    net::{
        frame::MemoryBudget,
        listener::{self, Bound, Shared},
    },
    partition::{collector, data_dirs::DataDirs, fetch_sessions::FetchSessions, partitions::Partitions},
    settings::Settings,
};

const BEAT: Duration = Duration::from_secs(5);
/// Between looks at what flush.ms wants synced.
const FLUSH_LOOK: Duration = Duration::from_millis(500);
/// Between looks at what was deleted file.delete.delay.ms ago.
const DELETION_LOOK: Duration = Duration::from_secs(1);
/// Between warnings of the same kind.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);
const STALL: Duration = Duration::from_secs(60);

/// Runs a broker until `context.stop` is cancelled.
pub async fn run(config: BrokerConfig, context: Context) -> Result<(), Error> {
    RunningBroker::start(config, context).await?.wait().await
}

/// A broker that serves.
pub struct RunningBroker {
    addresses: Vec<SocketAddr>,
    main: JoinHandle<Result<(), Error>>,
}

impl RunningBroker {
    /// Returns when clients can connect. Cancel `context.stop` to stop it.
    ///
    /// # Errors
    /// A port in use, a data directory that is locked by another broker or cannot be written, damaged metadata, a topic setting
    /// in the configuration that Kafka does not know.
    pub async fn start(config: BrokerConfig, context: Context) -> Result<Self, Error> {
        context.health.set("broker", Err("starting".to_owned()));
        let settings = Settings::new(config);
        let metrics = Metrics::register(&context.metrics)?;
        let group_metrics = GroupMetrics::register(&context.metrics)?;
        let bound = settings.config.listeners.iter().map(listener::bind).collect::<Result<Vec<_>, _>>()?;
        let addresses: Vec<_> = bound.iter().map(|bound| bound.address).collect();
        let stop = context.stop.clone();
        let registry = context.metrics.clone();
        let broker = tokio::task::spawn_blocking(move || open(settings, metrics, group_metrics, &registry, stop))
            .await
            .map_err(|e| Error::Log(e.to_string()))??;
        let broker = Arc::new(broker);
        context.health.set("broker", Ok(()));
        for address in &addresses {
            tracing::info!(%address, node_id = broker.cluster.node_id, topics = broker.image().topics.len(), "serving the kafka protocol");
        }
        let main = tokio::spawn(serve(broker, bound, context));
        Ok(Self { addresses, main })
    }

    /// Where it listens, in the order of the configuration; tells the ports chosen for port 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns when the broker has stopped and its data directory is closed.
    pub async fn wait(self) -> Result<(), Error> {
        self.main.await.map_err(|e| Error::Log(e.to_string()))?
    }
}

/// Opens everything on disk. Waits for the disk.
fn open(
    settings: Settings,
    metrics: Metrics,
    group_metrics: GroupMetrics,
    registry: &Registry,
    stop: CancellationToken,
) -> Result<Broker, Error> {
    let config = &settings.config;
    let defaults = Defaults::new(&config.topics.config, config.topics.retention).map_err(Error::TopicConfig)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let options = Options {
        disk: disk.clone(),
        durability: match config.durability {
            Durability::Fsync => logmill_log::Durability::Fsync,
            Durability::PageCache => logmill_log::Durability::PageCache,
        },
        group_commit: match config.group_commit {
            GroupCommit::Auto => logmill_log::GroupCommit::Auto,
            GroupCommit::Fdatasync => logmill_log::GroupCommit::Fdatasync,
            GroupCommit::Syncfs => logmill_log::GroupCommit::Syncfs,
        },
        free_space_reserve: config.free_space_reserve,
        compaction_memory: usize::try_from(config.compaction.memory).unwrap_or(usize::MAX),
        compaction_bytes_per_second: Some(config.compaction.bytes_per_second),
        ..Options::default()
    };
    let paths = [std::slice::from_ref(&config.data_dir), &config.more_data_dirs].concat();
    let data_dirs = Arc::new(DataDirs::open(&paths, &options)?);
    collector::register(registry, &data_dirs)?;
    let new_cluster_id = || URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes());
    let metadata: Arc<dyn MetadataStore> = Arc::new(EmbeddedStore::open(&*disk, &config.data_dir, new_cluster_id)?);
    let partitions = Arc::new(Partitions::new(data_dirs, settings.node_id(), defaults, metrics.clone()));
    partitions.apply(&metadata.image());
    collector::counts::register(registry, &partitions)?;
    let clock = Clock::system();
    let groups = Groups::new(GroupsOptions {
        settings: settings.groups.clone(),
        offsets_partitions: settings.offsets_partitions,
        clock: clock.clone(),
        metadata: metadata.clone(),
        partitions: partitions.clone(),
        metrics: group_metrics,
        stop: stop.clone(),
    });
    let started = clock.monotonic();
    Ok(Broker {
        groups: Arc::new(groups),
        cluster: Cluster { node_id: settings.node_id() },
        clock,
        producer_ids: ProducerIds::new(metadata.clone()),
        settings,
        metrics,
        metadata,
        altering: tokio::sync::Mutex::default(),
        altered: tokio::sync::Notify::new(),
        partitions,
        fetch_sessions: FetchSessions::register(registry)?,
        started,
        stop,
    })
}

async fn serve(broker: Arc<Broker>, bound: Vec<Bound>, context: Context) -> Result<(), Error> {
    finish_deletions(&broker).await;
    let limits = &broker.settings.config.limits;
    let shared = Shared {
        broker: broker.clone(),
        budget: MemoryBudget::new(limits.max_in_flight_bytes, broker.metrics.in_flight.clone()),
        connections: Arc::default(),
        full: Arc::new(Throttle::every(COMPLAINT_INTERVAL)),
        tasks: TaskTracker::new(),
    };
    let tasks = shared.tasks.clone();
    for bound in bound {
        tasks.spawn(listener::accept(bound, shared.clone()));
    }
    drop(shared);
    let opening = tokio::task::spawn_blocking({
        let broker = broker.clone();
        move || open_found(&broker)
    });
    let groups = tokio::spawn(broker.groups.clone().run());
    let housekeeping = tokio::spawn(housekeeping(broker.clone()));
    let beating = tokio::spawn(beat(broker.clone(), context.progress.watch("broker partitions", STALL)));
    let compaction = tokio::spawn(compaction(broker.clone()));
    let flushing = tokio::spawn(flushing(broker.clone()));
    broker.stop.cancelled().await;
    context.health.set("broker", Err("stopping".to_owned()));
    tasks.close();
    // Requests under way are answered; who waits longer than this loses only the answer.
    let patience = broker.settings.config.shutdown_timeout / 2;
    if tokio::time::timeout(patience, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "connections still open after {patience:?}");
    }
    housekeeping.abort();
    beating.abort();
    flushing.abort();
    // A run under way ends when the data directory is closed.
    compaction.abort();
    drop(groups.await);
    drop(opening.await);
    let partitions = broker.partitions.clone();
    let closed = tokio::task::spawn_blocking(move || partitions.data_dirs().close()).await;
    closed.map_err(|e| Error::Log(e.to_string()))?.map_err(|e| Error::Log(e.to_string()))
}

/// Removes the files of topics whose deletion was decided before the broker ended.
async fn finish_deletions(broker: &Broker) {
    for (id, topic) in &broker.image().deleted {
        let removing = tokio::task::spawn_blocking({
            let (partitions, name, id) = (broker.partitions.clone(), topic.name.clone(), *id);
            move || partitions.delete_leftovers(&name, id)
        });
        let removed = match removing.await {
            Ok(removed) => removed.map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let committed = match removed {
            Ok(()) => {
                broker.metadata.commit(Change::TopicRemoved { id: *id }).await.map(|_| ()).map_err(|e| e.to_string())
            }
            Err(error) => Err(error),
        };
        if let Err(error) = committed {
            tracing::error!(topic = %topic.name, error, "removing a deleted topic's files failed; tried again at the next start");
        }
    }
    broker.partitions.apply(&broker.image());
}

/// Opens the logs that were there, so that the first clients need not wait for it and retention sees them.
fn open_found(broker: &Broker) {
    for (topic, partition, error) in broker.partitions.open_found(|| broker.stop.is_cancelled()) {
        tracing::error!(topic, partition, %error, "opening a partition failed");
    }
    let image = broker.image();
    for dir in broker.partitions.data_dirs().found() {
        if image.topic(&dir.topic).is_none() {
            tracing::warn!(
                topic = dir.topic,
                partition = dir.partition,
                "a data directory has a partition of a topic that the metadata does not know; it is left alone"
            );
        }
    }
}

async fn housekeeping(broker: Arc<Broker>) {
    let mut next = broker.clock.monotonic() + Duration::from_secs(30);
    loop {
        tokio::time::sleep_until(next.min(broker.clock.monotonic() + DELETION_LOOK)).await;
        let partitions = broker.partitions.clone();
        if broker.clock.monotonic() < next {
            if partitions.data_dirs().iter().any(|dir| dir.has_deleted()) {
                let remove = move || partitions.data_dirs().iter().for_each(|dir| dir.remove_deleted());
                drop(tokio::task::spawn_blocking(remove).await);
            }
            continue;
        }
        if let Ok(segments @ 1..) =
            tokio::task::spawn_blocking(move || partitions.data_dirs().iter().map(|dir| dir.housekeeping()).sum()).await
        {
            tracing::info!(segments, "retention deleted segments");
        }
        next = broker.clock.monotonic() + broker.settings.retention_interval;
    }
}

/// Goes where every request goes, the metadata and the table of logs: a lock that is never given back is a stall.
async fn beat(broker: Arc<Broker>, pulse: Pulse) {
    loop {
        pulse.working();
        let looked = broker.clone();
        let look = move || (looked.image().topics.len(), looked.partitions.data_dirs().logs().len());
        drop(tokio::task::spawn_blocking(look).await);
        pulse.waiting();
        tokio::time::sleep(BEAT).await;
    }
}

/// With page-cache durability some topics may want to be synced now and then (flush.ms).
async fn flushing(broker: Arc<Broker>) {
    if broker.settings.config.durability != Durability::PageCache {
        return;
    }
    loop {
        tokio::time::sleep(FLUSH_LOOK).await;
        let partitions = broker.partitions.clone();
        drop(tokio::task::spawn_blocking(move || partitions.data_dirs().iter().for_each(|dir| dir.flush_due())).await);
    }
}

async fn compaction(broker: Arc<Broker>) {
    loop {
        let settings = broker.compaction();
        tokio::select! {
            () = tokio::time::sleep(settings.interval) => {}
            () = broker.altered.notified() => continue,
        }
        let partitions = broker.partitions.clone();
        let memory = usize::try_from(settings.memory).unwrap_or(usize::MAX);
        partitions.data_dirs().iter().for_each(|dir| dir.set_compaction(memory, Some(settings.bytes_per_second)));
        if let Ok(logs @ 1..) =
            tokio::task::spawn_blocking(move || partitions.data_dirs().iter().map(|dir| dir.compact()).sum()).await
        {
            tracing::info!(logs, "compacted");
        }
    }
}

#[cfg(test)]
mod tests;
