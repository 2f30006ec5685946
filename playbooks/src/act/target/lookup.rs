//! Finding the pods that a claim could mean, by whatever the event names.

use k8s_openapi::api::core::v1::Pod;

use super::judge::{Evidence, Kind, Verdict, judge};
use crate::{
    act::{
        api::{Api, ApiError, PodSelector},
        object::ObjectRef,
    },
    decide::Claim,
};

/// What the search came to.
#[derive(Debug)]
pub(super) enum Found {
    /// Exactly one pod, verified.
    Pod(Box<Pod>),
    /// There is no such pod.
    Absent(String),
    /// There is another in its place.
    Gone(String),
    NotYet(String),
    Refused(String),
}

/// Searches by namespace and name, by name, by node, or through all pods.
pub(super) async fn find(
    api: &Api,
    claim: &Claim,
    evidence: &Evidence<'_>,
) -> Result<Found, ApiError> {
    match (&claim.namespace, &claim.pod) {
        (Some(namespace), Some(name)) => match api.pod(namespace, name).await? {
            Some(pod) => {
                let verdict = judge_here(api, evidence, &pod).await?;
                Ok(conclude(vec![(pod, verdict)]))
            }
            None => Ok(Found::Absent(format!("there is no {}", ObjectRef::pod(namespace, name)))),
        },
        (None, Some(name)) => by_name(api, evidence, name).await,
        (namespace, None) => without_name(api, evidence, claim, namespace.as_deref()).await,
    }
}

/// The pods of this name in all namespaces.
async fn by_name(api: &Api, evidence: &Evidence<'_>, name: &str) -> Result<Found, ApiError> {
    let selector =
        PodSelector { fields: Some(format!("metadata.name={name}")), ..PodSelector::default() };
    let scan = scan(api, &selector, |_| true).await?;
    if scan.hits.is_empty() {
        return Ok(Found::Absent(format!("there is no pod {name} in any namespace")));
    }
    Ok(conclude(judge_all(api, evidence, scan.hits).await?))
}

/// The pods that uid or container id point to, on the event's node or anywhere.
async fn without_name(
    api: &Api,
    evidence: &Evidence<'_>,
    claim: &Claim,
    namespace: Option<&str>,
) -> Result<Found, ApiError> {
    let points_to = |pod: &Pod| evidence.points_to(pod);
    let mut scanned = None;
    if let Some(node) = &claim.node {
        let selector =
            PodSelector { fields: Some(format!("spec.nodeName={node}")), ..PodSelector::default() };
        scanned = Some(scan(api, &selector, points_to).await?).filter(|scan| scan.seen > 0);
    }
    // A host without a single pod is no node (Falco itself runs on every one that it watches): look anywhere.
    let everywhere = scanned.is_none();
    let scan = match scanned {
        Some(scan) => scan,
        None => scan(api, &PodSelector::default(), points_to).await?,
    };
    if scan.hits.is_empty() {
        return Ok(match (evidence.is_young(), everywhere && claim.pod_uid.is_some()) {
            (true, _) => Found::NotYet("no pod's status lists the event's container yet".into()),
            (false, true) => Found::Absent("no pod of the cluster has the event's uid".into()),
            (false, false) => Found::Refused("no pod's status lists the event's container".into()),
        });
    }
    let elsewhere =
        |pod: &Pod| namespace.is_some() && pod.metadata.namespace.as_deref() != namespace;
    if scan.hits.iter().any(elsewhere) {
        return Ok(Found::Refused(
            "the event's container runs in another namespace than the event says".into(),
        ));
    }
    Ok(conclude(judge_all(api, evidence, scan.hits).await?))
}

async fn judge_all(
    api: &Api,
    evidence: &Evidence<'_>,
    pods: Vec<Pod>,
) -> Result<Vec<(Pod, Verdict)>, ApiError> {
    let mut judged = Vec::with_capacity(pods.len());
    for pod in pods {
        let verdict = judge_here(api, evidence, &pod).await?;
        judged.push((pod, verdict));
    }
    Ok(judged)
}

/// Judges one pod, and finds out whether the event's host is a node where that decides it.
async fn judge_here(api: &Api, evidence: &Evidence<'_>, pod: &Pod) -> Result<Verdict, ApiError> {
    let verdict = judge(evidence, pod);
    let mut known = evidence.clone();
    let (Verdict::AskHost, Kind::Container { host: Some(host), .. }) = (&verdict, &mut known.kind)
    else {
        return Ok(verdict);
    };
    // Whether pods run there tells it without the right to read nodes.
    let selector = PodSelector {
        fields: Some(format!("spec.nodeName={}", host.name)),
        limit: Some(1),
        ..PodSelector::default()
    };
    host.is_node = Some(!api.pods(&selector, None).await?.items.is_empty());
    Ok(judge(&known, pod))
}

/// Exactly one match, or none.
fn conclude(judged: Vec<(Pod, Verdict)>) -> Found {
    let (mut passed, mut gone, mut refused) = (Vec::new(), None, None);
    for (pod, verdict) in judged {
        match verdict {
            Verdict::Passed => passed.push(pod),
            // One pod that may yet turn out to match makes every other answer premature.
            Verdict::NotYet(why) => return Found::NotYet(why),
            Verdict::Gone(why) => gone = Some(why),
            Verdict::Refused(why) => refused = Some(why),
            Verdict::AskHost => {
                refused = Some("whether the event's host is a node is not known".into())
            }
        }
    }
    let count = passed.len();
    match (passed.pop(), count, refused, gone) {
        (Some(pod), 1, ..) => Found::Pod(Box::new(pod)),
        (Some(_), count, ..) => Found::Refused(format!("{count} pods match the event")),
        (None, _, Some(why), _) => Found::Refused(why),
        (None, _, None, Some(why)) => Found::Gone(why),
        (None, _, None, None) => Found::Refused("no pod matches the event".into()),
    }
}

#[derive(Debug, Default)]
struct Scan {
    /// How many pods there were at all.
    seen: usize,
    hits: Vec<Pod>,
}

/// Pages through a list and keeps what `wanted` wants; each page has its own deadline.
async fn scan(
    api: &Api,
    selector: &PodSelector<'_>,
    wanted: impl Fn(&Pod) -> bool,
) -> Result<Scan, ApiError> {
    let mut scan = Scan::default();
    let mut token = None;
    loop {
        let page = api.pods(selector, token).await?;
        scan.seen += page.items.len();
        scan.hits.extend(page.items.into_iter().filter(&wanted));
        token = page.metadata.continue_.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(scan);
        }
    }
}
