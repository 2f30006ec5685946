//! What the pods' statuses say: pure decisions.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::{
    Aspect, Finding,
    pods::{Part, Saw, parts},
};
use crate::act::text::clean;

/// What the kubelet says of all containers.
fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let before = status.and_then(|status| status.init_container_statuses.as_ref());
    let after = status.and_then(|status| status.container_statuses.as_ref());
    before.into_iter().chain(after).flatten()
}

/// The address of a pod that runs; why it never will.
pub(super) fn address(pod: &Pod) -> Option<Result<String, String>> {
    if let Some(why) = failed(pod) {
        return Some(Err(why));
    }
    let status = pod.status.as_ref()?;
    let runs =
        statuses(pod).any(|it| it.state.as_ref().is_some_and(|state| state.running.is_some()));
    let address = status.pod_ip.clone().filter(|address| !address.is_empty() && runs)?;
    Some(Ok(address))
}

/// What a part has seen, once it has ended; why it saw nothing.
pub(super) fn seen(pod: &Pod, part: Part) -> Option<Result<Saw, String>> {
    let name = part.name();
    let ended = statuses(pod)
        .find(|status| status.name == name)
        .and_then(|status| status.state.as_ref()?.terminated.as_ref());
    let Some(ended) = ended else { return failed(pod).map(Err) };
    let message = ended.message.as_deref().unwrap_or_default().trim();
    let saw = [Saw::Open, Saw::Blocked].into_iter().find(|saw| saw.as_str() == message);
    Some(match (ended.exit_code, saw) {
        (0, Some(saw)) => Ok(saw),
        (code, _) => {
            let why = words([ended.reason.as_deref(), Some(message)]);
            Err(format!("its part {name} ended with {code}{why}"))
        }
    })
}

/// Why a pod has ended as a whole.
fn failed(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let ended = matches!(status.phase.as_deref(), Some("Failed" | "Succeeded"));
    ended.then(|| {
        let why = words([status.reason.as_deref(), status.message.as_deref()]);
        format!("it has ended{why}")
    })
}

/// What a status says, behind a colon each.
fn words<const N: usize>(said: [Option<&str>; N]) -> String {
    let said = said.into_iter().flatten().filter(|word| !word.is_empty());
    said.map(|word| format!(": {}", clean(word, 200))).collect()
}

/// What keeps a pod from getting on, as far as its status says.
pub(super) fn stuck(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let unscheduled = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    if let Some(condition) = unscheduled {
        let why = words([condition.reason.as_deref(), condition.message.as_deref()]);
        return Some(format!("it is not scheduled{why}"));
    }
    statuses(pod).find_map(|status| {
        let waiting = status.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref().filter(|reason| *reason != "PodInitializing")?;
        let why = words([Some(reason), waiting.message.as_deref()]);
        Some(format!("its container {} waits{why}", status.name))
    })
}

/// What has been found out, by what the parts saw, in order; `why` there are not more of them.
pub(super) fn findings(aspects: &[Aspect], saw: &[Saw], why: &str) -> Vec<(Aspect, Finding)> {
    let parts = parts(aspects);
    let as_wanted =
        |at: usize| saw.get(at).map(|saw| Some(*saw) == parts.get(at).map(|it| it.wants()));
    let judge = |at: usize| {
        match (as_wanted(at), as_wanted(at + 1), as_wanted(at + 2)) {
        (Some(false), ..) => Finding::CouldNotTell(
            "there was no connection without the policy either: does another policy hold pods of the namespace?".into(),
        ),
        (Some(true), Some(false), _) => Finding::DoesNot,
        (Some(true), Some(true), Some(true)) => Finding::Enforces,
        (Some(true), Some(true), Some(false)) => Finding::CouldNotTell(
            "the connection did not come back once the policy was gone: something else broke it".into(),
        ),
        _ => Finding::CouldNotTell(why.to_owned()),
    }
    };
    aspects.iter().enumerate().map(|(at, aspect)| (*aspect, judge(2 * at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Aspect; 2] = [Aspect::Ingress, Aspect::Egress];

    #[test]
    fn enforced_is_said_only_of_what_was_open_before_and_after() {
        use Finding::{DoesNot, Enforces};
        use Saw::{Blocked, Open};
        let words = |saw: &[Saw]| -> Vec<String> {
            findings(&BOTH, saw, "gone").into_iter().map(|(_, it)| it.to_string()).collect()
        };
        let (yes, no) = (Enforces.to_string(), DoesNot.to_string());
        let gone = "could not tell: gone".to_owned();
        let shut = words(&[Blocked])[0].clone();
        assert!(shut.contains("no connection without the policy"), "{shut}");
        let broken = words(&[Open, Blocked, Blocked])[0].clone();
        assert!(broken.contains("did not come back"), "{broken}");
        let table: [(&[Saw], [&String; 2]); 8] = [
            (&[], [&gone, &gone]),
            (&[Open], [&gone, &gone]),
            (&[Open, Open], [&no, &gone]),
            (&[Open, Blocked], [&gone, &gone]),
            (&[Open, Blocked, Open], [&yes, &gone]),
            (&[Open, Blocked, Open, Blocked, Open], [&yes, &yes]),
            (&[Open, Open, Open, Blocked, Open], [&no, &yes]),
            (&[Open, Blocked, Blocked], [&broken, &shut]),
        ];
        for (saw, expected) in table {
            assert_eq!(words(saw).iter().collect::<Vec<_>>(), expected, "{saw:?}");
        }
    }

    proptest::proptest! {
        /// By a second way to judge it: nothing is called enforced without its three parts, each as it has to be.
        #[test]
        fn no_other_course_is_called_enforced(course in proptest::collection::vec(proptest::bool::ANY, 0..6)) {
            let saw: Vec<_> = course.iter().map(|open| if *open { Saw::Open } else { Saw::Blocked }).collect();
            for (at, (_, finding)) in findings(&BOTH, &saw, "").into_iter().enumerate() {
                let three = course.get(2 * at..2 * at + 3);
                proptest::prop_assert_eq!(finding == Finding::Enforces, three == Some(&[true, false, true][..]));
            }
        }
    }
}
