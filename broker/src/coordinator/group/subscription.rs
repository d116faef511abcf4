//! What the members of a consumer group subscribe to: the topics in the metadata they offer for their assignors (ConsumerProtocolSubscription).

use std::collections::BTreeSet;

use logmill_protocol::{DecodeError, Reader};

use super::Group;

impl Group {
    /// The topics of all members; none when a member's subscription cannot be read, so that it may be to anything.
    pub(crate) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        for protocol in self.members.values().flat_map(|member| &member.protocols) {
            all.extend(topics(&protocol.metadata).ok()?.into_iter().map(str::to_owned));
        }
        Some(all)
    }
}

/// `version: i16, [topic: string], …`: what follows differs by version and is not needed.
fn topics(metadata: &[u8]) -> Result<Vec<&str>, DecodeError> {
    let mut reader = Reader::new(metadata);
    reader.i16()?;
    let mut topics = Vec::new();
    // Every turn takes bytes, so that a hostile count ends with them.
    for _ in 0..reader.i32()? {
        let length = reader.i16()?;
        topics.push(reader.str(usize::try_from(length).unwrap_or(usize::MAX))?);
    }
    Ok(topics)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn subscriptions_whole_and_broken() {
        let mut bytes = vec![0, 1, 0, 0, 0, 2, 0, 1];
        bytes.extend(b"a\0\x02bc");
        let whole = bytes.len();
        bytes.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(topics(&bytes).unwrap(), ["a", "bc"]);
        for cut in 0..whole {
            assert!(topics(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert_eq!(topics(&[0, 0, 0, 0, 0, 0]).unwrap(), Vec::<&str>::new());
        assert!(topics(&[0, 0, 0x7f, 0xff, 0xff, 0xff]).is_err());
        assert!(topics(&[0, 0, 0, 0, 0, 1, 0xff, 0xff]).is_err(), "a null topic");
        assert!(topics(b"").is_err());
    }
}
