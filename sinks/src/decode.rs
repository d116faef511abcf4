//! What a record's value is to its sink (`decode`): one JSON object as it stands, or any bytes, which become the `message` of
//! an event.

use logmill_config::sinks::Decode;

use crate::event::Record;

/// A larger event is no event.
const MOST: usize = 16 << 20;
/// Written at once, so that the bound is noticed before all of a value is written.
const STEP: usize = 64 << 10;
/// A buffer that one large value made is not kept.
const KEPT: usize = 1 << 20;

/// Makes events of values, in a buffer that is used again.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    decode: Decode,
    event: Vec<u8>,
}

impl Decoder {
    pub(crate) fn new(decode: Decode) -> Self {
        Self { decode, event: Vec::new() }
    }

    /// Whether values are text and become events by [`Decoder::event`].
    pub(crate) fn is_raw(&self) -> bool {
        self.decode == Decode::Raw
    }

    /// `value` as an event: `@timestamp` is the record's, where it has one; `log.flags` says `invalid_utf8` where bytes
    /// that are no text were replaced by U+FFFD.
    ///
    /// # Errors
    /// The reason for the dead letter.
    pub(crate) fn event(&mut self, record: &Record<'_>, value: &[u8]) -> Result<&[u8], String> {
        let out = &mut self.event;
        out.clear();
        out.shrink_to(KEPT);
        out.push(b'{');
        if let Some(time) = time(record.timestamp) {
            out.extend_from_slice(format!("\"@timestamp\":\"{time:.3}\",").as_bytes());
        }
        out.extend_from_slice(b"\"message\":\"");
        let mut replaced = false;
        for chunk in value.utf8_chunks() {
            text(out, chunk.valid())?;
            if !chunk.invalid().is_empty() {
                out.extend_from_slice("\u{FFFD}".as_bytes());
                replaced = true;
            }
            bounded(out)?;
        }
        out.extend_from_slice(if replaced { b"\",\"log\":{\"flags\":[\"invalid_utf8\"]}}" } else { b"\"}" });
        Ok(out)
    }
}

/// Appends the inside of a JSON string.
fn text(out: &mut Vec<u8>, mut text: &str) -> Result<(), String> {
    while !text.is_empty() {
        let (head, rest) = text.split_at(text.floor_char_boundary(STEP));
        // Its opening quote takes the place of the byte before, which comes back; there always is one.
        let Some(before) = out.pop() else { return Ok(()) };
        let at = out.len();
        serde_json::to_writer(&mut *out, head).map_err(|e| format!("the value cannot be written as text: {e}"))?;
        if let Some(quote) = out.get_mut(at) {
            *quote = before;
        }
        out.pop();
        bounded(out)?;
        text = rest;
    }
    Ok(())
}

fn bounded(out: &[u8]) -> Result<(), String> {
    if out.len() <= MOST { Ok(()) } else { Err(format!("the value makes an event of more than {MOST} bytes")) }
}

/// In UTC, if it is a time.
fn time(millis: i64) -> Option<jiff::Timestamp> {
    (millis >= 0).then(|| jiff::Timestamp::from_millisecond(millis).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(timestamp: i64) -> Record<'static> {
        Record { topic: "t", partition: 0, offset: 1, timestamp, key: None, value: None }
    }

    fn event(timestamp: i64, value: &[u8]) -> Result<String, String> {
        let mut decoder = Decoder::new(Decode::Raw);
        decoder.event(&record(timestamp), value).map(|event| String::from_utf8(event.to_vec()).unwrap())
    }

    #[test]
    fn text_is_the_message_at_the_record_s_time() {
        assert_eq!(
            event(1_795_245_407_042, "<34>Nov 21 su: \"no\" \\ é\t\u{1}\n".as_bytes()).unwrap(),
            "{\"@timestamp\":\"2026-11-21T07:16:47.042Z\",\"message\":\"<34>Nov 21 su: \\\"no\\\" \\\\ é\\t\\u0001\\n\"}"
        );
        assert_eq!(event(0, b"").unwrap(), "{\"@timestamp\":\"1970-01-01T00:00:00.000Z\",\"message\":\"\"}");
        for no_time in [-1, i64::MIN, i64::MAX] {
            assert_eq!(event(no_time, b"{\"a\":1}").unwrap(), "{\"message\":\"{\\\"a\\\":1}\"}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_say_so() {
        assert_eq!(
            event(-1, b"\xff\"a\xc3\x28\xe2\x82").unwrap(),
            "{\"message\":\"\u{FFFD}\\\"a\u{FFFD}(\u{FFFD}\",\"log\":{\"flags\":[\"invalid_utf8\"]}}"
        );
    }

    #[test]
    fn it_is_what_serde_would_write_for_any_bytes() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let mut value: Vec<u8> = (0..random.usize(0..200)).map(|_| random.u8(..)).collect();
            if random.bool() {
                value = String::from_utf8_lossy(&value).into_owned().into_bytes();
            }
            let expected = String::from_utf8_lossy(&value);
            let found: serde_json::Value = serde_json::from_str(&event(-1, &value).unwrap()).unwrap();
            assert_eq!(found["message"], *expected);
            assert_eq!(found["log"].is_object(), std::str::from_utf8(&value).is_err());
        }
        // A character across the border of two steps.
        let long = "é".repeat(STEP);
        let found: serde_json::Value =
            serde_json::from_str(&event(-1, format!("x{long}").as_bytes()).unwrap()).unwrap();
        assert_eq!(found["message"], format!("x{long}"));
    }

    #[test]
    fn an_event_is_bounded() {
        let mut decoder = Decoder::new(Decode::Raw);
        let most = vec![b'x'; MOST - 100];
        assert!(decoder.event(&record(-1), &most).is_ok());
        for larger in [vec![b'x'; MOST], vec![0; MOST / 6 + 1], vec![0xff; MOST / 3 + 1]] {
            let reason = decoder.event(&record(-1), &larger).unwrap_err();
            assert_eq!(reason, "the value makes an event of more than 16777216 bytes");
            assert!(decoder.event.capacity() < 3 * MOST, "{}", decoder.event.capacity());
        }
        assert!(decoder.event(&record(-1), b"x").is_ok());
        assert!(decoder.event.capacity() <= KEPT);
    }
}
