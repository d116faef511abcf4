//! What the broker runs with: the validated configuration plus what is not (yet) configurable.

mod groups;

use std::time::Duration;

use logmill_config::broker::BrokerConfig;

pub(crate) use groups::GroupSettings;

/// Name of the topic that holds group membership and committed offsets.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Kafka's internal topics: hidden from wildcard deletes, not writable by clients' auto-creation.
pub(crate) const INTERNAL_TOPICS: &[&str] = &[OFFSETS_TOPIC, "__transaction_state"];

/// The largest number of partitions one topic may have, so that one request cannot fill the disk with directories.
pub(crate) const MAX_PARTITIONS_PER_TOPIC: i32 = 10_000;

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) config: BrokerConfig,
    /// Partitions of `__consumer_offsets`, as Kafka's offsets.topic.num.partitions. Idle ones cost nothing: they are opened when used.
    pub(crate) offsets_partitions: i32,
    pub(crate) groups: GroupSettings,
    /// Between looks at what retention may delete (Kafka's log.retention.check.interval.ms).
    pub(crate) retention_interval: Duration,
    /// Most responses of one connection that may wait for their group commit at once: enough that a client of small batches keeps the disk busy, for
    /// about 1 KB of memory each.
    pub(crate) max_pipelined: usize,
    /// What one batch may decompress to, where it is decompressed.
    pub(crate) max_decompressed: usize,
}

impl Settings {
    pub(crate) fn new(config: BrokerConfig) -> Self {
        let max_decompressed = usize::try_from(config.limits.max_decompressed_bytes).unwrap_or(usize::MAX);
        Self {
            max_decompressed,
            config,
            offsets_partitions: 50,
            groups: GroupSettings::default(),
            retention_interval: Duration::from_secs(300),
            max_pipelined: 1024,
        }
    }

    pub(crate) fn node_id(&self) -> i32 {
        self.config.node_id
    }
}
