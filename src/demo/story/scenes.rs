//! The scenes, one a function, in the order they are played.

use axum::http::StatusCode;
use serde_json::Value;

use super::{
    Ledger, deliver,
    wire::{is_delete_at, is_delete_of},
    words::{read_out, tell},
};
use crate::demo::{
    narrator::Narrator,
    pager::Call,
    stage::{Error, Pod, RULE, Stage, within},
};

/// Gives back the event, to be sent again.
pub(super) async fn shell(
    stage: &Stage,
    narrator: &mut Narrator,
    ledger: &mut Ledger,
) -> Result<Value, Error> {
    narrator.scene("A shell in a container");
    let pod = stage.pod("shop", "db-0")?;
    let event = stage.falco(RULE, &pod).await?;
    narrator.says("falco", &format!("{RULE:?} in {pod}"));
    deliver(stage, ledger, &event).await?;
    let deleted = stage.cluster.saw(|request| is_delete_at(request, &pod));
    narrator.says("stoop", &tell(&within("the pod is deleted", deleted).await?));
    let call = within("the pager is called", stage.pager.called(0, Call::answered)).await?;
    narrator.says("pager", &read_out(&call.message));
    stage.until_settled("acked", 1.0).await?;
    narrator.says("stoop", "acknowledges the event");

    narrator.promise("the pod is gone", !stage.is_alive(&pod), &pod);
    let writes = stage.writes();
    let once = matches!(writes.as_slice(), [only] if is_delete_of(only, &pod));
    narrator.promise("by one request, which names its uid", once, writes);
    ledger.victims.push(pod);
    Ok(event)
}

/// Names are used again, uids are not.
pub(super) async fn successor(
    stage: &Stage,
    narrator: &mut Narrator,
    ledger: &mut Ledger,
    event: &Value,
) -> Result<(), Error> {
    narrator.scene("The same event again, when the name has a new owner");
    let heir = stage.pod("shop", "db-0")?;
    let before = stage.writes().len();
    narrator.says("cluster", &format!("has a new {heir}"));
    narrator.says("falco", "says the same again");
    deliver(stage, ledger, event).await?;
    stage.until_settled("acked", 2.0).await?;
    narrator.says("stoop", "acknowledges the event");

    narrator.promise("the successor is untouched", stage.is_alive(&heir), &heir);
    let after = stage.writes();
    narrator.promise("and nobody asked to touch it", after.len() == before, after);
    Ok(())
}

pub(super) async fn protected(
    stage: &Stage,
    narrator: &mut Narrator,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    narrator.scene("A protected namespace");
    let pod = stage.pod("kube-system", "coredns")?;
    let (before, called) = (stage.writes().len(), stage.pager.calls());
    narrator.says("falco", &format!("{RULE:?} in {pod}"));
    deliver(stage, ledger, &stage.falco(RULE, &pod).await?).await?;
    let call = within("the pager is called", stage.pager.called(called, Call::answered)).await?;
    narrator.says("pager", &read_out(&call.message));
    stage.until_settled("acked", 3.0).await?;
    narrator.says("stoop", "acknowledges the event");

    let after = stage.writes();
    let kept = stage.is_alive(&pod) && after.len() == before;
    narrator.promise("the pod lives, and nobody asked to touch it", kept, after);
    let refused = &call.message["steps"][0];
    let kept = refused["outcome"] == "refused" && refused["reason"] == "protected-namespace";
    narrator.promise("somebody was told that stoop did not act, and why", kept, &call);
    let audit = stage.worker.audit();
    let kept = audit
        .iter()
        .any(|line| line["uid"] == pod.uid.as_str() && line["steps"][0]["outcome"] == "refused");
    narrator.promise("the refusal is on record", kept, audit);
    Ok(())
}

pub(super) async fn garbage(
    stage: &Stage,
    narrator: &mut Narrator,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    narrator.scene("Garbage");
    let before = stage.writes().len();
    narrator.says("somebody", "sends what is no event");
    let (status, why) = stage.post("rm -rf /").await?;
    narrator.says("stoop", &format!("answers {status}: {why}"));
    let refused = status == StatusCode::BAD_REQUEST && !why.is_empty();

    narrator.says("somebody", "sends an event that names two pods at once");
    deliver(stage, ledger, &forged(&stage.falco(RULE, &stage.pod("shop", "web")?).await?)).await?;
    stage.until_settled("dead-lettered", 1.0).await?;
    narrator.says("stoop", "takes it, can't tell what it means, and dead-letters it");

    narrator.promise("who sends no event is told so, and why", refused, (status, why));
    let dead = stage.settled("dead-lettered").await?;
    narrator.promise("an event that means nothing is kept for a person to see", dead == 1.0, dead);
    let after = stage.writes();
    narrator.promise("and nobody was touched", after.len() == before, after);
    Ok(())
}

pub(super) async fn killed(
    stage: &mut Stage,
    narrator: &mut Narrator,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    narrator.scene("A kill in mid-playbook");
    let pod = stage.pod("shop", "web")?;
    let (acked, called) = (stage.settled("acked").await?, stage.pager.calls());
    stage.pager.hold();
    narrator.says("pager", "lets its callers wait");
    narrator.says("falco", &format!("{RULE:?} in {pod}"));
    deliver(stage, ledger, &stage.falco(RULE, &pod).await?).await?;
    let deleted = stage.cluster.saw(|request| is_delete_at(request, &pod));
    narrator.says("stoop", &tell(&within("the pod is deleted", deleted).await?));
    within("the pager is called", stage.pager.called(called, |_| true)).await?;
    let then = stage.settled("acked").await?;
    ledger.settled += then + stage.settled("dead-lettered").await?;

    narrator.says("somebody", &format!("kill -9 {}", stage.worker.pid()));
    stage.worker.kill().await?;
    let unheard = within("the caller is gone", stage.pager.called(called, Call::hung_up)).await?;
    stage.pager.release();
    let survivors: Vec<Pod> = stage.pods("shop").collect();
    stage.restart().await?;
    narrator.says("stoop", &format!("{} goes on from what is on the disk", stage.worker.pid()));
    let heard = within("the pager is called", stage.pager.called(called, Call::answered)).await?;
    narrator.says("pager", &read_out(&heard.message));
    stage.until_settled("acked", 1.0).await?;
    narrator.says("stoop", "acknowledges the event");

    narrator.promise("no acknowledgement while a step was open", then == acked, then);
    let same = unheard.message["key"] == heard.message["key"];
    narrator.promise("the notification was sent after all", same, (unheard, heard));
    let mut deletes = stage.writes();
    deletes.retain(|request| is_delete_at(request, &pod));
    let once = matches!(deletes.as_slice(), [only] if is_delete_of(only, &pod));
    narrator.promise("the pod was deleted once", once, deletes);
    let spared = survivors.iter().all(|survivor| stage.is_alive(survivor));
    narrator.promise("its replacement lives, and so do the others", spared, survivors);
    ledger.victims.push(pod);
    Ok(())
}

/// The event with a key that is there twice: an envelope like any other, in whose fields nothing can be trusted.
fn forged(event: &Value) -> String {
    let fields = r#""output_fields":{"#;
    event.to_string().replacen(fields, &format!(r#"{fields}"k8s.pod.name":"db-0","#), 1)
}
