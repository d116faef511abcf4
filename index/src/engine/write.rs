//! Writing documents: what is asked, what came of it, and the two steps in between.
//!
//! A bulk is prepared without any lock (documents parsed, mappings extended in private), then decided in order under
//! the engine's `order` lock (`decide.rs`). Both go chunk by chunk, so that memory follows the chunk, not the request.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tantivy::TantivyDocument;

use super::{CreateError, Engine, MAX_PENDING_BYTES, Shard};
use crate::{
    mapping::{DocumentError, Mapping, parse_document},
    schema,
};

/// Operations prepared and decided at once.
const CHUNK: usize = 1000;
const CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// How long a write waits for room before it is rejected with 429.
const PATIENCE: Duration = Duration::from_secs(30);
/// Elasticsearch's longest `_id` in bytes.
const MAX_ID: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Index,
    Create,
    Update,
    Delete,
}

impl Verb {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OperationKind {
    #[default]
    Internal,
    /// `version_type: external` (or `external_gte`): the given version must be higher (or equal).
    External { version: u64, or_equal: bool },
    /// `if_seq_no`.
    IfSeqNo(u64),
}

/// One line of a bulk.
#[derive(Debug, Clone)]
pub(crate) struct Operation<'a> {
    pub(crate) verb: Verb,
    pub(crate) index: std::borrow::Cow<'a, str>,
    pub(crate) id: Option<std::borrow::Cow<'a, str>>,
    pub(crate) source: &'a [u8],
    pub(crate) kind: OperationKind,
}

/// What a successful write says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) result: &'static str,
    pub(crate) status: u16,
    pub(crate) version: u64,
    pub(crate) seq_no: u64,
}

/// Why an item failed, in Elasticsearch's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) reason: String,
    pub(crate) cause: Option<(&'static str, String)>,
    /// `index_uuid` of a version conflict.
    pub(crate) uuid: Option<String>,
}

impl Failure {
    pub(crate) fn new(status: u16, kind: &'static str, reason: impl Into<String>) -> Self {
        Self { status, kind, reason: reason.into(), cause: None, uuid: None }
    }
}

impl From<DocumentError> for Failure {
    fn from(error: DocumentError) -> Self {
        Self { status: 400, kind: error.kind, reason: error.reason, cause: error.cause, uuid: None }
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Name(error) => Self::new(400, "invalid_index_name_exception", error.0),
            CreateError::Exists(shard) => Self::new(
                400,
                "resource_already_exists_exception",
                format!("index [{}/{}] already exists", shard.name, shard.uuid),
            ),
            CreateError::Mapping(error) => Self::new(400, error.kind, error.reason),
            CreateError::TooMany => Self::new(
                400,
                "validation_exception",
                format!(
                    "Validation Failed: 1: this action would add [1] shards, but this index holds its maximum of [{}] indices;",
                    super::catalog::MAX_INDICES
                ),
            ),
            CreateError::Failed(reason) => Self::failed(&reason),
        }
    }
}

impl Failure {
    /// The disk failed: nothing is accepted until a restart.
    pub(crate) fn failed(reason: &str) -> Self {
        Self::new(503, "unavailable_shards_exception", reason)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verb: Verb,
    pub(crate) index: String,
    pub(crate) id: String,
    pub(crate) result: Result<Done, Failure>,
}

/// All outcomes of a bulk, in order.
#[derive(Debug, Default)]
pub(crate) struct Bulk {
    pub(crate) outcomes: Vec<Outcome>,
    /// Must be durable before any outcome is told.
    pub(crate) end: u64,
    /// The indices written to.
    pub(crate) shards: Vec<Arc<Shard>>,
}

/// An index as one chunk sees it.
pub(super) struct Target {
    pub(super) shard: Arc<Shard>,
    /// The mapping the documents were parsed by, and that mapping as they extended it.
    pub(super) base: Arc<Mapping>,
    pub(super) working: Arc<Mapping>,
}

/// An operation that is ready to be decided.
pub(super) struct Prepared<'a> {
    pub(super) verb: Verb,
    pub(super) target: usize,
    pub(super) id: String,
    /// The id was made here and cannot exist.
    pub(super) fresh: bool,
    pub(super) source: &'a [u8],
    pub(super) kind: OperationKind,
    pub(super) document: Result<Option<Box<TantivyDocument>>, Failure>,
}

impl Engine {
    /// Writes a bulk; blocking. The caller then waits until [`Bulk::end`] is durable.
    pub(crate) fn bulk(self: &Arc<Self>, operations: Vec<Operation<'_>>) -> Bulk {
        let mut bulk = Bulk { outcomes: Vec::with_capacity(operations.len()), ..Bulk::default() };
        let mut rest = operations.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let length = rest.iter().take(CHUNK).take_while(|operation| {
                bytes += operation.source.len();
                bytes <= CHUNK_BYTES
            });
            let (chunk, tail) = rest.split_at(length.count().max(1));
            rest = tail;
            if self.pending.wait_for_room(PATIENCE) {
                self.chunk(chunk, &mut bulk);
            } else {
                let reason = "rejected execution: too many documents wait to be indexed";
                bulk.outcomes.extend(chunk.iter().map(|operation| Outcome {
                    verb: operation.verb,
                    index: operation.index.to_string(),
                    id: operation.id.as_deref().unwrap_or_default().to_owned(),
                    result: Err(Failure::new(429, "es_rejected_execution_exception", reason)),
                }));
            }
        }
        bulk
    }

    fn chunk(self: &Arc<Self>, operations: &[Operation<'_>], bulk: &mut Bulk) {
        let mut targets: Vec<Target> = Vec::new();
        let mut by_name: HashMap<&str, Result<usize, Failure>> = HashMap::new();
        let mut prepared = Vec::with_capacity(operations.len());
        // Above this the documents wait in the log only.
        let keep = self.pending.bytes.load(Ordering::Relaxed) < MAX_PENDING_BYTES;
        for operation in operations {
            let name = operation.index.as_ref();
            let target = by_name.entry(name).or_insert_with(|| {
                // A delete in Elasticsearch makes the index too.
                let shard = self.get_or_create(name)?;
                let base = shard.mapping();
                targets.push(Target { shard, working: base.clone(), base });
                Ok(targets.len() - 1)
            });
            match target.clone().and_then(|target| prepare(operation, target, &mut targets[target], keep)) {
                Ok(ready) => prepared.push(Ok(ready)),
                Err(failure) => prepared.push(Err((operation, failure))),
            }
        }
        self.decide(prepared, &mut targets, bulk);
        for target in targets {
            self.enqueue(&target.shard);
            if !bulk.shards.iter().any(|shard| Arc::ptr_eq(shard, &target.shard)) {
                bulk.shards.push(target.shard);
            }
        }
    }
}

fn prepare<'a>(
    operation: &Operation<'a>,
    index: usize,
    target: &mut Target,
    keep: bool,
) -> Result<Prepared<'a>, Failure> {
    let fresh = operation.id.is_none();
    let id = match &operation.id {
        Some(id) if id.len() > MAX_ID => {
            let reason = format!(
                "id [{}...] is too long, must be no longer than {MAX_ID} bytes but was: {}",
                id.chars().take(32).collect::<String>(),
                id.len()
            );
            return Err(Failure::new(400, "illegal_argument_exception", reason));
        }
        Some(id) if id.is_empty() => {
            return Err(Failure::new(400, "illegal_argument_exception", "if _id is specified it must not be empty"));
        }
        Some(id) => id.to_string(),
        None => super::catalog::new_id(),
    };
    let document = match operation.verb {
        Verb::Index | Verb::Create => {
            let mapping = &mut target.working;
            if keep {
                parse(mapping, &id, operation.source).map(Some)
            } else {
                check(mapping, &id, operation.source).map(|()| None)
            }
            .map_err(Failure::from)
        }
        Verb::Update | Verb::Delete => Ok(None),
    };
    Ok(Prepared {
        verb: operation.verb,
        target: index,
        id,
        fresh,
        source: operation.source,
        kind: operation.kind,
        document,
    })
}

/// Parses a document; the mapping is extended only if it is good.
pub(super) fn parse(
    mapping: &mut Arc<Mapping>,
    id: &str,
    source: &[u8],
) -> Result<Box<TantivyDocument>, DocumentError> {
    let mut extended = mapping.clone();
    let leaves = parse_document(&mut extended, id, source)?;
    let document = Box::new(schema::build(&extended, id, source, &leaves));
    *mapping = extended;
    Ok(document)
}

/// As [`parse`], without making the document: it will be read back from the log.
pub(super) fn check(mapping: &mut Arc<Mapping>, id: &str, source: &[u8]) -> Result<(), DocumentError> {
    let mut extended = mapping.clone();
    parse_document(&mut extended, id, source)?;
    *mapping = extended;
    Ok(())
}
