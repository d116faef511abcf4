//! Reads `encoding`, `container` and `multiline`.

use std::time::Duration;

use regex::bytes::Regex;

use crate::{
    agent::framing::{Container, Encoding, Join, Multiline, Preset},
    section::Section,
    value::Value,
};

const MILLISECOND: Duration = Duration::from_millis(1);
const JOINS: [&str; 5] = ["preset", "start", "continue", "continue_next", "end"];

pub(super) fn encoding(value: &Value) -> Option<Encoding> {
    let choices = [
        ("utf-8", Encoding::Utf8),
        ("utf-16le", Encoding::Utf16Le),
        ("utf-16be", Encoding::Utf16Be),
        ("gbk", Encoding::Gbk),
        ("gb18030", Encoding::Gb18030),
        ("big5", Encoding::Big5),
        ("shift_jis", Encoding::ShiftJis),
        ("euc-jp", Encoding::EucJp),
        ("euc-kr", Encoding::EucKr),
        ("latin-1", Encoding::Latin1),
    ];
    value.choice(&choices, &[])
}

pub(super) fn container(value: &Value) -> Option<Option<Container>> {
    let choices = [
        ("none", None),
        ("auto", Some(Container::Auto)),
        ("docker", Some(Container::Docker)),
        ("cri", Some(Container::Cri)),
    ];
    value.choice(&choices, &[])
}

pub(super) fn multiline(value: &Value, max_line_bytes: u64) -> Option<Multiline> {
    let mut s = value.section()?;
    let given = JOINS.iter().filter(|key| s.given(key)).count();
    if given != 1 {
        s.fail_here("expected one of: preset, start, continue, continue_next, end");
    }
    let join = join(&mut s);
    let multiline = Multiline {
        timeout: s.or("timeout", 1000 * MILLISECOND, |v| v.duration(10 * MILLISECOND, 3_600_000 * MILLISECOND)),
        max_lines: s.or("max_lines", 500, |v| v.number(2, 1_000_000)),
        max_bytes: s.or("max_bytes", max_line_bytes, |v| {
            let bytes = v.size(64, 64 << 20)?;
            if bytes > max_line_bytes {
                v.fail("is more than max_line_bytes, expected at most that")
            } else {
                Some(bytes)
            }
        }),
        join: join?,
    };
    s.finish();
    (given == 1).then_some(multiline)
}

fn join(s: &mut Section) -> Option<Join> {
    let preset = s.get("preset").and_then(|v| preset(&v)).map(Join::Preset);
    let start = s.get("start").and_then(|v| pattern(&v)).map(Join::Start);
    let before = s.get("continue").and_then(|v| pattern(&v)).map(Join::Continue);
    let next = s.get("continue_next").and_then(|v| pattern(&v)).map(Join::ContinueNext);
    let end = s.get("end").and_then(|v| pattern(&v)).map(Join::End);
    preset.or(start).or(before).or(next).or(end)
}

fn preset(value: &Value) -> Option<Preset> {
    let choices = [
        ("java", Preset::Java),
        ("python", Preset::Python),
        ("go", Preset::Go),
        ("rust", Preset::Rust),
        ("ruby", Preset::Ruby),
        ("php", Preset::Php),
        ("dotnet", Preset::Dotnet),
    ];
    value.choice(&choices, &[])
}

fn pattern(value: &Value) -> Option<String> {
    let text = value.text_that_is("regular expression")?;
    match Regex::new(&text) {
        Ok(_) => Some(text),
        Err(error) => value.fail(format!("is not a regular expression: {error}")),
    }
}
