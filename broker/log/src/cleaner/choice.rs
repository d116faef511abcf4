//! Which part of a log is dirty, and whether it is time to compact it: pure decisions, by Kafka's rules.

use crate::LogConfig;

/// What is known of a sealed segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub base_offset: i64,
    /// Where the next segment begins.
    pub end_offset: i64,
    pub size: u64,
    /// Largest timestamp, ms; only looked at with a compaction lag.
    pub newest: i64,
    /// Timestamp of the first batch, ms; only looked at with a largest compaction lag.
    pub oldest: i64,
}

/// The dirty part of a log that may be compacted now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dirty {
    pub from: i64,
    pub to: i64,
    /// Dirty bytes of all that may be compacted, 0 to 1.
    pub ratio: f64,
    /// By how much max.compaction.lag.ms is exceeded, ms.
    pub overdue_ms: i64,
}

impl Dirty {
    pub(crate) fn is_due(&self, config: &LogConfig) -> bool {
        self.overdue_ms > 0 || self.ratio > config.min_cleanable_dirty_ratio
    }
}

/// `segments` are the sealed ones in order; only what ends at or before `limit` may be compacted. `None` if nothing is dirty.
pub(crate) fn dirty_part(
    segments: &[Facts],
    cleaned_to: i64,
    limit: i64,
    config: &LogConfig,
    now_ms: i64,
) -> Option<Dirty> {
    let first = segments.first()?;
    let from = cleaned_to.max(first.base_offset);
    let mut to = from;
    let (mut clean, mut dirty, mut overdue_ms) = (0u64, 0u64, 0);
    for segment in segments {
        if segment.end_offset <= from {
            clean += segment.size;
            continue;
        }
        let too_new =
            config.min_compaction_lag_ms > 0 && segment.newest > now_ms.saturating_sub(config.min_compaction_lag_ms);
        if segment.end_offset > limit || too_new {
            break;
        }
        if to == from {
            overdue_ms = now_ms.saturating_sub(segment.oldest).saturating_sub(config.max_compaction_lag_ms).max(0);
        }
        dirty += segment.size;
        to = segment.end_offset;
    }
    let ratio = dirty as f64 / (clean + dirty).max(1) as f64;
    (to > from).then_some(Dirty { from, to, ratio, overdue_ms })
}

/// Cuts a run of segments into groups whose replacement fits one segment: sizes, indexes and offsets.
pub(crate) fn group<S>(segments: Vec<S>, facts: impl Fn(&S) -> (Facts, u64), config: &LogConfig) -> Vec<Vec<S>> {
    let mut groups: Vec<Vec<S>> = Vec::new();
    let (mut base, mut bytes, mut index_bytes) = (0, 0u64, 0u64);
    for segment in segments {
        let (found, index) = facts(&segment);
        let fits = bytes + found.size <= u64::from(config.segment_bytes)
            && index_bytes + index <= u64::from(config.segment_index_bytes)
            && found.end_offset.saturating_sub(base) <= i64::from(i32::MAX);
        match groups.last_mut() {
            Some(group) if fits => {
                bytes += found.size;
                index_bytes += index;
                group.push(segment);
            }
            _ => {
                (base, bytes, index_bytes) = (found.base_offset, found.size, index);
                groups.push(vec![segment]);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn segments(sizes: &[u64]) -> Vec<Facts> {
        (0i64..)
            .zip(sizes)
            .map(|(n, size)| Facts {
                base_offset: n * 100,
                end_offset: n * 100 + 100,
                size: *size,
                newest: n * 1000 + 999,
                oldest: n * 1000,
            })
            .collect()
    }

    #[test]
    fn dirty_is_what_no_pass_has_seen_and_is_durable_and_old_enough() {
        let config = LogConfig { min_cleanable_dirty_ratio: 0.5, ..LogConfig::default() };
        let part =
            |cleaned, limit, config: &LogConfig| dirty_part(&segments(&[50, 30, 20, 10]), cleaned, limit, config, 4000);
        let all = part(0, 400, &config).unwrap();
        assert_eq!((all.from, all.to, all.ratio, all.overdue_ms), (0, 400, 1.0, 0));
        assert!(all.is_due(&config));
        let some = part(200, 399, &config).unwrap();
        assert_eq!((some.from, some.to, some.ratio), (200, 300, 0.2));
        assert!(!some.is_due(&config));
        assert_eq!(part(400, 400, &config), None);
        assert_eq!(part(0, 99, &config), None);
        let lag = LogConfig { min_compaction_lag_ms: 1500, ..config.clone() };
        assert_eq!(part(0, 400, &lag).unwrap().to, 200);
        let overdue = LogConfig { max_compaction_lag_ms: 1500, ..config.clone() };
        let some = part(200, 400, &overdue).unwrap();
        assert_eq!(some.overdue_ms, 500);
        assert!(some.is_due(&overdue));
        assert_eq!(part(250, 400, &config).unwrap().from, 250, "a pass may have ended within a segment");
        assert_eq!(dirty_part(&[], 0, 400, &config, 0), None);
    }

    #[test]
    fn small_segments_are_grouped_until_one_is_full() {
        let config = LogConfig { segment_bytes: 100, segment_index_bytes: 1000, ..LogConfig::default() };
        let sizes = |sizes: &[u64], index: u64| -> Vec<usize> {
            group(segments(sizes), |s| (*s, index), &config).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[50, 30, 20, 10, 200, 5], 1), [3, 1, 1, 1]);
        assert_eq!(sizes(&[1, 1, 1], 500), [2, 1]);
        let far = vec![
            Facts { base_offset: 0, end_offset: 10, size: 1, newest: 0, oldest: 0 },
            Facts { base_offset: 10, end_offset: 1 << 32, size: 1, newest: 0, oldest: 0 },
        ];
        assert_eq!(group(far, |s| (*s, 0), &config).len(), 2);
    }
}
