//! All partitions of this node, kept equal to the metadata image.

use std::{collections::HashMap, sync::Arc};

use logmill_log::OpenError;
use parking_lot::RwLock;
use uuid::Uuid;

use super::{data_dirs::DataDirs, error::PartitionError, replica::Partition};
use crate::{
    metadata::{
        broker_config::BrokerConfigs,
        image::{Image, Topic},
        topic_config::Defaults,
    },
    metrics::Metrics,
};

pub(crate) struct Partitions {
    data_dirs: Arc<DataDirs>,
    node_id: i32,
    /// Without what was altered while brokers ran.
    defaults: Defaults,
    metrics: Metrics,
    topics: RwLock<Topics>,
}

#[derive(Default)]
struct Topics {
    /// Of the image they equal.
    version: u64,
    broker_configs: Arc<BrokerConfigs>,
    by_name: HashMap<Arc<str>, Arc<Hosted>>,
    by_id: HashMap<Uuid, Arc<str>>,
}

struct Hosted {
    topic: Arc<Topic>,
    partitions: Vec<Arc<Partition>>,
}

impl Partitions {
    /// `defaults`: without what was altered while brokers ran.
    pub(crate) fn new(data_dirs: Arc<DataDirs>, node_id: i32, defaults: Defaults, metrics: Metrics) -> Self {
        Self { data_dirs, node_id, defaults, metrics, topics: RwLock::default() }
    }

    /// What topics have unless they say otherwise.
    pub(crate) fn defaults(&self, image: &Image) -> Defaults {
        self.defaults.with(image.broker_configs.clone(), self.node_id)
    }

    pub(crate) fn data_dirs(&self) -> &Arc<DataDirs> {
        &self.data_dirs
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Result<Arc<Partition>, PartitionError> {
        let topics = self.topics.read();
        let hosted = topics.by_name.get(topic).ok_or(PartitionError::UnknownTopicOrPartition)?;
        hosted.get(partition)
    }

    pub(crate) fn get_by_id(&self, id: Uuid, partition: i32) -> Result<Arc<Partition>, PartitionError> {
        let topics = self.topics.read();
        let hosted = topics.by_id.get(&id).and_then(|name| topics.by_name.get(name));
        hosted.ok_or(PartitionError::UnknownTopicId)?.get(partition)
    }

    /// 0 where nothing was ever appended, or where the log was not opened yet.
    pub(crate) fn leader_epoch(&self, topic: &str, partition: i32) -> i32 {
        self.get(topic, partition).map_or(0, |partition| partition.leader_epoch())
    }

    /// All partitions of a topic in order; none if there is no such topic.
    pub(crate) fn of_topic(&self, topic: &str) -> Vec<Arc<Partition>> {
        self.topics.read().by_name.get(topic).map(|hosted| hosted.partitions.clone()).unwrap_or_default()
    }

    /// How many there are, and how many of them need more replicas in sync than there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let topics = self.topics.read();
        topics.by_name.values().fold((0, 0), |(all, under), hosted| {
            let count = hosted.partitions.len();
            let first = hosted.partitions.first();
            let lacking = first.is_some_and(|partition| partition.config().min_insync_replicas > 1);
            (all + count, under + if lacking { count } else { 0 })
        })
    }

    /// Takes over a newer image: hosts new topics, forgets deleted ones, passes on changed settings. Opens nothing.
    pub(crate) fn apply(&self, image: &Image) {
        let mut topics = self.topics.write();
        if image.version < topics.version {
            return;
        }
        topics.version = image.version;
        topics.by_name.retain(|name, hosted| {
            let kept = image.names_by_id.contains_key(&hosted.topic.id);
            if !kept {
                self.metrics.forget_topic(name);
            }
            kept
        });
        let defaults = self.defaults(image);
        let all_anew = topics.broker_configs != image.broker_configs;
        topics.broker_configs = image.broker_configs.clone();
        topics.by_id.retain(|id, _| image.names_by_id.contains_key(id));
        for topic in image.topics.values() {
            let known = topics.by_name.get(&topic.name);
            if !all_anew && known.is_some_and(|hosted| Arc::ptr_eq(&hosted.topic, topic) || hosted.topic == *topic) {
                continue;
            }
            let config = Arc::new(defaults.log_config(topic));
            let metrics = self.metrics.topic(&topic.name);
            let old: &[Arc<Partition>] = known.map_or(&[], |hosted| &hosted.partitions);
            let partitions = (0..topic.partitions)
                .map(|index| match usize::try_from(index).ok().and_then(|i| old.get(i)) {
                    Some(partition) => {
                        partition.set_config(config.clone());
                        partition.clone()
                    }
                    None => Arc::new(Partition::new(
                        topic.clone(),
                        index,
                        self.data_dirs.clone(),
                        config.clone(),
                        metrics.clone(),
                    )),
                })
                .collect();
            topics.by_id.insert(topic.id, topic.name.clone());
            topics.by_name.insert(topic.name.clone(), Arc::new(Hosted { topic: topic.clone(), partitions }));
        }
    }

    /// Opens what was there when the data directories were opened, on the calling thread; `stop` ends it early. Returns the failures.
    pub(crate) fn open_found(&self, mut stop: impl FnMut() -> bool) -> Vec<(String, i32, PartitionError)> {
        let mut failures = Vec::new();
        for dir in self.data_dirs.found() {
            if stop() {
                break;
            }
            let Ok(partition) = self.get(&dir.topic, dir.partition) else { continue };
            if let Err(error) = partition.open_blocking() {
                failures.push((dir.topic.clone(), dir.partition, error));
            }
        }
        failures
    }

    /// The hosted partitions of a topic that is about to be deleted, to be handed to [`Partitions::delete_blocking`] after that is decided.
    pub(crate) fn delete_blocking(&self, partitions: &[Arc<Partition>]) -> Result<(), PartitionError> {
        partitions.iter().try_for_each(|partition| partition.delete_blocking())
    }

    /// Removes the directories of a topic whose deletion was decided before a restart. Waits for the disk.
    pub(crate) fn delete_leftovers(&self, topic: &str, id: Uuid) -> Result<(), OpenError> {
        for dir in self.data_dirs.found() {
            // Without a readable id the creation never ended, so nothing in it was acknowledged.
            let same = dir.topic == topic && dir.topic_id.is_none_or(|found| found == id.into_bytes());
            if same {
                self.data_dirs.delete(topic, dir.partition)?;
            }
        }
        Ok(())
    }
}

impl Hosted {
    fn get(&self, partition: i32) -> Result<Arc<Partition>, PartitionError> {
        let index = usize::try_from(partition).map_err(|_| PartitionError::UnknownTopicOrPartition)?;
        self.partitions.get(index).cloned().ok_or(PartitionError::UnknownTopicOrPartition)
    }
}
