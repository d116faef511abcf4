//! The action line of a document: operation, index name, `_id`, version.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
};

use logmill_config::sinks::{self, Id, Op, Tombstones, Version};

use super::index_name::{IndexNames, IndexTemplate};
use crate::{
    connector::{Class, Encode, Head},
    event::Event,
};

/// Longer ones are refused by Elasticsearch.
const ID_BYTES: usize = 512;

/// Writes action lines.
pub(crate) struct ActionLines {
    op: Op,
    id: Id,
    version: Version,
    tombstones: Tombstones,
    fields: Vec<String>,
    names: IndexNames,
    /// The `_id` at hand, where it is the user's own.
    own: Vec<u8>,
}

impl ActionLines {
    pub(super) fn new(config: &sinks::Elasticsearch, template: &IndexTemplate) -> Self {
        let mut fields = template.fields().to_vec();
        if let Id::Field(path) = &config.id {
            fields.push(path.clone());
        }
        Self {
            op: config.op,
            id: config.id.clone(),
            version: config.version,
            tombstones: config.tombstones,
            fields,
            names: IndexNames::new(template.clone()),
            own: Vec::new(),
        }
    }

    /// Writes the user's own `_id` into `self.own`, as it stands in JSON between quotes.
    fn own_id(&mut self, event: &Event<'_>) -> Result<(), String> {
        let text = match &self.id {
            Id::Key => match event.record.key {
                Some(key) => {
                    std::str::from_utf8(key).map_err(|_| "the record's key is not UTF-8, which id: key needs")?
                }
                None => return Err("the record has no key, which id: key needs".into()),
            },
            Id::Field(path) => event.fields.values.last().and_then(Option::as_deref).ok_or_else(|| {
                format!("the document has no text, number or boolean in field {path}, which is the id")
            })?,
            Id::Event | Id::Record => return Ok(()),
        };
        if text.is_empty() || text.len() > ID_BYTES {
            return Err(format!("the id has {} bytes, expected 1 to {ID_BYTES}", text.len()));
        }
        self.own.clear();
        serde_json::to_writer(&mut self.own, text).map_err(|e| e.to_string())
    }
}

fn name(op: Op) -> &'static str {
    match op {
        Op::Create => "create",
        Op::Index => "index",
        Op::Update => "update",
        Op::Delete => "delete",
    }
}

impl Encode for ActionLines {
    fn fields(&self) -> Vec<String> {
        self.fields.clone()
    }

    fn tombstones(&self) -> Tombstones {
        self.tombstones
    }

    fn head(&mut self, event: &Event<'_>, head: &mut Vec<u8>) -> Result<Head, (Class, String)> {
        self.own_id(event).map_err(|reason| (Class::Id, reason))?;
        let index = self.names.name(event.hour(), &event.fields.values).map_err(|reason| (Class::IndexName, reason))?;
        let op = if event.record.value.is_none() { Op::Delete } else { self.op };
        head.extend_from_slice(b"{\"");
        head.extend_from_slice(name(op).as_bytes());
        head.extend_from_slice(b"\":{\"_index\":\"");
        head.extend_from_slice(index.as_bytes());
        head.extend_from_slice(b"\",\"_id\":");
        let identity = match &self.id {
            Id::Event | Id::Record => {
                head.push(b'"');
                event.write_id(&self.id, head);
                head.push(b'"');
                event.id_identity(&self.id)
            }
            Id::Key | Id::Field(_) => {
                head.extend_from_slice(&self.own);
                identity(&self.own)
            }
        };
        match (op, self.version) {
            (Op::Index | Op::Delete, Version::Offset) => {
                // Into a vector, which takes everything.
                let _ = write!(head, ",\"version\":{},\"version_type\":\"external\"", event.position.max(0));
            }
            // Two nodes of one cluster may race for a document that another client writes to.
            (Op::Update, _) => head.extend_from_slice(b",\"retry_on_conflict\":3"),
            _ => {}
        }
        head.extend_from_slice(b"}}");
        Ok(match op {
            Op::Create | Op::Index => {
                head.push(b'\n');
                Head { identity, tail: b"", document: true }
            }
            Op::Update => {
                head.extend_from_slice(b"\n{\"doc_as_upsert\":true,\"doc\":");
                Head { identity, tail: b"}", document: true }
            }
            Op::Delete => Head { identity, tail: b"", document: false },
        })
    }
}

fn identity(id: &[u8]) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, id).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}
