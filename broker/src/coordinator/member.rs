//! One member of a classic group.

use bytes::Bytes;

use super::group::Ticket;

/// An assignment protocol a member offers ("range", "cooperative-sticky" …) with the member's subscription for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(crate) name: String,
    pub(crate) metadata: Bytes,
}

/// Invariant: a member waits for a join or for a sync, never for both.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: String,
    /// `group.instance.id` of a static member.
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    /// As Kafka shows it: "/127.0.0.1".
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: u64,
    pub(crate) session_timeout_ms: u64,
    /// In the member's order of preference.
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) assignment: Bytes,
    pub(super) awaiting_join: Option<Ticket>,
    pub(super) awaiting_sync: Option<Ticket>,
    /// Not yet in any generation: expires even while it waits for a join, since nothing else tells that its client left.
    pub(super) is_new: bool,
    /// Has not asked for its assignment in this generation.
    pub(super) owes_sync: bool,
    /// Monotonic milliseconds.
    pub(super) session_deadline: u64,
}

impl Member {
    /// A member that waits for an answer is alive by definition, unless it never got any.
    pub(super) fn session_counts(&self) -> bool {
        self.is_new || (self.awaiting_join.is_none() && self.awaiting_sync.is_none())
    }

    /// The metadata offered for a protocol; empty when the member does not know it.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols.iter().find(|p| p.name == protocol).map(|p| p.metadata.clone()).unwrap_or_default()
    }

    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|p| p.name == protocol)
    }
}
