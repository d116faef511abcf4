//! Reads `transform:`, a program or a section that says where it is.

use super::{OnError, Source, Transform};
use crate::value::Value;

/// `words` are what `on_error` may be here.
pub(crate) fn read(value: &Value, usual: OnError, words: &[(&str, OnError)]) -> Option<Transform> {
    value.section_or(
        |mut s| {
            let program = s.get("program").map(|v| (program(&v), v));
            let file = s.get("file").map(|v| (v.path().map(Source::File), v));
            let on_error = s.or("on_error", usual, |v| v.choice(words, &[]));
            let found = match (program, file) {
                (Some(found), None) | (None, Some(found)) => Some(found),
                (None, None) => {
                    s.fail_here("has no program, expected program: '.level = upcase(string!(.level))' or file: PATH");
                    None
                }
                (Some(_), Some((_, file))) => file.fail("stands beside program, expected one of them"),
            };
            s.finish();
            let (source, at) = found?;
            Some(Transform { source: source?, on_error, path: at.path.clone(), mark: at.node.mark })
        },
        |v| {
            let source = program(v)?;
            Some(Transform { source, on_error: usual, path: v.path.clone(), mark: v.node.mark })
        },
    )
}

fn program(value: &Value) -> Option<Source> {
    value.text_that_is("VRL program").map(Source::Inline)
}
