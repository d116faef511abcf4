//! How a file's bytes stand for characters: where lines end in it, where it can be cut, what it says in UTF-8.
//!
//! Tables are encoding_rs's. In all encodings but UTF-16 a newline is the byte 10 and nothing else is; UTF-16 is looked
//! at in units of two bytes, from an even offset of the file on.

use std::borrow::Cow;

use encoding_rs::Encoding;
use logmill_config::agent;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text(&'static Encoding);

impl Text {
    #[cfg(test)]
    pub(crate) const UTF_8: Self = Self(encoding_rs::UTF_8);

    pub(crate) fn new(encoding: agent::Encoding) -> Self {
        use agent::Encoding as E;
        Self(match encoding {
            E::Utf8 => encoding_rs::UTF_8,
            E::Utf16Le => encoding_rs::UTF_16LE,
            E::Utf16Be => encoding_rs::UTF_16BE,
            E::Gbk => encoding_rs::GBK,
            E::Gb18030 => encoding_rs::GB18030,
            E::Big5 => encoding_rs::BIG5,
            E::ShiftJis => encoding_rs::SHIFT_JIS,
            E::EucJp => encoding_rs::EUC_JP,
            E::EucKr => encoding_rs::EUC_KR,
            E::Latin1 => encoding_rs::WINDOWS_1252,
        })
    }

    /// What the byte order mark at a file's beginning says; `None` when there may be one that is not complete.
    pub(crate) fn of_file(self, beginning: &[u8]) -> Option<Self> {
        match Encoding::for_bom(beginning) {
            Some((encoding, _)) => Some(Self(encoding)),
            None => (beginning.len() >= 3).then_some(self),
        }
    }

    pub(crate) fn is_utf8(self) -> bool {
        self.0 == encoding_rs::UTF_8
    }

    /// Bytes of the smallest character.
    pub(crate) fn unit(self) -> usize {
        if self.is_utf16() { 2 } else { 1 }
    }

    fn is_utf16(self) -> bool {
        self.0 == encoding_rs::UTF_16LE || self.0 == encoding_rs::UTF_16BE
    }

    /// A character below 128 as UTF-16 has it.
    fn pair(self, character: u8) -> [u8; 2] {
        if self.0 == encoding_rs::UTF_16LE { [character, 0] } else { [0, character] }
    }

    /// `at`, or the next place before it where a character can begin or end.
    pub(crate) fn whole_units(self, at: u64) -> u64 {
        at - at % self.unit() as u64
    }

    /// The place of the first newline.
    pub(crate) fn newline(self, bytes: &[u8]) -> Option<usize> {
        if !self.is_utf16() {
            return memchr::memchr(b'\n', bytes);
        }
        let newline = self.pair(b'\n');
        memchr::memmem::find_iter(bytes, &newline).find(|at| at % 2 == 0)
    }

    /// A carriage return, which may belong to a line's terminator.
    pub(crate) fn carriage_return(self) -> &'static [u8] {
        match self.0 {
            e if e == encoding_rs::UTF_16LE => b"\r\0",
            e if e == encoding_rs::UTF_16BE => b"\0\r",
            _ => b"\r",
        }
    }

    pub(crate) fn ends_with_newline(self, bytes: &[u8]) -> bool {
        if self.is_utf16() { bytes.ends_with(&self.pair(b'\n')) } else { bytes.ends_with(b"\n") }
    }

    pub(crate) fn without_return(self, line: &[u8]) -> &[u8] {
        match line.strip_suffix(self.carriage_return()) {
            Some(rest) if rest.len() % self.unit() == 0 => rest,
            _ => line,
        }
    }

    /// Length of the NUL characters at the beginning.
    pub(crate) fn nul_run(self, bytes: &[u8]) -> usize {
        if bytes.first() != Some(&0) {
            return 0;
        }
        let zeros = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
        zeros - zeros % self.unit()
    }

    /// The last place at or before `at` that does not cut a character of `bytes` (which begin with one) in two; `at`
    /// itself where they are not of this encoding, and never 0.
    pub(crate) fn cut(self, bytes: &[u8], at: usize) -> usize {
        let at = at.min(bytes.len());
        if self.is_utf8() {
            return char_cut(bytes, at);
        }
        if self.is_utf16() {
            let at = (at - at % 2).max(2).min(bytes.len());
            let last = at.checked_sub(2).and_then(|i| bytes.get(i..at));
            let is_high = |unit: &[u8]| {
                let high = if self.0 == encoding_rs::UTF_16LE { unit[1] } else { unit[0] };
                (0xD8..=0xDB).contains(&high)
            };
            return if at > 2 && last.is_some_and(is_high) { at - 2 } else { at };
        }
        let mut place = 0;
        while place < at {
            let next = place + self.character_len(&bytes[place..]);
            if next > at {
                break;
            }
            place = next;
        }
        if place == 0 { at } else { place }
    }

    /// Length of the first character, by its first bytes.
    fn character_len(self, bytes: &[u8]) -> usize {
        let (first, second) = (bytes.first().copied().unwrap_or(0), bytes.get(1).copied().unwrap_or(0));
        let e = self.0;
        if first < 0x80 || e == encoding_rs::WINDOWS_1252 {
            1
        } else if e == encoding_rs::GB18030 || e == encoding_rs::GBK {
            if second.is_ascii_digit() { 4 } else { 2 }
        } else if e == encoding_rs::SHIFT_JIS {
            if (0xA0..=0xDF).contains(&first) || first == 0x80 { 1 } else { 2 }
        } else if e == encoding_rs::EUC_JP && first == 0x8F {
            3
        } else {
            2
        }
    }

    /// The text in UTF-8, U+FFFD for what is none; what is UTF-8 already is left as it is.
    pub(crate) fn decode(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        if self.is_utf8() {
            return Cow::Borrowed(bytes);
        }
        match self.0.decode_without_bom_handling(bytes).0 {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    }

    /// Without the byte order mark, where `bytes` are a file's beginning.
    pub(crate) fn without_mark(self, bytes: &[u8]) -> &[u8] {
        match Encoding::for_bom(bytes) {
            Some((encoding, len)) if encoding == self.0 => &bytes[len..],
            _ => bytes,
        }
    }
}

/// The last place at or before `at` that does not cut a UTF-8 character in two; `at` itself where the bytes are not
/// UTF-8, and never 0.
fn char_cut(bytes: &[u8], at: usize) -> usize {
    let is_inside = |i: usize| bytes.get(i).is_some_and(|b| b & 0xC0 == 0x80);
    (at.saturating_sub(3).max(1)..=at).rev().find(|i| !is_inside(*i)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use agent::Encoding as E;

    use super::*;

    const ALL: [E; 10] =
        [E::Utf8, E::Utf16Le, E::Utf16Be, E::Gbk, E::Gb18030, E::Big5, E::ShiftJis, E::EucJp, E::EucKr, E::Latin1];

    /// As encoding_rs writes it, and UTF-16, which it does not write.
    fn encode(text: Text, line: &str) -> Vec<u8> {
        if text.is_utf16() {
            let little = text.0 == encoding_rs::UTF_16LE;
            return line.encode_utf16().flat_map(|u| if little { u.to_le_bytes() } else { u.to_be_bytes() }).collect();
        }
        text.0.encode(line).0.into_owned()
    }

    #[test]
    fn text_of_every_encoding_comes_back_and_no_cut_breaks_a_character() {
        for encoding in ALL {
            let text = Text::new(encoding);
            let line = match encoding {
                E::Utf8 | E::Utf16Le | E::Utf16Be | E::Gb18030 => "aé語😀\u{a0a}b語c\u{d00}",
                E::Gbk => "a中文b语c",
                E::Big5 => "a中文b語c",
                E::ShiftJis | E::EucJp => "a日本ｶﾅb語c",
                E::EucKr => "a한국b어c",
                E::Latin1 => "aéüb€c",
            };
            let bytes = encode(text, line);
            assert_eq!(line.as_bytes(), &*text.decode(&bytes), "{encoding:?}");
            assert_eq!(None, text.newline(&bytes), "{encoding:?}");
            let terminated = encode(text, &format!("{line}\r\nnext"));
            let newline = text.newline(&terminated).unwrap();
            assert_eq!(bytes, text.without_return(&terminated[..newline]), "{encoding:?}");
            for at in 4..=bytes.len() {
                let cut = text.cut(&bytes, at);
                assert!(cut <= at && cut > 0, "{encoding:?}: {cut} of {at}");
                let parts = [text.decode(&bytes[..cut]), text.decode(&bytes[cut..])].concat();
                assert_eq!(line.as_bytes(), parts, "{encoding:?} at {at}");
            }
        }
    }

    #[test]
    fn marks_at_the_beginning() {
        let utf8 = Text::UTF_8;
        assert_eq!(Some(Text::new(E::Utf16Le)), utf8.of_file(b"\xFF\xFEa\0"));
        assert_eq!(Some(Text::new(E::Utf16Be)), Text::new(E::Gbk).of_file(b"\xFE\xFF"));
        assert_eq!(Some(Text::new(E::Gbk)), Text::new(E::Gbk).of_file(b"abc"));
        assert_eq!(None, utf8.of_file(b"\xEF\xBB"));
        assert_eq!(b"abc", utf8.without_mark(b"\xEF\xBB\xBFabc"));
        assert_eq!(b"abc", utf8.without_mark(b"abc"));
    }

    #[test]
    fn holes() {
        assert_eq!(3, Text::UTF_8.nul_run(b"\0\0\0a"));
        assert_eq!(0, Text::UTF_8.nul_run(b"a\0"));
        assert_eq!(2, Text::new(E::Utf16Be).nul_run(b"\0\0\0a"), "the third begins an a");
        assert_eq!(4, Text::new(E::Utf16Le).nul_run(b"\0\0\0\0a\0"));
    }

    #[test]
    fn a_newline_of_two_bytes_is_at_an_even_place() {
        let le = Text::new(E::Utf16Le);
        assert_eq!(Some(4), le.newline(b"\x01\x0a\x00\x01\x0a\x00"));
        assert!(le.ends_with_newline(b"a\0\n\0") && !le.ends_with_newline(b"a\n"));
        assert_eq!(6, le.whole_units(7));
    }
}
