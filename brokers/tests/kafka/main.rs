//! The Kafka broker against a real Kafka.

mod bench;
mod conformance;
mod dead_letters;
mod flow;
mod group;
mod outages;
mod records;
mod setup;
mod staff;
