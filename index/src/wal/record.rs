//! Records: what happened to an index, in the order it was decided.

/// Bytes of a record before its body.
pub(crate) const LENGTH_BYTES: u64 = 4;

/// One change. An index is named by its number, the position of the record that created it: unique for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// `settings` is JSON: name, uuid, created, mapping.
    CreateIndex {
        settings: &'a str,
    },
    DeleteIndex {
        index: u64,
    },
    /// Mapping given by a request, merged in.
    PutMapping {
        index: u64,
        mapping: &'a str,
    },
    /// A document; `replaces` when one of this id was there.
    Put {
        index: u64,
        seq_no: u64,
        version: u64,
        replaces: bool,
        id: &'a str,
        source: &'a [u8],
    },
    Delete {
        index: u64,
        seq_no: u64,
        version: u64,
        id: &'a str,
    },
}

impl<'a> Record<'a> {
    /// Appends length and body; returns the body's length, `None` if it exceeds 32 bits.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Option<u32> {
        let start = out.len();
        out.extend_from_slice(&[0; LENGTH_BYTES as usize]);
        match *self {
            Self::CreateIndex { settings } => {
                out.push(1);
                out.extend_from_slice(settings.as_bytes());
            }
            Self::DeleteIndex { index } => {
                out.push(2);
                out.extend_from_slice(&index.to_le_bytes());
            }
            Self::PutMapping { index, mapping } => {
                out.push(3);
                out.extend_from_slice(&index.to_le_bytes());
                out.extend_from_slice(mapping.as_bytes());
            }
            Self::Put { index, seq_no, version, replaces, id, source } => {
                out.push(if replaces { 5 } else { 4 });
                document(out, index, seq_no, version, id);
                out.extend_from_slice(source);
            }
            Self::Delete { index, seq_no, version, id } => {
                out.push(6);
                document(out, index, seq_no, version, id);
            }
        }
        let length = u32::try_from(out.len() - start - LENGTH_BYTES as usize).ok();
        match length {
            Some(length) => out[start..start + LENGTH_BYTES as usize].copy_from_slice(&length.to_le_bytes()),
            None => out.truncate(start),
        }
        length
    }

    /// Reads a body; `None` if it is none.
    pub(crate) fn decode(body: &'a [u8]) -> Option<Self> {
        let (kind, body) = body.split_first()?;
        let text = |bytes| std::str::from_utf8(bytes).ok();
        Some(match kind {
            1 => Self::CreateIndex { settings: text(body)? },
            2 => Self::DeleteIndex { index: number(body, 0)? },
            3 => Self::PutMapping { index: number(body, 0)?, mapping: text(body.get(8..)?)? },
            4..=6 => {
                let (index, seq_no, version) = (number(body, 0)?, number(body, 8)?, number(body, 16)?);
                let id_end = 26 + usize::from(u16::from_le_bytes(body.get(24..26)?.try_into().ok()?));
                let id = text(body.get(26..id_end)?)?;
                match kind {
                    6 => Self::Delete { index, seq_no, version, id },
                    _ => Self::Put { index, seq_no, version, replaces: *kind == 5, id, source: body.get(id_end..)? },
                }
            }
            _ => return None,
        })
    }
}

/// Ids are at most 512 bytes, checked where they come in.
fn document(out: &mut Vec<u8>, index: u64, seq_no: u64, version: u64, id: &str) {
    out.extend_from_slice(&index.to_le_bytes());
    out.extend_from_slice(&seq_no.to_le_bytes());
    out.extend_from_slice(&version.to_le_bytes());
    let length = u16::try_from(id.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&id.as_bytes()[..usize::from(length)]);
}

fn number(body: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(body.get(at..at + 8)?.try_into().ok()?))
}
