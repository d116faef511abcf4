//! A sink's `elasticsearch:` section.

use std::{collections::BTreeMap, time::Duration};

use super::{Auth, Bulk, Tls};

#[derive(Debug, Clone, PartialEq)]
pub struct Elasticsearch {
    /// URLs, at least one.
    pub hosts: Vec<String>,
    pub auth: Option<Auth>,
    pub tls: Tls,
    /// `%Y.%m.%d` and such are the event's own UTC date; `{field.path}` its field.
    pub index: String,
    /// `index` is a data stream's name.
    pub data_stream: bool,
    pub template: Template,
    pub id: Id,
    pub op: Op,
    pub version: Version,
    pub tombstones: Tombstones,
    pub bulk: Bulk,
    pub compression: Compression,
    /// Of a request, from connecting to the end of the answer. Default 90 s: longer than Elasticsearch's own for shards to
    /// become available (1 minute).
    pub timeout: Duration,
    /// Fields added to nothing: reserved for headers of each request.
    pub headers: BTreeMap<String, String>,
}

/// Document `_id`. Default: event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Id {
    /// The `logmill-id` header, else as `Record`.
    #[default]
    Event,
    /// topic-partition-offset-timestamp.
    Record,
    /// The record's key.
    Key,
    /// A field's text, number or boolean.
    Field(String),
}

/// What is done with a document. Default: create, for ids by key or field index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Op {
    /// An `_id` that is there stays as it is.
    #[default]
    Create,
    /// Replaces what is there.
    Index,
    /// Fields are merged into what is there; what is not there is created.
    Update,
    /// What has the event's `_id` is deleted.
    Delete,
}

/// Which of two writes to one `_id` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// The later one.
    #[default]
    None,
    /// The one with the higher offset, whatever came later (`version_type: external`).
    Offset,
}

/// What a record without a value means. Default: delete where the key is the `_id` and the operation replaces, else reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tombstones {
    /// A dead letter.
    #[default]
    Reject,
    /// Counted as filtered.
    Skip,
    /// Deletes the document of its key.
    Delete,
}

/// Of request bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    #[default]
    None,
    Gzip,
}

/// The index template that new indices begin with, put before the first request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Default: true, unless the index's name begins with a field.
    pub put: bool,
    /// Default: `logmill-<sink>`.
    pub name: String,
    /// Default: 50, of a data stream 150.
    pub priority: u32,
    /// After which indices are deleted, by the node's lifecycle management. Default: never.
    pub retention: Option<Duration>,
}
