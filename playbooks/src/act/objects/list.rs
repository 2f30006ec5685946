//! All objects of a kind at one time, for who doesn't follow them.

use kube::api::ListParams;

use super::{gathered::Gathered, kind::PlaybookKind, object::PlaybookObject};
use crate::act::{api::Api, outcome::Failure};

/// How many objects one page of a list holds: each may have more than a mebibyte.
pub(super) const PAGE: u32 = 32;

/// Those that there are, those of namespaces without their text for which there is no room; `None` where the cluster doesn't know the kind.
///
/// # Errors
///
/// Where they can't be listed.
pub async fn list_playbooks(
    api: &Api,
    kind: PlaybookKind,
) -> Result<Option<Vec<PlaybookObject>>, Failure> {
    if api.served(&[kind.resource()]).await?.is_empty() {
        return Ok(None);
    }
    let (mut params, mut all) = (ListParams::default().limit(PAGE), Gathered::default());
    loop {
        let (objects, asked) = (kind.resource().everywhere(api), &params);
        let page = api.call(|_| async move { objects.list(asked).await }).await?;
        let objects = page.items.into_iter();
        objects.filter_map(|object| PlaybookObject::of(kind, object)).for_each(|it| all.add(it));
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok(Some(all.take()));
        }
    }
}
