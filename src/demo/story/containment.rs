//! The scenes in which a pod is cut off: for good, and for a while.

use serde_json::Value;

use super::{
    Ledger, deliver,
    wire::{is_change_of, is_delete_at, is_delete_of, is_policy_of},
    words::{read_out, tell, tell_change, tell_policy},
};
use crate::demo::{
    kubernetes::Request,
    narrator::Narrator,
    pager::Call,
    stage::{Error, Pod, Stage, second_after, within},
};

const MINER: &str = "Detect crypto miners using the Stratum protocol";
const CONNECTION: &str = "Unexpected outbound connection destination";

/// On a pod that is cut off: what our policy selects.
const MARK: &str = "stoop.dev/quarantine";

/// Everything at once, and each before the next.
pub(super) async fn miner(
    stage: &Stage,
    narrator: &mut Narrator,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    narrator.scene("A miner: kept, cut off, deleted, told of");
    let pod = stage.pod("shop", "cart")?;
    let others: Vec<Pod> = stage.pods("shop").filter(|other| *other != pod).collect();
    let called = stage.pager.calls();
    narrator.says("falco", &format!("{MINER:?} in {pod}"));
    deliver(stage, ledger, &stage.falco(MINER, &pod).await?).await?;

    let policy = within("a policy is made", stage.cluster.saw(|it| is_policy_of(it, &pod))).await?;
    // It was there before the policy was: actions run in the order written.
    let kept = stage.captures()?.into_iter().find(|capture| capture.uid == pod.uid);
    if let Some(kept) = &kept {
        narrator.says("stoop", &format!("keeps {} in {}", kept.files.join(", "), kept.folder));
    }
    narrator.says("stoop", &tell_policy(&policy));
    cut_off(stage, narrator, &pod).await?;
    let deleted = stage.cluster.saw(|request| is_delete_at(request, &pod));
    narrator.says("stoop", &tell(&within("the pod is deleted", deleted).await?));
    let call = within("the pager is called", stage.pager.called(called, Call::answered)).await?;
    narrator.says("pager", &read_out(&call.message));
    stage.until_settled("acked", 4.0).await?;
    narrator.says("stoop", "acknowledges the event");

    let whole = match &kept {
        Some(kept) => Some(stage.stoop(&["evidence", "verify", &kept.folder]).await?),
        None => None,
    };
    let is_whole = whole.as_ref().is_some_and(|ran| ran.succeeded);
    narrator.promise(
        "what there was of it is kept, every byte of it, says its manifest",
        is_whole,
        whole,
    );
    let order = order(&stage.writes(), &pod);
    narrator.promise(
        "one after the other: kept, cut off, deleted, told",
        order == "pcd" && kept.is_some(),
        order,
    );
    narrator.promise(
        "the policy is for this pod alone, and lets nothing in or out",
        closes(&policy),
        &policy,
    );
    let proven = call.message["steps"][1]["detail"].as_str().unwrap_or_default();
    let honest = proven.starts_with("Unproven") && !proven.contains("Effective");
    narrator.promise(
        "it isn't called proven, for nobody has said that this network obeys policies",
        honest,
        proven,
    );
    let spared = others.iter().all(|other| stage.is_alive(other));
    narrator.promise("it is gone, and the others live", spared && !stage.is_alive(&pod), others);
    ledger.victims.push(pod.clone());
    ledger.cut_off.push((pod, policy));
    Ok(())
}

/// A pod that is to be looked at, and then is none of ours any more.
pub(super) async fn connection(
    stage: &Stage,
    narrator: &mut Narrator,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    narrator.scene("A connection to nowhere good: cut off, looked at, let back in");
    let pod = stage.pod("shop", "web")?;
    let before = stage.object(&pod);
    // Of two pods that are one too many the younger goes.
    within("the pod is older than its replacement", second_after(&before)).await?;
    let called = stage.pager.calls();
    narrator.says("falco", &format!("{CONNECTION:?} in {pod}"));
    deliver(stage, ledger, &stage.falco(CONNECTION, &pod).await?).await?;
    let policy = within("a policy is made", stage.cluster.saw(|it| is_policy_of(it, &pod))).await?;
    narrator.says("stoop", &tell_policy(&policy));
    cut_off(stage, narrator, &pod).await?;
    let call = within("the pager is called", stage.pager.called(called, Call::answered)).await?;
    narrator.says("pager", &read_out(&call.message));
    stage.until_settled("acked", 5.0).await?;
    narrator.says("stoop", "acknowledges the event");

    let cut = stage.object(&pod);
    let labels =
        cut["metadata"]["labels"].as_object().map(|labels| labels.keys().collect::<Vec<_>>());
    let apart = stage.is_alive(&pod) && labels == Some(vec![&MARK.to_owned()]);
    narrator.promise(
        "it lives, to be looked at, and neither Service nor Deployment has it",
        apart,
        &cut,
    );
    let stored = stage.response(&pod);
    let (name, until) = (text(&stored["metadata"]["name"]), text(&stored["status"]["expiresAt"]));
    narrator.promise("it will be let back in by itself, after an hour", !until.is_empty(), &stored);

    narrator.says("somebody", &format!("has seen enough: stoop responses revert {name}"));
    let told = stage.stoop(&["responses", "revert", &name]).await?;
    narrator.quote(told.said.lines());
    let after = stage.object(&pod);
    let is_back = ["labels", "annotations", "ownerReferences"]
        .iter()
        .all(|part| after["metadata"][part] == before["metadata"][part]);
    narrator.promise(
        "it is what it was, in its Service's and its Deployment's hands",
        is_back,
        (before, after),
    );
    let left = stage.policies("shop").await?;
    narrator.promise(
        "nothing of stoop's is left there",
        left.is_empty() && told.succeeded,
        (left, told),
    );
    let writes = stage.writes().len();
    let again = stage.stoop(&["responses", "revert", &name]).await?;
    let nothing = stage.writes().len() == writes;
    narrator.promise(
        "to take it back once more changes nothing",
        nothing && again.succeeded,
        again,
    );
    ledger.cut_off.push((pod, policy));
    Ok(())
}

/// Tells of the change that brings the pod under its policy, and of its replacement.
async fn cut_off(stage: &Stage, narrator: &mut Narrator, pod: &Pod) -> Result<(), Error> {
    let change = stage.cluster.saw(|request| is_change_of(request, pod));
    narrator.says("stoop", &tell_change(&within("the pod is cut off", change).await?));
    narrator.says("cluster", "its Deployment lets go of it, and has another in its place");
    Ok(())
}

/// What was done to the pod, a letter for each request: policy, change, delete.
fn order(writes: &[Request], pod: &Pod) -> String {
    let letter = |write: &Request| match write {
        it if is_policy_of(it, pod) => Some('p'),
        it if is_change_of(it, pod) => Some('c'),
        it if is_delete_of(it, pod) => Some('d'),
        _ => None,
    };
    writes.iter().filter_map(letter).collect()
}

/// True for a policy that selects one mark, and allows nothing either way.
fn closes(policy: &Request) -> bool {
    let spec = &policy.body["spec"];
    let selects = spec["podSelector"]["matchLabels"].as_object();
    let is_empty = |rules: &Value| rules.as_array().is_some_and(Vec::is_empty);
    selects.is_some_and(|labels| labels.len() == 1 && labels.contains_key(MARK))
        && spec["policyTypes"].as_array().is_some_and(|types| types.len() == 2)
        && is_empty(&spec["ingress"])
        && is_empty(&spec["egress"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
