//! Which indices an expression in a path means.

use std::sync::Arc;

use super::{Call, Rest, failure, reply::Reply};
use crate::engine::{Shard, matches};

/// Expands names, patterns, comma lists and `-exclusions`; all indices for none, `_all` and `*`.
///
/// # Errors
/// 404 for a plain name that does not exist (unless `ignore_unavailable`), or for nothing at all with `allow_no_indices=false`.
pub(super) fn expand(rest: &Rest, expression: Option<&str>, call: &Call) -> Result<Vec<Arc<Shard>>, Reply> {
    expand_with(rest, expression, call.flag("ignore_unavailable"), call.param("allow_no_indices") != Some("false"))
}

pub(super) fn expand_with(
    rest: &Rest,
    expression: Option<&str>,
    ignore_unavailable: bool,
    allow_none: bool,
) -> Result<Vec<Arc<Shard>>, Reply> {
    let expression = expression.unwrap_or("_all");
    let mut found: Vec<Arc<Shard>> = Vec::new();
    let mut patterned = false;
    for (place, name) in expression.split(',').enumerate() {
        if let Some(excluded) = name.strip_prefix('-').filter(|_| place > 0 && patterned) {
            found.retain(|shard| !matches(excluded, &shard.name));
            continue;
        }
        if matches!(name, "_all" | "*" | "") || name.contains('*') {
            patterned = true;
            let pattern = if matches!(name, "_all" | "") { "*" } else { name };
            // Hidden indices are shown only to patterns that begin with a dot.
            let hidden = pattern.starts_with('.');
            for shard in rest.engine.all() {
                if matches(pattern, &shard.name)
                    && (hidden || !shard.name.starts_with('.'))
                    && !found.iter().any(|other| other.number == shard.number)
                {
                    found.push(shard);
                }
            }
        } else if let Some(shard) = rest.engine.get(name) {
            if !found.iter().any(|other| other.number == shard.number) {
                found.push(shard);
            }
        } else if !ignore_unavailable {
            return Err(failure::index_not_found(name));
        }
    }
    if found.is_empty() && !allow_none {
        return Err(failure::index_not_found(expression));
    }
    Ok(found)
}
