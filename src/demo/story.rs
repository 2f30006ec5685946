//! The story: five things that happen to a cluster, and what has to be true after each.
//!
//! What is told is read from facts: the requests that the API saw, the calls that the pager got, the worker's audit
//! lines and metrics. Nothing here decides that a promise was kept but these.

use axum::http::{Method, StatusCode};
use serde_json::Value;

use super::kubernetes::Request;
use super::narrator::Narrator;
use super::pager::Call;
use super::stage::{Error, Pod, RULE, Stage, within};

/// What the scenes leave to be judged at the end.
#[derive(Default)]
struct Ledger {
    /// Events that the intake answered with 200.
    taken: f64,
    /// Those settled by workers that are no more.
    settled: f64,
    /// The pods that events were truly about.
    victims: Vec<Pod>,
}

/// Plays all scenes. An error is a story that could not go on.
pub(super) async fn play(stage: &mut Stage, narrator: &mut Narrator) -> Result<(), Error> {
    let mut ledger = Ledger::default();
    let event = shell(stage, narrator, &mut ledger).await?;
    successor(stage, narrator, &mut ledger, &event).await?;
    protected(stage, narrator, &mut ledger).await?;
    garbage(stage, narrator, &mut ledger).await?;
    killed(stage, narrator, &mut ledger).await?;
    balance(stage, narrator, &ledger).await
}

async fn shell(
    stage: &Stage,
    narrator: &mut Narrator,
    ledger: &mut Ledger,
) -> Result<Value, Error> {
    narrator.scene("A shell in a container");
    let pod = stage.pod("shop", "db-0")?;
    let event = stage.falco(&pod).await?;
    narrator.says("falco", &format!("{RULE:?} in {pod}"));
    deliver(stage, narrator, ledger, &event).await?;

    let delete = within("the pod is deleted", stage.cluster.saw(|r| is_delete(r, &pod))).await?;
    narrator.says("stoop", &tell(&delete));
    let call = within("the pager is called", stage.pager.called(0, Call::answered)).await?;
    narrator.says("pager", &read_out(&call.message));
    stage.until_settled("acked", 1.0).await?;
    narrator.says("stoop", "the event is acknowledged");

    narrator.promise("the pod is gone", !stage.is_alive(&pod), &pod);
    let writes = stage.writes();
    let one = matches!(writes.as_slice(), [only] if is_delete(only, &pod) && names(only, &pod));
    narrator.promise("by one request, which names its uid", one, writes);
    ledger.victims.push(pod);
    Ok(event)
}

async fn successor(
    stage: &Stage,
    narrator: &mut Narrator,
    ledger: &mut Ledger,
    event: &Value,
) -> Result<(), Error> {
    narrator.scene("The same event again, and the name has a new owner");
    let heir = stage.pod("shop", "db-0")?;
    let before = stage.writes().len();
    narrator.says("cluster", &format!("the StatefulSet has made {heir}"));
    narrator.says("falco", "says the same again, late");
    deliver(stage, narrator, ledger, event).await?;
    stage.until_settled("acked", 2.0).await?;
    narrator.says("stoop", "that pod is gone: the event is acknowledged, nothing is left to do");

    narrator.promise("the successor is untouched", stage.is_alive(&heir), &heir);
    let after = stage.writes();
    narrator.promise("and nobody asked to touch it", after.len() == before, after);
    Ok(())
}

async fn protected(
    stage: &Stage,
    narrator: &mut Narrator,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    narrator.scene("A protected namespace");
    let pod = stage.pod("kube-system", "coredns")?;
    let (before, called) = (stage.writes().len(), stage.pager.calls());
    narrator.says("falco", &format!("{RULE:?} in {pod}"));
    deliver(stage, narrator, ledger, &stage.falco(&pod).await?).await?;

    let call = within("the pager is called", stage.pager.called(called, Call::answered));
    let call = call.await?;
    narrator.says("pager", &read_out(&call.message));
    stage.until_settled("acked", 3.0).await?;

    let refused = &call.message["steps"][0];
    let kept = refused["outcome"] == "refused" && refused["reason"] == "protected-namespace";
    narrator.promise("somebody is told that stoop did not act, and why", kept, &call);
    let after = stage.writes();
    let kept = stage.is_alive(&pod) && after.len() == before;
    narrator.promise("the pod lives, and nobody asked to touch it", kept, after);
    let audit = stage.worker.audit();
    let recorded = audit
        .iter()
        .any(|line| line["uid"] == pod.uid.as_str() && line["steps"][0]["outcome"] == "refused");
    narrator.promise("the refusal is on record", recorded, audit);
    Ok(())
}

async fn garbage(stage: &Stage, narrator: &mut Narrator, ledger: &mut Ledger) -> Result<(), Error> {
    narrator.scene("Garbage");
    let before = stage.writes().len();
    narrator.says("somebody", "sends what is no event at all");
    let (status, why) = stage.post("rm -rf /").await?;
    narrator.says("stoop", &format!("{} at the door: {why}", status.as_u16()));
    let kept = status == StatusCode::BAD_REQUEST && !why.is_empty();
    narrator.promise("the sender is told that it was not taken, and why", kept, (status, why));

    // An envelope like any other; only within its fields is it seen that it can't be trusted.
    let pod = stage.pod("shop", "web")?;
    let event = stage.falco(&pod).await?;
    let twice = r#""output_fields":{"k8s.pod.name":"web","k8s.pod.name":"db-0""#;
    let forged = event.to_string().replacen(r#""output_fields":{"#, &format!("{twice},"), 1);
    narrator.says("somebody", "sends an event that names two pods at once");
    let (status, answer) = stage.post(forged).await?;
    narrator.says("stoop", &format!("{} on the disk", status.as_u16()));
    ledger.taken += count(status);
    narrator.promise("it is taken, since it might be an event", status == StatusCode::OK, answer);
    stage.until_settled("dead-lettered", 1.0).await?;
    narrator.says("stoop", "it can't be read: kept as a dead letter, byte for byte");
    let after = stage.writes();
    narrator.promise("nothing was touched", after.len() == before, after);
    Ok(())
}

async fn killed(
    stage: &mut Stage,
    narrator: &mut Narrator,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    narrator.scene("A kill in mid-playbook");
    let pod = stage.pod("shop", "web")?;
    let called = stage.pager.calls();
    let acked = stage.settled("acked").await?;
    stage.pager.hold();
    narrator.says("pager", "lets its callers wait");
    narrator.says("falco", &format!("{RULE:?} in {pod}"));
    deliver(stage, narrator, ledger, &stage.falco(&pod).await?).await?;
    let delete = within("the pod is deleted", stage.cluster.saw(|r| is_delete(r, &pod))).await?;
    narrator.says("stoop", &tell(&delete));
    within("the pager is called", stage.pager.called(called, |_| true)).await?;
    let open = stage.settled("acked").await?;
    let dead = stage.settled("dead-lettered").await?;
    ledger.settled += open + dead;

    narrator.says("somebody", &format!("kill -9 {}", stage.worker.pid()));
    stage.worker.kill().await?;
    let unheard = within("the caller is gone", stage.pager.called(called, Call::hung_up)).await?;
    stage.pager.release();
    let survivors: Vec<Pod> = stage.pods("shop").collect();
    stage.restart().await?;
    narrator.says("stoop", &format!("{} starts on what that one left", stage.worker.pid()));
    let heard = within("the pager is called", stage.pager.called(called, Call::answered)).await?;
    narrator.says("pager", &read_out(&heard.message));
    stage.until_settled("acked", 1.0).await?;
    narrator.says("stoop", "the event is acknowledged");

    narrator.promise("it was not acknowledged while a step was open", open == acked, open);
    let same = unheard.message["key"] == heard.message["key"];
    narrator.promise("the notification is sent after all", same, (unheard, heard));
    let mut deletes = stage.writes();
    deletes.retain(|request| request.path == pod.path());
    let once = deletes.len() == 1 && deletes.iter().all(|delete| names(delete, &pod));
    narrator.promise("the pod was deleted once", once, deletes);
    let spared = survivors.iter().all(|survivor| stage.is_alive(survivor));
    narrator.promise("its replacement lives, and so do the others", spared, survivors);
    ledger.victims.push(pod);
    Ok(())
}

/// What holds over all scenes together.
async fn balance(stage: &Stage, narrator: &mut Narrator, ledger: &Ledger) -> Result<(), Error> {
    narrator.scene("In the end");
    let settled =
        ledger.settled + stage.settled("acked").await? + stage.settled("dead-lettered").await?;
    let left = stage.metric("stoop_lag", &[]).await?;
    let taken = ledger.taken;
    narrator.says("stoop", &format!("{taken} events taken, {settled} settled, {left} left"));
    let kept = settled == taken && left == 0.0;
    narrator.promise("nothing is lost: every event that was taken is settled", kept, settled);

    let writes = stage.writes();
    narrator.says("cluster", &format!("{} requests that change something", writes.len()));
    let meant = |write: &Request| {
        ledger.victims.iter().any(|pod| is_delete(write, pod) && names(write, pod))
    };
    let kept = writes.len() == ledger.victims.len() && writes.iter().all(meant);
    let promise = "no innocent is hurt: each names the uid of a pod that Falco truly spoke of";
    narrator.promise(promise, kept, writes);
    Ok(())
}

async fn deliver(
    stage: &Stage,
    narrator: &mut Narrator,
    ledger: &mut Ledger,
    event: &Value,
) -> Result<(), Error> {
    let (status, answer) = stage.post(event).await?;
    ledger.taken += count(status);
    if status != StatusCode::OK {
        narrator.promise("the event is taken", false, (status, answer));
    }
    Ok(())
}

fn count(status: StatusCode) -> f64 {
    if status == StatusCode::OK { 1.0 } else { 0.0 }
}

fn is_delete(request: &Request, pod: &Pod) -> bool {
    request.method == Method::DELETE && request.path == pod.path() && request.answered.is_some()
}

/// Whether a delete can hit this very pod only, and leaves it time to end.
fn names(delete: &Request, pod: &Pod) -> bool {
    delete.body["preconditions"]["uid"] == pod.uid.as_str()
        && delete.body["gracePeriodSeconds"].as_u64().is_some_and(|grace| grace >= 1)
}

fn tell(delete: &Request) -> String {
    let options = &delete.body;
    let uid = options["preconditions"]["uid"].as_str().unwrap_or("no uid");
    let status = delete.answered.map_or_else(|| "no answer".to_owned(), |code| code.to_string());
    format!("DELETE {} if its uid is {uid}: {status}", delete.path)
}

pub(super) fn read_out(message: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let steps = message["steps"].as_array().into_iter().flatten();
    let steps: Vec<String> = steps
        .map(|step| {
            format!(
                "{} {}: {}",
                text(&step["action"]),
                text(&step["outcome"]),
                text(&step["detail"])
            )
        })
        .collect();
    format!("hears about {}: {}", text(&message["target"]), steps.join(", "))
}
