//! The state that metadata changes build up. Cheap to clone: topics are shared.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use super::broker_config::BrokerConfigs;

/// A topic as clients created it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
    /// Settings given at creation or altered since, by Kafka's names; everything else has its default.
    pub(crate) config: BTreeMap<String, String>,
}

impl Topic {
    /// Whether Kafka calls it internal.
    pub(crate) fn is_internal(&self) -> bool {
        crate::settings::INTERNAL_TOPICS.contains(&&*self.name)
    }
}

/// A topic whose deletion is decided but whose files may still be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeletedTopic {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: i32,
}

/// Everything the metadata store knows at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Image {
    /// Counts changes.
    pub(crate) version: u64,
    pub(crate) cluster_id: Arc<str>,
    pub(crate) topics: BTreeMap<Arc<str>, Arc<Topic>>,
    pub(crate) names_by_id: BTreeMap<Uuid, Arc<str>>,
    /// Deleted topics whose directories are not yet gone.
    pub(crate) deleted: BTreeMap<Uuid, DeletedTopic>,
    /// What was altered of brokers.
    pub(crate) broker_configs: Arc<BrokerConfigs>,
    /// The first producer id never handed out in a block.
    pub(crate) next_producer_id: i64,
}

impl Image {
    pub(crate) fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.names_by_id.get(&id).and_then(|name| self.topics.get(name))
    }
}
