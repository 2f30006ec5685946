//! A consumer group's leader, by hand: it speaks only as much of Kafka's protocol as lets it stall when a test wants it to.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const JOIN_GROUP: (i16, i16) = (11, 2);
const SYNC_GROUP: (i16, i16) = (14, 1);

/// Somebody has come or gone: <https://kafka.apache.org/protocol#protocol_error_codes>
const REBALANCE_IN_PROGRESS: i16 = 27;

/// Longer than any test: nobody misses it.
const PATIENCE_MS: i32 = 300_000;

/// A member that was the first, and so leads.
pub struct Leader {
    stream: TcpStream,
    group: String,
    topic: String,
    me: String,
    generation: i32,
    /// The others, as of the last [`Self::join`].
    pub others: Vec<String>,
}

impl Leader {
    /// Is alone in the group, which is settled.
    pub async fn of(bootstrap: &str, group: &str, topic: &str) -> Self {
        let stream = TcpStream::connect(bootstrap).await.unwrap();
        let (group, topic) = (group.to_owned(), topic.to_owned());
        let (me, others) = (String::new(), Vec::new());
        let mut leader = Self { stream, group, topic, me, generation: 0, others };
        leader.join().await;
        assert!(leader.settle().await, "somebody else is in the group");
        leader
    }

    /// Begins a rebalance, and waits until all members are there. From then on they wait for us to [settle](Self::settle).
    pub async fn join(&mut self) {
        let mut subscription = Bytes::default();
        subscription.i16(1).i32(1).text(&self.topic).i32(-1).i32(0);
        let mut body = Bytes::default();
        body.text(&self.group).i32(PATIENCE_MS).i32(PATIENCE_MS).text(&self.me);
        body.text("consumer").i32(1).text("cooperative-sticky").bytes(&subscription.0);
        let mut answer = self.ask(JOIN_GROUP, body).await;
        answer.expect_no_error();
        self.generation = answer.i32();
        let (_protocol, leader) = (answer.text(), answer.text());
        self.me = answer.text();
        assert_eq!(leader, self.me, "somebody else leads");
        self.others.clear();
        for _ in 0..answer.i32() {
            let member = answer.text();
            answer.pass_over_bytes();
            if member != self.me {
                self.others.push(member);
            }
        }
    }

    /// Ends the rebalance: the first of the others has the first partition, and we have nothing. False where another has begun
    /// meanwhile.
    pub async fn settle(&mut self) -> bool {
        let mut assignment = Bytes::default();
        assignment.i16(0).i32(1).text(&self.topic).i32(1).i32(0).i32(-1);
        let mut body = Bytes::default();
        body.text(&self.group).i32(self.generation).text(&self.me);
        match self.others.first() {
            Some(other) => body.i32(1).text(other).bytes(&assignment.0),
            None => body.i32(0),
        };
        match self.ask(SYNC_GROUP, body).await.error() {
            REBALANCE_IN_PROGRESS => false,
            error => {
                assert_eq!(error, 0, "Kafka's error code");
                true
            }
        }
    }

    async fn ask(&mut self, (key, version): (i16, i16), body: Bytes) -> Answer {
        let mut request = Bytes::default();
        request.i16(key).i16(version).i32(0).text("stalled");
        request.0.extend(body.0);
        let mut framed = Bytes::default();
        framed.bytes(&request.0);
        self.stream.write_all(&framed.0).await.unwrap();
        let length = self.stream.read_i32().await.unwrap();
        let mut answer = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut answer).await.unwrap();
        let mut answer = Answer(answer.into());
        assert_eq!(answer.i32(), 0, "an answer to something else");
        answer
    }
}

/// Kafka's way to write things one after another.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn i16(&mut self, number: i16) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn i32(&mut self, number: i32) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.i16(i16::try_from(text.len()).unwrap());
        self.0.extend(text.as_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.i32(i32::try_from(bytes.len()).unwrap());
        self.0.extend(bytes);
        self
    }
}

/// An answer; what is read is taken off its front.
struct Answer(std::collections::VecDeque<u8>);

impl Answer {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.0.pop_front().unwrap())
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take())
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    fn text(&mut self) -> String {
        let length = usize::try_from(self.i16()).unwrap();
        String::from_utf8(self.0.drain(..length).collect()).unwrap()
    }

    fn pass_over_bytes(&mut self) {
        let length = usize::try_from(self.i32()).unwrap();
        self.0.drain(..length);
    }

    fn error(&mut self) -> i16 {
        let (_throttled, error) = (self.i32(), self.i16());
        error
    }

    fn expect_no_error(&mut self) {
        assert_eq!(self.error(), 0, "Kafka's error code");
    }
}
