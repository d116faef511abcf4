//! Stack traces as runtimes print them, as rules over two lines that follow each other.
//!
//! A trace belongs to the line before it: that is the message it was logged with. In every language indented lines
//! belong to the one before.

use logmill_config::agent::Preset;
use regex::bytes::Regex;

use super::rules::Rule;

/// (line, after, not after); an empty pattern asks nothing.
type Patterns = (&'static str, &'static str, &'static str);

const INDENTED: Patterns = (r"^[ \t]", "", "");

const JAVA: &[Patterns] = &[
    INDENTED,
    (r"^(?:Caused by|Suppressed): ", "", ""),
    (r"^\.\.\. \d+ (?:more|common frames omitted)", "", ""),
    // The exception itself, below the line that logs it; after a frame it is another one.
    (r"^(?:[A-Za-z_$][\w$]*\.)+[\w$]*(?:Exception|Error|Throwable)\b", "", r"^\s+(?:at |\.\.\. )"),
];

const PYTHON: &[Patterns] = &[
    INDENTED,
    (r"^Traceback \(most recent call last\):", "", ""),
    // The exception, below the last frame.
    (r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*[a-z]\w*(?::|$)", r"^[ \t]", ""),
    (r"^$", "", ""),
    (r"^(?:During handling of the above exception|The above exception was the direct cause)", "", ""),
];

const GO: &[Patterns] = &[
    INDENTED,
    (r"^\[signal ", "", ""),
    (r"^$", r"^(?:panic: |fatal error: |\[signal |[ \t])", ""),
    (r"^(?:goroutine \d+ |runtime stack:)", r"^$", ""),
    (r"^(?:created by \S+.*|[\w./$%@~*()\[\]·,-]+\(.*\))$", r"^(?:goroutine \d+ |runtime stack:|\t)", ""),
    (r"^(?:exit status \d+|\.\.\.additional frames elided\.\.\.)", r"^\t", ""),
];

const RUST: &[Patterns] = &[
    INDENTED,
    ("", r"^thread '.*' (?:\(\d+\) )?panicked at ", ""),
    (r"^(?:note: |stack backtrace:$|\d+: )", "", ""),
    (r"^$", r"^(?:Error: |[ \t]|Caused by:)", ""),
    (r"^(?:Caused by|Stack backtrace|Location):$", "", ""),
];

const RUBY: &[Patterns] = &[
    INDENTED,
    // A frame alone; with a message after it, it is another exception.
    (r"^\S+:\d+:in [`'][^']*'$", "", ""),
    // The cause, below the frames of what it caused.
    (r"^\S+:\d+:in .+ \([\w:]+\)$", r"^\s+from ", ""),
];

const PHP: &[Patterns] = &[
    INDENTED,
    (r"^(?:PHP )?Stack trace:$", "", ""),
    (r"^(?:PHP +\d+\. |#\d+ )", "", ""),
    (r"^$", r"^#\d+ \{main\}", ""),
    (r"^Next \S+", "", ""),
];

const DOTNET: &[Patterns] =
    &[INDENTED, (r"^--- End of ", "", ""), (r"^(?:[A-Za-z_]\w*\.)+\w*Exception\b", "", r"^\s+at ")];

pub(super) fn rules(preset: Preset) -> Result<Vec<Rule>, regex::Error> {
    let patterns = match preset {
        Preset::Java => JAVA,
        Preset::Python => PYTHON,
        Preset::Go => GO,
        Preset::Rust => RUST,
        Preset::Ruby => RUBY,
        Preset::Php => PHP,
        Preset::Dotnet => DOTNET,
    };
    let optional = |pattern: &str| (!pattern.is_empty()).then(|| Regex::new(pattern)).transpose();
    let rule = |(line, after, not_after): &Patterns| {
        Ok(Rule { line: Regex::new(line)?, after: optional(after)?, not_after: optional(not_after)? })
    };
    patterns.iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use logmill_config::agent::Join;

    use super::{super::rules::Rules, *};

    /// Events of a text, each as its first line and the number of lines.
    fn events(preset: Preset, text: &str) -> Vec<(String, usize)> {
        let rules = Rules::new(&Join::Preset(preset)).unwrap();
        let mut events: Vec<(String, usize)> = Vec::new();
        let mut before = None;
        for line in text.lines() {
            match (events.last_mut(), before) {
                (Some(event), Some(before)) if rules.joins(before, line.as_bytes()) => event.1 += 1,
                _ => events.push((line.to_owned(), 1)),
            }
            before = Some(line.as_bytes());
        }
        events
    }

    /// The text between two lines of its own stays one event with the first.
    fn is_one_event(preset: Preset, trace: &str) {
        let text = format!("2026-05-01 INFO before\n2026-05-01 ERROR failed\n{trace}\n2026-05-01 INFO after\nlast");
        let lines = trace.lines().count();
        let expected = [
            ("2026-05-01 INFO before", 1),
            ("2026-05-01 ERROR failed", lines + 1),
            ("2026-05-01 INFO after", 1),
            ("last", 1),
        ];
        let expected: Vec<_> = expected.iter().map(|(line, n)| ((*line).to_owned(), *n)).collect();
        assert_eq!(expected, events(preset, &text), "{preset:?}");
    }

    #[test]
    fn traces_are_one_event_with_the_line_that_logs_them() {
        is_one_event(
            Preset::Java,
            "java.lang.IllegalStateException: no\n\tat a.B.c(B.java:7)\n\tat a.B.main(B.java:3)\n\
             \tSuppressed: java.io.IOException: x\n\t\tat a.B.d(B.java:9)\nCaused by: a.MyError: deep\n\
             \tat a.B.e(B.java:1)\n\t... 2 more",
        );
        is_one_event(
            Preset::Python,
            "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\n    ~^^\nKeyError: 'x'\n\n\
             During handling of the above exception, another exception occurred:\n\n\
             Traceback (most recent call last):\n  File \"a.py\", line 4, in <module>\n    f()\n\
             my.errors.Timeout: took too long",
        );
        is_one_event(
            Preset::Ruby,
            "\tfrom app.rb:5:in `each'\n\tfrom app.rb:9:in `<main>'\napp.rb:3:in `f': no (ArgumentError)\n\
             \tfrom app.rb:5:in 'Foo#bar'",
        );
        is_one_event(
            Preset::Php,
            "Stack trace:\n#0 /app/x.php(7): foo()\n#1 {main}\n\nNext RuntimeException: b in /app/x.php:9\nStack trace:\n\
             #0 {main}\n  thrown in /app/x.php on line 3",
        );
        is_one_event(
            Preset::Dotnet,
            "System.InvalidOperationException: no\n ---> System.IO.IOException: inner\n   at A.B() in /x.cs:line 3\n\
             \x20  --- End of inner exception stack trace ---\n   at A.C() in /x.cs:line 9\n\
             --- End of stack trace from previous location ---\n   at A.D()",
        );
    }

    #[test]
    fn a_panic_is_one_event() {
        let go = "panic: boom [recovered]\n\tpanic: again\n[signal SIGSEGV: segmentation violation code=0x1]\n\n\
                  goroutine 1 [running]:\nmain.(*T).f(0x1, {0x2, 0x3})\n\t/a/x.go:8 +0x1d\n\
                  created by net/http.(*Server).Serve in goroutine 1\n\t/a/server.go:3 +0x2\nexit status 2";
        assert_eq!(1, events(Preset::Go, go).len(), "{:?}", events(Preset::Go, go));
        let text = format!("serving (80)\n{go}\nserving again (80)\n");
        assert_eq!(3, events(Preset::Go, &text).len());
        let rust = "thread 'main' panicked at src/main.rs:2:5:\nassertion `left == right` failed\n  left: 1\n right: 2\n\
                    stack backtrace:\n   0: rust_begin_unwind\n             at /rustc/x.rs:1:2\n  10: main\n\
                    note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.";
        assert_eq!(1, events(Preset::Rust, rust).len(), "{:?}", events(Preset::Rust, rust));
        let anyhow = "Error: cannot start\n\nCaused by:\n    0: no such file\n    1: really";
        assert_eq!(1, events(Preset::Rust, anyhow).len());
        let ruby = "app.rb:2:in `foo': boom (RuntimeError)\n\tfrom app.rb:5:in `<main>'";
        assert_eq!(2, events(Preset::Ruby, &format!("started\n{ruby}")).len());
        let php =
            "PHP Fatal error:  Uncaught Exception: boom in /x.php:3\nPHP Stack trace:\nPHP   1. {main}() /x.php:0";
        assert_eq!(1, events(Preset::Php, php).len());
    }

    #[test]
    fn two_exceptions_in_a_row_are_two_events() {
        let java = "java.lang.RuntimeException: a\n\tat x.Y.z(Y.java:1)\n";
        assert_eq!(2, events(Preset::Java, &java.repeat(2)).len());
        let thread = "Exception in thread \"main\" java.lang.RuntimeException: a\n\tat x.Y.z(Y.java:1)\n";
        assert_eq!(2, events(Preset::Java, &thread.repeat(2)).len());
        let dotnet = "Unhandled exception. System.Exception: a\n   at A.B()\n";
        assert_eq!(2, events(Preset::Dotnet, &dotnet.repeat(2)).len());
        assert_eq!(
            2,
            events(Preset::Ruby, "app.rb:2:in `foo': boom (RuntimeError)\n\tfrom app.rb:5:in `x'\nstop\n").len()
        );
    }

    #[test]
    fn plain_lines_stay_alone() {
        let text =
            "INFO: started\nDEBUG: x\nat the end\nError: no\nGET /index.html 200\nthread pool is ready\n#channel\n";
        for preset in
            [Preset::Java, Preset::Python, Preset::Go, Preset::Ruby, Preset::Php, Preset::Dotnet, Preset::Rust]
        {
            assert_eq!(7, events(preset, text).len(), "{preset:?}: {:?}", events(preset, text));
        }
    }
}
