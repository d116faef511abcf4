//! Equal `_id`s never overtake each other: while a record is under way, later ones of the same identity are held back.

use std::collections::{HashMap, VecDeque};

use crate::batch::Batch;

/// Identities under way, and who waits for them.
#[derive(Default)]
pub(crate) struct Holding {
    under_way: HashMap<u128, VecDeque<Batch>, IdentityHash>,
}

/// Identities are hashes or random already.
#[derive(Default, Clone)]
pub(crate) struct IdentityHash;

impl std::hash::BuildHasher for IdentityHash {
    type Hasher = Fold;
    fn build_hasher(&self) -> Fold {
        Fold(0)
    }
}

pub(crate) struct Fold(u64);

impl std::hash::Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    fn write_u128(&mut self, n: u128) {
        // An identity's bits may be chosen by whoever produces: mixed, so that a plain pattern does not collide.
        let folded = (n as u64) ^ ((n >> 64) as u64).rotate_left(29);
        self.0 = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}

impl Holding {
    /// Lets a batch's records through; those of an identity under way (also earlier in the same batch) stay here.
    pub(crate) fn admit(&mut self, batch: Batch) -> Batch {
        let mut held: Vec<bool> = Vec::new();
        for (at, item) in batch.items.iter().enumerate() {
            match self.under_way.entry(item.identity) {
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(VecDeque::new());
                }
                std::collections::hash_map::Entry::Occupied(mut waiting) => {
                    held.resize(batch.items.len(), false);
                    if let Some(held) = held.get_mut(at) {
                        *held = true;
                    }
                    waiting.get_mut().push_back(batch.one(at));
                }
            }
        }
        if held.is_empty() { batch } else { batch.subset(|at| !held.get(at).copied().unwrap_or(false)) }
    }

    /// A record is finished: returns the next of its identity, which may go now.
    pub(crate) fn release(&mut self, identity: u128) -> Option<Batch> {
        let waiting = self.under_way.get_mut(&identity)?;
        let next = waiting.pop_front();
        if next.is_none() {
            self.under_way.remove(&identity);
        }
        next
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, Origin};

    fn batch(records: &[(i64, u128)]) -> Batch {
        let mut builder = BatchBuilder::default();
        for (offset, identity) in records {
            let origin = Origin { assignment: 1, offset: *offset, timestamp: 0, identity: *identity };
            builder.push(origin, b"", b"{}", |_| {});
        }
        builder.finish()
    }

    fn offsets(batch: &Batch) -> Vec<i64> {
        batch.items.iter().map(|i| i.offset).collect()
    }

    #[test]
    fn equal_identities_go_one_after_the_other() {
        let mut holding = Holding::default();
        assert_eq!(offsets(&holding.admit(batch(&[(0, 7), (1, 8), (2, 7)]))), [0, 1]);
        assert_eq!(offsets(&holding.admit(batch(&[(3, 7), (4, 9)]))), [4]);
        assert!(holding.release(8).is_none());
        assert_eq!(offsets(&holding.release(7).unwrap()), [2]);
        assert_eq!(offsets(&holding.admit(batch(&[(5, 7)]))), Vec::<i64>::new());
        assert_eq!(offsets(&holding.release(7).unwrap()), [3]);
        assert_eq!(offsets(&holding.release(7).unwrap()), [5]);
        assert!(holding.release(7).is_none());
        assert!(holding.release(9).is_none());
        assert!(holding.is_empty());
        assert_eq!(offsets(&holding.admit(batch(&[(6, 7)]))), [6]);
    }
}
