//! Topics that take no batch as large as the producer makes: records of the inputs that write there become smaller by halves, all
//! batches too, since librdkafka has one size for every topic. A batch always takes one record, so others keep their size.

use rdkafka::types::RDKafkaErrorCode;

use super::Engine;
use crate::{clock::Now, produce::Producer};

/// Records are not made smaller than this: a topic that takes no such batch refuses the input.
const SMALLEST_RECORD: usize = 4 << 10;

/// What an input's topics take.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    /// Largest value, key and header together, where it is less than the producer's.
    most: Option<usize>,
    /// A batch was refused since the producer was started.
    refused: bool,
}

impl Sizes {
    /// Largest value, key and header together, of a producer that takes so much.
    pub(super) fn most(&self, of_producer: usize) -> usize {
        self.most.unwrap_or(of_producer).min(of_producer)
    }
}

impl<P: Producer> Engine<P> {
    /// A topic of this input refused a batch for its size.
    pub(super) fn too_large(&mut self, input: usize, now: Now) {
        let sizes = &mut self.inputs[input].sizes;
        if sizes.most(self.producer.max_record_bytes()) <= SMALLEST_RECORD {
            return self.refused(input, RDKafkaErrorCode::MessageSizeTooLarge, now);
        }
        (sizes.refused, self.renew) = (true, true);
    }

    /// Halves the records of the inputs that were refused; how large the next producer's batches may be.
    pub(super) fn narrowed(&mut self) -> usize {
        let of_producer = self.producer.max_record_bytes();
        for input in &mut self.inputs {
            let sizes = &mut input.sizes;
            if std::mem::take(&mut sizes.refused) {
                let half = (sizes.most(of_producer) / 2).max(SMALLEST_RECORD);
                sizes.most = Some(half);
                tracing::warn!(
                    input = input.config.name,
                    max_record_bytes = half,
                    "kafka takes no larger batches from this input"
                );
            }
        }
        self.inputs.iter().map(|input| input.sizes.most(of_producer)).min().unwrap_or(of_producer)
    }
}
