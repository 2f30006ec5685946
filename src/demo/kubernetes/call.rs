//! A request as the API understands it: what its path, query and headers ask for.

use axum::{
    extract::Query,
    http::{Method, header, request::Parts},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::{
    access::{ADMIN, Access},
    kinds::{Kind, POD, RESPONSE},
    status::{Failure, bad_request, no_such_resource},
};

pub(super) struct Call {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) parameters: Parameters,
    pub(super) content_type: String,
    /// Only the metadata of what is read is wanted.
    pub(super) metadata_only: bool,
    pub(super) user: String,
    pub(super) body: Bytes,
}

pub(super) enum Target {
    Version,
    Health,
    AccessReview,
    /// Which groups are served beside those of Kubernetes.
    Groups,
    /// What stoop's own group has.
    OwnGroup,
    Objects(Resource),
}

/// A collection of objects, or one of them, or a subresource of one.
pub(super) struct Resource {
    pub(super) kind: &'static Kind,
    /// Empty for a kind without namespaces, and for all namespaces.
    pub(super) namespace: String,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<Subresource>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Subresource {
    Status,
    Eviction,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Parameters {
    pub(super) label_selector: String,
    pub(super) field_selector: String,
    pub(super) limit: usize,
    pub(super) r#continue: Option<String>,
    pub(super) watch: Option<String>,
    pub(super) dry_run: Option<String>,
    pub(super) grace_period_seconds: Option<i64>,
    pub(super) field_manager: Option<String>,
    pub(super) force: Option<bool>,
}

impl Call {
    pub(super) fn read(parts: &Parts, body: Bytes) -> Result<Call, Failure> {
        let header = |name| {
            let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default()
        };
        let Query(parameters) = Query::<Parameters>::try_from_uri(&parts.uri)
            .map_err(|error| bad_request(&error.to_string()))?;
        let content_type = header(header::CONTENT_TYPE.as_str());
        Ok(Call {
            method: parts.method.clone(),
            target: target(parts.uri.path()).ok_or_else(no_such_resource)?,
            parameters,
            content_type: content_type.split(';').next().unwrap_or_default().trim().to_owned(),
            metadata_only: header(header::ACCEPT.as_str()).contains("as=PartialObjectMetadata;"),
            user: match header("impersonate-user") {
                "" => ADMIN.to_owned(),
                user => user.to_owned(),
            },
            body,
        })
    }

    pub(super) fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| bad_request(&format!("the body is not valid JSON: {error}")))
    }

    /// `dryRun` in the query; its one value is `All`.
    pub(super) fn is_dry_run(&self) -> Result<bool, Failure> {
        match self.parameters.dry_run.as_deref() {
            None | Some("") => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(bad_request(&format!("dryRun: Unsupported value: {other:?}"))),
        }
    }

    /// What the request wants to do, as authorization sees it.
    pub(super) fn access(&self, on: &Resource) -> Access {
        let verb = match (&self.method, &on.name) {
            (&Method::GET, Some(_)) => "get",
            (&Method::GET, None) => "list",
            (&Method::POST, _) => "create",
            (&Method::PUT, _) => "update",
            (&Method::PATCH, _) => "patch",
            (&Method::DELETE, Some(_)) => "delete",
            _ => "deletecollection",
        };
        Access {
            user: self.user.clone(),
            verb: verb.into(),
            group: on.kind.group.into(),
            resource: on.kind.resource.into(),
            subresource: on.subresource.map(Subresource::as_str).unwrap_or_default().into(),
            namespace: on.namespace.clone(),
            name: on.name.clone().unwrap_or_default(),
        }
    }
}

impl Subresource {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Subresource::Status => "status",
            Subresource::Eviction => "eviction",
        }
    }
}

fn target(path: &str) -> Option<Target> {
    let steps: Vec<&str> = path.trim_matches('/').split('/').collect();
    match steps.as_slice() {
        ["version"] => Some(Target::Version),
        ["healthz" | "livez" | "readyz"] => Some(Target::Health),
        ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] => {
            Some(Target::AccessReview)
        }
        ["apis"] => Some(Target::Groups),
        ["apis", group, version] if *group == RESPONSE.group && *version == RESPONSE.version => {
            Some(Target::OwnGroup)
        }
        ["api", version, rest @ ..] => resource("", version, rest).map(Target::Objects),
        ["apis", group, version, rest @ ..] => resource(group, version, rest).map(Target::Objects),
        _ => None,
    }
}

fn resource(group: &str, version: &str, steps: &[&str]) -> Option<Resource> {
    let (namespace, steps) = match steps {
        // `namespaces/shop/status` is a namespace's status, not a kind within it.
        ["namespaces", namespace, plural, ..] if *plural != "status" => {
            (*namespace, steps.get(2..)?)
        }
        steps => ("", steps),
    };
    let (plural, rest) = steps.split_first()?;
    let kind = Kind::at(group, version, plural)?;
    let (name, subresource) = match rest {
        [] => (None, None),
        [name] => (Some(*name), None),
        [name, "status"] if kind.has_status => (Some(*name), Some(Subresource::Status)),
        [name, "eviction"] if *kind == POD => (Some(*name), Some(Subresource::Eviction)),
        _ => return None,
    };
    // An object is addressed within its namespace, or without one if its kind has none.
    let addressed = kind.namespaced != namespace.is_empty();
    (addressed || name.is_none() && kind.namespaced).then(|| Resource {
        kind,
        namespace: namespace.to_owned(),
        name: name.map(str::to_owned),
        subresource,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<(&'static str, String, Option<String>, Option<&'static str>)> {
        match target(path)? {
            Target::Objects(on) => {
                Some((on.kind.kind, on.namespace, on.name, on.subresource.map(Subresource::as_str)))
            }
            _ => None,
        }
    }

    #[test]
    fn a_path_names_a_kind_a_namespace_a_name_and_a_subresource() {
        let name = |name: &str| Some(name.to_owned());
        let table = [
            ("/api/v1/pods", ("Pod", "", None, None)),
            ("/api/v1/namespaces/shop/pods/web", ("Pod", "shop", name("web"), None)),
            (
                "/api/v1/namespaces/shop/pods/web/status",
                ("Pod", "shop", name("web"), Some("status")),
            ),
            (
                "/api/v1/namespaces/shop/pods/web/eviction",
                ("Pod", "shop", name("web"), Some("eviction")),
            ),
            ("/api/v1/namespaces/shop", ("Namespace", "", name("shop"), None)),
            ("/api/v1/namespaces/shop/status", ("Namespace", "", name("shop"), Some("status"))),
            ("/api/v1/nodes/a", ("Node", "", name("a"), None)),
            ("/apis/apps/v1/namespaces/shop/deployments", ("Deployment", "shop", None, None)),
        ];
        for (path, (kind, namespace, name, subresource)) in table {
            assert_eq!(read(path), Some((kind, namespace.into(), name, subresource)), "{path}");
        }
    }

    #[test]
    fn a_path_that_is_not_served_names_nothing() {
        for path in [
            "/",
            "/api/v1",
            "/api/v1/secrets",
            "/apis/apps/v1/pods",
            "/api/v1/pods/web",
            "/api/v1/namespaces/shop/nodes/a",
            "/api/v1/namespaces/shop/pods/web/log",
            "/api/v1/namespaces/shop/configmaps/a/status",
        ] {
            assert!(target(path).is_none(), "{path}");
        }
    }
}
