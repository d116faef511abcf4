//! Running a search over the indices.

use std::{collections::HashSet, sync::Arc};

use tantivy::{
    Searcher, TantivyError,
    aggregation::{
        AggContextParams, AggregationLimitsGuard, DistributedAggregationCollector, agg_req::Aggregations,
        intermediate_agg_result::IntermediateAggregationResults,
    },
    collector::Count,
    query::Query as Compiled,
};

use super::{
    Hit, SearchRequest, SearchResponse, Shards, Track,
    hits::{Hits, Total},
    sort::{Kept, Key, Sort, SortBy, TopHits, compare},
};
use crate::{
    aggs::{self, Agg, Bounds, Resolve},
    analysis, clock,
    engine::{Engine, Opened, Shard, stored, version_of},
    mapping::{Kind, Mapping, Target},
    query::{Compiler, Query, QueryError},
};

/// Memory that aggregations of one search may take.
const AGG_MEMORY: u64 = 64 * 1024 * 1024;

/// Why a search failed.
#[derive(Debug)]
pub(crate) enum SearchError {
    Query(QueryError),
    Tantivy(TantivyError),
}

impl From<QueryError> for SearchError {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<TantivyError> for SearchError {
    fn from(error: TantivyError) -> Self {
        if let TantivyError::AggregationError(aggregation) = &error {
            let text = aggregation.to_string();
            if text.contains("bucket") || text.contains("memory") {
                return Self::Query(QueryError { kind: "too_many_buckets_exception", ..aggs::too_many() });
            }
            return Self::Query(QueryError::illegal(text));
        }
        if let TantivyError::InvalidArgument(text) = error {
            return Self::Query(QueryError::illegal(text));
        }
        Self::Tantivy(error)
    }
}

/// An index as one search sees it.
pub(crate) struct Part {
    shard: Arc<Shard>,
    mapping: Arc<Mapping>,
    /// Kept, so that it is not closed meanwhile; `None` while nothing was ever committed.
    searcher: Option<(Arc<Opened>, Searcher)>,
}

impl Part {
    pub(super) fn searcher(&self) -> Option<&Searcher> {
        self.searcher.as_ref().map(|(_, searcher)| searcher)
    }

    pub(super) fn open(engine: &Engine, shard: &Arc<Shard>) -> Result<Self, TantivyError> {
        let searcher = engine.reader(shard)?.map(|opened| {
            let searcher = opened.reader.searcher();
            (opened, searcher)
        });
        Ok(Self { shard: shard.clone(), mapping: shard.mapping(), searcher })
    }

    pub(super) fn compile(&self, query: &Query, now: i64) -> Result<Box<dyn Compiled>, QueryError> {
        Compiler { index: &self.shard.name, mapping: &self.mapping, now }.compile(query)
    }
}

/// Fields over all searched indices: the first that knows one says what it is.
struct Union<'a> {
    parts: &'a [Part],
    now: i64,
}

impl Resolve for Union<'_> {
    fn resolve(&self, field: &str) -> Option<Target> {
        self.parts.iter().find_map(|part| part.mapping.resolve(field))
    }

    fn now(&self) -> i64 {
        self.now
    }
}

/// # Errors
/// What the query says, or an index that cannot be read.
pub(crate) fn count(engine: &Engine, shards: &[Arc<Shard>], query: &Query) -> Result<u64, SearchError> {
    let now = clock::now_ms();
    let mut total = 0;
    for shard in shards {
        let part = Part::open(engine, shard)?;
        let compiled = part.compile(query, now)?;
        if let Some((_, searcher)) = &part.searcher {
            total += match query {
                Query::All => searcher.num_docs(),
                _ => searcher.search(&compiled, &Count)? as u64,
            };
        }
    }
    Ok(total)
}

/// # Errors
/// What the query says, or an index that cannot be read.
pub(crate) fn search(
    engine: &Engine,
    shards: &[Arc<Shard>],
    request: &SearchRequest,
) -> Result<SearchResponse, SearchError> {
    let started = clock::now();
    let now = clock::now_ms();
    let parts: Vec<Part> = shards.iter().map(|shard| Part::open(engine, shard)).collect::<Result<_, _>>()?;
    let union = Union { parts: &parts, now };
    let sorts: Arc<[Sort]> = request.order().into();
    let kinds = check_sorts(&parts, &sorts)?;
    let after = after_keys(request, &sorts, &kinds, now)?;
    let bounds = calendar_bounds(&parts, request, now)?;
    let aggregations = if request.aggs.is_empty() { None } else { Some(rewritten(&request.aggs, &union, &bounds)?) };
    let limits = AggregationLimitsGuard::new(Some(AGG_MEMORY), Some(aggs::MAX_BUCKETS));
    let mut merged: Option<IntermediateAggregationResults> = None;
    let (mut kept, mut total): (Vec<(usize, Kept)>, u64) = (Vec::new(), 0);
    let limit = request.from + request.size;
    for (place, part) in parts.iter().enumerate() {
        let compiled = part.compile(&request.query, now)?;
        let Some((_, searcher)) = &part.searcher else { continue };
        let targets = sorts
            .iter()
            .map(|sort| if let SortBy::Field(field) = &sort.by { part.mapping.resolve(field) } else { None })
            .collect();
        let top = TopHits {
            sorts: sorts.clone(),
            targets,
            after: after.clone(),
            limit,
            min_score: request.min_score.map(narrow),
        };
        let context = AggContextParams::new(limits.clone(), analysis::tokenizers());
        let collector =
            aggregations.clone().map(|request| DistributedAggregationCollector::from_aggs(request, context));
        let ((hits, count), intermediate) = match (&request.query, limit, collector.is_none(), request.min_score) {
            (Query::All, 0, true, None) => ((Vec::new(), searcher.num_docs()), None),
            _ => searcher.search(&compiled, &(top, collector))?,
        };
        total += count;
        kept.extend(hits.into_iter().map(|hit| (place, hit)));
        if let Some(intermediate) = intermediate {
            match &mut merged {
                Some(merged) => merged.merge_fruits(intermediate)?,
                None => merged = Some(intermediate),
            }
        }
    }
    kept.sort_by(|(a_place, a), (b_place, b)| {
        compare(&sorts, &a.keys, &b.keys).then_with(|| (a_place, a.address).cmp(&(b_place, b.address)))
    });
    let max_score = max_score(&sorts, &kept);
    let hits = kept
        .iter()
        .skip(request.from)
        .take(request.size)
        .map(|(place, kept)| fetch(&parts[*place], kept, request, &sorts, &kinds))
        .collect::<Result<Vec<Hit>, TantivyError>>()?;
    let aggregations = match aggregations {
        None => None,
        Some(request_json) => {
            let results = merged.unwrap_or_default().into_final_result(request_json, limits)?;
            let json =
                serde_json::to_value(&results).map_err(|error| TantivyError::InternalError(error.to_string()))?;
            Some(aggs::render(&request.aggs, &json, &union))
        }
    };
    let took = started.elapsed();
    engine.metrics.search_seconds.observe(took.as_secs_f64());
    Ok(SearchResponse {
        scroll_id: None,
        took: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        timed_out: false,
        shards: Shards::searched(parts.len()),
        hits: Hits { total: told(request.track, total), max_score, hits },
        aggregations,
    })
}

#[allow(clippy::cast_possible_truncation)]
fn narrow(value: f64) -> f32 {
    value as f32
}

fn rewritten(aggs: &[Agg], union: &Union<'_>, bounds: &Bounds) -> Result<Aggregations, SearchError> {
    let json = aggs::rewrite(aggs, union, bounds)?;
    serde_json::from_value(json)
        .map_err(|error| SearchError::Query(QueryError::illegal(format!("cannot aggregate: {error}"))))
}

pub(super) fn told(track: Track, total: u64) -> Option<Total> {
    match track {
        Track::No => None,
        Track::UpTo(limit) if total > limit => Some(Total { value: limit, relation: "gte" }),
        _ => Some(Total { value: total, relation: "eq" }),
    }
}

/// The kind of each sort field; an index where it cannot be sorted by is an error, as in Elasticsearch.
fn check_sorts(parts: &[Part], sorts: &[Sort]) -> Result<Vec<Option<Kind>>, QueryError> {
    let mut kinds = Vec::with_capacity(sorts.len());
    for sort in sorts {
        let mut kind = match &sort.by {
            SortBy::Score => Some(Kind::Double),
            SortBy::Doc => Some(Kind::Long),
            SortBy::Field(_) => None,
        };
        if let SortBy::Field(field) = &sort.by {
            for part in parts {
                match part.mapping.resolve(field) {
                    Some(Target::Number(_, found)) => kind = kind.or(Some(found)),
                    Some(Target::SeqNo) => kind = kind.or(Some(Kind::Long)),
                    Some(Target::Keyword(_)) => kind = kind.or(Some(Kind::Keyword)),
                    Some(Target::Text(path)) => return Err(aggs::text_field(&path)),
                    Some(Target::Id | Target::Index) => {
                        return Err(QueryError::illegal(format!("sorting by [{field}] is not supported here")));
                    }
                    None if sort.unmapped => {}
                    None => {
                        return Err(QueryError::shard(format!("No mapping found for [{field}] in order to sort on")));
                    }
                }
            }
        }
        kinds.push(kind);
    }
    Ok(kinds)
}

fn after_keys(
    request: &SearchRequest,
    sorts: &[Sort],
    kinds: &[Option<Kind>],
    now: i64,
) -> Result<Option<Vec<Key>>, QueryError> {
    let Some(after) = &request.after else { return Ok(None) };
    let keys: Option<Vec<Key>> =
        after.iter().zip(kinds).map(|(value, kind)| Key::from_json(value, *kind, now)).collect();
    match keys {
        Some(keys) => Ok(Some(keys)),
        None => Err(QueryError::illegal(format!(
            "Failed to parse search_after value for field [{}].",
            sorts.first().map_or("", |sort| if let SortBy::Field(field) = &sort.by { field } else { "_score" })
        ))),
    }
}

fn max_score(sorts: &[Sort], kept: &[(usize, Kept)]) -> Option<f32> {
    let by_score = sorts.iter().any(|sort| sort.by == SortBy::Score);
    by_score.then(|| kept.iter().map(|(_, kept)| kept.score).max_by(f32::total_cmp)).flatten()
}

pub(super) fn fetch(
    part: &Part,
    kept: &Kept,
    request: &SearchRequest,
    sorts: &[Sort],
    kinds: &[Option<Kind>],
) -> Result<Hit, TantivyError> {
    let Some((_, searcher)) = &part.searcher else {
        return Err(TantivyError::InternalError("a hit without an index".to_owned()));
    };
    let (id, source) = stored(searcher, kept.address)?;
    let (mut version, mut seq_no) = (None, None);
    if request.version || request.seq_no {
        let found = version_of(searcher, kept.address)?;
        version = request.version.then_some(found.0);
        seq_no = request.seq_no.then_some(found.1);
    }
    let by_score = sorts.iter().any(|sort| sort.by == SortBy::Score);
    let sort = kept.keys.iter().zip(sorts).zip(kinds).map(|((key, sort), kind)| key.to_json(sort, *kind)).collect();
    Ok(Hit {
        index: part.shard.name.to_string(),
        id,
        version,
        seq_no,
        score: by_score.then_some(kept.score),
        source: request.source.apply(source),
        sort: (!request.sort.is_empty()).then_some(sort),
    })
}

/// Bounds of the data under every field that has buckets by months.
fn calendar_bounds(parts: &[Part], request: &SearchRequest, now: i64) -> Result<Bounds, SearchError> {
    let mut fields = HashSet::new();
    calendar_fields(&request.aggs, &mut fields);
    let mut bounds = Bounds::new();
    for field in fields {
        let json = serde_json::json!({ "a0": { "stats": { "field": crate::schema::number_column(&field) } } });
        let aggregations: Aggregations =
            serde_json::from_value(json).map_err(|error| TantivyError::InternalError(error.to_string()))?;
        for part in parts {
            let Some((_, searcher)) = &part.searcher else { continue };
            let compiled = part.compile(&request.query, now)?;
            let collector = tantivy::aggregation::AggregationCollector::from_aggs(
                aggregations.clone(),
                AggContextParams::default(),
            );
            let result = serde_json::to_value(searcher.search(&compiled, &collector)?).unwrap_or_default();
            #[allow(clippy::cast_possible_truncation)]
            let end = |key: &str| result["a0"][key].as_f64().map(|value| value as i64);
            if let (Some(min), Some(max)) = (end("min"), end("max")) {
                let entry = bounds.entry(field.clone()).or_insert((min, max));
                *entry = (entry.0.min(min), entry.1.max(max));
            }
        }
    }
    Ok(bounds)
}

fn calendar_fields(aggs: &[Agg], out: &mut HashSet<String>) {
    for agg in aggs {
        if agg.by_months() {
            out.insert(agg.field.clone());
        }
        calendar_fields(&agg.subs, out);
    }
}
