//! Equal `_id`s never overtake each other: while a record is under way, later ones of the same identity are held back.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::batch::Batch;

/// Identities under way, and who waits for them.
#[derive(Default)]
pub(crate) struct Holding {
    under_way: HashSet<u64, Mixed>,
    waiting: HashMap<u64, VecDeque<Batch>, Mixed>,
}

/// What is hashed is mixed already.
#[derive(Default, Clone)]
struct Mixed;

impl std::hash::BuildHasher for Mixed {
    type Hasher = AsIs;
    fn build_hasher(&self) -> AsIs {
        AsIs(0)
    }
}

struct AsIs(u64);

impl std::hash::Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// Half of an identity's bits, for a table that stays in the processor's cache: of two identities that happen to look
/// alike, the later waits without need. The bits may be chosen by whoever produces, so they are mixed.
fn short(identity: u128) -> u64 {
    let folded = (identity as u64) ^ ((identity >> 64) as u64).rotate_left(29);
    let mixed = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

impl Holding {
    /// Lets a batch's records through; those of an identity under way (also earlier in the same batch) stay here.
    pub(crate) fn admit(&mut self, batch: Batch) -> Batch {
        let mut held: Vec<bool> = Vec::new();
        for (at, item) in batch.items.iter().enumerate() {
            let identity = short(item.identity);
            if !self.under_way.insert(identity) {
                held.resize(batch.items.len(), false);
                if let Some(held) = held.get_mut(at) {
                    *held = true;
                }
                self.waiting.entry(identity).or_default().push_back(batch.one(at));
            }
        }
        if held.is_empty() { batch } else { batch.subset(|at| !held.get(at).copied().unwrap_or(false)) }
    }

    /// A record is finished: returns the next of its identity, which may go now.
    pub(crate) fn release(&mut self, identity: u128) -> Option<Batch> {
        let identity = short(identity);
        if !self.waiting.is_empty()
            && let Some(waiting) = self.waiting.get_mut(&identity)
        {
            let next = waiting.pop_front();
            if waiting.is_empty() {
                self.waiting.remove(&identity);
            }
            return next;
        }
        self.under_way.remove(&identity);
        None
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty() && self.waiting.is_empty()
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
            builder.push(origin, [b"", b"{}", b""], |_| {});
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

    #[test]
    fn identities_that_look_alike_go_one_after_the_other_too() {
        let (one, other) = (0, 1 << 64 | 1 << 29);
        assert_eq!(short(one), short(other));
        let mut holding = Holding::default();
        assert_eq!(offsets(&holding.admit(batch(&[(0, one), (1, other)]))), [0]);
        assert_eq!(offsets(&holding.release(one).unwrap()), [1]);
        assert!(holding.release(other).is_none());
        assert!(holding.is_empty());
    }
}
