//! Whose pods stay since an annotation exempts them: what is exempted is not to be changed, whosever event it is.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;

use super::{AT_ONCE, fate::Sorted};
use crate::act::{
    api::{Api, Class},
    guard::Guardrails,
    outcome::{Failure, Guardrail},
};

/// In how many namespaces a node's pods may be: more than the kubelet takes pods.
const MOST: usize = 500;

type Annotations = BTreeMap<String, String>;

/// Lets those stay that are exempted, by what each of their namespaces says now, read once.
///
/// # Errors
///
/// Where one can't be read: any pod may be exempted then, and none is to go.
pub(super) async fn spare(
    api: &Api,
    guardrails: &Guardrails,
    sorted: &mut Sorted,
) -> Result<(), Failure> {
    if !guardrails.honours_exemptions() {
        return Ok(());
    }
    let namespaces: BTreeSet<_> = sorted.evict.iter().filter_map(|pod| pod.namespace()).collect();
    if namespaces.len() > MOST {
        let why = format!(
            "the node's pods are in {} namespaces, and no more than {MOST} are read",
            namespaces.len()
        );
        return Err(Failure::permanent(why).held_up());
    }
    let (namespaces, mut annotations) = (Vec::from_iter(namespaces), BTreeMap::new());
    for some in namespaces.chunks(AT_ONCE) {
        for read in join_all(some.iter().map(|name| read(api, name))).await {
            let (name, found) = read?;
            annotations.insert(name, found);
        }
    }
    let now = Timestamp::now();
    for pod in std::mem::take(&mut sorted.evict) {
        let whose = pod.namespace().and_then(|name| annotations.get(&name));
        // Each was read: a pod without one never gets this far.
        let refusal = whose.map(|whose| guardrails.judge_exemption(&pod, whose, now));
        match refusal.map(|refusal| refusal.map(|refusal| refusal.guardrail)) {
            Some(None) => sorted.evict.push(pod),
            Some(Some(Guardrail::ExemptionUnreadable)) => {
                sorted.stays("exempt by an annotation that can't be read");
            }
            Some(Some(_)) | None => sorted.stays("exempt"),
        }
    }
    Ok(())
}

async fn read(api: &Api, name: &str) -> Result<(String, Annotations), Failure> {
    let read = api
        .call(|client| async move { kube::Api::<Namespace>::all(client).get_metadata(name).await });
    match read.await {
        Ok(found) => Ok((name.to_owned(), found.metadata.annotations.unwrap_or_default())),
        Err(error) => {
            let is_gone = *error.class() == Class::NotFound;
            let failure = Failure::from(error);
            let why = format!(
                "whether the namespace {name} is exempted can't be told, and no pod is evicted: {failure}"
            );
            // One that had pods a moment ago: the next look finds neither.
            Err(if is_gone { Failure::transient(why) } else { Failure { why, ..failure } })
        }
    }
}
