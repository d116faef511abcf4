//! Keyword fields by pattern: the column's dictionary is walked and tested, then the documents that have an accepted value.

use std::{fmt, ops::Bound};

use tantivy::{
    BitSet, Score, SegmentReader, TantivyError,
    columnar::StrColumn,
    query::{BitSetDocSet, ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight},
};

use super::expand::{Test, after};
use crate::schema;

#[derive(Clone)]
pub(super) struct ColumnMatch {
    column: String,
    /// What every accepted value begins with.
    literal: String,
    test: Test,
}

impl fmt::Debug for ColumnMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ColumnMatch({})", self.column)
    }
}

impl ColumnMatch {
    pub(super) fn new(path: &str, literal: String, test: Test) -> Self {
        Self { column: schema::keyword_column(path), literal, test }
    }

    /// Ordinals of the accepted values.
    fn accepted(&self, column: &StrColumn) -> tantivy::Result<(BitSet, u32)> {
        let dictionary = column.dictionary();
        let mut accepted = BitSet::with_max_value(u32::try_from(dictionary.num_terms()).unwrap_or(u32::MAX));
        let mut range = dictionary.range().ge(self.literal.as_bytes());
        if let Bound::Excluded(end) = after(self.literal.as_bytes()) {
            range = range.lt(end);
        }
        let mut stream = range.into_stream()?;
        let mut count = 0;
        while stream.advance() {
            if (self.test)(stream.key()) {
                accepted.insert(u32::try_from(stream.term_ord()).unwrap_or(u32::MAX));
                count += 1;
            }
        }
        Ok((accepted, count))
    }
}

impl Query for ColumnMatch {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for ColumnMatch {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let Some(column) = reader.fast_fields().str(&self.column)? else { return Ok(Box::new(EmptyScorer)) };
        let (accepted, count) = self.accepted(&column)?;
        if count == 0 {
            return Ok(Box::new(EmptyScorer));
        }
        let mut documents = BitSet::with_max_value(reader.max_doc());
        for document in 0..reader.max_doc() {
            if column
                .term_ords(document)
                .any(|ordinal| u32::try_from(ordinal).is_ok_and(|ordinal| accepted.contains(ordinal)))
            {
                documents.insert(document);
            }
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(documents), boost)))
    }

    fn explain(&self, _: &SegmentReader, _: tantivy::DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("explain is not supported".to_owned()))
    }
}
