//! What breaks in the worker itself, or right beside it.

use std::iter::repeat_with;

use serde_json::json;

use super::{
    rig::{Rig, event, header, play, playbook, until},
    stage::Cue,
};

#[tokio::test(start_paused = true)]
async fn an_event_is_not_acknowledged_until_its_audit_line_is_written() {
    let rig = Rig::new(&[playbook("one", json!({"actions": [play("a")]}))]).await;
    rig.audit.set_full(true);
    let subscription = rig.subscribe([event(json!({}))]);
    until("it was tried again", || rig.audit.refused() > 2).await;
    assert_eq!(subscription.broker.unsettled(), 1);
    rig.audit.set_full(false);
    subscription.is_settled().await;
    assert!(subscription.broker.dead_letters().is_empty());
    assert_eq!(rig.audit.lines().len(), 1);
    assert_eq!(rig.stage.played("a"), 1, "what was done is not done again for its record");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_crashes_once_comes_again() {
    let rig = Rig::new(&[playbook("one", json!({"actions": [play("a")]}))]).await;
    rig.stage.cue("a", [Cue::Crash]);
    let subscription = rig.subscribe([event(json!({}))]);
    subscription.is_settled().await;
    assert!(subscription.broker.dead_letters().is_empty());
    assert_eq!(rig.stage.played("a"), 2);
    assert!(rig.pager.told().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_crashes_five_times_is_dead_lettered_and_the_default_notifiers_are_told() {
    let rig = Rig::new(&[playbook("one", json!({"actions": [play("a")]}))]).await;
    rig.stage.cue("a", repeat_with(|| Cue::Crash).take(100));
    let subscription = rig.subscribe([event(json!({}))]);
    subscription.is_settled().await;
    let letters = subscription.broker.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(header(&letters[0], "stoop-reason"), "crashed");
    assert_eq!(header(&letters[0], "stoop-attempts"), "5");
    assert_eq!(rig.stage.played("a"), 5);
    assert_eq!(rig.pager.told(), ["one"]);
    assert_eq!(rig.audit.lines()[0]["overall"]["outcome"], "failed", "{:?}", rig.audit.lines());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_crashes_is_dead_lettered_even_if_telling_of_it_crashes_too() {
    let rig = Rig::new(&[playbook("one", json!({"actions": [play("a")]}))]).await;
    rig.stage.cue("a", repeat_with(|| Cue::Crash).take(100));
    rig.pager.crash();
    let subscription = rig.subscribe([event(json!({}))]);
    subscription.is_settled().await;
    assert_eq!(header(&subscription.broker.dead_letters()[0], "stoop-reason"), "crashed");
    assert_eq!(rig.pager.told(), ["one"]);
}
