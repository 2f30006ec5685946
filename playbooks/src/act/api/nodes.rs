//! The calls on nodes.

use k8s_openapi::api::core::v1::Node;
use kube::api::{ListParams, ObjectList};

use super::{Api, ApiError};

/// How many nodes one page of a list holds: a node lists its images, and is large.
const PAGE: u32 = 100;

impl Api {
    /// One page of nodes; the token asks for the next one.
    pub(in crate::act) async fn nodes(
        &self,
        token: Option<String>,
    ) -> Result<ObjectList<Node>, ApiError> {
        let mut params = ListParams::default().limit(PAGE);
        params.continue_token = token;
        self.call(|client| async move { kube::Api::<Node>::all(client).list(&params).await }).await
    }
}
