//! The roles that `stoop rbac` prints, applied as they are: they are enough, and nothing else is allowed.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    core::v1::{ConfigMap, ServiceAccount},
};
use kube::{
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
    config::AuthInfo,
};
use playbooks::act::{Api, Bound, Destinations, Permission, Registry, Right, Roles};
use serde_json::{Value, json};
use testbed::cluster::Access;

use super::{api_server, connect};
use crate::{capture::Kept, fixtures::Setup, wire::DEADLINE};

/// Where the workers' accounts are.
const HOME: &str = "default";

/// Every action, configured so that it takes all the rights that it can.
const ACTIONS: [(&str, &str); 14] = [
    ("annotate", "{key: a, value: b}"),
    ("call", "{function: scan}"),
    ("capture", "{snapshot: {}}"),
    ("capture", "{packets: {}}"),
    ("cordon", "{}"),
    ("delete", "{minHealthy: 1}"),
    ("drain", "{evictsPods: true}"),
    ("forward", "{to: topic}"),
    ("isolate", "{}"),
    ("label", "{key: a, value: b}"),
    ("notify", "{to: [log]}"),
    ("run", RUN),
    ("scale", "{}"),
    ("taint", "{}"),
];

/// In a namespace of its own: what is asked for everywhere is tried in `HOME`.
const RUN: &str = "{namespace: SCANS, serviceAccount: scanner, template: {apiVersion: batch/v1, kind: Job, spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}";

/// What no action may ever ask for.
const NEVER: [(&str, &str, &str); 7] = [
    ("", "secrets", "get"),
    ("", "secrets", "list"),
    ("", "pods/exec", "create"),
    ("", "nodes/proxy", "get"),
    ("", "serviceaccounts/token", "create"),
    ("rbac.authorization.k8s.io", "clusterrolebindings", "create"),
    ("", "namespaces", "delete"),
];

/// A connection that has these rights and no others.
pub(super) async fn connect_with(access: &Access, user: &str, permissions: &[Permission]) -> Api {
    let rights = permissions.iter().map(|right| Right::new(right.clone(), "a test"));
    connect_bound(access, user, &Roles::granting(rights), permissions).await
}

/// A connection of an account to which the printed roles are bound.
async fn connect_bound(access: &Access, user: &str, roles: &Roles, granted: &[Permission]) -> Api {
    let client = access.client().await.map_err(|error| error.to_string()).expect("a client");
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": user, "namespace": HOME}});
    let printed = roles.to_yaml(&Bound { role: user, namespace: HOME, account: user });
    let printed = serde_saphyr::from_multiple::<Value>(&printed).expect("YAML");
    for document in [account].iter().chain(printed.iter().filter(|document| document.is_object())) {
        apply(&client, document).await;
    }
    let accounts = kube::Api::<ServiceAccount>::namespaced(client, HOME);
    let asked = TokenRequest::default();
    let token = accounts.create_token_request(user, &PostParams::default(), &asked).await;
    let token = token.expect("an answer").status.expect("a token").token;
    let mut config =
        access.config().await.map_err(|error| error.to_string()).expect("a configuration");
    config.auth_info = AuthInfo { token: Some(token.into()), ..AuthInfo::default() };
    let api = Api::from_config(config, DEADLINE).map_err(|error| error.to_string());
    let api = api.expect("a connection");
    // The authorizer hears of a new role a moment later.
    for right in granted {
        let hears = async {
            while !api.can_i(right).await.expect("an answer") {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, hears)
            .await
            .unwrap_or_else(|_| panic!("not granted: {right}"));
    }
    api
}

/// As `kubectl apply --server-side`.
async fn apply(client: &kube::Client, document: &Value) {
    let text = |key: &str| document[key].as_str().unwrap_or_default();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("kind")));
    let metadata = &document["metadata"];
    let api = match metadata["namespace"].as_str() {
        Some(namespace) => {
            kube::Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource)
        }
        None => kube::Api::all_with(client.clone(), &resource),
    };
    let name = metadata["name"].as_str().expect("a name");
    let params = PatchParams::apply("test").force();
    api.patch(name, &params, &Patch::Apply(document)).await.expect("applied");
}

/// Does what the right allows, to something that is not there, and says whether it is forbidden.
async fn is_forbidden(api: &Api, right: &Permission) -> bool {
    let version = match right.group.as_str() {
        "autoscaling" => "v2",
        "cilium.io" => "v2",
        "policy.networking.k8s.io" => "v1alpha2",
        _ => "v1",
    };
    let mut path = match right.group.as_str() {
        "" => format!("/api/{version}"),
        group => format!("/apis/{group}/{version}"),
    };
    let (resource, name) = (right.resource.as_str(), right.name.as_deref().unwrap_or("none"));
    if !matches!(resource, "nodes" | "namespaces" | "clusterrolebindings") {
        path += &format!("/namespaces/{}", right.namespace.as_deref().unwrap_or(HOME));
    }
    path += &format!("/{resource}");
    let (method, is_of_one) = match right.verb.as_str() {
        "get" => ("GET", true),
        "list" => ("GET", false),
        "create" => ("POST", right.subresource.is_some()),
        "patch" => ("PATCH", true),
        "update" => ("PUT", true),
        "delete" => ("DELETE", true),
        verb => panic!("how is {verb} asked for?"),
    };
    if is_of_one {
        path += &format!("/{name}");
    }
    if let Some(subresource) = &right.subresource {
        path += &format!("/{subresource}");
    }
    if method != "GET" {
        path += "?dryRun=All";
    }
    let (kind, body) = match method {
        "PATCH" => ("application/merge-patch+json", b"{}".to_vec()),
        "GET" | "DELETE" => ("application/json", Vec::new()),
        _ => ("application/json", b"{}".to_vec()),
    };
    let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
    let request = request.body(body).expect("a request");
    let answer = api.call(|client| async move { client.request_text(request).await }).await;
    answer.is_err_and(|error| error.code() == Some(403))
}

#[test]
fn every_action_is_in_the_table() {
    let standard = Registry::standard();
    let tried: BTreeSet<_> = ACTIONS.iter().map(|(action, _)| *action).collect();
    assert_eq!(tried, standard.names().collect());
}

#[tokio::test]
async fn each_actions_roles_grant_what_it_names_and_all_else_answers_403() {
    let access = api_server().await;
    let captures = Kept::new("http://stoop:2809").captures_in(&super::namespace(access).await);
    let mut setup = Setup { captures: Some(captures), ..Setup::new(connect(access).await) };
    setup.functions =
        crate::call::functions(json!({"url": "https://scan.example"})).expect("a function");
    setup.destinations =
        Destinations::new().with("topic", std::sync::Arc::new(crate::forward::Topic::default()));
    let bench = setup.build();
    let scans = super::namespace(access).await;
    let rights_of = |(action, config): &(&str, &str)| -> Vec<Right> {
        let config = config.replace("SCANS", &scans);
        bench.plan(&format!("mode: enforce\nactions: [{action}: {config}]")).rights()
    };
    let never = NEVER.map(|(group, resource, verb)| Permission::new(group, resource, verb));
    let named = ACTIONS.iter().flat_map(rights_of).map(|right| right.permission);
    let every: BTreeSet<_> = named.chain(never.clone()).collect();
    for (number, action) in ACTIONS.iter().enumerate() {
        let rights = rights_of(action);
        let granted: Vec<_> = rights.iter().map(|right| right.permission.clone()).collect();
        let user = format!("roles-{}-{number}", action.0);
        let worker = connect_bound(access, &user, &Roles::granting(rights), &granted).await;
        for right in &every {
            // What is granted everywhere is granted in each namespace.
            let everywhere = Permission { namespace: None, ..right.clone() };
            let may = granted.contains(right) || granted.contains(&everywhere);
            assert_eq!(is_forbidden(&worker, right).await, !may, "{}: {right}", action.0);
        }
        assert!(!never.iter().any(|right| granted.contains(right)), "{}", action.0);
    }
}

#[tokio::test]
async fn what_is_ours_alone_is_granted_in_our_namespace_alone() {
    let access = api_server().await;
    let (ours, other) = (super::namespace(access).await, super::namespace(access).await);
    let client = access.client().await.map_err(|error| error.to_string()).expect("a client");
    for namespace in [&ours, &other] {
        for name in ["switch", "another"] {
            let map = serde_json::from_value(json!({"metadata": {"name": name}})).expect("a map");
            let maps = kube::Api::<ConfigMap>::namespaced(client.clone(), namespace);
            maps.create(&PostParams::default(), &map).await.expect("created");
        }
    }
    let right = Permission::new("", "configmaps", "get");
    let granted = right.clone().on(&ours, "switch");
    let worker =
        connect_with(access, &format!("{ours}-switch"), std::slice::from_ref(&granted)).await;
    for (namespace, name) in [(&ours, "switch"), (&ours, "another"), (&other, "switch")] {
        let asked = right.clone().on(namespace, name);
        assert_eq!(is_forbidden(&worker, &asked).await, asked != granted, "{asked}");
    }
}
