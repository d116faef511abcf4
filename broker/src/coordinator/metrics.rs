//! What the group coordinator counts, under `logmill_broker_…`.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

use super::group::{Eviction, GroupState};

/// Cheap to clone: every metric is shared.
#[derive(Clone)]
pub(crate) struct GroupMetrics {
    /// Groups by `state`.
    pub(super) groups: IntGaugeVec,
    pub(super) rebalances: IntCounter,
    /// Partitions whose offset was committed.
    pub(super) commits: IntCounter,
    /// Members removed without asking for it, by `reason`.
    pub(super) evicted: IntCounterVec,
    /// How long reading the groups back took at the last start.
    pub(super) load_seconds: Gauge,
}

impl GroupMetrics {
    /// # Errors
    /// A name is registered already.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let groups = IntGaugeVec::new(Opts::new("logmill_broker_groups", "Consumer groups by state"), &["state"])?;
        let rebalances = IntCounter::new("logmill_broker_group_rebalances_total", "Rebalances started")?;
        let commits = IntCounter::new("logmill_broker_offset_commits_total", "Offsets committed, one per partition")?;
        let evicted = IntCounterVec::new(
            Opts::new("logmill_broker_group_members_evicted_total", "Members removed without asking for it, by reason"),
            &["reason"],
        )?;
        let load_seconds =
            Gauge::new("logmill_broker_groups_load_seconds", "Time to read the groups back at the start")?;
        registry.register(Box::new(groups.clone()))?;
        registry.register(Box::new(rebalances.clone()))?;
        registry.register(Box::new(commits.clone()))?;
        registry.register(Box::new(evicted.clone()))?;
        registry.register(Box::new(load_seconds.clone()))?;
        // Shown as 0 from the start, so that rates can be taken.
        for state in GroupState::ALL {
            groups.with_label_values(&[state.as_str()]).set(0);
        }
        for reason in Eviction::ALL {
            evicted.with_label_values(&[reason.as_str()]).inc_by(0);
        }
        Ok(Self { groups, rebalances, commits, evicted, load_seconds })
    }
}
