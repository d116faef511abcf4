//! Who is in the cluster and who leads what: one node, which leads everything.

/// The node's own place in the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) node_id: i32,
}

impl Cluster {
    /// The leader of a partition that exists.
    pub(crate) fn leader(&self, _topic: &str, _partition: i32) -> i32 {
        self.node_id
    }

    pub(crate) fn controller(&self) -> i32 {
        self.node_id
    }

    /// The broker that coordinates a group or a transactional id, by the partition of the internal topic it falls into.
    pub(crate) fn coordinator(&self, _partition: i32) -> i32 {
        self.node_id
    }
}
