//! Frames: a 32-bit big-endian length, then so many bytes of header and message.

use crate::codec::{EncodeErrorKind, Hole};
use crate::{ApiMessage, EncodeError, RequestHeader, ResponseHeader, Writer};

/// Bytes of the length in front of a frame.
pub const LENGTH_BYTES: usize = 4;

/// What a peer that speaks something else, or worse, sends as a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("frame length {0} is not positive")]
    NotPositive(i32),
    #[error("frame length {len} is over the limit of {max} bytes")]
    TooLarge { len: usize, max: usize },
}

/// The body length that a frame's first four bytes announce, checked against `max` before anything is reserved for it.
pub fn frame_len(length: [u8; LENGTH_BYTES], max: usize) -> Result<usize, FrameError> {
    let raw = i32::from_be_bytes(length);
    match usize::try_from(raw) {
        Ok(0) | Err(_) => Err(FrameError::NotPositive(raw)),
        Ok(len) if len > max => Err(FrameError::TooLarge { len, max }),
        Ok(len) => Ok(len),
    }
}

/// A frame's body and the bytes that follow the frame.
pub type Split<'a> = (&'a [u8], &'a [u8]);

/// The first frame's body and what follows it, or `None` while the frame is incomplete.
pub fn split_frame(buffer: &[u8], max: usize) -> Result<Option<Split<'_>>, FrameError> {
    let Some((length, rest)) = buffer.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let len = frame_len(*length, max)?;
    Ok(rest.split_at_checked(len))
}

/// A whole frame ready to send: `bytes` with `holes` to be filled in, in order, from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub bytes: Vec<u8>,
    pub holes: Vec<Hole>,
}

/// A response with its header and length.
pub fn encode_response<'a, M: ApiMessage<'a>>(
    correlation_id: i32,
    version: i16,
    response: &M,
) -> Result<Frame, EncodeError> {
    encode_response_into(Vec::with_capacity(128), correlation_id, version, response)
}

/// As [`encode_response`], into a buffer from a pool, which must be empty.
pub fn encode_response_into<'a, M: ApiMessage<'a>>(
    buffer: Vec<u8>,
    correlation_id: i32,
    version: i16,
    response: &M,
) -> Result<Frame, EncodeError> {
    frame(buffer, |w| {
        ResponseHeader { correlation_id }.encode(w, M::KEY, version);
        response.encode(w, version)
    })
}

/// A request with its header and length.
pub fn encode_request<'a, M: ApiMessage<'a>>(
    correlation_id: i32,
    client_id: Option<&str>,
    version: i16,
    request: &M,
) -> Result<Frame, EncodeError> {
    frame(Vec::with_capacity(128), |w| {
        RequestHeader { api_key: M::KEY, api_version: version, correlation_id, client_id }.encode(w)?;
        request.encode(w, version)
    })
}

fn frame(buffer: Vec<u8>, write: impl FnOnce(&mut Writer) -> Result<(), EncodeError>) -> Result<Frame, EncodeError> {
    debug_assert!(buffer.is_empty());
    let mut w = Writer::with_buffer(buffer);
    w.put_i32(0);
    write(&mut w)?;
    let body = w.wire_len() - LENGTH_BYTES as u64;
    let Ok(length) = i32::try_from(body) else {
        let kind =
            EncodeErrorKind::TooLong { len: usize::try_from(body).unwrap_or(usize::MAX), max: i32::MAX as usize };
        return Err(EncodeError { kind, field: "frame" });
    };
    w.patch_i32(0, length);
    let (bytes, holes) = w.into_parts();
    Ok(Frame { bytes, holes })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::codec::RecordsOut;
    use crate::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
    use crate::messages::heartbeat::HeartbeatRequest;
    use crate::{ApiKey, Message, Reader};

    #[test]
    fn lengths_are_checked_before_use() {
        assert_eq!(frame_len((-1i32).to_be_bytes(), 100), Err(FrameError::NotPositive(-1)));
        assert_eq!(frame_len([0; 4], 100), Err(FrameError::NotPositive(0)));
        assert_eq!(frame_len(101i32.to_be_bytes(), 100), Err(FrameError::TooLarge { len: 101, max: 100 }));
        assert_eq!(frame_len(100i32.to_be_bytes(), 100), Ok(100));
        assert_eq!(split_frame(&[0, 0, 0], 100), Ok(None));
        assert_eq!(split_frame(&[0, 0, 0, 2, 7], 100), Ok(None));
        assert_eq!(split_frame(&[0, 0, 0, 2, 7, 8, 9], 100), Ok(Some((&[7, 8][..], &[9][..]))));
    }

    #[test]
    fn a_request_comes_back_from_its_frame() {
        for version in [0, 4] {
            let request = HeartbeatRequest { group_id: "g", member_id: "m", generation_id: 3, ..Default::default() };
            let frame = encode_request(9, Some("client"), version, &request).unwrap();
            let (body, rest) = split_frame(&frame.bytes, 1000).unwrap().unwrap();
            assert!(rest.is_empty());
            let mut r = Reader::new(body);
            let header = RequestHeader::decode(&mut r).unwrap();
            assert_eq!((header.api_key, header.api_version), (ApiKey::Heartbeat, version));
            assert_eq!((header.correlation_id, header.client_id), (9, Some("client")));
            assert_eq!(HeartbeatRequest::decode(&mut r, version).unwrap(), request);
            r.finish().unwrap();
        }
    }

    #[test]
    fn holes_are_counted_and_filled_in_order() {
        for version in [4, 11, 12, 16] {
            let partition = |partition_index, records| PartitionData { partition_index, records, ..Default::default() };
            let response = FetchResponse {
                responses: vec![FetchableTopicResponse {
                    topic: "t".into(),
                    partitions: vec![
                        partition(0, RecordsOut::Hole { len: 3 }),
                        partition(1, RecordsOut::Empty),
                        partition(2, RecordsOut::Hole { len: 2 }),
                    ],
                    ..Default::default()
                }],
                ..Default::default()
            };
            let frame = encode_response(1, version, &response).unwrap();
            let mut wire = Vec::new();
            let mut from = 0;
            for (hole, fill) in frame.holes.iter().zip([&b"abc"[..], b"de"]) {
                assert_eq!(hole.len as usize, fill.len());
                wire.extend_from_slice(&frame.bytes[from..hole.position]);
                wire.extend_from_slice(fill);
                from = hole.position;
            }
            wire.extend_from_slice(&frame.bytes[from..]);
            let (body, rest) = split_frame(&wire, 10_000).unwrap().unwrap();
            assert!(rest.is_empty());
            let mut r = Reader::new(body);
            ResponseHeader::decode(&mut r, ApiKey::Fetch, version).unwrap();
            let decoded = FetchResponse::decode(&mut r, version).unwrap();
            r.finish().unwrap();
            let records: Vec<_> = decoded.responses[0].partitions.iter().map(|p| p.records.clone()).collect();
            let bytes = |b: &'static [u8]| RecordsOut::Bytes(b.into());
            assert_eq!(records, [bytes(b"abc"), RecordsOut::Empty, bytes(b"de")]);
        }
    }
}
