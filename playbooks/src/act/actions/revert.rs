//! Takes back what a response has changed on one object: what is still ours of it, and nothing else.

use super::{
    hold::Holder,
    label::{self, What},
    node, scale,
};
use crate::act::{
    api::{Api, Place},
    object::ObjectRef,
    outcome::{Failure, Outcome},
};

/// Takes back every label, annotation, taint, cordon and scale that is held for `holder` on this object.
///
/// The object itself says what that is, so that neither a crash nor an edited playbook makes a difference. Safe to
/// repeat: what another response still holds stays, and so does what somebody has changed since. A dry run has the
/// API server judge it.
///
/// # Errors
///
/// Where the API server can't be asked or refuses: call again.
pub async fn revert(
    api: &Api,
    object: &ObjectRef,
    holder: &Holder,
    dry_run: bool,
) -> Result<Vec<Outcome>, Failure> {
    let place = Place { namespace: object.namespace.as_deref(), name: &object.name };
    match object.kind {
        "Pod" => Ok(vec![
            label::revert(api, place, What::Label, holder, dry_run).await?,
            label::revert(api, place, What::Annotation, holder, dry_run).await?,
        ]),
        "Deployment" => Ok(vec![scale::revert(api, place, holder, dry_run).await?]),
        "Node" => node::revert(api, place, holder, dry_run).await,
        kind => Err(Failure::permanent(format!("nothing of a {kind} is ever held"))),
    }
}
