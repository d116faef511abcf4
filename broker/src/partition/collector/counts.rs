//! How many partitions there are, by the names of Kafka's ReplicaManager.

use std::sync::{Arc, Weak};

use prometheus::{
    IntGauge, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::super::partitions::Partitions;

struct CountCollector {
    partitions: Weak<Partitions>,
    partition_count: IntGauge,
    leader_count: IntGauge,
    under_min_isr: IntGauge,
}

/// Registers the metrics of the hosted partitions.
pub(crate) fn register(registry: &Registry, partitions: &Arc<Partitions>) -> Result<(), prometheus::Error> {
    registry.register(Box::new(CountCollector {
        partitions: Arc::downgrade(partitions),
        partition_count: IntGauge::new("logmill_broker_partition_count", "Partitions of all topics on this broker")?,
        leader_count: IntGauge::new("logmill_broker_leader_count", "Partitions that this broker leads")?,
        under_min_isr: IntGauge::new(
            "logmill_broker_under_min_isr_partition_count",
            "Partitions with fewer replicas in sync than min.insync.replicas: produces with acks=all are refused",
        )?,
    }))
}

impl CountCollector {
    fn all(&self) -> [&dyn Collector; 3] {
        [&self.partition_count, &self.leader_count, &self.under_min_isr]
    }
}

impl Collector for CountCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(partitions) = self.partitions.upgrade() else { return Vec::new() };
        let (all, under_min_isr) = partitions.counts();
        let value = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.partition_count.set(value(all));
        // One node leads them all.
        self.leader_count.set(value(all));
        self.under_min_isr.set(value(under_min_isr));
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}
