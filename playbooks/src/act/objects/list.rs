//! All objects of a kind at one time, for who doesn't follow them.

use kube::api::ListParams;

use super::{kind::PlaybookKind, object::PlaybookObject};
use crate::act::{api::Api, outcome::Failure};

/// How many objects one page of a list holds.
const PAGE: u32 = 100;

/// Those that there are; `None` where the cluster doesn't know the kind.
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
    let (mut params, mut all) = (ListParams::default().limit(PAGE), Vec::new());
    loop {
        let (objects, asked) = (kind.resource().everywhere(api), &params);
        let page = api.call(|_| async move { objects.list(asked).await }).await?;
        all.extend(page.items.into_iter().filter_map(|object| PlaybookObject::of(kind, object)));
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok(Some(all));
        }
    }
}
