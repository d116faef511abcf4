//! `__consumer_offsets` as the coordinator uses it: made when first needed, appended to, read back.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use logmill_log::{AppendError, Origin};
use logmill_protocol::{
    ErrorCode,
    compression::Compression,
    records::{BatchBuilder, NewRecord},
};
use uuid::Uuid;

use super::records::{StoredRecord, partition_of};
use crate::{
    metadata::{
        change::{Change, Refusal},
        store::{MetadataError, MetadataStore},
    },
    partition::{error::PartitionError, partitions::Partitions, replica::Partition},
    settings::OFFSETS_TOPIC,
};

/// As Kafka makes the topic; but a group's metadata is one record, so larger batches than a client's are allowed.
const TOPIC_CONFIG: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("compression.type", "producer"),
    ("segment.bytes", "104857600"),
    ("max.message.bytes", "16777216"),
];

/// A commit always ends, well or with a fence; this only guards against a disk that hangs.
const DISK_HANGS_AFTER: Duration = Duration::from_secs(60);

pub(super) struct OffsetsStore {
    metadata: Arc<dyn MetadataStore>,
    partitions: Arc<Partitions>,
    /// For a topic not yet made.
    new_topic_partitions: i32,
}

/// Where records went in their partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
}

impl OffsetsStore {
    pub(super) fn new(
        metadata: Arc<dyn MetadataStore>,
        partitions: Arc<Partitions>,
        new_topic_partitions: i32,
    ) -> Self {
        Self { metadata, partitions, new_topic_partitions }
    }

    /// The partition of a group; none before the topic is made.
    pub(super) fn partition_of(&self, group: &str) -> Option<i32> {
        self.metadata.image().topic(OFFSETS_TOPIC).map(|topic| partition_of(group, topic.partitions))
    }

    /// Partitions that have something to load.
    pub(super) fn found(&self) -> Vec<i32> {
        let found = self.partitions.data_dirs().found();
        let of_topic = found.filter(|dir| dir.topic == OFFSETS_TOPIC).map(|dir| dir.partition);
        of_topic.filter(|index| self.partitions.get(OFFSETS_TOPIC, *index).is_ok()).collect()
    }

    /// Makes the topic if there is none.
    pub(super) async fn ensure_topic(&self) -> Result<(), ErrorCode> {
        if self.metadata.image().topic(OFFSETS_TOPIC).is_some() {
            return Ok(());
        }
        let config: BTreeMap<String, String> =
            TOPIC_CONFIG.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let create = Change::CreateTopic {
            name: OFFSETS_TOPIC.to_owned(),
            id: Uuid::new_v4(),
            partitions: self.new_topic_partitions,
            config,
        };
        match self.metadata.commit(create).await {
            Ok(image) => self.partitions.apply(&image),
            // Made by another request meanwhile.
            Err(MetadataError::Refused(Refusal::TopicExists(_))) => self.partitions.apply(&self.metadata.image()),
            Err(error) => {
                tracing::error!(%error, topic = OFFSETS_TOPIC, "cannot create the topic of committed offsets");
                return Err(ErrorCode::CoordinatorNotAvailable);
            }
        }
        Ok(())
    }

    /// The open partition a group lives in.
    pub(super) async fn open_partition_of(&self, group: &str) -> Result<Arc<Partition>, ErrorCode> {
        self.ensure_topic().await?;
        let index = self.partition_of(group).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        self.open_partition(index).await
    }

    pub(super) async fn open_partition(&self, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let partition = self.partitions.get(OFFSETS_TOPIC, index).map_err(|e| coordinator_error(&e))?;
        if let Err(error) = partition.log().await {
            tracing::error!(%error, topic = OFFSETS_TOPIC, partition = index, "cannot open a partition of committed offsets");
            return Err(coordinator_error(&error));
        }
        Ok(partition)
    }

    /// Appends records as one batch; they count once [`OffsetsStore::durable`] says so.
    pub(super) fn append(
        &self,
        partition: &Partition,
        records: &[StoredRecord],
        wall_ms: i64,
    ) -> Result<Written, ErrorCode> {
        let log = partition.opened().ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let mut batch = BatchBuilder::new(Compression::None);
        for record in records {
            batch.push(NewRecord {
                timestamp: wall_ms,
                key: Some(&record.key),
                value: record.value.as_deref(),
                headers: &[],
            });
        }
        let mut batch = batch.build().map_err(|_| ErrorCode::UnknownServerError)?;
        match partition.append(log, &mut batch, Origin::Coordinator) {
            Ok(at) => Ok(Written { base_offset: at.base_offset, last_offset: at.last_offset }),
            Err(error) => {
                let index = partition.index();
                tracing::warn!(%error, topic = OFFSETS_TOPIC, partition = index, "cannot write a group's state");
                Err(coordinator_error(&error))
            }
        }
    }

    /// Returns once everything up to `last_offset` is durable.
    pub(super) async fn durable(&self, partition: &Arc<Partition>, last_offset: i64) -> Result<(), ErrorCode> {
        let log = partition.log().await.map_err(|e| coordinator_error(&e))?;
        partition.wait_durable(log, last_offset, DISK_HANGS_AFTER).await.map_err(|error| {
            let index = partition.index();
            tracing::warn!(%error, topic = OFFSETS_TOPIC, partition = index, "a group's state is not durable");
            coordinator_error(&error)
        })
    }
}

/// As Kafka turns errors of the log into those that group clients know how to handle.
fn coordinator_error(error: &PartitionError) -> ErrorCode {
    match error {
        PartitionError::Append(AppendError::MessageTooLarge { .. } | AppendError::BatchTooLarge { .. }) => {
            ErrorCode::InvalidCommitOffsetSize
        }
        PartitionError::Fenced { .. } => ErrorCode::NotCoordinator,
        PartitionError::Batch(_) | PartitionError::Internal(_) => ErrorCode::UnknownServerError,
        // Retried by every client.
        _ => ErrorCode::CoordinatorNotAvailable,
    }
}
