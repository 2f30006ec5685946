//! Who has been exempted: by an annotation of the namespace, or, where the operator allows it, of the pod.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use crate::act::{
    object::ObjectRef,
    outcome::{Guardrail, Refusal},
    target::Verified,
};

/// Exempts for as long as it is there and says anything but a clear no.
const IGNORE: &str = "stoop.dev/ignore";

/// Exempts until a time, in RFC 3339.
const IGNORE_UNTIL: &str = "stoop.dev/ignore-until";

/// Whose annotations exempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exemptions {
    /// Nobody's are looked at.
    #[default]
    Off,
    /// A namespace's, which takes a right on namespaces to write.
    Namespaces,
    /// A pod's too: whoever may create a pod can keep stoop away from it.
    NamespacesAndPods,
}

type Annotations = BTreeMap<String, String>;

impl Exemptions {
    /// The refusal where the target is exempted, or where that can't be told.
    pub(super) fn judge(self, target: &Verified, now: Timestamp) -> Option<Refusal> {
        if self == Exemptions::Off {
            return None;
        }
        let Some(of_namespace) = target.namespace_annotations() else {
            let namespace = target.namespace();
            let why = format!("the annotations of the namespace {namespace} were not read");
            return Some(Refusal::new(Guardrail::ExemptionUnreadable, why));
        };
        self.judge_pod(target.pod(), of_namespace, now)
    }

    /// The same for any pod, by the annotations of its namespace.
    pub(super) fn judge_pod(
        self,
        pod: &Pod,
        of_namespace: &Annotations,
        now: Timestamp,
    ) -> Option<Refusal> {
        if self == Exemptions::Off {
            return None;
        }
        let namespace = pod.namespace().unwrap_or_default();
        judge(of_namespace, &format!("the namespace {namespace}"), now).or_else(|| {
            let of_pod = pod.metadata.annotations.as_ref();
            let of_pod = of_pod.filter(|_| self == Exemptions::NamespacesAndPods)?;
            let whose = ObjectRef::pod(namespace, pod.name_any());
            let refusal = judge(of_pod, &whose.to_string(), now)?;
            let (uid, why) = (pod.uid().unwrap_or_default(), &refusal.why);
            tracing::warn!(pod = %whose, %uid, %why, "a pod exempts itself");
            Some(refusal)
        })
    }
}

fn judge(annotations: &Annotations, whose: &str, now: Timestamp) -> Option<Refusal> {
    if annotations.get(IGNORE).is_some_and(|value| !is_no(value)) {
        let why = format!("{whose} is exempted by its annotation {IGNORE}");
        return Some(Refusal::new(Guardrail::Exempt, why));
    }
    match annotations.get(IGNORE_UNTIL)?.trim().parse::<Timestamp>() {
        Ok(until) if now < until => {
            let why = format!("{whose} is exempted until {until} by its annotation {IGNORE_UNTIL}");
            Some(Refusal::new(Guardrail::Exempt, why))
        }
        Ok(_) => None,
        // Somebody wanted an exemption: until it can be read nothing is touched, and nothing forgotten.
        Err(_) => {
            let why = format!(
                "the annotation {IGNORE_UNTIL} of {whose} is no time: write one such as \
                 2026-01-31T18:00:00Z, or take it away"
            );
            Some(Refusal::new(Guardrail::ExemptionUnreadable, why))
        }
    }
}

/// As the kill switch reads it: whatever nobody foresaw holds back.
fn is_no(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "off" | "false" | "no" | "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exemption_ends_when_it_says_and_what_cannot_be_read_holds_back() {
        use Guardrail::{Exempt, ExemptionUnreadable};
        let now: Timestamp = "2026-01-31T18:00:00Z".parse().expect("a time");
        let table = [
            (IGNORE, "true", Some(Exempt)),
            (IGNORE, "", Some(Exempt)),
            (IGNORE, "please", Some(Exempt)),
            (IGNORE, "false", None),
            (IGNORE, " No ", None),
            (IGNORE_UNTIL, "2026-01-31T18:00:01Z", Some(Exempt)),
            (IGNORE_UNTIL, "2026-01-31T20:00:01+02:00", Some(Exempt)),
            (IGNORE_UNTIL, "2026-01-31T18:00:00Z", None),
            (IGNORE_UNTIL, "2026-01-31T20:00:00+02:00", None),
            (IGNORE_UNTIL, "2026-01-31", Some(ExemptionUnreadable)),
            (IGNORE_UNTIL, "2026-01-31T18:00:01", Some(ExemptionUnreadable)),
            (IGNORE_UNTIL, "tomorrow", Some(ExemptionUnreadable)),
            (IGNORE_UNTIL, "", Some(ExemptionUnreadable)),
            ("stoop.dev/ignored", "true", None),
        ];
        for (key, value, expected) in table {
            let annotations = Annotations::from([(key.to_owned(), value.to_owned())]);
            let refusal = judge(&annotations, "the namespace shop", now);
            assert_eq!(refusal.map(|refusal| refusal.guardrail), expected, "{key}: {value:?}");
        }
        let both = [(IGNORE, "true"), (IGNORE_UNTIL, "soon")];
        let both = both.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(judge(&both, "x", now).map(|refusal| refusal.guardrail), Some(Exempt));
    }
}
