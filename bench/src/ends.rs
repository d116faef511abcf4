//! How much a topic holds, asked with one client again and again.

use std::time::Duration;

use anyhow::Result;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};

const PATIENCE: Duration = Duration::from_secs(10);

pub struct Ends {
    consumer: BaseConsumer,
    topic: String,
    partitions: i32,
}

impl Ends {
    pub fn of(brokers: &str, topic: &str, partitions: i32) -> Result<Self> {
        let consumer = ClientConfig::new().set("bootstrap.servers", brokers).set("log_level", "0").create()?;
        Ok(Self { consumer, topic: topic.to_owned(), partitions })
    }

    /// Records between the beginning and the end of all partitions.
    pub fn records(&self) -> Result<u64> {
        let mut sum = 0;
        for partition in 0..self.partitions {
            let (low, high) = self.consumer.fetch_watermarks(&self.topic, partition, PATIENCE)?;
            sum += u64::try_from(high - low)?;
        }
        Ok(sum)
    }
}
