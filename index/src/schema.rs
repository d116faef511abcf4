//! How documents lie in Tantivy.
//!
//! A Tantivy schema cannot grow, a JSON field can; so values lie in JSON fields under their dotted paths:
//! - `t`: analyzed text, with positions;
//! - `k`: exact strings as fast columns (keyword fields and `.keyword` subfields);
//! - `x`: the same strings in the inverted index, where they are at most [`MAX_INDEXED`] bytes: log messages as terms
//!   would cost more than all the rest, and who looks for a whole message can wait for a column to be read;
//! - `n`: numbers as fast columns only (dates as milliseconds, booleans as 0 and 1).
//!
//! Beside them `_id` (indexed, stored), `_source` (stored as it came), `_seq_no` and `_version` (fast), and `_long`:
//! paths of text fields whose value is too long for its keyword, for `exists`.

use std::sync::LazyLock;

use tantivy::{
    TantivyDocument, Term,
    schema::{
        BytesOptions, FAST, Field, IndexRecordOption, JsonObjectOptions, STORED, STRING, Schema, TextFieldIndexing,
        document::{ReferenceValue, ReferenceValueLeaf, Value},
    },
};

use crate::{
    analysis::STANDARD,
    mapping::{Kind, Leaf, LeafValue, Mapping},
};

/// Longest exact string in the inverted index, bytes.
pub(crate) const MAX_INDEXED: usize = 64;

/// The fields, the same in every index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    pub(crate) id: Field,
    pub(crate) source: Field,
    pub(crate) seq_no: Field,
    pub(crate) version: Field,
    pub(crate) long: Field,
    pub(crate) text: Field,
    pub(crate) keyword: Field,
    pub(crate) exact: Field,
    pub(crate) number: Field,
}

static SCHEMA: LazyLock<(Schema, Fields)> = LazyLock::new(|| {
    let mut builder = Schema::builder();
    let text =
        TextFieldIndexing::default().set_tokenizer(STANDARD).set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let raw = TextFieldIndexing::default()
        .set_tokenizer("raw")
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false);
    let fields = Fields {
        id: builder.add_text_field("_id", STRING | STORED),
        source: builder.add_bytes_field("_source", BytesOptions::default().set_stored()),
        seq_no: builder.add_u64_field("_seq_no", FAST),
        version: builder.add_u64_field("_version", FAST),
        long: builder.add_text_field("_long", STRING),
        text: builder
            .add_json_field("t", JsonObjectOptions::default().set_expand_dots_enabled().set_indexing_options(text)),
        keyword: builder.add_json_field("k", JsonObjectOptions::default().set_expand_dots_enabled().set_fast("raw")),
        exact: builder
            .add_json_field("x", JsonObjectOptions::default().set_expand_dots_enabled().set_indexing_options(raw)),
        number: builder.add_json_field("n", JsonObjectOptions::default().set_expand_dots_enabled().set_fast("raw")),
    };
    (builder.build(), fields)
});

pub(crate) fn schema() -> Schema {
    SCHEMA.0.clone()
}

pub(crate) fn fields() -> Fields {
    SCHEMA.1
}

pub(crate) fn id_term(id: &str) -> Term {
    Term::from_field_text(fields().id, id)
}

/// `path` as Tantivy's path syntax has it: backslash escapes.
pub(crate) fn escape(path: &str) -> String {
    path.replace('\\', "\\\\")
}

/// Name of the fast column of a keyword path (for aggregations and readers).
pub(crate) fn keyword_column(path: &str) -> String {
    format!("k.{}", escape(path))
}

pub(crate) fn number_column(path: &str) -> String {
    format!("n.{}", escape(path))
}

/// A term of a JSON field without value yet.
pub(crate) fn json_term(field: Field, path: &str) -> Term {
    Term::from_field_json_path(field, &escape(path), true)
}

/// Makes the document to index.
pub(crate) fn build(mapping: &Mapping, id: &str, source: &[u8], leaves: &[Leaf<'_>]) -> TantivyDocument {
    let fields = fields();
    let mut document = TantivyDocument::with_capacity(source.len() * 2 + 256);
    document.add_text(fields.id, id);
    document.add_bytes(fields.source, source);
    let mut present = [false; 4];
    let mut keyword = |field: &crate::mapping::Field, value: &str| {
        let here = field.keyword && in_keyword(field.ignore_above, value);
        present[Part::Keyword as usize] |= here;
        present[Part::Exact as usize] |= here && value.len() <= MAX_INDEXED;
        here
    };
    let (mut text, mut number) = (false, false);
    for leaf in leaves {
        let field = mapping.at(leaf.field);
        match (&leaf.value, field.kind) {
            (LeafValue::Str(value), Kind::Text) => {
                text = true;
                if !keyword(field, value) {
                    document.add_text(fields.long, &*field.path);
                }
            }
            (LeafValue::Str(value), _) => drop(keyword(field, value)),
            _ => number = true,
        }
    }
    present[Part::Text as usize] = text;
    present[Part::Number as usize] = number;
    for (part, field) in [
        (Part::Text, fields.text),
        (Part::Keyword, fields.keyword),
        (Part::Exact, fields.exact),
        (Part::Number, fields.number),
    ] {
        if present[part as usize] {
            document.add_field_value(field, Node::Object(part, mapping, leaves));
        }
    }
    document
}

/// `ignore_above`, in characters; a term longer than Lucene's 32766 bytes is left out too.
fn in_keyword(ignore_above: Option<u32>, value: &str) -> bool {
    let above = ignore_above.map_or(usize::MAX, |above| above as usize);
    value.len() <= 32_766 && (value.len() <= above || value.chars().count() <= above)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Text = 0,
    Keyword = 1,
    Number = 2,
    Exact = 3,
}

/// A view of the leaves as the flat JSON object Tantivy takes.
#[derive(Debug, Clone, Copy)]
enum Node<'a> {
    Object(Part, &'a Mapping, &'a [Leaf<'a>]),
    Leaf(&'a LeafValue<'a>),
}

impl<'a> Value<'a> for Node<'a> {
    type ArrayIter = std::iter::Empty<Self>;
    type ObjectIter = Entries<'a>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        match *self {
            Node::Object(part, mapping, leaves) => ReferenceValue::Object(Entries { part, mapping, leaves }),
            Node::Leaf(LeafValue::Str(text)) => ReferenceValue::Leaf(ReferenceValueLeaf::Str(text)),
            Node::Leaf(LeafValue::I64(value)) => ReferenceValue::Leaf(ReferenceValueLeaf::I64(*value)),
            Node::Leaf(LeafValue::F64(value)) => ReferenceValue::Leaf(ReferenceValueLeaf::F64(*value)),
        }
    }
}

struct Entries<'a> {
    part: Part,
    mapping: &'a Mapping,
    leaves: &'a [Leaf<'a>],
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (leaf, rest) = self.leaves.split_first()?;
            self.leaves = rest;
            let field = self.mapping.at(leaf.field);
            let here = match (&leaf.value, self.part) {
                (LeafValue::Str(_), Part::Text) => field.kind == Kind::Text,
                (LeafValue::Str(value), Part::Keyword) => field.keyword && in_keyword(field.ignore_above, value),
                (LeafValue::Str(value), Part::Exact) => {
                    value.len() <= MAX_INDEXED && field.keyword && in_keyword(field.ignore_above, value)
                }
                (LeafValue::I64(_) | LeafValue::F64(_), Part::Number) => true,
                _ => false,
            };
            if here {
                return Some((&field.path, Node::Leaf(&leaf.value)));
            }
        }
    }
}
