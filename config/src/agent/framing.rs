//! How an input's bytes become events: their encoding, the container runtime's wrapping, lines that belong together.

use std::time::Duration;

/// How a file's bytes stand for characters. A byte order mark at its beginning decides before this does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    #[default]
    Utf8,
    Utf16Le,
    Utf16Be,
    Gbk,
    Gb18030,
    Big5,
    ShiftJis,
    EucJp,
    EucKr,
    /// Windows-1252, which has all of ISO 8859-1.
    Latin1,
}

/// The container runtime that wrote the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Docker or CRI, by the line's first byte.
    Auto,
    /// Docker's json-file: `{"log":"…\n","stream":"stdout","time":"…"}`.
    Docker,
    /// Kubernetes' CRI: `TIME stdout F …`.
    Cri,
}

/// Lines that are one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multiline {
    pub join: Join,
    /// An event that nothing was added to for this long is complete. Default 1 s.
    pub timeout: Duration,
    /// Default 500.
    pub max_lines: usize,
    /// Default: `max_line_bytes`.
    pub max_bytes: u64,
}

/// Which lines belong together; patterns are regular expressions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Join {
    /// A line that matches begins an event.
    Start(String),
    /// A line that matches belongs to the one before.
    Continue(String),
    /// A line that matches goes on in the next one.
    ContinueNext(String),
    /// A line that matches ends its event.
    End(String),
    /// Stack traces of a language, with the line before them.
    Preset(Preset),
}

/// Languages whose stack traces are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    Java,
    Python,
    Go,
    Rust,
    Ruby,
    Php,
    Dotnet,
}
