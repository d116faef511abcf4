//! Records on their way: one buffer of what is to be sent, and beside it what a dead letter needs.
//!
//! Each value is copied once, from librdkafka's buffer into the body. A connector whose heads are part of what it sends
//! (Elasticsearch) shares the body with its request instead of copying it again.

use bytes::{Bytes, BytesMut};

/// What a connector is given: the documents of `items`, ready to send.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    /// For each item its head, as the connector's encoder wrote it, its document and what stands behind that, and a line end.
    pub(crate) body: Bytes,
    pub(crate) items: Vec<Item>,
    /// Keys, headers and originals, see [`Item::side`].
    side: Vec<u8>,
}

/// One record: where it came from and where it lies in its batch.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Its assignment; one that is gone makes every outcome void.
    pub(crate) assignment: u32,
    pub(crate) offset: i64,
    /// Kafka timestamp in ms, -1 for none.
    pub(crate) timestamp: i64,
    /// Equal for equal `_id`s.
    pub(crate) identity: u128,
    /// Deliveries tried so far.
    pub(crate) attempts: u32,
    /// Bytes it holds of the budget.
    pub(crate) cost: usize,
    start: usize,
    document: usize,
    document_end: usize,
    end: usize,
    side: usize,
    side_end: usize,
}

/// Where in the batch's `side` a record's other parts are: encoded by [`SideWriter`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Original {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(crate) value: Option<Vec<u8>>,
}

/// What a record costs beyond its bytes.
pub(crate) const ITEM_OVERHEAD: usize = size_of::<Item>() + 32;

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What the connector's encoder wrote.
    pub(crate) fn head(&self, item: &Item) -> &[u8] {
        self.body.get(item.start..item.document).unwrap_or_default()
    }

    /// The document alone; empty where the head is without one.
    pub(crate) fn document(&self, item: &Item) -> &[u8] {
        self.body.get(item.document..item.document_end).unwrap_or_default()
    }

    /// The record as it was read.
    pub(crate) fn original(&self, item: &Item) -> Original {
        let mut side = self.side.get(item.side..item.side_end).unwrap_or_default();
        let key = take_bytes(&mut side);
        let value = match take_length(&mut side) {
            AS_DOCUMENT => Some(self.document(item).to_vec()),
            length => take(&mut side, length).map(<[u8]>::to_vec),
        };
        let mut headers = Vec::new();
        while !side.is_empty() {
            let name = take_bytes(&mut side).unwrap_or_default();
            headers.push((name, take_bytes(&mut side)));
        }
        Original { key, headers, value }
    }

    /// A batch of the items for which `keep` says so, with buffers of their own.
    pub(crate) fn subset(&self, mut keep: impl FnMut(usize) -> bool) -> Batch {
        let mut body = BytesMut::new();
        let (mut side, mut items) = (Vec::new(), Vec::new());
        for (at, item) in self.items.iter().enumerate() {
            if keep(at) {
                items.push(self.copy_item(item, &mut body, &mut side));
            }
        }
        Batch { body: body.freeze(), items, side }
    }

    /// A batch of the one item at `at`, empty where there is none.
    pub(crate) fn one(&self, at: usize) -> Batch {
        let mut body = BytesMut::new();
        let mut side = Vec::new();
        let items = self.items.get(at).map(|item| self.copy_item(item, &mut body, &mut side)).into_iter().collect();
        Batch { body: body.freeze(), items, side }
    }

    fn copy_item(&self, item: &Item, body: &mut BytesMut, side: &mut Vec<u8>) -> Item {
        let (start, side_start) = (body.len(), side.len());
        body.extend_from_slice(self.body.get(item.start..item.end).unwrap_or_default());
        side.extend_from_slice(self.side.get(item.side..item.side_end).unwrap_or_default());
        Item {
            start,
            document: start + (item.document - item.start),
            document_end: start + (item.document_end - item.start),
            end: body.len(),
            side: side_start,
            side_end: side.len(),
            ..item.clone()
        }
    }

    /// This batch with all of `others`.
    pub(crate) fn joined(others: &[Batch]) -> Batch {
        let mut body = BytesMut::new();
        let (mut side, mut items) = (Vec::new(), Vec::new());
        for batch in others {
            for item in &batch.items {
                items.push(batch.copy_item(item, &mut body, &mut side));
            }
        }
        Batch { body: body.freeze(), items, side }
    }
}

/// A batch being filled.
#[derive(Debug, Default)]
pub(crate) struct BatchBuilder {
    body: BytesMut,
    items: Vec<Item>,
    side: Vec<u8>,
}

/// What identifies a record in its batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) assignment: u32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) identity: u128,
}

impl BatchBuilder {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// Adds a record: its head, its document, which is one line, and what stands behind it. `side` writes its other parts.
    /// Returns the item's cost.
    pub(crate) fn push(
        &mut self,
        origin: Origin,
        [head, document, tail]: [&[u8]; 3],
        side: impl FnOnce(&mut SideWriter<'_>),
    ) -> usize {
        let (start, side_start) = (self.body.len(), self.side.len());
        self.body.extend_from_slice(head);
        let document_start = self.body.len();
        self.body.extend_from_slice(document);
        let document_end = self.body.len();
        self.body.extend_from_slice(tail);
        self.body.extend_from_slice(b"\n");
        side(&mut SideWriter(&mut self.side));
        let cost = self.body.len() - start + self.side.len() - side_start + ITEM_OVERHEAD;
        self.items.push(Item {
            assignment: origin.assignment,
            offset: origin.offset,
            timestamp: origin.timestamp,
            identity: origin.identity,
            attempts: 0,
            cost,
            start,
            document: document_start,
            document_end,
            end: self.body.len(),
            side: side_start,
            side_end: self.side.len(),
        });
        cost
    }

    /// The batch filled so far; starts an empty one that expects as much again.
    pub(crate) fn finish(&mut self) -> Batch {
        // The next is as large by and large: growing to it would copy it over and over.
        let body = BytesMut::with_capacity(self.body.len());
        let body = std::mem::replace(&mut self.body, body);
        let items = Vec::with_capacity(self.items.len());
        let items = std::mem::replace(&mut self.items, items);
        let side = Vec::with_capacity(self.side.len());
        let side = std::mem::replace(&mut self.side, side);
        Batch { body: body.freeze(), items, side }
    }
}

const NULL: u32 = u32::MAX;
/// In place of the value's length: the document line is the value.
const AS_DOCUMENT: u32 = u32::MAX - 1;

/// Writes a record's key, value and headers, in this order.
pub(crate) struct SideWriter<'b>(&'b mut Vec<u8>);

impl SideWriter<'_> {
    pub(crate) fn key(&mut self, key: Option<&[u8]>) {
        self.bytes(key);
    }

    /// The original value, where it is not the document line.
    pub(crate) fn value(&mut self, value: Option<&[u8]>) {
        self.bytes(value);
    }

    /// The document line is the value.
    pub(crate) fn value_as_document(&mut self) {
        self.0.extend_from_slice(&AS_DOCUMENT.to_le_bytes());
    }

    pub(crate) fn header(&mut self, name: &[u8], value: Option<&[u8]>) {
        self.bytes(Some(name));
        self.bytes(value);
    }

    fn bytes(&mut self, bytes: Option<&[u8]>) {
        let length = bytes.map_or(NULL, |b| u32::try_from(b.len()).unwrap_or(AS_DOCUMENT - 1));
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(bytes.unwrap_or_default());
    }
}

fn take_length(from: &mut &[u8]) -> u32 {
    match from.split_first_chunk::<4>() {
        Some((length, rest)) => {
            *from = rest;
            u32::from_le_bytes(*length)
        }
        None => {
            *from = &[];
            NULL
        }
    }
}

fn take<'a>(from: &mut &'a [u8], length: u32) -> Option<&'a [u8]> {
    if length == NULL {
        return None;
    }
    let (bytes, rest) = from.split_at_checked(usize::try_from(length).ok()?)?;
    *from = rest;
    Some(bytes)
}

fn take_bytes(from: &mut &[u8]) -> Option<Vec<u8>> {
    let length = take_length(from);
    take(from, length).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(offset: i64) -> Origin {
        Origin { assignment: 1, offset, timestamp: 5, identity: 9 }
    }

    #[test]
    fn parts_come_back_as_they_went_in_also_from_a_subset() {
        let mut builder = BatchBuilder::default();
        for n in 0..4i64 {
            let document = format!("{{\"n\":{n}}}");
            builder.push(origin(n), [b"{\"create\":{}}\n", document.as_bytes(), b"}"], |side| {
                side.key((n % 2 == 0).then_some(b"key"));
                if n == 3 {
                    side.value(Some(b"{\n\"n\":3}"))
                } else {
                    side.value_as_document()
                };
                side.header(b"a", None);
                side.header(b"\xff", Some(b""));
            });
        }
        let batch = builder.finish();
        assert!(builder.is_empty());
        let some = batch.subset(|at| at >= 2);
        assert_eq!(some.body, "{\"create\":{}}\n{\"n\":2}}\n{\"create\":{}}\n{\"n\":3}}\n");
        for (batch, at, n) in [(&batch, 3, 3), (&some, 1, 3), (&batch, 2, 2), (&some, 0, 2)] {
            let original = batch.original(&batch.items[at]);
            assert_eq!(batch.items[at].offset, n);
            assert_eq!(original.key.as_deref(), (n == 2).then_some(&b"key"[..]));
            let value: &[u8] = if n == 2 { b"{\"n\":2}" } else { b"{\n\"n\":3}" };
            assert_eq!(original.value.as_deref(), Some(value));
            assert_eq!(original.headers, vec![(b"a".to_vec(), None), (vec![0xff], Some(vec![]))]);
        }
        assert_eq!(Batch::joined(&[some.subset(|at| at == 0), some.subset(|at| at == 1)]).body, some.body);
    }
}
