//! What a destination is to the rest of the crate: it is handed a batch and says one outcome per record.

use std::{future::Future, time::Duration};

use logmill_config::sinks::Tombstones;

use crate::{batch::Batch, event::Event};

/// A destination. It neither retries nor waits: the dispatcher does, so that every destination behaves alike.
pub(crate) trait Connector: Send + Sync + 'static {
    /// What writes the heads that [`Connector::deliver`] reads.
    fn encoder(&self) -> Box<dyn Encode>;

    /// Tries once to deliver `batch`, which is not empty. A future that is dropped may have delivered.
    fn deliver(&self, batch: &Batch) -> impl Future<Output = Delivery> + Send;

    /// Called about every second, whether there is something to deliver or not. Must not block.
    fn look(&self) {}

    /// Waits for what is still being written and gives free what only one may hold. Delivers nothing afterwards.
    fn close(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// The part of a connector that runs where records are read: it writes what stands before a document in its batch.
pub(crate) trait Encode: Send {
    /// Paths of the fields of an event it needs, see [`Event::fields`].
    fn fields(&self) -> Vec<String>;

    /// What it makes of a record without a value: only of those it deletes by it is given a head to write.
    fn tombstones(&self) -> Tombstones {
        Tombstones::Reject
    }

    /// Appends the event's head.
    ///
    /// # Errors
    /// The dead letter's class and reason, where nothing that can be delivered comes of the event.
    fn head(&mut self, event: &Event<'_>, head: &mut Vec<u8>) -> Result<Head, (Class, String)>;
}

/// What is said with a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Of two records with equal ones the later waits until the earlier is finished.
    pub(crate) identity: u128,
    /// Stands behind the document, on its line.
    pub(crate) tail: &'static [u8],
    /// Whether the document follows.
    pub(crate) document: bool,
}

impl Head {
    /// Before a document and nothing else.
    pub(crate) fn plain(identity: u128) -> Self {
        Self { identity, tail: b"", document: true }
    }
}

/// What became of one record in one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done {
        /// It was there already.
        duplicate: bool,
    },
    /// To be tried again after a backoff: nothing is wrong with the record.
    Retry { reason: String },
    /// Never deliverable because of the record itself: to the dead-letter topic.
    Reject { class: Class, reason: String },
    /// Something only the operator can mend: the sink waits, with an alarm.
    Pause { reason: String },
}

/// `logmill-error-class` of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The value is not one JSON object.
    Decode,
    /// No valid index name comes of it.
    IndexName,
    /// The sink's program fails with it.
    Transform,
    /// It lacks the key or field that is its id, or that cannot be one.
    Id,
    /// It lacks a field that a template names, or the field's value cannot stand there.
    Template,
    /// The destination refuses the document.
    Document,
    /// Larger than the destination takes in one request.
    TooLarge,
}

impl Class {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Class::Decode => "decode",
            Class::IndexName => "index_name",
            Class::Transform => "transform",
            Class::Id => "id",
            Class::Template => "template",
            Class::Document => "document",
            Class::TooLarge => "too_large",
        }
    }
}

/// The answer to one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) outcomes: Outcomes,
    /// As the destination asked (Retry-After).
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcomes {
    /// One per item, in the batch's order.
    Each(Vec<Outcome>),
    /// The same for every item. `Retry` here is about the destination as a whole: it is left alone for a while.
    All(Outcome),
    /// The request was refused for what is in it, not known which record's fault: to be halved, and the one record that
    /// is left over rejected.
    Split { class: Class, reason: String },
}

impl From<Outcomes> for Delivery {
    fn from(outcomes: Outcomes) -> Self {
        Self { outcomes, retry_after: None }
    }
}
