//! What every broker promises.

use std::{any::Any, sync::Arc};

use async_trait::async_trait;
use brokers::{
    conformance::{Harness, Record},
    kafka::{self, Ledger, Receiver},
};

use crate::bench::Bench;

#[async_trait]
impl Harness for Bench {
    type Receiver = Receiver;
    type Ledger = Ledger;

    const LEASES_END: bool = true;

    async fn fresh() -> Self {
        Self::with_partitions(2).await
    }

    async fn connect(&self) -> (Receiver, Arc<Ledger>) {
        kafka::connect(&self.config, self.timing).unwrap()
    }

    async fn publish(&self, records: Vec<Record>) {
        self.publish_in_turn(records).await;
    }

    async fn unsettled(&self) -> u64 {
        self.uncommitted().await
    }

    async fn dead_letters(&self) -> Vec<Record> {
        self.read_dead_letters().await
    }

    async fn set_dead_letters_down(&self, down: bool) {
        self.set_dead_letters_exist(!down).await;
    }

    async fn revoke(&self) -> Box<dyn Any + Send> {
        Box::new(self.rival())
    }

    /// A handler that outlives the drain loses its lease.
    async fn lose(&self) -> Box<dyn Any + Send> {
        Box::new(self.rival())
    }
}

brokers::conformance!(Bench);
