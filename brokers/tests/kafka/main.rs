//! The Kafka broker against a real Kafka.

mod bench;
mod conformance;
