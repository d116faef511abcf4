//! A producer for tests: keeps what it is given, and reports what it is told to.

use std::{cell::RefCell, rc::Rc};

use super::{Delivery, Outcome, Outgoing, Producer, Sent, Tag};
use crate::line_id::LineId;

/// A record as it would be in the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) topic: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Vec<u8>,
    pub(crate) id: LineId,
    pub(crate) time_ms: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Inside {
    /// All that was ever sent.
    pub(crate) sent: Vec<Record>,
    /// Not reported yet.
    pub(crate) under_way: Vec<Tag>,
    deliveries: Vec<Delivery>,
    /// Records under way at most.
    pub(crate) room: usize,
    pub(crate) broken: bool,
    pub(crate) renewed: usize,
    /// How many were sent when no more was to follow, each time.
    pub(crate) hurried: Vec<usize>,
    pub(crate) max_record: usize,
    pub(crate) max_batch: usize,
}

/// Cloned handles share the same inside.
#[derive(Debug, Clone)]
pub(crate) struct Memory(pub(crate) Rc<RefCell<Inside>>);

impl Memory {
    pub(crate) fn new() -> Self {
        Self(Rc::new(RefCell::new(Inside {
            room: usize::MAX,
            max_record: 1_000_000,
            max_batch: 1_000_000,
            ..Inside::default()
        })))
    }

    /// Reports the record at `index` of those under way.
    pub(crate) fn report(&self, index: usize, outcome: Outcome) {
        let mut inside = self.0.borrow_mut();
        let tag = inside.under_way.remove(index);
        inside.deliveries.push(Delivery { tag, outcome });
    }

    pub(crate) fn report_all(&self, outcome: Outcome) {
        while !self.0.borrow().under_way.is_empty() {
            self.report(0, outcome);
        }
    }

    pub(crate) fn under_way(&self) -> usize {
        self.0.borrow().under_way.len()
    }
}

impl Producer for Memory {
    fn send(&mut self, record: &Outgoing) -> Sent {
        let mut inside = self.0.borrow_mut();
        if inside.broken {
            return Sent::Broken;
        }
        if inside.under_way.len() >= inside.room {
            return Sent::Full;
        }
        inside.sent.push(Record {
            topic: record.topic.to_owned(),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.to_vec(),
            id: *record.id,
            time_ms: record.time_ms,
        });
        inside.under_way.push(record.tag);
        Sent::Taken
    }

    fn hurry(&mut self) {
        let mut inside = self.0.borrow_mut();
        let sent = inside.sent.len();
        inside.hurried.push(sent);
    }

    fn take_deliveries(&mut self, into: &mut Vec<Delivery>) {
        into.append(&mut self.0.borrow_mut().deliveries);
    }

    fn broken(&self) -> bool {
        self.0.borrow().broken
    }

    fn renew(&mut self, max_batch_bytes: usize) -> Result<(), String> {
        let mut inside = self.0.borrow_mut();
        inside.under_way.clear();
        inside.deliveries.clear();
        (inside.broken, inside.max_batch) = (false, max_batch_bytes);
        inside.renewed += 1;
        Ok(())
    }

    fn max_record_bytes(&self) -> usize {
        self.0.borrow().max_record
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}
