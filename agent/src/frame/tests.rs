//! The same lines, whatever the reads.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;

/// Reads `bytes` in blocks of `sizes` (cycled), as the agent does: a block begins at the line not yet ended.
/// Gives (offset, raw length, kept length or -1 when dropped, whether it goes on).
fn frames(framing: &Framing, bytes: &[u8], boundaries: &[usize], sizes: &[usize]) -> Vec<(usize, usize, isize, bool)> {
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
                match find_end(block, boundary) {
                    Some((end, at_newline)) => {
                        let line = &bytes[start..offset + end];
                        let raw = if at_newline { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
                        let keep = match framing.on_long_line {
                            OnLongLine::Truncate => char_cut(&bytes[start..], framing.max_line) as isize,
                            _ => -1,
                        };
                        out.push((start, if keep < 0 { 0 } else { raw.len() }, keep, false));
                        offset += end + usize::from(at_newline);
                        long = None;
                        continue;
                    }
                    None => {
                        offset = seen;
                        break;
                    }
                }
            }
            match framing.find(block, boundary) {
                Found::Incomplete => break,
                Found::Line { raw, keep, next, .. } => {
                    out.push((offset, raw, keep as isize, false));
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
                    offset = seen;
                    break;
                }
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
        1 => Just("é€😀".as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_same_lines_for_every_split_into_reads(
        bytes in text(),
        sizes in prop::collection::vec(1_usize..20, 1..6),
        max_line in 1_usize..20,
        on_long_line in prop::sample::select(vec![OnLongLine::Truncate, OnLongLine::Split, OnLongLine::Drop]),
        mut boundaries in prop::collection::vec(1_usize..200, 0..3),
    ) {
        boundaries.sort_unstable();
        boundaries.retain(|b| *b <= bytes.len());
        let framing = Framing { max_line, on_long_line };
        let whole = frames(&framing, &bytes, &boundaries, &[bytes.len().max(1)]);
        prop_assert_eq!(&whole, &frames(&framing, &bytes, &boundaries, &sizes));
        // And whatever is not dropped is within the limit.
        prop_assert!(whole.iter().all(|(_, _, keep, _)| *keep <= max_line as isize));
    }
}

fn lines(max_line: usize, on_long_line: OnLongLine, bytes: &[u8]) -> Vec<(usize, usize, isize, bool)> {
    frames(&Framing { max_line, on_long_line }, bytes, &[], &[bytes.len()])
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
    assert_eq!(Vec::<(usize, usize, isize, bool)>::new(), lines(9, Truncate, b"no end"));
}

#[test]
fn a_boundary_ends_a_line_and_a_newline_before_it_comes_first() {
    let framing = Framing { max_line: 10, on_long_line: OnLongLine::Truncate };
    assert_eq!(Found::Line { raw: 2, keep: 2, next: 2, at_newline: false }, framing.find(b"ab\ncd", Some(2)));
    assert_eq!(Found::Line { raw: 1, keep: 1, next: 2, at_newline: true }, framing.find(b"a\nbc", Some(4)));
    assert_eq!(Found::Incomplete, framing.find(b"abc", Some(4)));
}
