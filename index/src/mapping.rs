//! An index's mapping: which fields it has, of which type, and how a new value extends it.
//!
//! Fields are kept flat under their dotted paths. What a query names is resolved by [`Mapping::resolve`]
//! to the place where the values are indexed (see `schema.rs`).

mod document;
mod properties;
mod value;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

pub(crate) use document::{DocumentError, Leaf, LeafValue, parse_document};
pub(crate) use properties::MappingError;

/// Fields, objects and subfields an index may have, `index.mapping.total_fields.limit`.
pub(crate) const MAX_FIELDS: usize = 1000;
/// `index.mapping.depth.limit`.
pub(crate) const MAX_DEPTH: usize = 20;
/// `ignore_above` of the `.keyword` subfield that dynamic mapping adds.
pub(crate) const DYNAMIC_IGNORE_ABOVE: u32 = 256;

/// How values are indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Keyword,
    Long,
    Double,
    Boolean,
    Date,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// Dotted path.
    pub(crate) path: Arc<str>,
    pub(crate) kind: Kind,
    /// The type's name in Elasticsearch: `float`, `integer` …
    pub(crate) type_name: &'static str,
    /// Of a text field: it has a `.keyword` subfield. Of a keyword field: always true.
    pub(crate) keyword: bool,
    /// Longest value in characters that the keyword (sub)field indexes.
    pub(crate) ignore_above: Option<u32>,
}

/// What happens to fields a document has and the mapping has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Dynamic {
    #[default]
    True,
    /// Kept in `_source`, not indexed.
    False,
    /// The document is refused.
    Strict,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Mapping {
    fields: Vec<Field>,
    by_path: HashMap<Arc<str>, u32>,
    objects: HashSet<Arc<str>>,
    pub(crate) dynamic: Dynamic,
    /// `date_detection: false` was set.
    pub(crate) no_date_detection: bool,
}

/// Where the values of a field that a query names are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Analyzed text under this path.
    Text(Arc<str>),
    /// Exact strings under this path.
    Keyword(Arc<str>),
    /// Numbers under this path (dates in ms, booleans as 0 and 1).
    Number(Arc<str>, Kind),
    Id,
    Index,
    SeqNo,
}

impl Mapping {
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(crate) fn field(&self, path: &str) -> Option<&Field> {
        self.by_path.get(path).map(|ordinal| &self.fields[*ordinal as usize])
    }

    pub(crate) fn ordinal(&self, path: &str) -> Option<u32> {
        self.by_path.get(path).copied()
    }

    pub(crate) fn at(&self, ordinal: u32) -> &Field {
        &self.fields[ordinal as usize]
    }

    pub(crate) fn is_object(&self, path: &str) -> bool {
        self.objects.contains(path)
    }

    /// As `index.mapping.total_fields.limit` counts.
    pub(crate) fn count(&self) -> usize {
        self.objects.len()
            + self
                .fields
                .iter()
                .map(|field| if field.kind == Kind::Text && field.keyword { 2 } else { 1 })
                .sum::<usize>()
    }

    /// Adds a field; the caller has checked that neither it nor a conflicting parent exists.
    pub(crate) fn add_field(&mut self, field: Field) -> u32 {
        self.add_parents(&field.path.clone());
        let ordinal = u32::try_from(self.fields.len()).unwrap_or(u32::MAX);
        self.by_path.insert(field.path.clone(), ordinal);
        self.fields.push(field);
        ordinal
    }

    pub(crate) fn add_object(&mut self, path: &str) {
        self.add_parents(path);
        if !self.objects.contains(path) {
            self.objects.insert(path.into());
        }
    }

    fn add_parents(&mut self, path: &str) {
        for (at, _) in path.match_indices('.') {
            let parent = &path[..at];
            if !self.objects.contains(parent) {
                self.objects.insert(parent.into());
            }
        }
    }

    pub(crate) fn resolve(&self, name: &str) -> Option<Target> {
        match name {
            "_id" => return Some(Target::Id),
            "_index" => return Some(Target::Index),
            "_seq_no" => return Some(Target::SeqNo),
            _ => {}
        }
        if let Some(field) = self.field(name) {
            return Some(match field.kind {
                Kind::Text => Target::Text(field.path.clone()),
                Kind::Keyword => Target::Keyword(field.path.clone()),
                kind => Target::Number(field.path.clone(), kind),
            });
        }
        let parent = self.field(name.strip_suffix(".keyword")?)?;
        (parent.kind == Kind::Text && parent.keyword).then(|| Target::Keyword(parent.path.clone()))
    }

    /// Fields under the object `path`.
    pub(crate) fn under<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Field> {
        self.fields.iter().filter(move |field| field.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
    }
}

#[cfg(test)]
mod tests;
