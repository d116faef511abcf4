//! Where `reset-offsets` moves a group to: pure decisions over what is committed and where a partition begins and ends.

use clap::Args;

use crate::{commands::consume::parse_time, fault};

/// The `--to-…` options, of which one is given.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct TargetOptions {
    /// To the first record kept
    #[arg(long)]
    to_earliest: bool,
    /// Behind the last record
    #[arg(long)]
    to_latest: bool,
    /// To what is committed now: creates nothing new, but brings offsets back into what is kept
    #[arg(long)]
    to_current: bool,
    /// To this offset in every partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    to_offset: Option<i64>,
    /// To the first record at or after a time, RFC 3339 or epoch milliseconds
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    to_time: Option<i64>,
    /// So many records on, or back with -N
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    shift_by: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Earliest,
    Latest,
    Current,
    Offset(i64),
    /// Milliseconds since 1970.
    Time(i64),
    Shift(i64),
}

impl TargetOptions {
    pub(super) fn target(&self) -> anyhow::Result<Target> {
        let target = match self {
            Self { to_earliest: true, .. } => Some(Target::Earliest),
            Self { to_latest: true, .. } => Some(Target::Latest),
            Self { to_current: true, .. } => Some(Target::Current),
            Self { to_offset, to_time, shift_by, .. } => {
                to_offset.map(Target::Offset).or(to_time.map(Target::Time)).or(shift_by.map(Target::Shift))
            }
        };
        target.ok_or_else(|| fault::usage("expected one of the --to-… options or --shift-by"))
    }
}

impl Target {
    /// The new offset; none where it hangs on a committed one that there is not. `at_time` is the first offset at or after the time asked
    /// for.
    pub(super) fn offset(self, current: Option<i64>, low: i64, high: i64, at_time: Option<i64>) -> Option<i64> {
        match self {
            Self::Earliest => Some(low),
            Self::Latest => Some(high),
            Self::Current => current,
            Self::Offset(offset) => Some(offset),
            // Nothing is as young: all of it has been.
            Self::Time(_) => Some(at_time.unwrap_or(high)),
            Self::Shift(by) => current.map(|current| current.saturating_add(by)),
        }
    }
}

/// Kept within what there is, as Kafka's own tool does.
pub(super) fn clamped(offset: i64, low: i64, high: i64) -> i64 {
    offset.max(low).min(high.max(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_follow_the_target_and_stay_within_the_log() {
        let (low, high) = (10, 50);
        let new = |target: Target, current, at_time| {
            target.offset(current, low, high, at_time).map(|offset| clamped(offset, low, high))
        };
        for (target, current, at_time, expected) in [
            (Target::Earliest, Some(20), None, Some(10)),
            (Target::Latest, None, None, Some(50)),
            (Target::Current, Some(3), None, Some(10)),
            (Target::Current, None, None, None),
            (Target::Offset(30), None, None, Some(30)),
            (Target::Offset(99), Some(1), None, Some(50)),
            (Target::Time(5), Some(20), Some(33), Some(33)),
            (Target::Time(5), Some(20), None, Some(50)),
            (Target::Shift(-5), Some(20), None, Some(15)),
            (Target::Shift(i64::MIN), Some(20), None, Some(10)),
            (Target::Shift(i64::MAX), Some(20), None, Some(50)),
            (Target::Shift(1), None, None, None),
        ] {
            assert_eq!(new(target, current, at_time), expected, "{target:?} from {current:?}");
        }
    }
}
