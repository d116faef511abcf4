//! A sort value within one segment.

use tantivy::{
    DocId, SegmentReader,
    columnar::{Column, DynamicColumn, StrColumn},
    f64_to_u64, i64_to_u64, u64_to_f64, u64_to_i64,
};

use super::{Key, Missing, Sort, SortBy};
use crate::{mapping::Target, schema};

/// Where the values come from in a segment.
pub(super) enum Source {
    Score,
    Doc,
    /// Values mapped to `u64` in their order; whether they were doubles.
    Number(Column<u64>, bool),
    /// Sequence numbers.
    Unsigned(Column<u64>),
    Text(StrColumn),
    /// No document has one.
    Nothing,
}

pub(super) struct SortColumn {
    pub(super) source: Source,
    descending: bool,
    missing_class: u128,
}

const PRESENT: u128 = 1 << 64;

impl SortColumn {
    pub(super) fn open(reader: &SegmentReader, sort: &Sort, target: Option<&Target>) -> tantivy::Result<Self> {
        let columns = reader.fast_fields();
        let source = match (&sort.by, target) {
            (SortBy::Score, _) => Source::Score,
            (SortBy::Doc, _) => Source::Doc,
            (_, Some(Target::Keyword(path))) => {
                columns.str(&schema::keyword_column(path))?.map_or(Source::Nothing, Source::Text)
            }
            (_, Some(Target::Number(path, _))) => {
                let mut source = Source::Nothing;
                for handle in columns.dynamic_column_handles(&schema::number_column(path))? {
                    match handle.open()? {
                        DynamicColumn::I64(column) => source = Source::Number(column.to_u64_monotonic(), false),
                        DynamicColumn::F64(column) => source = Source::Number(column.to_u64_monotonic(), true),
                        _ => {}
                    }
                }
                source
            }
            (_, Some(Target::SeqNo)) => Source::Unsigned(columns.u64("_seq_no")?),
            _ => Source::Nothing,
        };
        Ok(Self {
            source,
            descending: sort.descending,
            missing_class: if sort.missing == Missing::First { 0 } else { 2 << 64 },
        })
    }

    fn wrap(&self, value: u64) -> u128 {
        PRESENT | u128::from(if self.descending { !value } else { value })
    }

    /// The document's sort value; of several the least, or the greatest when descending.
    #[inline]
    pub(super) fn rank(&self, doc: DocId, score: f32) -> u128 {
        let pick = |values: &mut dyn Iterator<Item = u64>| if self.descending { values.max() } else { values.min() };
        let value = match &self.source {
            Source::Score => Some(f64_to_u64(f64::from(score))),
            Source::Doc => Some(u64::from(doc)),
            Source::Number(column, _) | Source::Unsigned(column) => pick(&mut column.values_for_doc(doc)),
            // Odd numbers are ordinals; even ones lie between two, for values that are not in the dictionary.
            Source::Text(column) => pick(&mut column.term_ords(doc)).map(|ordinal| ordinal * 2 + 1),
            Source::Nothing => None,
        };
        value.map_or(self.missing_class, |value| self.wrap(value))
    }

    /// The rank a value of `search_after` has in this segment.
    pub(super) fn rank_of(&self, key: &Key) -> tantivy::Result<u128> {
        let value = match (&self.source, key) {
            (_, Key::Missing) | (Source::Nothing, _) => {
                // Without values everything here is missing: behind or before any value.
                return Ok(match key {
                    Key::Missing => self.missing_class,
                    _ => PRESENT,
                });
            }
            (Source::Text(column), Key::Text(text)) => {
                let dictionary = column.dictionary();
                match dictionary.term_ord(text.as_bytes())? {
                    Some(ordinal) => ordinal * 2 + 1,
                    None => {
                        let (from, _) = dictionary.term_bounds_to_ord(
                            std::ops::Bound::Included(text.as_bytes()),
                            std::ops::Bound::<&[u8]>::Unbounded,
                        )?;
                        match from {
                            std::ops::Bound::Included(next) => next.saturating_mul(2),
                            std::ops::Bound::Excluded(before) => before.saturating_mul(2).saturating_add(2),
                            std::ops::Bound::Unbounded => 0,
                        }
                    }
                }
            }
            (Source::Score | Source::Number(_, true), key) => f64_to_u64(key.number().unwrap_or(0.0)),
            (Source::Doc | Source::Unsigned(_), Key::Int(value)) => u64::try_from(*value).unwrap_or(0),
            (Source::Number(_, false), Key::Int(value)) => i64_to_u64(*value),
            #[allow(clippy::cast_possible_truncation)]
            (Source::Number(_, false), Key::Float(value)) => i64_to_u64(value.floor() as i64),
            _ => 0,
        };
        Ok(self.wrap(value))
    }

    /// What a rank stands for.
    pub(super) fn key(&self, rank: u128) -> tantivy::Result<Key> {
        if rank >> 64 != 1 {
            return Ok(Key::Missing);
        }
        #[allow(clippy::cast_possible_truncation)]
        let value = rank as u64;
        let value = if self.descending { !value } else { value };
        Ok(match &self.source {
            Source::Score => Key::Float(u64_to_f64(value)),
            Source::Doc | Source::Unsigned(_) => Key::Int(i64::try_from(value).unwrap_or(i64::MAX)),
            Source::Number(_, true) => Key::Float(u64_to_f64(value)),
            Source::Number(_, false) => Key::Int(u64_to_i64(value)),
            Source::Text(column) => {
                let mut text = String::new();
                column.ord_to_str((value - 1) / 2, &mut text)?;
                Key::Text(text)
            }
            Source::Nothing => Key::Missing,
        })
    }
}
