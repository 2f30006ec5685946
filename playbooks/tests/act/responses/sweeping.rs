//! What happens to stored responses by themselves.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use playbooks::act::{Decision, Held, Phase, Retention, StoredResponse, Swept};

use super::{shelf::Responses, worker};
use crate::{
    fixtures::{event, pod, with_pod},
    wire::not_found,
};

const WEEK: Retention = Retention { keep: Duration::from_secs(7 * 24 * 60 * 60), most: 1000 };
const DELETE: &str = "mode: enforce\nactions: [delete]";

async fn ended() -> Responses {
    let responses = Responses::default();
    let (api, _) = responses.serve(with_pod(pod()));
    worker("a", api).run(DELETE, &event()).await;
    responses
}

async fn sweep(responses: &Responses, retention: Retention) -> Swept {
    let (api, _) = responses.serve(|_| not_found());
    let bench = worker("b", api);
    bench.engine.records().expect("records").sweep(retention).await.expect("swept")
}

fn days_ago(days: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(24 * days)
}

fn finish(at: Timestamp) -> impl Fn(&mut StoredResponse) {
    move |stored| {
        if let Some(status) = &mut stored.status {
            status.finished = Some(at);
        }
    }
}

#[tokio::test]
async fn what_ended_long_ago_goes_and_the_rest_stays() {
    let responses = ended().await;
    responses.change(finish(days_ago(6)));
    assert_eq!(sweep(&responses, WEEK).await.pruned, 0);
    responses.change(finish(days_ago(8)));
    assert_eq!(sweep(&responses, WEEK).await.pruned, 1);
    assert!(responses.all().is_empty());
}

#[tokio::test]
async fn beyond_the_number_the_oldest_go_first() {
    let responses = ended().await;
    assert_eq!(sweep(&responses, Retention { most: 1, ..WEEK }).await.pruned, 0);
    assert_eq!(sweep(&responses, Retention { most: 0, ..WEEK }).await.pruned, 1);
}

#[tokio::test]
async fn what_a_worker_is_at_stays_and_what_one_has_left_for_long_goes() {
    let responses = ended().await;
    responses.change(|stored| stored.status = None);
    assert_eq!(sweep(&responses, Retention { most: 0, ..WEEK }).await.pruned, 0);
    responses.change(|stored| stored.spec.claim.until = days_ago(8));
    assert_eq!(sweep(&responses, WEEK).await.pruned, 1);
}

#[tokio::test]
async fn what_was_approved_and_waits_to_be_taken_up_stays() {
    let responses = ended().await;
    responses.change(|stored| {
        stored.status = None;
        stored.spec.claim.until = days_ago(8);
        stored.spec.held = Some(Held { payload: "{}".to_owned(), until: Timestamp::now() });
        stored.spec.decision = Some(Decision::Approved);
    });
    assert_eq!(sweep(&responses, Retention { most: 0, ..WEEK }).await.pruned, 0);
    assert_eq!(responses.only().phase(), Phase::Running);
}

#[tokio::test]
async fn what_is_still_to_expire_is_never_let_go_of() {
    let responses = ended().await;
    responses.change(|stored| {
        let later = Timestamp::now() + SignedDuration::from_hours(1);
        stored.spec.changes = vec![
            serde_json::from_value(serde_json::json!({
                "action": "delete", "undo": "Pod", "expiresAt": later,
                "object": {"kind": "Pod", "namespace": "shop", "name": "web"},
            }))
            .expect("a change"),
        ];
        finish(days_ago(30))(stored);
    });
    assert_eq!(sweep(&responses, Retention { most: 0, ..WEEK }).await.pruned, 0);
    assert_eq!(responses.only().phase(), Phase::Succeeded);
}
