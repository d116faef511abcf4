//! Log compaction: of each key only the newest record stays, of a deleted key nothing in the end.
//!
//! A pass reads the dirty part of a log into a map from key to newest offset ([`key_map`]), as much of it as the map holds, then rewrites the segments up to
//! there, a group of small ones into one, and puts each group's replacement in place ([`crate::log`], `swap`). What does not fit takes further passes.
//! Offsets never change; each rewritten segment keeps its last batch, empty if need be, so that it says itself where it ends.
//!
//! Why no deleted key comes back: groups are replaced from the start of the log on, each durably before the next. A tombstone's delete horizon is set when
//! the pass that removed all older records of its key reaches it, and it goes at the earliest in the pass after that.

pub(crate) mod choice;
pub(crate) mod key_map;
pub(crate) mod pace;
pub(crate) mod pass;
pub(crate) mod retain;
pub(crate) mod rewrite;
pub(crate) mod transactions;
