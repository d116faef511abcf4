//! Bytes into a JSON string: escapes, and U+FFFD for what is not UTF-8.

/// What each byte below 0x80 needs: 0 nothing, `u` a \u00XX escape, else the letter after the backslash.
const ESCAPES: [u8; 128] = {
    let mut table = [0; 128];
    let mut at = 0;
    while at < 0x20 {
        table[at] = b'u';
        at += 1;
    }
    table[0x7f] = 0;
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\t' as usize] = b't';
    table[0x08] = b'b';
    table[0x0c] = b'f';
    table
};

/// Appends `bytes` as the inside of a JSON string, adding at most `budget` bytes and never cutting a character;
/// whether all of it fitted.
pub(crate) fn append(out: &mut Vec<u8>, bytes: &[u8], budget: usize) -> bool {
    let limit = out.len().saturating_add(budget);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return append_text(out, text, limit);
    }
    bytes.utf8_chunks().all(|chunk| {
        append_text(out, chunk.valid(), limit) && (chunk.invalid().is_empty() || append_text(out, "\u{FFFD}", limit))
    })
}

fn append_text(out: &mut Vec<u8>, text: &str, limit: usize) -> bool {
    let bytes = text.as_bytes();
    let mut done = 0;
    loop {
        let plain = plain_len(&bytes[done..]);
        let room = limit.saturating_sub(out.len());
        if plain > room {
            let cut = (0..=room).rev().find(|n| text.is_char_boundary(done + n)).unwrap_or(0);
            out.extend_from_slice(&bytes[done..done + cut]);
            return false;
        }
        out.extend_from_slice(&bytes[done..done + plain]);
        done += plain;
        let Some(&byte) = bytes.get(done) else { return true };
        let escape = ESCAPES[usize::from(byte & 0x7f)];
        let needed = if escape == b'u' { 6 } else { 2 };
        if out.len() + needed > limit {
            return false;
        }
        out.extend_from_slice(&[b'\\', escape]);
        if escape == b'u' {
            let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
            out.extend_from_slice(&[b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
        }
        done += 1;
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Whether one of the eight bytes is a quote, a backslash or a control character (exact only as a whole).
pub(crate) fn has_special(word: u64) -> bool {
    let zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGHS;
    let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
    (zero(word ^ (ONES * b'"' as u64)) | zero(word ^ (ONES * b'\\' as u64)) | below_space) != 0
}

/// Length of the prefix that needs no escape.
pub(crate) fn plain_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]]);
        if has_special(word) {
            break;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|b| **b >= 0x80 || ESCAPES[usize::from(**b & 0x7f)] == 0).count()
}
