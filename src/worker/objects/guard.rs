//! That somebody follows the objects for as long as events are taken in.

use std::sync::Arc;

use playbooks::act::Dependency;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::worker::outage::Outages;

/// Holds intake if one of those who follow the objects ends before he is told to: by a fault of stoop nobody would know from then on
/// which playbooks there are.
pub(super) async fn guard(
    mut following: JoinSet<()>,
    outages: &Arc<Outages>,
    stop: &CancellationToken,
) {
    // None of them ends by itself.
    let ended = following.join_next().await;
    if !stop.is_cancelled() {
        let why = "the playbooks that are objects aren't followed any more, by a fault of stoop: start the worker anew";
        tracing::error!(?ended, "{why}");
        let _waiter = outages.enter(Dependency::KubernetesApi, why);
        stop.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_taken_in_once_nobody_follows_the_objects() {
        let (outages, stop) = (Outages::new(), CancellationToken::new());
        let mut hold = outages.hold("falco");
        let mut following = JoinSet::new();
        following.spawn(std::future::pending());
        following.spawn(async { panic!("a fault") });
        let told = async {
            hold.wait_for(|is_held| *is_held).await.unwrap();
            stop.cancel();
        };
        let both = async { tokio::join!(guard(following, &outages, &stop), told) };
        tokio::time::timeout(Duration::from_secs(60), both).await.expect("intake is held");
        assert!(outages.current().is_empty(), "it outlived the worker");
    }

    #[tokio::test]
    async fn whoever_ends_when_he_is_told_to_holds_nothing_up() {
        let (outages, stop) = (Outages::new(), CancellationToken::new());
        let hold = outages.hold("falco");
        stop.cancel();
        guard([async {}].into_iter().collect(), &outages, &stop).await;
        assert!(!hold.has_changed().unwrap());
    }
}
