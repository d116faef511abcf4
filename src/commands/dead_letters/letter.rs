//! A dead letter: the original record, and the headers in which the sink said what was wrong with it.

use rdkafka::{Message, message::BorrowedMessage};

/// Where every header begins that a sink adds.
const ERROR: &str = "logmill-error-";
/// The line's identity, 16 bytes.
const ID: &str = "logmill-id";
/// For which sink alone a record is.
const REPLAY: &str = "logmill-replay-sink";
/// Where it was read the first time: it is no newer for being sent again.
const FIRST: &str = "logmill-replay-offset";

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Letter {
    /// Where it lies.
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,

    pub(super) sink: String,
    pub(super) class: String,
    pub(super) reason: String,
    pub(super) time: String,
    pub(super) attempts: String,
    /// Bytes of the original value where only its beginning was kept.
    pub(super) truncated: Option<String>,
    /// Where the original was read.
    pub(super) from: Place,

    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    /// The original's own.
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// Kafka timestamp in ms, -1 for none.
    pub(super) timestamp: i64,
}

impl Letter {
    /// `None`: no sink of ours wrote it.
    pub(super) fn read(message: &BorrowedMessage<'_>) -> Option<Self> {
        let mut all = Vec::new();
        logmill_sinks::headers(message, |name, value| {
            all.push((String::from_utf8_lossy(name).into_owned(), value.map(<[u8]>::to_vec)));
        });
        let mut letter = Self::of(all)?;
        letter.topic = message.topic().to_owned();
        (letter.partition, letter.offset) = (message.partition(), message.offset());
        letter.key = message.key().map(<[u8]>::to_vec);
        letter.value = message.payload().map(<[u8]>::to_vec);
        Some(letter)
    }

    fn of(all: Vec<(String, Option<Vec<u8>>)>) -> Option<Self> {
        let (errors, headers): (Vec<_>, Vec<_>) = all.into_iter().partition(|(name, _)| name.starts_with(ERROR));
        let said = |name: &str| {
            // The last one: a letter that was itself read as a record has those of before, too.
            let found = errors.iter().rev().find(|(key, _)| key.strip_prefix(ERROR) == Some(name));
            found.and_then(|(_, value)| value.as_ref()).map(|value| String::from_utf8_lossy(value).into_owned())
        };
        let from = Place {
            topic: said("topic")?,
            partition: said("partition")?.parse().ok()?,
            offset: said("offset")?.parse().ok()?,
            timestamp: said("timestamp").and_then(|text| text.parse().ok()).unwrap_or(-1),
        };
        Some(Self {
            sink: said("sink")?,
            class: said("class")?,
            reason: said("reason").unwrap_or_default(),
            time: said("time").unwrap_or_default(),
            attempts: said("attempts").unwrap_or_default(),
            truncated: said("truncated"),
            from,
            headers,
            ..Self::default()
        })
    }

    /// The reason without what differs from letter to letter, so that equal errors are one.
    pub(super) fn error(&self) -> String {
        pattern(&self.reason)
    }

    /// A short name for sink, class and error together.
    pub(super) fn error_id(&self) -> String {
        let text = format!("{}\n{}\n{}", self.sink, self.class, self.error());
        blake3::hash(text.as_bytes()).to_hex().chars().take(8).collect()
    }

    /// The original's headers as they go back: for this sink only, and with an identity that is the same at every replay.
    pub(super) fn replayed_headers(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let mut headers: Vec<_> = self.headers.iter().filter(|(name, _)| name != REPLAY).cloned().collect();
        if !headers.iter().any(|(name, value)| name == ID && value.as_ref().is_some_and(|id| id.len() == 16)) {
            let Place { topic, partition, offset, timestamp } = &self.from;
            let hash = blake3::hash(format!("{topic}-{partition}-{offset}-{timestamp}").as_bytes());
            headers.push((ID.to_owned(), hash.as_bytes().get(..16).map(<[u8]>::to_vec)));
        }
        if !headers.iter().any(|(name, _)| name == FIRST) {
            headers.push((FIRST.to_owned(), Some(self.from.offset.to_string().into_bytes())));
        }
        headers.push((REPLAY.to_owned(), Some(self.sink.as_bytes().to_vec())));
        headers
    }
}

/// Numbers become N, what stands in quotes …; at most 160 characters.
fn pattern(reason: &str) -> String {
    let mut out = String::new();
    let mut rest = reason.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_ascii_digit() {
            while rest.next_if(char::is_ascii_digit).is_some() {}
            out.push('N');
        } else if (c == '\'' || c == '"') && rest.clone().any(|other| other == c) {
            while rest.next_if(|other| *other != c).is_some() {}
            rest.next();
            out.extend([c, '…', c]);
        } else {
            out.push(if c.is_control() { ' ' } else { c });
        }
        if out.chars().count() >= 160 {
            out.push('…');
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn letter(more: &[(&str, &[u8])]) -> Letter {
        let mut all: Vec<_> = [
            ("logmill-error-sink", "app"),
            ("logmill-error-class", "document"),
            ("logmill-error-reason", "r"),
            ("logmill-error-topic", "logs"),
            ("logmill-error-partition", "2"),
            ("logmill-error-offset", "7"),
            ("logmill-error-timestamp", "5"),
        ]
        .map(|(name, value)| (name.to_owned(), Some(value.as_bytes().to_vec())))
        .into();
        all.extend(more.iter().map(|(name, value)| ((*name).to_owned(), Some(value.to_vec()))));
        Letter::of(all).unwrap()
    }

    #[test]
    fn equal_errors_have_one_name() {
        let reason = |n, value| {
            format!(
                "400 document_parsing_exception: [1:{n}] failed to parse field [n] of type [long] in document with id 'x{n}'. Preview: '{value}'"
            )
        };
        assert_eq!(
            pattern(&reason(17, "abc")),
            "N document_parsing_exception: [N:N] failed to parse field [n] of type [long] in document with id '…'. Preview: '…'"
        );
        assert_eq!(pattern(&reason(17, "abc")), pattern(&reason(3, "d e f")));
        assert_eq!(pattern("can't 'x' it's\n"), "can'…'x'…'s ");
        assert_eq!(pattern("it's"), "it's");
        assert!(pattern(&"é1".repeat(500)).chars().count() <= 161);
        let (a, mut b) = (letter(&[]), letter(&[]));
        assert_eq!((a.error_id(), a.error_id().len()), (b.error_id(), 8));
        b.sink = "other".into();
        assert_ne!(a.error_id(), b.error_id());
    }

    #[test]
    fn what_goes_back_is_the_original_for_one_sink_only() {
        let names = |letter: &Letter| letter.replayed_headers().into_iter().map(|h| h.0).collect::<Vec<_>>();
        let with_id = letter(&[("trace", b"\xff"), ("logmill-id", &[7; 16])]);
        assert_eq!(names(&with_id), ["trace", "logmill-id", "logmill-replay-offset", "logmill-replay-sink"]);
        assert_eq!(with_id.replayed_headers()[3].1.as_deref(), Some(&b"app"[..]));
        // Without an identity it gets the same one at every replay.
        let without = letter(&[]);
        assert_eq!(names(&without), ["logmill-id", "logmill-replay-offset", "logmill-replay-sink"]);
        assert_eq!(without.replayed_headers(), letter(&[]).replayed_headers());
        assert_eq!(without.replayed_headers()[0].1.as_ref().unwrap().len(), 16);
        // One that was replayed before and refused by another sink.
        let again = letter(&[("logmill-replay-sink", b"older")]);
        assert_eq!(again.replayed_headers().iter().filter(|h| h.0 == REPLAY).count(), 1);
        let third = letter(&[("logmill-replay-offset", b"3")]);
        assert_eq!(third.replayed_headers().iter().find(|h| h.0 == FIRST).unwrap().1.as_deref(), Some(&b"3"[..]));
    }

    #[test]
    fn other_records_are_no_letters() {
        assert_eq!(Letter::of(vec![]), None);
        assert_eq!(Letter::of(vec![("logmill-error-sink".into(), Some(b"a".to_vec()))]), None);
    }
}
