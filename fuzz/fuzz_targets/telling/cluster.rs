//! An API server in memory: one pod, and whatever is created is looked at and taken.

use std::time::Duration;

use http::{Method, Response};
use kube::client::Body;
use playbooks::act::Api;
use serde_json::{Value, json};

use crate::{look, stage::CONTAINER};

pub fn serve() -> Api {
    let service = tower::service_fn(async |request: http::Request<Body>| {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await?;
        let (code, answer) = answer(&parts.method, parts.uri.path(), &body);
        let response =
            Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
        Ok::<_, tower::BoxError>(response?)
    });
    Api::from_client(kube::Client::new(service, "default"), Duration::from_secs(5))
}

fn answer(method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
    match (method, path) {
        (&Method::GET, "/api/v1/namespaces/shop/pods/web") => (200, pod()),
        (&Method::POST, path) if path.ends_with("/selfsubjectreviews") => {
            (201, json!({"metadata": {}, "status": {"userInfo": {"username": "worker"}}}))
        }
        (&Method::POST, _) => {
            let Ok(object) = serde_json::from_slice(body) else { panic!("{path}: no JSON") };
            look::at_object(&object);
            (201, object)
        }
        _ => (
            404,
            json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "not found", "reason": "NotFound", "code": 404
            }),
        ),
    }
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "0b6f1d3c-7e58-4c0e-9a41-3d2f7c1b5a90",
            "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "web"},
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "i"}]},
        "status": {"containerStatuses": [{
            "name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
            "containerID": format!("containerd://{CONTAINER}3f2a6ac7d190134e3f2a")
        }]}
    })
}
