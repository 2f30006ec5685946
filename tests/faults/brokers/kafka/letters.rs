//! The topic with the dead letters, read from its beginning.

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, KafkaResult},
    message::{BorrowedMessage, Headers as _},
};

use super::ANSWER;
use crate::id::Id;

/// What was read of it by now.
pub struct LetterBox {
    reader: BaseConsumer,
    opened: bool,
    read: Vec<Id>,
    next: i64,
}

impl LetterBox {
    pub fn of(reader: BaseConsumer) -> Self {
        Self { reader, opened: false, read: Vec::new(), next: 0 }
    }

    /// All that are there by now. A topic that isn't there has none.
    pub fn read(&mut self, of: &str) -> KafkaResult<Vec<Id>> {
        let topic = format!("{of}.dead");
        if !self.opened {
            let metadata = self.reader.fetch_metadata(Some(&topic), ANSWER)?;
            if metadata.topics().iter().all(|found| found.partitions().is_empty()) {
                return Ok(Vec::new());
            }
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic, 0, Offset::Beginning)?;
            self.reader.assign(&list)?;
            self.opened = true;
        }
        let (_, end) = self.reader.fetch_watermarks(&topic, 0, ANSWER)?;
        while self.next < end {
            let message = self.reader.poll(ANSWER).ok_or(KafkaError::NoMessageReceived)??;
            self.next = message.offset() + 1;
            if !is_later_chunk(&message) {
                let body = message.payload().unwrap_or_default();
                self.read.push(Id::of(body).expect("a dead letter of this round"));
            }
        }
        Ok(self.read.clone())
    }
}

/// Whether it only goes on with a dead letter that was too large for one record.
fn is_later_chunk(message: &BorrowedMessage<'_>) -> bool {
    let mut headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    headers.any(|header| header.key == "stoop-chunk-index" && header.value != Some(b"0"))
}
