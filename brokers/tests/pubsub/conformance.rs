//! What every broker promises, of a subscription that confirms acks and of one that doesn't.

use std::{any::Any, sync::Arc};

use async_trait::async_trait;
use brokers::{
    conformance::{Harness, Record},
    pubsub::{self, Ledger, Receiver},
};
use serde_json::{Value, json};

use crate::bench::Bench;

macro_rules! conforms {
    ($module:ident, $name:ident, $like:expr) => {
        pub(crate) struct $name(pub(crate) Bench);

        #[async_trait]
        impl Harness for $name {
            type Receiver = Receiver;
            type Ledger = Ledger;

            const LEASES_END: bool = true;
            /// Attributes are texts, have no order, and no name comes twice.
            const KEEPS_KEY_AND_HEADERS: bool = false;

            async fn fresh() -> Self {
                Self(Bench::on_shared($like).await)
            }

            async fn connect(&self) -> (Receiver, Arc<Ledger>) {
                pubsub::connect(&self.0.config, self.0.limits).await.unwrap()
            }

            async fn publish(&self, records: Vec<Record>) {
                self.0.publish(records).await;
            }

            async fn unsettled(&self) -> u64 {
                self.0.unsettled().await
            }

            async fn dead_letters(&self) -> Vec<Record> {
                self.0.read_dead_letters().await
            }

            async fn set_dead_letters_down(&self, down: bool) {
                match down {
                    true => self.0.unmake_dead_letters().await,
                    false => self.0.make_dead_letters().await,
                }
            }

            /// Our own clock does it.
            async fn revoke(&self) -> Box<dyn Any + Send> {
                Box::new(())
            }

            async fn lose(&self) -> Box<dyn Any + Send> {
                Box::new(())
            }
        }

        mod $module {
            use super::$name;

            brokers::conformance!($name);
        }
    };
}

conforms!(at_least_once, AtLeastOnce, Value::Object(Default::default()));
conforms!(exactly_once, ExactlyOnce, json!({"enableExactlyOnceDelivery": true}));
