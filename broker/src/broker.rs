//! The state that every request handler is given, and the changes of topics that several of them make.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use logmill_config::broker::Compaction;
use logmill_protocol::ErrorCode;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    clock::Clock,
    cluster::Cluster,
    coordinator::groups::Groups,
    metadata::{
        broker_config::{
            CLEANER_BACKOFF_MS, CLEANER_BUFFER, CLEANER_BYTES_PER_SECOND, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_IP,
        },
        change::{Change, Refusal},
        image::{Image, Topic},
        producer_ids::ProducerIds,
        store::{MetadataError, MetadataStore},
        topic_config::{
            Defaults,
            alteration::{AlterationError, Settings as TopicSettings},
        },
    },
    metrics::Metrics,
    partition::{error::PartitionError, fetch_sessions::FetchSessions, partitions::Partitions},
    settings::Settings,
};

/// Shared by all connections behind one `Arc`.
pub(crate) struct Broker {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) metadata: Arc<dyn MetadataStore>,
    /// Held from reading settings to the commit of new ones.
    pub(crate) altering: tokio::sync::Mutex<()>,
    /// A broker's settings were altered: for who sleeps by them.
    pub(crate) altered: tokio::sync::Notify,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) partitions: Arc<Partitions>,
    pub(crate) fetch_sessions: FetchSessions,
    /// On the monotonic clock.
    pub(crate) started: Instant,
    pub(crate) cluster: Cluster,
    pub(crate) groups: Arc<Groups>,
    /// Cancelled when the broker stops: long waits end early.
    pub(crate) stop: CancellationToken,
}

/// How many connections may be open: Kafka's max.connections and max.connections.per.ip.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) in_all: usize,
    pub(crate) per_address: usize,
}

/// Why a topic was not created, altered or deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopicError {
    #[error("The topic '{0}' does not exist.")]
    Unknown(String),
    #[error(transparent)]
    Alteration(#[from] AlterationError),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Partition(#[from] PartitionError),
}

impl TopicError {
    /// What Kafka would answer.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown(_) => ErrorCode::UnknownTopicOrPartition,
            Self::Alteration(AlterationError::Request(_)) => ErrorCode::InvalidRequest,
            Self::Alteration(AlterationError::Config(_)) => ErrorCode::InvalidConfig,
            Self::Metadata(MetadataError::Refused(refusal)) => match refusal {
                Refusal::TopicExists(_) | Refusal::BeingDeleted(_) => ErrorCode::TopicAlreadyExists,
                Refusal::UnknownTopicId(_) => ErrorCode::UnknownTopicOrPartition,
                Refusal::NotAnIncrease { .. } => ErrorCode::InvalidPartitions,
                Refusal::ProducerIdsGoBack { .. } => ErrorCode::UnknownServerError,
            },
            Self::Metadata(MetadataError::Storage(_) | MetadataError::Unwritten(_)) => ErrorCode::KafkaStorageError,
            Self::Partition(error) => error.code(),
        }
    }
}

impl Broker {
    /// The current topics.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.metadata.image()
    }

    /// What topics have unless they say otherwise.
    pub(crate) fn topic_defaults(&self) -> Defaults {
        self.partitions.defaults(&self.image())
    }

    /// How many connections may be open now.
    pub(crate) fn most_connections(&self) -> Most {
        let (limits, image) = (&self.settings.config.limits, self.image());
        let value = |name| image.broker_configs.value(self.cluster.node_id, name);
        Most {
            in_all: value(MAX_CONNECTIONS).unwrap_or(limits.max_connections),
            per_address: value(MAX_CONNECTIONS_PER_IP).unwrap_or(limits.max_connections_per_address),
        }
    }

    /// How logs are compacted from now on.
    pub(crate) fn compaction(&self) -> Compaction {
        let (settings, image) = (&self.settings.config.compaction, self.image());
        let number = |name| image.broker_configs.value::<f64>(self.cluster.node_id, name).map(|value| value as u64);
        Compaction {
            memory: number(CLEANER_BUFFER).unwrap_or(settings.memory),
            bytes_per_second: number(CLEANER_BYTES_PER_SECOND).unwrap_or(settings.bytes_per_second),
            interval: number(CLEANER_BACKOFF_MS).map_or(settings.interval, Duration::from_millis),
        }
    }

    /// Changes what was altered of a broker, or of all, to what `alter` makes of it; durable and in force when it returns.
    pub(crate) async fn alter_broker(
        &self,
        broker: Option<i32>,
        alter: impl FnOnce(&TopicSettings) -> Result<TopicSettings, AlterationError>,
        validate_only: bool,
    ) -> Result<(), TopicError> {
        let _one = self.altering.lock().await;
        let image = self.image();
        let before = image.broker_configs.of(broker);
        let config = alter(before)?;
        if validate_only || config == *before {
            return Ok(());
        }
        tracing::info!(?broker, ?before, after = ?config, "broker altered");
        let image = self.metadata.commit(Change::SetBrokerConfig { broker, config }).await?;
        self.partitions.apply(&image);
        self.altered.notify_one();
        Ok(())
    }

    /// Creates a topic whose name and settings were checked; durable when it returns.
    pub(crate) async fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        config: BTreeMap<String, String>,
    ) -> Result<Arc<Topic>, TopicError> {
        let id = Uuid::new_v4();
        let image = self.metadata.commit(Change::CreateTopic { name: name.to_owned(), id, partitions, config }).await?;
        self.partitions.apply(&image);
        let topic = image.topic_by_id(id).cloned();
        tracing::info!(topic = name, partitions, "topic created");
        Ok(topic.ok_or(PartitionError::Deleted)?)
    }

    /// The topic, created if there is none (also when another request does so at the same time).
    pub(crate) async fn ensure_topic(
        &self,
        name: &str,
        partitions: i32,
        config: BTreeMap<String, String>,
    ) -> Result<Arc<Topic>, TopicError> {
        if let Some(topic) = self.image().topic(name) {
            return Ok(topic.clone());
        }
        match self.create_topic(name, partitions, config).await {
            Err(TopicError::Metadata(MetadataError::Refused(Refusal::TopicExists(_)))) => {
                Ok(self.image().topic(name).cloned().ok_or(PartitionError::Deleted)?)
            }
            result => result,
        }
    }

    /// Raises the number of a topic's partitions to `partitions`; durable when it returns.
    pub(crate) async fn add_partitions(&self, id: Uuid, partitions: i32) -> Result<(), TopicError> {
        let image = self.metadata.commit(Change::AddPartitions { id, partitions }).await?;
        self.partitions.apply(&image);
        tracing::info!(topic_id = %id, partitions, "partitions added");
        Ok(())
    }

    /// Changes a topic's settings to what `alter` makes of the present ones; durable, and in force in its partitions, when it returns.
    pub(crate) async fn alter_topic(
        &self,
        name: &str,
        alter: impl FnOnce(&TopicSettings) -> Result<TopicSettings, AlterationError>,
        validate_only: bool,
    ) -> Result<(), TopicError> {
        let _one = self.altering.lock().await;
        let topic = self.image().topic(name).cloned().ok_or_else(|| TopicError::Unknown(name.to_owned()))?;
        let config = alter(&topic.config)?;
        if validate_only || config == topic.config {
            return Ok(());
        }
        let image = self.metadata.commit(Change::SetTopicConfig { id: topic.id, config }).await?;
        self.partitions.apply(&image);
        let config = image.topic_by_id(topic.id).map(|topic| &topic.config);
        tracing::info!(topic = name, before = ?topic.config, after = ?config, "topic altered");
        Ok(())
    }

    /// Deletes a topic: decided durably first, then its files go; a crash between the two is made good at the next start.
    pub(crate) async fn delete_topic(&self, id: Uuid) -> Result<(), TopicError> {
        let Some(topic) = self.image().topic_by_id(id).cloned() else {
            return Err(MetadataError::from(Refusal::UnknownTopicId(id)).into());
        };
        let hosted = self.partitions.of_topic(&topic.name);
        let image = self.metadata.commit(Change::DeleteTopic { id }).await?;
        self.partitions.apply(&image);
        let partitions = self.partitions.clone();
        tokio::task::spawn_blocking(move || partitions.delete_blocking(&hosted))
            .await
            .map_err(|e| PartitionError::Internal(e.to_string().into()))??;
        // Before the name is free.
        self.groups.forget_topic(&topic.name).await;
        let image = self.metadata.commit(Change::TopicRemoved { id }).await?;
        self.partitions.apply(&image);
        tracing::info!(topic_id = %id, "topic deleted");
        Ok(())
    }
}
