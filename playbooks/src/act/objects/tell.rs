//! Writing what is told of an object.

use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::json;

use super::{kind::Key, object::PlaybookObject, status::PlaybookStatus};
use crate::act::api::{Api, ApiError};

/// Who writes it: all workers by one name, so that what one has said another may correct.
const FIELD_MANAGER: &str = "stoop";

/// Writes the status of this very version of an object; one of the same name that came after it is left alone, and what
/// another worker has told meanwhile is not told again.
///
/// # Errors
///
/// Where the API server does not take it; a conflict says that the object is another by now.
pub async fn tell_status(
    api: &Api,
    object: &PlaybookObject,
    status: &PlaybookStatus,
) -> Result<(), ApiError> {
    let Key { kind, namespace, name } = &object.key;
    let resource = kind.resource();
    let body = json!({
        "apiVersion": format!("{}/{}", resource.group, resource.version),
        "kind": kind.as_str(),
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": object.version},
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.call(|client| async move {
        let objects = resource.objects(client, namespace.as_deref().unwrap_or_default());
        let written: kube::Result<DynamicObject> =
            objects.patch_status(name, &params, &Patch::Apply(&body)).await;
        written.map(drop)
    })
    .await
}
