//! From key to newest offset, in a table of fixed size: keys are held by 128 bits of their hash, as Kafka's cleaner holds them.

/// Filled to nine tenths at most, so that probes stay short.
const LOAD_TENTHS: usize = 9;
const EMPTY: i64 = -1;

#[derive(Clone, Copy)]
struct Slot {
    hash: [u8; 16],
    offset: i64,
}

/// Open addressing with linear probes; never grows.
pub(crate) struct KeyMap {
    slots: Vec<Slot>,
    used: usize,
    /// Everything up to here was put in.
    latest: i64,
}

impl KeyMap {
    /// Room for `keys`, within `max_bytes` (but never less than a thousand slots).
    pub(crate) fn new(keys: u64, max_bytes: usize) -> Self {
        let largest = (max_bytes / size_of::<Slot>()).max(1024);
        let wanted = usize::try_from(keys.saturating_mul(10) / LOAD_TENTHS as u64 + 1).unwrap_or(usize::MAX);
        let empty = Slot { hash: [0; 16], offset: EMPTY };
        Self { slots: vec![empty; wanted.clamp(1024, largest)], used: 0, latest: -1 }
    }

    /// Notes that `key` was written at `offset`; `false` if there is no room for another key.
    pub(crate) fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let hash = hash_of(key);
        let at = self.find(&hash);
        let full = self.used >= self.slots.len() / 10 * LOAD_TENTHS;
        let Some(slot) = self.slots.get_mut(at) else { return false };
        if slot.offset == EMPTY {
            if full {
                return false;
            }
            self.used += 1;
        }
        *slot = Slot { hash, offset };
        true
    }

    /// The newest offset of a key, as far as put in.
    pub(crate) fn get(&self, key: &[u8]) -> Option<i64> {
        let slot = self.slots.get(self.find(&hash_of(key)))?;
        (slot.offset != EMPTY).then_some(slot.offset)
    }

    /// The last offset that this map speaks of.
    pub(crate) fn latest(&self) -> i64 {
        self.latest
    }

    pub(crate) fn set_latest(&mut self, offset: i64) {
        self.latest = self.latest.max(offset);
    }

    /// Percent of the slots.
    pub(crate) fn utilization(&self) -> f64 {
        self.used as f64 * 100.0 / self.slots.len() as f64
    }

    /// The slot that has this hash, or the empty one where it belongs. There always is an empty one.
    fn find(&self, hash: &[u8; 16]) -> usize {
        let first = hash.first_chunk::<8>().map_or(0, |head| u64::from_le_bytes(*head));
        let mut at = usize::try_from(first % self.slots.len() as u64).unwrap_or(0);
        while self.slots.get(at).is_some_and(|slot| slot.offset != EMPTY && slot.hash != *hash) {
            at = (at + 1) % self.slots.len();
        }
        at
    }
}

fn hash_of(key: &[u8]) -> [u8; 16] {
    let hash = blake3::hash(key);
    hash.as_bytes().first_chunk::<16>().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_offset_wins_and_a_full_map_says_so() {
        let mut map = KeyMap::new(u64::MAX, 0);
        let mut taken = 0;
        for n in 0..2000i64 {
            if map.put(&n.to_be_bytes(), n) {
                taken = n + 1;
            } else {
                break;
            }
        }
        assert_eq!(taken, 1024 / 10 * 9);
        assert!(map.utilization() > 85.0);
        assert!(map.put(&5i64.to_be_bytes(), 5000), "known keys still fit");
        assert_eq!(map.get(&5i64.to_be_bytes()), Some(5000));
        assert_eq!((map.get(&6i64.to_be_bytes()), map.get(&taken.to_be_bytes())), (Some(6), None));
        map.set_latest(7);
        map.set_latest(3);
        assert_eq!(map.latest(), 7);
    }

    #[test]
    fn it_takes_no_more_memory_than_the_keys_need() {
        assert_eq!(KeyMap::new(10, 1 << 30).slots.len(), 1024);
        assert_eq!(KeyMap::new(9000, 1 << 30).slots.len(), 10_001);
        assert_eq!(KeyMap::new(u64::MAX, 24 << 20).slots.len(), 1 << 20);
    }
}
