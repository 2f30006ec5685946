//! What every broker promises.

use std::{any::Any, sync::Arc};

use async_trait::async_trait;
use brokers::{
    conformance::{Harness, Record},
    nats::{self, Ledger, Receiver},
};

use crate::bench::{Bench, SLOTS};

#[async_trait]
impl Harness for Bench {
    type Receiver = Receiver;
    type Ledger = Ledger;

    const LEASES_END: bool = true;
    const ASKS_BACK: bool = false;
    /// NATS knows no keys, and only text in headers.
    const KEEPS_KEY_AND_HEADERS: bool = false;

    async fn fresh() -> Self {
        Self::on_shared().await
    }

    async fn connect(&self) -> (Receiver, Arc<Ledger>) {
        nats::connect(&self.config, SLOTS).unwrap()
    }

    async fn publish(&self, records: Vec<Record>) {
        self.publish_all(records).await;
    }

    async fn unsettled(&self) -> u64 {
        self.left().await
    }

    async fn dead_letters(&self) -> Vec<Record> {
        self.read_dead_letters().await
    }

    async fn set_dead_letters_down(&self, down: bool) {
        match down {
            true => self.delete_stream(self.dead_stream()).await,
            false => self.create_dead_letters().await,
        }
    }

    async fn revoke(&self) -> Box<dyn Any + Send> {
        unreachable!("JetStream asks nothing back")
    }

    /// A consumer made anew knows nothing of what the old one had delivered.
    async fn lose(&self) -> Box<dyn Any + Send> {
        self.delete_consumer().await;
        self.create_consumer().await;
        Box::new(())
    }
}

brokers::conformance!(Bench);
