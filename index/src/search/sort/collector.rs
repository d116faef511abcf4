//! Keeps the best hits of an index and counts all.

use std::{collections::BinaryHeap, sync::Arc};

use tantivy::{
    DocAddress, DocId, Score, SegmentOrdinal, SegmentReader,
    collector::{Collector, SegmentCollector},
};

use super::{Key, Sort, SortBy, column::SortColumn};
use crate::mapping::Target;

/// A hit that is kept, with its sort values.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) address: DocAddress,
    pub(crate) score: f32,
    pub(crate) keys: Vec<Key>,
}

/// Collects the first `limit` hits in the order of `sorts`, and how many there are.
pub(crate) struct TopHits {
    pub(crate) sorts: Arc<[Sort]>,
    pub(crate) targets: Vec<Option<Target>>,
    pub(crate) after: Option<Vec<Key>>,
    pub(crate) limit: usize,
    pub(crate) min_score: Option<f32>,
}

impl TopHits {
    pub(crate) fn scoring(&self) -> bool {
        self.min_score.is_some() || self.sorts.iter().any(|sort| sort.by == SortBy::Score)
    }
}

impl Collector for TopHits {
    type Fruit = (Vec<Kept>, u64);
    type Child = SegmentTop;

    fn for_segment(&self, segment: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentTop> {
        let columns: Vec<SortColumn> = self
            .sorts
            .iter()
            .zip(&self.targets)
            .map(|(sort, target)| SortColumn::open(reader, sort, target.as_ref()))
            .collect::<tantivy::Result<_>>()?;
        let after = match &self.after {
            Some(keys) => Some(
                columns
                    .iter()
                    .zip(keys)
                    .map(|(column, key)| column.rank_of(key))
                    .collect::<tantivy::Result<Box<[u128]>>>()?,
            ),
            None => None,
        };
        Ok(SegmentTop {
            segment,
            columns,
            after,
            limit: self.limit,
            min_score: self.min_score,
            heap: BinaryHeap::new(),
            count: 0,
        })
    }

    fn requires_scoring(&self) -> bool {
        self.scoring()
    }

    fn merge_fruits(&self, fruits: Vec<tantivy::Result<(Vec<Kept>, u64)>>) -> tantivy::Result<Self::Fruit> {
        let (mut all, mut count) = (Vec::new(), 0);
        for fruit in fruits {
            let (kept, number) = fruit?;
            all.extend(kept);
            count += number;
        }
        all.sort_by(|a: &Kept, b: &Kept| {
            compare(&self.sorts, &a.keys, &b.keys).then_with(|| a.address.cmp(&b.address))
        });
        all.truncate(self.limit);
        Ok((all, count))
    }
}

/// The order of hits by their keys.
pub(crate) fn compare(sorts: &[Sort], a: &[Key], b: &[Key]) -> std::cmp::Ordering {
    sorts
        .iter()
        .zip(a.iter().zip(b))
        .map(|(sort, (a, b))| a.compare(b, sort))
        .find(|order| order.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

pub(crate) struct SegmentTop {
    segment: SegmentOrdinal,
    columns: Vec<SortColumn>,
    after: Option<Box<[u128]>>,
    limit: usize,
    min_score: Option<f32>,
    /// The worst on top.
    heap: BinaryHeap<(Box<[u128]>, DocId, Scored)>,
    count: u64,
}

/// A score that does not take part in comparisons.
struct Scored(f32);

impl PartialEq for Scored {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Scored {}
impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scored {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl SegmentCollector for SegmentTop {
    type Fruit = tantivy::Result<(Vec<Kept>, u64)>;

    fn collect(&mut self, doc: DocId, score: Score) {
        if self.min_score.is_some_and(|least| score < least) {
            return;
        }
        self.count += 1;
        if self.limit == 0 {
            return;
        }
        let Some((first, rest)) = self.columns.split_first() else { return };
        let primary = first.rank(doc, score);
        let full = self.heap.len() >= self.limit;
        // Documents come in ascending order: an equal one does not displace.
        if full
            && self
                .heap
                .peek()
                .is_some_and(|(worst, ..)| primary > worst[0] || (rest.is_empty() && primary == worst[0]))
        {
            return;
        }
        if let Some(after) = &self.after
            && primary < after[0]
        {
            return;
        }
        let mut ranks = Vec::with_capacity(self.columns.len());
        ranks.push(primary);
        ranks.extend(rest.iter().map(|column| column.rank(doc, score)));
        if let Some(after) = &self.after
            && ranks[..] <= after[..]
        {
            return;
        }
        let entry = (ranks.into_boxed_slice(), doc, Scored(score));
        if !full {
            self.heap.push(entry);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && entry < *worst
        {
            *worst = entry;
        }
    }

    fn harvest(self) -> Self::Fruit {
        let columns = self.columns;
        let kept = self.heap.into_iter().map(|(ranks, doc, Scored(score))| {
            let keys = columns
                .iter()
                .zip(&ranks)
                .map(|(column, rank)| column.key(*rank))
                .collect::<tantivy::Result<Vec<Key>>>()?;
            Ok(Kept { address: DocAddress::new(self.segment, doc), score, keys })
        });
        Ok((kept.collect::<tantivy::Result<Vec<Kept>>>()?, self.count))
    }
}
