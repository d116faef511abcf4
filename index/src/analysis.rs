//! The `standard` analyzer: words as Unicode's word boundaries (UAX #29) cut them in text as logs have it, lower-cased.
//!
//! ASCII takes a fast path. As in Elasticsearch a token longer than 255 characters is cut into pieces of 255.

use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer, TokenizerManager};

/// Name of the analyzer of text fields.
pub(crate) const STANDARD: &str = "standard";
/// Longest token in characters, Elasticsearch's `max_token_length`.
const MAX_TOKEN: usize = 255;

/// The tokenizers every index is opened with.
pub(crate) fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::default();
    manager.register(STANDARD, TextAnalyzer::from(Standard::default()));
    manager
}

/// The tokens of a query's text with their positions.
pub(crate) fn analyze(text: &str) -> Vec<(usize, String)> {
    let mut tokenizer = Standard::default();
    let mut stream = tokenizer.token_stream(text);
    let mut tokens = Vec::new();
    while stream.advance() {
        tokens.push((stream.token().position, stream.token().text.clone()));
    }
    tokens
}

#[derive(Clone, Default)]
pub(crate) struct Standard {
    token: Token,
}

pub(crate) struct StandardStream<'a> {
    text: &'a str,
    at: usize,
    token: &'a mut Token,
}

impl Tokenizer for Standard {
    type TokenStream<'a> = StandardStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> StandardStream<'a> {
        self.token.reset();
        StandardStream { text, at: 0, token: &mut self.token }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    /// `_`: joins letters and digits.
    Connector,
    Katakana,
    /// A word of its own: ideographs, hiragana.
    Single,
    Other,
}

fn class(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' => Class::Letter,
        '0'..='9' => Class::Digit,
        '_' => Class::Connector,
        _ if c.is_ascii() => Class::Other,
        '\u{3040}'..='\u{309f}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => Class::Single,
        '\u{30a0}'..='\u{30ff}' => Class::Katakana,
        '\u{203f}' | '\u{2040}' => Class::Connector,
        // Combining marks and joiners stay with their letter.
        '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}' | '\u{fe0f}' => Class::Letter,
        _ if c.is_numeric() => Class::Digit,
        _ if c.is_alphabetic() => Class::Letter,
        _ => Class::Other,
    }
}

/// Whether `c` between `before` and `after` stays inside a word (`e.g`, `1,000`, `can't`).
fn joins(before: Class, c: char, after: Class) -> bool {
    match c {
        '.' | '\'' | '\u{2019}' | '\u{2018}' | '\u{2024}' | '\u{ff0e}' => {
            before == after && matches!(before, Class::Letter | Class::Digit)
        }
        ':' | '\u{b7}' | '\u{387}' | '\u{2027}' => before == Class::Letter && after == Class::Letter,
        ',' | ';' => before == Class::Digit && after == Class::Digit,
        _ => false,
    }
}

impl StandardStream<'_> {
    fn char_at(&self, at: usize) -> Option<char> {
        let byte = *self.text.as_bytes().get(at)?;
        if byte < 0x80 { Some(char::from(byte)) } else { self.text.get(at..)?.chars().next() }
    }

    /// The end of the word that starts at `start`, and whether it has a letter or digit.
    fn word_end(&self, start: usize, first: char) -> (usize, bool) {
        let mut last = class(first);
        let mut end = start + first.len_utf8();
        let mut real = last != Class::Connector;
        let mut count = 1;
        if last == Class::Single {
            return (end, true);
        }
        while count < MAX_TOKEN
            && let Some(c) = self.char_at(end)
        {
            let this = class(c);
            match this {
                Class::Letter | Class::Digit if last != Class::Katakana => real = true,
                Class::Katakana if matches!(last, Class::Katakana | Class::Connector) => real = true,
                Class::Connector => {}
                Class::Other => {
                    let after = self.char_at(end + c.len_utf8()).map_or(Class::Other, class);
                    if !joins(last, c, after) {
                        break;
                    }
                }
                _ => break,
            }
            if this != Class::Other {
                last = this;
            }
            end += c.len_utf8();
            count += 1;
        }
        (end, real)
    }
}

impl TokenStream for StandardStream<'_> {
    fn advance(&mut self) -> bool {
        while let Some(first) = self.char_at(self.at) {
            let start = self.at;
            if class(first) == Class::Other {
                self.at += first.len_utf8();
                continue;
            }
            let (end, real) = self.word_end(start, first);
            self.at = end;
            if !real {
                continue;
            }
            let word = &self.text[start..end];
            self.token.offset_from = start;
            self.token.offset_to = end;
            self.token.position = self.token.position.wrapping_add(1);
            self.token.text.clear();
            if word.is_ascii() {
                self.token.text.push_str(word);
                self.token.text.make_ascii_lowercase();
            } else {
                self.token.text.extend(word.chars().flat_map(char::to_lowercase));
            }
            return true;
        }
        false
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        analyze(text).into_iter().map(|(_, word)| word).collect()
    }

    #[test]
    fn cuts_as_the_standard_analyzer() {
        assert_eq!(words("GET /api/v1/users?id=17 HTTP/1.1"), ["get", "api", "v1", "users", "id", "17", "http", "1.1"]);
        assert_eq!(
            words("can't connect to 10.0.0.1:9200, e.g. foo_bar"),
            ["can't", "connect", "to", "10.0.0.1", "9200", "e.g", "foo_bar"]
        );
        assert_eq!(words("order-17 user@example.com 1,000"), ["order", "17", "user", "example.com", "1,000"]);
        assert_eq!(words("Größe 日本 カタカナ"), ["größe", "日", "本", "カタカナ"]);
        assert_eq!(words("  -- __ ..  "), Vec::<String>::new());
        assert_eq!(words(&"x".repeat(300)).iter().map(String::len).collect::<Vec<_>>(), [255, 45]);
    }

    #[test]
    fn positions_count_words() {
        assert_eq!(analyze("a - b").into_iter().map(|(position, _)| position).collect::<Vec<_>>(), [0, 1]);
    }
}
