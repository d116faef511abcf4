//! Limits that are asked record by record: those that drop or sample, and those by a field's value.
//!
//! Which records a sample takes follows from their ids alone, so that a record read again is taken again.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use logmill_config::agent::{Limit, LimitPer, OnExceed};

use super::Limiter;
use crate::{ledger::Reason, line_id::LineId};

/// Values of one field that are told apart; of more, those longest unseen begin anew.
const MAX_KEYS: usize = 10_000;
/// A longer value is told apart by this much of it.
const MAX_KEY: usize = 256;

/// The burst is at least this part of a second's worth.
const LEAST_BURST: u32 = 10;

/// What is to be done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    /// It stands for this many, its own included.
    Sample(u32),
    Drop(Reason),
    /// The file waits before this record.
    Wait(Duration),
}

/// One `limits` entry that is asked for every record. Used from one thread.
pub(crate) struct Gate {
    limit: Limit,
    shared: Limiter,
    keys: RefCell<Keys>,
}

#[derive(Default)]
struct Keys {
    limiters: HashMap<Vec<u8>, (Rc<Limiter>, u64)>,
    tick: u64,
}

impl Gate {
    pub(crate) fn new(limit: &Limit) -> Self {
        let mut limit = limit.clone();
        // Lines come in blocks: with a smaller burst the rate is never reached.
        let least = limit.lines_per_second.unwrap_or(0) / LEAST_BURST;
        limit.burst = limit.burst.map(|burst| burst.max(least));
        Self { shared: Limiter::new(&limit), limit, keys: RefCell::default() }
    }

    /// The field whose values are limited, each by itself.
    pub(crate) fn field(&self) -> Option<&str> {
        match &self.limit.per {
            LimitPer::Field(field) => Some(field),
            LimitPer::File | LimitPer::Input => None,
        }
    }

    /// Takes a record of `bytes`; `key` is its value of [`Gate::field`].
    pub(crate) fn admit(&self, key: Option<&[u8]>, bytes: u64, id: &LineId) -> Verdict {
        let taken = match key {
            Some(key) => self.keys.borrow_mut().limiter(key, &self.limit).take(bytes),
            None => self.shared.take(bytes),
        };
        match (taken, self.limit.on_exceed) {
            (Ok(()), _) => Verdict::Pass,
            (Err(wait), OnExceed::Delay) => Verdict::Wait(wait),
            (Err(_), OnExceed::Drop) => Verdict::Drop(Reason::Limit),
            (Err(_), OnExceed::Sample { one_in }) if is_in_sample(id, one_in) => Verdict::Sample(one_in),
            (Err(_), OnExceed::Sample { .. }) => Verdict::Drop(Reason::Sample),
        }
    }
}

impl Keys {
    fn limiter(&mut self, key: &[u8], limit: &Limit) -> Rc<Limiter> {
        self.tick += 1;
        let key = &key[..key.len().min(MAX_KEY)];
        if let Some((limiter, used)) = self.limiters.get_mut(key) {
            *used = self.tick;
            return Rc::clone(limiter);
        }
        if self.limiters.len() >= MAX_KEYS {
            let mut used: Vec<u64> = self.limiters.values().map(|(_, used)| *used).collect();
            let (_, middle, _) = used.select_nth_unstable(MAX_KEYS / 2);
            let middle = *middle;
            self.limiters.retain(|_, (_, used)| *used > middle);
        }
        let limiter = Rc::new(Limiter::new(limit));
        self.limiters.insert(key.to_vec(), (Rc::clone(&limiter), self.tick));
        limiter
    }
}

fn is_in_sample(id: &LineId, one_in: u32) -> bool {
    let number = u64::from_le_bytes([id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7]]);
    number.is_multiple_of(u64::from(one_in.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(per: LimitPer, on_exceed: OnExceed) -> Gate {
        let burst = Some(5);
        Gate::new(&Limit { per, lines_per_second: Some(1), bytes_per_second: None, burst, on_exceed })
    }

    fn id(n: u64) -> LineId {
        let hash = blake3::hash(&n.to_le_bytes());
        let mut id = LineId::default();
        id.copy_from_slice(&hash.as_bytes()[..16]);
        id
    }

    #[test]
    fn above_the_limit_records_are_dropped() {
        let gate = gate(LimitPer::File, OnExceed::Drop);
        let passed = (0..100).filter(|n| gate.admit(None, 10, &id(*n)) == Verdict::Pass).count();
        assert!((5..=6).contains(&passed), "{passed}");
        assert_eq!(Verdict::Drop(Reason::Limit), gate.admit(None, 10, &id(0)));
    }

    #[test]
    fn a_sample_is_one_in_so_many_and_the_same_again() {
        let taken = |gate: &Gate| -> Vec<u64> {
            (0..20_000).filter(|n| gate.admit(None, 10, &id(*n)) == Verdict::Sample(10)).collect()
        };
        let sample = || gate(LimitPer::File, OnExceed::Sample { one_in: 10 });
        let first = taken(&sample());
        assert!((1800..=2200).contains(&first.len()), "{}", first.len());
        let again = taken(&sample());
        let both = first.iter().filter(|n| again.contains(n)).count();
        assert!(both + 10 >= first.len(), "all but what the limit itself let pass");
    }

    #[test]
    fn each_value_has_a_limit_of_its_own_and_they_are_bounded() {
        let gate = gate(LimitPer::Field("user".into()), OnExceed::Drop);
        let mut passed = 0;
        for n in 0..30_000_u32 {
            // Fewer than a thousand values are seen between two of its records.
            passed += usize::from(gate.admit(Some(b"noisy"), 10, &id(1)) == Verdict::Pass);
            assert_eq!(Verdict::Pass, gate.admit(Some(&n.to_le_bytes()), 10, &id(1)));
        }
        assert!(passed < 100, "a value that comes often keeps its limit: {passed}");
        assert!(gate.keys.borrow().limiters.len() <= MAX_KEYS);
    }
}
