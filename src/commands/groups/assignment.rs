//! Which partitions a group's member has: the classic consumer protocol's assignment bytes.

/// `version: i16, [topic: string, [partition: i32]], user data`. What does not fit is left out: the bytes are the
/// client's own, and a broker passes on whatever it was given.
pub(super) fn parse(bytes: &[u8]) -> Vec<(String, i32)> {
    let mut reader = Reader(bytes);
    let mut all = Vec::new();
    // The counts are only bounds: every turn takes bytes, so a hostile count ends with the bytes.
    let _ = (|| {
        reader.i16()?;
        for _ in 0..reader.i32()? {
            let length = usize::try_from(reader.i16()?).ok()?;
            let topic = std::str::from_utf8(reader.take(length)?).ok()?.to_owned();
            for _ in 0..reader.i32()? {
                all.push((topic.clone(), reader.i32()?));
            }
        }
        Some(())
    })();
    all
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn assignments_whole_and_broken() {
        let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, 2];
        bytes.extend(b"ab");
        bytes.extend([0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0]);
        assert_eq!(parse(&bytes), [("ab".to_owned(), 3), ("ab".to_owned(), 7)]);
        for cut in 0..bytes.len() {
            assert!(parse(&bytes[..cut]).len() <= 2);
        }
        assert!(parse(&[0, 0, 0x7f, 0xff, 0xff, 0xff]).is_empty());
        assert!(parse(b"not an assignment").is_empty());
    }
}
