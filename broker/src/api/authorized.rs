//! The operations a client may do where nothing is forbidden: bit sets of Kafka's operation numbers (KIP-430).

const fn bits(operations: &[u8]) -> i32 {
    let (mut set, mut i) = (0, 0);
    while i < operations.len() {
        set |= 1 << operations[i];
        i += 1;
    }
    set
}

/// Read, write, create, delete, alter, describe, describe configs, alter configs.
pub(crate) const TOPIC_OPERATIONS: i32 = bits(&[3, 4, 5, 6, 7, 8, 10, 11]);
/// Create, alter, describe, cluster action, describe configs, alter configs, idempotent write.
pub(crate) const CLUSTER_OPERATIONS: i32 = bits(&[5, 7, 8, 9, 10, 11, 12]);
/// Read, delete, describe.
#[allow(dead_code)] // for the group APIs
pub(crate) const GROUP_OPERATIONS: i32 = bits(&[3, 6, 8]);
