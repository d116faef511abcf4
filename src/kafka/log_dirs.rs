//! DescribeLogDirs (KIP-113), which librdkafka does not have: asked of each broker over a connection of its own, without TLS or SASL.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use anyhow::Context as _;
use logmill_protocol::{
    ApiMessage, Message, Reader, ResponseHeader, framing,
    messages::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest, DescribeLogDirsResponse},
};

/// Every Kafka since 1.0 knows it, up to the newest.
const VERSION: i16 = 1;
const CORRELATION_ID: i32 = 1;
/// No list of partitions comes near this.
const LARGEST_RESPONSE: usize = 256 << 20;

/// Bytes on the disks of one broker, by topic and partition.
pub(crate) type Sizes = HashMap<(String, i32), u64>;

/// The sizes of these topics' partitions on the broker at this address.
pub(crate) fn sizes(address: (&str, u16), topics: &[(&str, Vec<i32>)], timeout: Duration) -> anyhow::Result<Sizes> {
    let topics =
        topics.iter().map(|(topic, partitions)| DescribableLogDirTopic { topic, partitions: partitions.clone() });
    let request = DescribeLogDirsRequest { topics: Some(topics.collect()) };
    let frame = framing::encode_request(CORRELATION_ID, Some("logmill"), VERSION, &request)?;
    let resolved = address.to_socket_addrs()?.next().context("no address")?;
    let mut stream = TcpStream::connect_timeout(&resolved, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(&frame.bytes)?;
    let mut length = [0; framing::LENGTH_BYTES];
    stream.read_exact(&mut length)?;
    let length = framing::frame_len(length, LARGEST_RESPONSE)?;
    // Grows as bytes arrive, whatever length is claimed.
    let mut body = Vec::new();
    stream.take(length as u64).read_to_end(&mut body)?;
    read(&body)
}

fn read(body: &[u8]) -> anyhow::Result<Sizes> {
    let mut reader = Reader::new(body);
    ResponseHeader::decode(&mut reader, DescribeLogDirsResponse::KEY, VERSION)?;
    let response = DescribeLogDirsResponse::decode(&mut reader, VERSION)?;
    let mut sizes = Sizes::new();
    for dir in &response.results {
        for topic in &dir.topics {
            // One that is being moved to another directory is there twice.
            for partition in topic.partitions.iter().filter(|partition| !partition.is_future_key) {
                let size = u64::try_from(partition.partition_size).unwrap_or(0);
                sizes.insert((topic.name.to_string(), partition.partition_index), size);
            }
        }
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use logmill_protocol::messages::describe_log_dirs::{
        DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
    };

    use super::*;

    #[test]
    fn sizes_are_those_of_the_partitions_that_are_in_use() {
        let partition = |partition_index, partition_size, is_future_key| DescribeLogDirsPartition {
            partition_index,
            partition_size,
            offset_lag: 0,
            is_future_key,
        };
        let topic = |partitions| DescribeLogDirsTopic { name: "t".into(), partitions };
        let dir = |partitions| DescribeLogDirsResult { topics: vec![topic(partitions)], ..Default::default() };
        let results =
            vec![dir(vec![partition(0, 70, false), partition(1, 5, true)]), dir(vec![partition(1, 80, false)])];
        let response = DescribeLogDirsResponse { results, ..Default::default() };
        let frame = framing::encode_response(CORRELATION_ID, VERSION, &response).unwrap();
        let body = &frame.bytes[framing::LENGTH_BYTES..];
        let expected = Sizes::from([(("t".to_owned(), 0), 70), (("t".to_owned(), 1), 80)]);
        assert_eq!(read(body).unwrap(), expected);
        assert!(read(&body[..body.len() - 1]).is_err());
    }
}
