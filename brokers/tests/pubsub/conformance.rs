//! What every broker promises, of a subscription that confirms acks and of one that doesn't.

use std::{any::Any, collections::HashMap, sync::Arc};

use async_trait::async_trait;
use brokers::{
    conformance::{Harness, Record},
    pubsub::{self, Config, Ledger, Receiver},
};
use serde_json::{Value, json};
use testbed::pubsub::fake::{Code, Fake, Faults};

use crate::{
    bench::{Bench, LIMITS},
    faults::config,
};

macro_rules! conforms {
    ($name:ident, $like:expr) => {
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
    };
}

conforms!(AtLeastOnce, Value::Object(Default::default()));
conforms!(ExactlyOnce, json!({"enableExactlyOnceDelivery": true}));

mod at_least_once {
    use super::AtLeastOnce;

    brokers::conformance!(AtLeastOnce);
}

mod exactly_once {
    use super::ExactlyOnce;

    brokers::conformance!(ExactlyOnce);
}

struct Faked {
    fake: Fake,
    config: Config,
}

#[async_trait]
impl Harness for Faked {
    type Receiver = Receiver;
    type Ledger = Ledger;

    const LEASES_END: bool = true;
    const KEEPS_KEY_AND_HEADERS: bool = false;

    async fn fresh() -> Self {
        let fake = Fake::start(true).await.unwrap();
        Self { config: config(&fake), fake }
    }

    async fn connect(&self) -> (Receiver, Arc<Ledger>) {
        pubsub::connect(&self.config, LIMITS).await.unwrap()
    }

    async fn publish(&self, records: Vec<Record>) {
        records.into_iter().for_each(|record| self.fake.publish(record.payload));
    }

    async fn unsettled(&self) -> u64 {
        self.fake.unsettled() as u64
    }

    async fn dead_letters(&self) -> Vec<Record> {
        let record = |(payload, attributes): (_, HashMap<String, String>)| Record {
            payload,
            key: None,
            headers: attributes.into_iter().map(|(name, value)| (name, value.into())).collect(),
        };
        self.fake.publications().into_iter().map(record).collect()
    }

    async fn set_dead_letters_down(&self, down: bool) {
        let publish = down.then_some(Code::NotFound);
        self.fake.fail(Faults { publish, ..Faults::default() });
    }

    async fn revoke(&self) -> Box<dyn Any + Send> {
        Box::new(())
    }

    async fn lose(&self) -> Box<dyn Any + Send> {
        Box::new(())
    }
}

mod faked {
    use super::Faked;

    brokers::conformance!(Faked);
}
