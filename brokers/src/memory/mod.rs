//! A broker in memory, for tests of whoever uses one: it redelivers, counts, revokes, takes leases away and can
//! refuse dead letters. Nothing of it outlives the process.

mod broker;
mod ledger;
mod receiver;
mod state;

pub use broker::{Buried, Memory};
pub use ledger::Ledger;
pub use receiver::{Key, Receiver, Record};

#[cfg(test)]
mod tests {
    use std::{any::Any, sync::Arc};

    use async_trait::async_trait;

    use super::{Ledger, Memory, Receiver};
    use crate::conformance::{Harness, Record};

    struct InMemory(Memory);

    #[async_trait]
    impl Harness for InMemory {
        type Receiver = Receiver;
        type Ledger = Ledger;

        const LEASES_END: bool = true;

        async fn fresh() -> Self {
            Self(Memory::new())
        }

        async fn connect(&self) -> (Receiver, Arc<Ledger>) {
            self.0.connect()
        }

        async fn publish(&self, records: Vec<Record>) {
            for Record { payload, key, headers } in records {
                self.0.publish(payload, key, headers);
            }
        }

        async fn unsettled(&self) -> u64 {
            self.0.unsettled() as u64
        }

        async fn dead_letters(&self) -> Vec<Record> {
            let record =
                |b: super::Buried| Record { payload: b.payload, key: b.key, headers: b.headers };
            self.0.dead_letters().into_iter().map(record).collect()
        }

        async fn set_dead_letters_down(&self, down: bool) {
            self.0.set_dead_letters_down(down);
        }

        async fn revoke(&self) -> Box<dyn Any + Send> {
            self.0.revoke();
            Box::new(())
        }

        async fn lose(&self) -> Box<dyn Any + Send> {
            self.0.lose();
            Box::new(())
        }
    }

    crate::conformance!(InMemory);
}
