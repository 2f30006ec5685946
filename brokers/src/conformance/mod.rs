//! The suite that every broker passes, for brokers outside this crate too.
//!
//! Implement [`Harness`] for the broker under test and write [`conformance!`](crate::conformance!) with its name:
//! every behaviour becomes a test of its own. What lives here: what all brokers promise alike. What may not: anything
//! that one broker does differently, unless its [`Capabilities`](crate::Capabilities) or its harness say so.

mod harness;
mod worker;

pub mod dead_letters;
pub mod draining;
pub mod leases;
pub mod settling;

pub use harness::{Harness, Record, until};
pub use worker::Worker;

/// Makes every behaviour of the suite a test of the harness named.
///
/// The crate that uses it needs `tokio` with the features `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! conformance {
    ($harness:ty) => {
        $crate::conformance!(settling, $harness:
            a_message_arrives_as_it_was_published,
            a_dropped_delivery_comes_again,
            a_retried_delivery_comes_again_after_its_delay,
            an_acked_message_never_comes_again,
            what_was_held_at_a_crash_comes_again,
            a_failed_message_is_never_passed_over,
            messages_complete_in_any_order,
            skipping_settles,
            attempts_are_counted_as_declared,
        );
        $crate::conformance!(dead_letters, $harness:
            a_dead_letter_carries_the_message_and_the_reason,
            no_dead_letter_means_no_ack,
            a_broker_without_dead_letters_refuses_them,
        );
        $crate::conformance!(draining, $harness:
            a_stop_waits_for_what_runs,
            what_outlives_the_drain_comes_again,
            nothing_new_starts_while_draining,
        );
        $crate::conformance!(leases, $harness:
            what_is_asked_back_can_still_be_settled,
            a_handler_that_outlives_its_lease_is_fenced,
        );
    };
    ($part:ident, $harness:ty: $($behaviour:ident,)*) => {
        mod $part {
            #[allow(unused_imports)] // the harness may be named by a path
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    $crate::conformance::$part::$behaviour::<$harness>().await;
                }
            )*
        }
    };
}
