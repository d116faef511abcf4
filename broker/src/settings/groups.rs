//! Bounds and times of the group coordinator, by the names Kafka gives them.

use std::time::Duration;

/// What an operator may set about groups. Defaults are Kafka's unless the field says why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupSettings {
    /// `group.min.session.timeout.ms`. Kafka: 6 s. Ours 1 s: on one machine a dead member is noticed sooner, and the
    /// clients' own defaults (10 to 45 s) do not change.
    pub(crate) min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`. Default 30 min.
    pub(crate) max_session_timeout: Duration,
    /// `group.initial.rebalance.delay.ms`: how long the first rebalance of an empty group waits for more members.
    /// Kafka: 3 s, for fleets started together. Ours 100 ms: a pipeline on one machine has to deliver its first line
    /// within seconds of its start; members arriving later cost one more, cheap rebalance.
    pub(crate) initial_rebalance_delay: Duration,
    /// How long a member that is not yet in any generation may wait for its first rebalance. Kafka: 5 min, fixed.
    pub(crate) new_member_join_timeout: Duration,
    /// `group.max.size`: members of one group. Kafka: unbounded; ours 10 000, since memory is bounded.
    pub(crate) max_size: usize,
    /// Groups kept at a time. Kafka: unbounded; ours 100 000.
    pub(crate) max_groups: usize,
    /// Bytes of a group id. Kafka: what a string can hold; ours 1 024.
    pub(crate) max_group_id_bytes: usize,
    /// Bytes of one member's protocol names and metadata together, and of one member's assignment. The metadata of a
    /// group is one record of `__consumer_offsets`, so it has to fit a batch anyway. Default 1 MiB.
    pub(crate) max_member_bytes: usize,
    /// `offset.metadata.max.bytes`. Default 4 096.
    pub(crate) max_offset_metadata_bytes: usize,
    /// `offsets.retention.minutes`. Default 7 d.
    pub(crate) offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`. Default 10 min.
    pub(crate) retention_check_interval: Duration,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            min_session_timeout: Duration::from_secs(1),
            max_session_timeout: Duration::from_secs(30 * 60),
            initial_rebalance_delay: Duration::from_millis(100),
            new_member_join_timeout: Duration::from_secs(5 * 60),
            max_size: 10_000,
            max_groups: 100_000,
            max_group_id_bytes: 1024,
            max_member_bytes: 1 << 20,
            max_offset_metadata_bytes: 4096,
            offsets_retention: Duration::from_secs(7 * 24 * 3600),
            retention_check_interval: Duration::from_secs(600),
        }
    }
}
