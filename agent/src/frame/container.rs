//! Lines as container runtimes write them: the text, when and to which stream it was written, whether it goes on.

use std::borrow::Cow;

use logmill_config::agent::Container;

use crate::record::scan_members;

/// Where a container wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// What is inside a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inside<'a> {
    pub(super) text: Cow<'a, [u8]>,
    pub(super) stream: Option<Stream>,
    /// RFC 3339, as the runtime wrote it.
    pub(super) time: Option<&'a str>,
    /// The runtime cut it here: the next line of the stream goes on.
    pub(super) partial: bool,
}

impl Inside<'_> {
    /// The whole of a line that was cut into this and `rest`.
    pub(super) fn with(mut self, rest: Self) -> Self {
        self.text.to_mut().extend_from_slice(&rest.text);
        Self { text: self.text, ..rest }
    }
}

impl Stream {
    fn of(name: &str) -> Option<Self> {
        match name {
            "stdout" => Some(Self::Stdout),
            "stderr" => Some(Self::Stderr),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// What is inside `line`; `None` when no runtime wrote it.
pub(super) fn unwrap(container: Container, line: &[u8]) -> Option<Inside<'_>> {
    match container {
        Container::Docker => docker(line),
        Container::Cri => cri(line),
        Container::Auto if line.first() == Some(&b'{') => docker(line),
        Container::Auto => cri(line),
    }
}

/// `{"log":"text\n","stream":"stdout","time":"2026-05-01T10:00:00.000000000Z"}`. A text without newline goes on.
fn docker(line: &[u8]) -> Option<Inside<'_>> {
    let line = std::str::from_utf8(line).ok()?;
    let mut members = Vec::new();
    if !scan_members(line, &mut members) {
        return None;
    }
    let value = |name: &str| members.iter().find(|m| &line[m.key.clone()] == name).map(|m| &line[m.value.clone()]);
    let plain = |name: &str| value(name).and_then(|v| v.strip_prefix('"')?.strip_suffix('"'));
    let mut text = match plain("log")? {
        simple if !simple.contains('\\') => Cow::Borrowed(simple),
        _ => Cow::Owned(serde_json::from_str::<String>(value("log")?).ok()?),
    };
    let ended = text.strip_suffix('\n').map(|t| t.strip_suffix('\r').unwrap_or(t).len());
    if let Some(len) = ended {
        match &mut text {
            Cow::Owned(text) => text.truncate(len),
            Cow::Borrowed(text) => *text = &text[..len],
        }
    }
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    Some(Inside { text, stream: plain("stream").and_then(Stream::of), time: plain("time"), partial: ended.is_none() })
}

/// `2026-05-01T10:00:00.000000000Z stdout F text`; `P` instead of `F` goes on. Tags after a colon mean nothing here.
fn cri(line: &[u8]) -> Option<Inside<'_>> {
    let mut parts = line.splitn(4, |b| *b == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    time.parse::<jiff::Timestamp>().ok()?;
    let stream = Stream::of(std::str::from_utf8(parts.next()?).ok()?)?;
    let partial = match parts.next()?.split(|b| *b == b':').next()? {
        b"F" => false,
        b"P" => true,
        _ => return None,
    };
    let text = Cow::Borrowed(parts.next().unwrap_or_default());
    Some(Inside { text, stream: Some(stream), time: Some(time), partial })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn inside(line: &str) -> Option<(String, Option<&'static str>, bool)> {
        let inside = unwrap(Container::Auto, line.as_bytes())?;
        let text = String::from_utf8(inside.text.into_owned()).unwrap();
        assert!(inside.time.is_none_or(|t| t.parse::<jiff::Timestamp>().is_ok()));
        Some((text, inside.stream.map(Stream::name), inside.partial))
    }

    #[test]
    fn docker_lines() {
        let whole = r#"{"log":"say \"hi\"\n","stream":"stderr","time":"2026-05-01T10:00:00.5Z"}"#;
        assert_eq!(Some(("say \"hi\"".into(), Some("stderr"), false)), inside(whole));
        let windows = r#"{"log":"a\r\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-05-01T10:00:00.5Z"}"#;
        assert_eq!(Some(("a".into(), Some("stdout"), false)), inside(windows));
        assert_eq!(Some(("go".into(), None, true)), inside(r#"{"log":"go"}"#));
        assert_eq!(Some((String::new(), None, false)), inside(r#"{"log":"\n"}"#));
        for line in [r#"{"msg":"no"}"#, r#"{"log":7}"#, r#"{"log":"half"#, "{}"] {
            assert_eq!(None, inside(line), "{line}");
        }
    }

    #[test]
    fn cri_lines() {
        let at = "2016-10-06T00:17:09.669794202Z";
        assert_eq!(Some(("two  words".into(), Some("stdout"), false)), inside(&format!("{at} stdout F two  words")));
        assert_eq!(Some(("part".into(), Some("stderr"), true)), inside(&format!("{at} stderr P part")));
        assert_eq!(Some(("x".into(), Some("stderr"), true)), inside(&format!("{at} stderr P:tag x")));
        assert_eq!(Some((String::new(), Some("stdout"), false)), inside(&format!("{at} stdout F")));
        let zone = "2016-10-06T00:17:09.669794202+02:00";
        assert_eq!(Some(("x".into(), Some("stdout"), false)), inside(&format!("{zone} stdout F x")));
        for line in ["x stdout F text", "2016-10-06T00:17:09Z stdin F text", "2016-10-06T00:17:09Z stdout X text", ""] {
            assert_eq!(None, inside(line), "{line}");
        }
    }
}
