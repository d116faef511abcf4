//! The same events, whatever the reads.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use logmill_config::agent::{Container, Join, Preset};
use proptest::prelude::*;

use super::{rules::Rules, *};

/// (offset, raw length, kept length or -1 when dropped, whether it goes on or was cut).
type Frame = (usize, usize, isize, bool);

fn plain(max_line: usize, on_long_line: OnLongLine) -> Framing {
    Framing { text: Text::UTF_8, max_line, on_long_line, joining: None }
}

fn joined(max_line: usize, max_lines: usize, join: Option<&Join>, container: Option<Container>) -> Framing {
    let joining = Joining {
        rules: join.map(|join| Rules::new(join).unwrap()),
        container,
        timeout: std::time::Duration::from_secs(1),
        max_lines,
        max_bytes: max_line,
    };
    Framing { joining: Some(Rc::new(joining)), ..plain(max_line, OnLongLine::Truncate) }
}

/// Reads `bytes` in blocks of `sizes` (cycled), as the agent does: a block begins at the event not yet ended.
fn frames(framing: &Framing, bytes: &[u8], boundaries: &[usize], sizes: &[usize]) -> Vec<Frame> {
    let (mut out, mut offset, mut seen, mut turn) = (Vec::new(), 0, 0, 0);
    let mut long: Option<usize> = None;
    loop {
        let at_end = seen == bytes.len();
        seen = (seen + sizes[turn % sizes.len()]).min(bytes.len());
        turn += 1;
        loop {
            let block = &bytes[offset..seen];
            let boundary = boundaries.iter().find(|b| **b > offset).map(|b| b - offset);
            if let Some(start) = long {
                match find_end(framing.text, block, boundary) {
                    Some((end, at_newline)) => {
                        let line = &bytes[start..offset + end];
                        let raw = if at_newline { framing.text.without_return(line) } else { line };
                        let keep = match framing.on_long_line {
                            OnLongLine::Truncate => framing.text.cut(&bytes[start..], framing.max_line) as isize,
                            _ => -1,
                        };
                        out.push((start, if keep < 0 { 0 } else { raw.len() }, keep, false));
                        offset += if at_newline { end + framing.text.unit() } else { end };
                        long = None;
                        continue;
                    }
                    None => {
                        offset += block.len() - block.len() % framing.text.unit();
                        break;
                    }
                }
            }
            match framing.find(block, boundary) {
                Found::Incomplete => break,
                Found::Line { raw, keep, next, cut, .. } => {
                    out.push((offset, raw, keep as isize, cut));
                    offset += next;
                }
                Found::Piece { raw } => {
                    out.push((offset, raw, raw as isize, true));
                    offset += raw;
                }
                Found::TooLong { next } => {
                    out.push((offset, 0, -1, false));
                    offset += next;
                }
                Found::Long => {
                    long = Some(offset);
                    offset += block.len() - block.len() % framing.text.unit();
                    break;
                }
                Found::Hole { next } => offset += next,
            }
        }
        if at_end {
            return out;
        }
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => "[a-c]{0,12}".prop_map(String::into_bytes),
        2 => Just(b"\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b"\n\0\0\0".to_vec()),
        1 => Just("é€😀".as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// Lines of traces and of what is around them.
fn events() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        2 => "[a-c]{0,6}",
        2 => "  at [a-c]{0,6}",
        1 => Just("> begin".to_owned()),
        1 => Just("more \\".to_owned()),
        1 => Just("end;".to_owned()),
        1 => "[a-c]{30,50}",
    ];
    let end = prop::sample::select(vec!["\n", "\n", "\n", "\r\n", "\n\n", "\n\0\0"]);
    prop::collection::vec((line, end), 0..20).prop_map(|lines| {
        lines.into_iter().flat_map(|(line, end)| line.into_bytes().into_iter().chain(end.bytes())).collect()
    })
}

fn join() -> impl Strategy<Value = Join> {
    prop::sample::select(vec![
        Join::Start("^>".into()),
        Join::Continue(r"^\s".into()),
        Join::ContinueNext(r"\\$".into()),
        Join::End(";$".into()),
        Join::Preset(Preset::Java),
        Join::Preset(Preset::Python),
    ])
}

/// Traces with the lines around them.
const TRACES: [(Preset, &str); 7] = [
    (
        Preset::Java,
        "ERROR failed\njava.lang.IllegalStateException: no\n\tat a.B.c(B.java:7)\nCaused by: a.MyError: deep\n\t... 2 more\nafter\n",
    ),
    (
        Preset::Python,
        "ERROR failed\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nKeyError: 'x'\n\n\
         During handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n\
         \x20 File \"a.py\", line 4\nmy.errors.Timeout: too long\nafter\n",
    ),
    (
        Preset::Go,
        "serving\npanic: boom\n[signal SIGSEGV: x]\n\ngoroutine 1 [running]:\nmain.(*T).f(0x1)\n\t/a/x.go:8 +0x1d\n\
         created by net/http.(*Server).Serve in goroutine 1\n\t/a/server.go:3 +0x2\nexit status 2\nafter\n",
    ),
    (
        Preset::Rust,
        "started\nthread 'main' panicked at src/main.rs:2:5:\nno\nstack backtrace:\n   0: main\n   at /x.rs:1:2\n\
         note: Some details are omitted\nafter\nError: cannot start\n\nCaused by:\n    0: no such file\nafter\n",
    ),
    (
        Preset::Ruby,
        "started\napp.rb:2:in `foo': boom (RuntimeError)\n\tfrom app.rb:5:in `<main>'\napp.rb:3:in `f': no (ArgumentError)\n\
         \tfrom app.rb:5:in 'Foo#bar'\nafter\n",
    ),
    (
        Preset::Php,
        "PHP Fatal error:  Uncaught Exception: boom in /x.php:3\nStack trace:\n#0 /app/x.php(7): foo()\n#1 {main}\n\n\
         Next RuntimeException: b in /app/x.php:9\nStack trace:\n#0 {main}\n  thrown in /app/x.php on line 3\nafter\n",
    ),
    (
        Preset::Dotnet,
        "ERROR failed\nSystem.InvalidOperationException: no\n ---> System.IO.IOException: inner\n   at A.B() in /x.cs:line 3\n\
         \x20  --- End of inner exception stack trace ---\n   at A.C()\nafter\n",
    ),
];

/// Lines as a container runtime writes them; those longer than `longest` in parts.
fn in_container(container: Option<Container>, text: &str, longest: usize) -> String {
    let wrap = |line: &str| {
        let parts = line.len().div_ceil(longest).max(1);
        let part = |n: usize| {
            let (part, ends) = (&line[n * longest..line.len().min((n + 1) * longest)], n + 1 == parts);
            match container {
                None => format!("{part}{}", if ends { "\n" } else { "" }),
                Some(Container::Docker) => {
                    let log = serde_json::to_string(&format!("{part}{}", if ends { "\n" } else { "" })).unwrap();
                    format!("{{\"log\":{log},\"stream\":\"stderr\",\"time\":\"T\"}}\n")
                }
                Some(_) => format!("2026-05-01T10:00:00Z stderr {} {part}\n", if ends { 'F' } else { 'P' }),
            }
        };
        (0..parts).map(part).collect::<String>()
    };
    text.lines().map(wrap).collect()
}

#[test]
fn the_same_traces_for_every_split_into_reads() {
    for (preset, trace) in TRACES {
        for container in [None, Some(Container::Docker), Some(Container::Cri)] {
            let bytes = in_container(container, trace, 100);
            let framing = joined(10_000, 99, Some(&Join::Preset(preset)), container);
            let whole = frames(&framing, bytes.as_bytes(), &[], &[bytes.len()]);
            for at in 1..bytes.len() {
                let split = frames(&framing, bytes.as_bytes(), &[], &[at, bytes.len()]);
                assert_eq!(whole, split, "{preset:?} in {container:?}, split at {at}");
                let all = frames(&framing, bytes.as_bytes(), &[], &[at]);
                assert_eq!(whole, all, "{preset:?} in {container:?}, reads of {at}");
            }
            assert!(!whole.is_empty(), "{preset:?} in {container:?}");
        }
    }
}

proptest! {
    #[test]
    fn the_same_lines_for_every_split_into_reads(
        bytes in text(),
        sizes in prop::collection::vec(1_usize..20, 1..6),
        max_line in 4_usize..20,
        on_long_line in prop::sample::select(vec![OnLongLine::Truncate, OnLongLine::Split, OnLongLine::Drop]),
        encoding in prop::sample::select(vec![
            logmill_config::agent::Encoding::Utf8,
            logmill_config::agent::Encoding::Utf16Le,
            logmill_config::agent::Encoding::Utf16Be,
            logmill_config::agent::Encoding::Gb18030,
        ]),
        mut boundaries in prop::collection::vec(1_usize..200, 0..3),
    ) {
        let framing = plain(max_line, on_long_line).in_encoding(Text::new(encoding));
        boundaries.iter_mut().for_each(|b| *b -= *b % framing.text.unit());
        boundaries.sort_unstable();
        boundaries.retain(|b| *b <= bytes.len());
        let whole = frames(&framing, &bytes, &boundaries, &[bytes.len().max(1)]);
        prop_assert_eq!(&whole, &frames(&framing, &bytes, &boundaries, &sizes));
        // And whatever is not dropped is within the limit.
        prop_assert!(whole.iter().all(|(_, _, keep, _)| *keep <= max_line as isize));
    }

    #[test]
    fn the_same_events_for_every_split_into_reads(
        bytes in events(),
        sizes in prop::collection::vec(1_usize..40, 1..6),
        max_line in 20_usize..60,
        max_lines in 2_usize..6,
        join in join(),
        on_long_line in prop::sample::select(vec![OnLongLine::Truncate, OnLongLine::Split, OnLongLine::Drop]),
        mut boundaries in prop::collection::vec(1_usize..300, 0..4),
    ) {
        boundaries.sort_unstable();
        boundaries.retain(|b| *b <= bytes.len());
        let framing = Framing { on_long_line, ..joined(max_line, max_lines, Some(&join), None) };
        let whole = frames(&framing, &bytes, &boundaries, &[bytes.len().max(1)]);
        prop_assert_eq!(&whole, &frames(&framing, &bytes, &boundaries, &sizes));
        // No event has more lines than it may, and no line is in none.
        let mut end = 0;
        for (start, raw, keep, _) in &whole {
            let lines = bytes[*start..start + raw].iter().filter(|b| **b == b'\n').count() + 1;
            prop_assert!(lines <= max_lines && *keep <= max_line as isize);
            if *keep >= 0 && on_long_line != OnLongLine::Drop {
                prop_assert!(bytes[end..*start].iter().all(|b| b"\r\n\0".contains(b)), "{:?}", &bytes[end..*start]);
                end = start + raw;
            }
        }
    }

    #[test]
    fn the_same_lines_of_containers_for_every_split_into_reads(
        bytes in events(),
        sizes in prop::collection::vec(1_usize..120, 1..6),
        (max_line, max_lines, longest) in (60_usize..300, 2_usize..9, 1_usize..20),
        join in prop::option::of(join()),
        (written, read) in prop::sample::select(vec![
            (Container::Docker, Container::Docker),
            (Container::Cri, Container::Cri),
            (Container::Docker, Container::Auto),
            (Container::Cri, Container::Auto),
            (Container::Cri, Container::Docker),
        ]),
        on_long_line in prop::sample::select(vec![OnLongLine::Truncate, OnLongLine::Split, OnLongLine::Drop]),
        mut boundaries in prop::collection::vec(1_usize..600, 0..4),
    ) {
        let bytes = in_container(Some(written), std::str::from_utf8(&bytes).unwrap(), longest);
        boundaries.sort_unstable();
        boundaries.retain(|b| *b <= bytes.len());
        let framing = Framing { on_long_line, ..joined(max_line, max_lines, join.as_ref(), Some(read)) };
        let whole = frames(&framing, bytes.as_bytes(), &boundaries, &[bytes.len().max(1)]);
        prop_assert_eq!(&whole, &frames(&framing, bytes.as_bytes(), &boundaries, &sizes));
    }
}

fn lines(max_line: usize, on_long_line: OnLongLine, bytes: &[u8]) -> Vec<Frame> {
    frames(&plain(max_line, on_long_line), bytes, &[], &[bytes.len()])
}

#[test]
fn terminators_and_the_limit() {
    use OnLongLine::{Drop, Split, Truncate};
    assert_eq!(vec![(0, 1, 1, false), (2, 1, 1, false), (5, 0, 0, false)], lines(9, Truncate, b"a\nb\r\n\n"));
    assert_eq!(vec![(0, 3, 3, false)], lines(3, Truncate, b"abc\r\n"), "the terminator does not count");
    assert_eq!(vec![(0, 5, 3, false), (6, 1, 1, false)], lines(3, Truncate, b"abcde\nf\n"));
    assert_eq!(vec![(0, 0, -1, false), (6, 1, 1, false)], lines(3, Drop, b"abcde\nf\n"));
    assert_eq!(vec![(0, 3, 3, true), (3, 2, 2, false), (6, 1, 1, false)], lines(3, Split, b"abcde\nf\n"));
    let characters = "a\u{e9}\u{e9}b\u{20ac}\n".as_bytes();
    assert_eq!(vec![(0, 3, 3, true), (3, 3, 3, true), (6, 3, 3, false)], lines(4, Split, characters));
    assert_eq!(Vec::<Frame>::new(), lines(9, Truncate, b"no end"));
    assert_eq!(
        vec![(3, 1, 1, false), (5, 3, 3, false)],
        lines(9, Truncate, b"\0\0\0a\nb\0c\n"),
        "holes at a beginning"
    );
}

#[test]
fn a_boundary_ends_a_line_and_a_newline_before_it_comes_first() {
    let framing = plain(10, OnLongLine::Truncate);
    let line = |raw, next, at_newline| Found::Line { raw, keep: raw, next, at_newline, cut: false };
    assert_eq!(line(2, 2, false), framing.find(b"ab\ncd", Some(2)));
    assert_eq!(line(1, 2, true), framing.find(b"a\nbc", Some(4)));
    assert_eq!(Found::Incomplete, framing.find(b"abc", Some(4)));
}

/// The texts of the events; `+` after one that was cut.
fn texts(framing: &Framing, bytes: &str, boundaries: &[usize]) -> Vec<String> {
    let mut content = Content::default();
    let found = frames(framing, bytes.as_bytes(), boundaries, &[7, 100]);
    let text = |(start, raw, _, cut): &Frame| {
        let raw = &bytes.as_bytes()[*start..start + raw];
        let bytes = framing.content(raw, *start == 0, &mut content).map_or(raw.to_vec(), |c| c.text.clone());
        format!("{}{}", String::from_utf8(bytes).unwrap(), if *cut { "+" } else { "" })
    };
    found.iter().map(text).collect()
}

#[test]
fn lines_that_belong_together() {
    let of = |join: Join, text| texts(&joined(100, 4, Some(&join), None), text, &[]);
    let start = "half\n> a\n b\r\n\n> c\n> d\n";
    assert_eq!(["half", "> a\n b", "> c"], *of(Join::Start("^>".into()), start), "the last may go on");
    assert_eq!(["a\n b\n c", "d"], *of(Join::Continue(r"^\s".into()), "a\n b\n c\nd\ne\n"));
    assert_eq!(["a\\\nb", "c"], *of(Join::ContinueNext(r"\\$".into()), "a\\\nb\nc\nd\\\n"));
    assert_eq!(["a\nb;", "c;"], *of(Join::End(";$".into()), "a\nb;\nc;\nd\n"));
    let long = "> 1\n 2\n 3\n 4\n 5\n 6\n> 7\n>\n";
    assert_eq!(["> 1\n 2\n 3\n 4+", " 5\n 6", "> 7"], *of(Join::Start("^>".into()), long), "bounded by lines");
    let wide = format!("> 1\n{0}\n{0}\n{0}\n>\n", "x".repeat(40));
    let parts = of(Join::Start("^>".into()), &wide);
    assert_eq!(2, parts.len(), "bounded by bytes: {parts:?}");
    let too_long = format!("> 1\n{}\n 2\n>\n", "x".repeat(101));
    let framing = joined(100, 4, Some(&Join::Start("^>".into())), None);
    let found = frames(&framing, too_long.as_bytes(), &[], &[30]);
    assert_eq!(vec![(0, 3, 3, true), (4, 101, 100, false), (106, 2, 2, false)], found);
}

#[test]
fn time_ends_an_event_where_the_checkpoint_says() {
    let framing = joined(100, 9, Some(&Join::Start("^>".into())), None);
    assert_eq!(["> a\n b", " c", "> d"], *texts(&framing, "> a\n b\n c\n> d\n>\n", &[7]));
    assert_eq!(["> a\n b", " c"], *texts(&framing, "> a\n b c\n>\n", &[6]), "inside a line");
}

#[test]
fn lines_of_containers() {
    let at = "2026-05-01T10:00:00Z";
    let cri = joined(1000, 99, None, Some(Container::Auto));
    let text = format!("{at} stdout P one \n{at} stdout F line\n{at} stderr F other\n{at} stdout F third\n");
    assert_eq!(["one line", "other", "third"], *texts(&cri, &text, &[]));
    let text = format!("{at} stdout P one \n{at} stderr F between\n{at} stdout F line\n");
    assert_eq!(["one +", "between", "line"], *texts(&cri, &text, &[]));
    let docker = r#"{"log":"one ","stream":"stdout","time":"T"}
{"log":"line\n","stream":"stdout","time":"T"}
not docker's
{"log":"\n","stream":"stdout","time":"T"}
"#;
    assert_eq!(["one line", "not docker's", ""], *texts(&cri, docker, &[]));
    let java = joined(1000, 99, Some(&Join::Preset(Preset::Java)), Some(Container::Cri));
    let text = format!(
        "{at} stdout F ERROR\n{at} stdout P \tat x\n{at} stdout F .y\n{at} stdout F \tat z\n{at} stdout F next\n{at} stdout F x\n"
    );
    assert_eq!(["ERROR\n\tat x.y\n\tat z", "next"], *texts(&java, &text, &[]));
}

/// As conmon writes what a program writes apart from its newlines.
#[test]
fn rules_look_at_what_was_cut_as_a_whole() {
    let cut = |lines: &[&str]| -> String {
        lines
            .iter()
            .map(|line| format!("2026-05-01T10:00:00Z stdout P {line}\n2026-05-01T10:00:00Z stdout F \n"))
            .collect()
    };
    let cri = |join: &Join| joined(1000, 99, Some(join), Some(Container::Cri));
    let text = cut(&["one", "END", "two", "END"]);
    assert_eq!(["one\nEND", "two\nEND"], *texts(&cri(&Join::End("^END".into())), &text, &[]));
    let next = cri(&Join::ContinueNext("^HEAD".into()));
    assert_eq!(["HEAD\ntail", "x"], *texts(&next, &cut(&["HEAD", "tail", "x"]), &[]));
    let python = cri(&Join::Preset(Preset::Python));
    let text = cut(&["ERROR", "Traceback (most recent call last):", "  File", "KeyError: 'x'", "next", "x"]);
    let traces = texts(&python, &text, &[]);
    assert_eq!("ERROR\nTraceback (most recent call last):\n  File\nKeyError: 'x'", traces[0]);
    let begin = python.last_begin(text.as_bytes(), false).unwrap();
    assert!(text[begin..].contains("stdout P x"));
}
