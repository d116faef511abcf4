//! A search that is read to its end in pages (scroll), in index order, from searchers held from its start.

use std::sync::Arc;

use tantivy::{
    DocAddress, DocId, DocSet, TERMINATED,
    query::{EnableScoring, Weight},
};

use super::{
    Hit, SearchRequest, SearchResponse, Shards,
    execute::{Part, SearchError, fetch, told},
    hits::Hits,
    sort::{Kept, Key, Missing, Sort, SortBy},
};
use crate::{
    clock,
    engine::{Engine, Shard},
};

pub(crate) struct Cursor {
    parts: Vec<Part>,
    weights: Vec<Option<Box<dyn Weight>>>,
    request: SearchRequest,
    total: u64,
    /// The next document to look at: part, segment, document.
    at: (usize, u32, DocId),
}

impl Cursor {
    /// # Errors
    /// What the query says, or an index that cannot be read.
    pub(crate) fn open(engine: &Engine, shards: &[Arc<Shard>], request: SearchRequest) -> Result<Self, SearchError> {
        let now = clock::now_ms();
        let parts: Vec<Part> = shards.iter().map(|shard| Part::open(engine, shard)).collect::<Result<_, _>>()?;
        let total = super::count(engine, shards, &request.query)?;
        let mut weights = Vec::with_capacity(parts.len());
        for part in &parts {
            let compiled = part.compile(&request.query, now)?;
            weights.push(match part.searcher() {
                Some(searcher) => Some(compiled.weight(EnableScoring::disabled_from_searcher(searcher))?),
                None => None,
            });
        }
        Ok(Self { parts, weights, request, total, at: (0, 0, 0) })
    }

    /// The next page; empty at the end.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub(crate) fn page(&mut self) -> Result<SearchResponse, SearchError> {
        let started = clock::now();
        let mut hits: Vec<Hit> = Vec::new();
        let sorts = [Sort { by: SortBy::Doc, descending: false, missing: Missing::Last, unmapped: false }];
        let (mut part, mut segment, mut doc) = self.at;
        while part < self.parts.len() && hits.len() < self.request.size {
            let (Some(searcher), Some(weight)) = (self.parts[part].searcher(), &self.weights[part]) else {
                (part, segment, doc) = (part + 1, 0, 0);
                continue;
            };
            let Some(reader) = searcher.segment_readers().get(segment as usize) else {
                (part, segment, doc) = (part + 1, 0, 0);
                continue;
            };
            let mut scorer = weight.scorer(reader, 1.0)?;
            let mut next = if scorer.doc() < doc { scorer.seek(doc) } else { scorer.doc() };
            while next != TERMINATED && hits.len() < self.request.size {
                if !reader.is_deleted(next) {
                    let kept = Kept {
                        address: DocAddress::new(segment, next),
                        score: 0.0,
                        keys: vec![Key::Int(i64::from(next))],
                    };
                    hits.push(fetch(&self.parts[part], &kept, &self.request, &sorts, &[None])?);
                }
                doc = next + 1;
                next = scorer.advance();
            }
            if next == TERMINATED {
                (segment, doc) = (segment + 1, 0);
            }
        }
        self.at = (part, segment, doc);
        Ok(SearchResponse {
            scroll_id: None,
            took: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            timed_out: false,
            shards: Shards::searched(self.parts.len()),
            hits: Hits { total: told(super::Track::Exactly, self.total), max_score: None, hits },
            aggregations: None,
        })
    }
}
