//! A sink's `webhook:` section: where events are sent over HTTP and what is made of the answers.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use super::{Auth, Bulk, Id, Tls};
use crate::template::Template;

#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Fields only behind the host; with a batch of several none.
    pub url: Template,
    pub method: Method,
    /// Events per request. Default 1, 1..=10000.
    pub batch: usize,
    /// How several events make one body. Default: a JSON array.
    pub format: Format,
    /// How long a batch waits to be full. Default 200 ms.
    pub linger: Duration,
    /// Default 1 MiB: a body is sent once it is this large.
    pub max_bytes: u64,
    /// With a batch of several without fields.
    pub headers: BTreeMap<String, Template>,
    /// What is sent of an event; the event as it is when absent.
    pub body: Option<Template>,
    /// Default application/json, or application/x-ndjson.
    pub content_type: String,
    pub auth: Option<Auth>,
    pub sign: Option<Sign>,
    pub tls: Tls,
    /// From connecting to the end of the answer. Default 30 s.
    pub timeout: Duration,
    /// Requests under way at once. Default 4, 1..=256.
    pub concurrency: usize,
    pub rate: Option<Rate>,
    pub order: Order,
    pub id: Id,
    /// Header that carries the event's identity. Default idempotency-key; none when empty.
    pub idempotency_header: Option<String>,
    pub statuses: Statuses,
}

impl Webhook {
    pub(super) fn batching(&self) -> Bulk {
        Bulk { max_bytes: self.max_bytes, max_documents: self.batch, linger: self.linger, in_flight: self.concurrency }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    #[default]
    Post,
    Put,
    Patch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Array,
    Ndjson,
}

/// Which events wait for one another. Default: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    None,
    /// One request at a time for the records of one key.
    Key,
    /// One request at a time for the records of one partition.
    Partition,
}

/// A signature the receiver can check.
#[derive(Clone, PartialEq, Eq)]
pub struct Sign {
    pub scheme: Scheme,
    /// The key's bytes.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for Sign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sign").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// <https://www.standardwebhooks.com>: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    StandardWebhooks,
    /// `x-hub-signature-256` over the body, as GitHub has it.
    HubSha256,
}

/// Requests per second over the whole sink, on average.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub requests_per_second: NonZeroU32,
    /// Requests at once after a pause. Default: those of a second.
    pub burst: NonZeroU32,
}

/// Statuses that mean something else than usual.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statuses {
    pub done: Vec<u16>,
    pub retry: Vec<u16>,
    pub reject: Vec<u16>,
    pub pause: Vec<u16>,
}
