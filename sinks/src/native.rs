//! What the rdkafka crate does not hand out safely: it panics on header names and commit metadata that are not UTF-8
//! (anyone may produce such a record) and does not expose the watermarks librdkafka has already learnt.
//!
//! The only unsafe code of this crate: each block reads memory that the borrowed argument keeps alive.

use std::ffi::{CStr, CString};

use rdkafka::{
    TopicPartitionList,
    bindings::{
        rd_kafka_get_watermark_offsets, rd_kafka_header_get_all, rd_kafka_headers_t, rd_kafka_message_headers,
        rd_kafka_resp_err_t, rd_kafka_t,
    },
    message::BorrowedMessage,
};

/// Calls `each` with the name and the value (`None`: null) of every header, in order.
pub fn headers(message: &BorrowedMessage<'_>, mut each: impl FnMut(&[u8], Option<&[u8]>)) {
    let mut headers: *mut rd_kafka_headers_t = std::ptr::null_mut();
    // SAFETY: `ptr()` is a live message for as long as `message` is borrowed; librdkafka parses its headers once and
    // keeps them with the message. Messages of one consumer are read by its one polling thread only.
    let error = unsafe { rd_kafka_message_headers(message.ptr(), &mut headers) };
    if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || headers.is_null() {
        return;
    }
    let mut index = 0;
    loop {
        let (mut name, mut value, mut size) = (std::ptr::null(), std::ptr::null(), 0usize);
        // SAFETY: `headers` belongs to the message (above); the out pointers are valid; an index past the end is an error.
        let error = unsafe { rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut size) };
        if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
            return;
        }
        // SAFETY: librdkafka ends every header name with a NUL and both live as long as the message.
        let name = unsafe { CStr::from_ptr(name) }.to_bytes();
        // SAFETY: a value that is not null has `size` readable bytes that live as long as the message.
        let value = (!value.is_null()).then(|| unsafe { std::slice::from_raw_parts(value.cast::<u8>(), size) });
        each(name, value);
        index += 1;
    }
}

/// The commit metadata of each element of `list`, in its order; empty where there is none.
pub(crate) fn commit_metadata(list: &TopicPartitionList) -> Vec<Vec<u8>> {
    // SAFETY: `ptr()` is the live list; `elems` has `cnt` elements; `metadata` has `metadata_size` bytes or is null.
    unsafe {
        let list = &*list.ptr();
        let count = usize::try_from(list.cnt).unwrap_or(0);
        if list.elems.is_null() || count == 0 {
            return Vec::new();
        }
        std::slice::from_raw_parts(list.elems, count)
            .iter()
            .map(|e| {
                if e.metadata.is_null() || e.metadata_size == 0 {
                    Vec::new()
                } else {
                    std::slice::from_raw_parts(e.metadata.cast::<u8>(), e.metadata_size).to_vec()
                }
            })
            .collect()
    }
}

/// Log start offset and high watermark as of the last fetch response, without asking the broker; each `None` until known.
///
/// `client` is a live consumer's `native_ptr()`, which `_owner` keeps alive.
pub(crate) fn known_watermarks<T>(
    _owner: &T,
    client: *mut rd_kafka_t,
    topic: &str,
    partition: i32,
) -> (Option<i64>, Option<i64>) {
    let Ok(topic) = CString::new(topic) else { return (None, None) };
    let (mut low, mut high) = (-1001i64, -1001i64);
    // SAFETY: the client lives as long as `_owner`; the topic is a C string; both out pointers are valid.
    let error = unsafe { rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, &mut low, &mut high) };
    if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return (None, None);
    }
    ((low >= 0).then_some(low), (high >= 0).then_some(high))
}
