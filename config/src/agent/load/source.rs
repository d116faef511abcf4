//! Reads `source` and its keys, and refuses those that mean nothing for it.

use crate::{
    agent::{Encoding, Input, LimitPer, OnLongLine, source::Source},
    names,
    section::Section,
    value::Value,
};

const MIB: u64 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Files,
    Stdin,
    Journal,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Stdin => "stdin",
            Self::Journal => "journal",
        }
    }

    /// Keys that mean nothing for it.
    fn foreign(self) -> &'static [&'static str] {
        match self {
            Self::Files => &["units", "priority", "spool_bytes"],
            Self::Stdin => &["include", "exclude", "ignore_older", "path_fields", "read_from", "units", "priority"],
            Self::Journal => &[
                "include",
                "exclude",
                "ignore_older",
                "path_fields",
                "encoding",
                "container",
                "multiline",
                "flush_unterminated",
            ],
        }
    }
}

/// The source and the globs of its files, which only files have. `stdin` says who reads standard input already.
pub(super) fn read(s: &mut Section, max_line_bytes: u64, stdin: &mut bool) -> (Source, Vec<String>) {
    let kind = s.or("source", Kind::Files, |v| {
        let kind = v.choice(&[Kind::Files, Kind::Stdin, Kind::Journal].map(|kind| (kind.name(), kind)), &[])?;
        if kind == Kind::Stdin && std::mem::replace(stdin, true) {
            v.fail::<()>("standard input is read by another input already, expected one such input");
        }
        Some(kind)
    });
    let include = if kind == Kind::Files {
        s.need("include", "[\"/var/log/app/*.log\"]", |v| Some(names::globs(&v.list("globs")?)))
    } else {
        None
    };
    let units = s.or("units", Vec::new(), |v| Some(v.any_list("units")?.iter().filter_map(unit).collect()));
    let priority = s.get("priority").and_then(|v| {
        let words = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
        let words: Vec<(&str, u8)> = words.into_iter().zip(0..).collect();
        v.choice(&words, &[])
    });
    let spool_bytes = s.or("spool_bytes", 64 * MIB, |v| v.size(MIB, MIB * MIB));
    for key in kind.foreign() {
        if s.given(key)
            && let Some(value) = s.get(key)
        {
            value.fail::<()>(format!("means nothing for source: {}", kind.name()));
        }
    }
    if kind != Kind::Files && spool_bytes < max_line_bytes.saturating_mul(4) {
        s.fail_here("has a spool_bytes of less than four times max_line_bytes, expected at least that");
    }
    let source = match kind {
        Kind::Files => Source::Files,
        Kind::Stdin => Source::Stdin { spool_bytes },
        Kind::Journal => Source::Journal { units, priority, spool_bytes },
    };
    (source, include.unwrap_or_default())
}

fn unit(value: &Value) -> Option<String> {
    let text = value.text_that_is("unit")?;
    let fits = text.len() <= 255 && text.bytes().all(|b| b.is_ascii_graphic());
    if fits { Some(text) } else { value.fail("is not a unit, expected a name such as nginx.service, or a glob of one") }
}

/// What the values of other keys must be for this source.
pub(super) fn fit(s: &mut Section, input: &mut Input) {
    match input.source {
        Source::Files => return,
        Source::Stdin { .. } => {
            if matches!(input.encoding, Encoding::Utf16Le | Encoding::Utf16Be)
                && let Some(value) = s.get("encoding")
            {
                value.fail::<()>(
                    "has other newlines than standard input is cut at, expected an encoding that extends ASCII",
                );
            }
        }
        Source::Journal { .. } => {
            if input.on_long_line == OnLongLine::Split
                && let Some(value) = s.get("on_long_line")
            {
                value.fail::<()>(
                    "means nothing for source: journal, where an entry is one record; expected truncate or drop",
                );
            }
        }
    }
    // The files of a spool are one stream.
    for limit in &mut input.limits {
        if limit.per == LimitPer::File {
            limit.per = LimitPer::Input;
        }
    }
}
