//! What an API error means for an event: retry, wait, or give up.

use std::time::Duration;

use kube::core::Status;

use crate::act::{
    outcome::{Dependency, Failure, FailureKind},
    text::clean,
};

/// The worker could not even set the client up.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither a kubeconfig nor a service account was found.
    #[error("no cluster found: set KUBECONFIG, or run in a pod with a service account")]
    NotFound(#[from] Box<kube::config::InferConfigError>),
    /// The named kubeconfig context can't be used.
    #[error("the kubeconfig context can't be used")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// The configuration was found, but no client can be built from it.
    #[error("no client can be made from the kubeconfig")]
    Client(#[from] Box<kube::Error>),
}

/// What the caller of an API call may have to tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// The API server itself says that there is no such object.
    NotFound,
    /// 409: a precondition did not hold, or the object exists.
    Conflict,
    /// Everything else.
    Failed(FailureKind),
}

/// An API call that did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    class: Class,
    status: Option<Box<Status>>,
    message: String,
}

impl ApiError {
    /// What it means.
    pub fn class(&self) -> &Class {
        &self.class
    }

    /// The HTTP status code, where the server answered at all.
    pub fn code(&self) -> Option<u16> {
        self.status.as_ref().map(|status| status.code)
    }

    /// True where one of the answer's causes has this reason.
    pub(in crate::act) fn has_cause(&self, reason: &str) -> bool {
        self.status
            .as_ref()
            .and_then(|status| status.details.as_ref())
            .is_some_and(|details| details.causes.iter().any(|cause| cause.reason == reason))
    }
}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> ApiError {
        let class = classify(&error);
        match error {
            kube::Error::Api(status) => {
                // The text can be a proxy's whole error page.
                let text = clean(&status.message, 300);
                let message = match status.code {
                    403 => forbidden(&text),
                    401 => format!(
                        "the Kubernetes API does not accept the worker's credentials: {text}"
                    ),
                    code => format!("the Kubernetes API answered {code}: {text}"),
                };
                ApiError { class, status: Some(status), message }
            }
            error => ApiError { class, status: None, message: explain(&error) },
        }
    }
}

/// What is missing comes first: whoever is told may see the beginning alone.
fn forbidden(text: &str) -> String {
    match missing(text) {
        Some(missing) => format!(
            "may not {missing}: grant it (`stoop rbac` prints the roles, `stoop check --cluster` lists what is missing); {text}"
        ),
        // An admission's no as well: of that no role is the cure.
        None => format!(
            "the Kubernetes API forbids it: {text}; `stoop check --cluster` lists what is missing, if a permission is"
        ),
    }
}

/// Verb, resource and place of what the API server
/// [says](https://github.com/kubernetes/kubernetes/blob/v1.35.0/staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go)
/// that a user cannot do.
fn missing(text: &str) -> Option<String> {
    let (_, said) = text.split_once("\" cannot ")?;
    let (verb, said) = said.split_once(" resource \"")?;
    let (resource, said) = said.split_once("\" in API group \"")?;
    let (group, said) = said.split_once('"')?;
    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
    let namespace = said.strip_prefix(" in the namespace \"").and_then(|said| said.split_once('"'));
    let place = match namespace {
        Some((namespace, _)) => format!(" in {namespace}"),
        None if said.starts_with(" at the cluster scope") => " in the whole cluster".to_owned(),
        None => String::new(),
    };
    Some(format!("{verb} {resource}{group}{place}"))
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> ApiError {
        ApiError { class: Class::Failed(failure.kind), status: None, message: failure.why }
    }
}

impl From<ApiError> for Failure {
    /// For callers to whom 404 and 409 mean nothing special: a missing object of our own configuration
    /// stays missing, a conflict passes.
    fn from(error: ApiError) -> Failure {
        let kind = match error.class {
            Class::NotFound => FailureKind::Permanent,
            Class::Conflict => FailureKind::Transient,
            Class::Failed(kind) => kind,
        };
        let asked = error.status.as_ref().and_then(|status| status.details.as_ref());
        let seconds =
            asked.map(|details| u64::from(details.retry_after_seconds)).filter(|wait| *wait > 0);
        let wait = seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
        Failure { kind, why: error.message, retry_after: wait, held_up: false }
    }
}

/// The longest wait that the API server can impose.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The decision table, without the words.
pub(super) fn classify(error: &kube::Error) -> Class {
    let unavailable = Class::Failed(FailureKind::Unavailable(Dependency::KubernetesApi));
    match error {
        kube::Error::Api(status) => classify_status(status),
        // Nothing arrived: no connection, TLS, a reset, credentials that can't be read just now.
        kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::Auth(_) => unavailable,
        // An answer that is no Kubernetes object: bounded by the attempts, since it may be this object's fault.
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => {
            Class::Failed(FailureKind::Transient)
        }
        _ => Class::Failed(FailureKind::Permanent),
    }
}

fn classify_status(status: &Status) -> Class {
    let kind = match status.code {
        // Only the API server's own word counts as "there is no such object": a load balancer's 404 would
        // otherwise turn a misrouted call into "the pod is gone".
        404 if status.reason == "NotFound" => return Class::NotFound,
        409 => return Class::Conflict,
        // 401 is not about this event: a service account's token has run out or its authenticator is away.
        // Every event would fail alike, so it is an outage, not a reason to dead-letter the stream.
        401 | 404 | 408 | 429 | 502..=504 => FailureKind::Unavailable(Dependency::KubernetesApi),
        // A continue token that has expired while paging.
        410 => FailureKind::Transient,
        code if code >= 500 => FailureKind::Transient,
        _ => FailureKind::Permanent,
    };
    Class::Failed(kind)
}

/// What went wrong before there was a status, the error's sources behind it.
fn explain(error: &kube::Error) -> String {
    let what = match error {
        kube::Error::HyperError(_) | kube::Error::Service(_) => {
            "the Kubernetes API can't be reached"
        }
        kube::Error::Auth(_) => "the worker's credentials can't be read",
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => {
            "the Kubernetes API's answer can't be read"
        }
        _ => "the Kubernetes API can't be asked",
    };
    let mut text = String::new();
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        // Some displays repeat their source, some don't.
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    format!("{what}{}", clean(&text, 300))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn api(code: u16, reason: &str) -> kube::Error {
        kube::Error::Api(Status::failure("message", reason).with_code(code).boxed())
    }

    #[test]
    fn every_answer_has_one_meaning() {
        let unavailable = || Class::Failed(FailureKind::Unavailable(Dependency::KubernetesApi));
        let permanent = || Class::Failed(FailureKind::Permanent);
        let transient = || Class::Failed(FailureKind::Transient);
        let table = [
            (api(400, "BadRequest"), permanent()),
            (api(401, "Unauthorized"), unavailable()),
            (api(403, "Forbidden"), permanent()),
            (api(404, "NotFound"), Class::NotFound),
            (api(404, "Failed to parse error data"), unavailable()),
            (api(405, "MethodNotAllowed"), permanent()),
            (api(408, "Timeout"), unavailable()),
            (api(409, "Conflict"), Class::Conflict),
            (api(410, "Expired"), transient()),
            (api(415, "UnsupportedMediaType"), permanent()),
            (api(422, "Invalid"), permanent()),
            (api(429, "TooManyRequests"), unavailable()),
            (api(500, "InternalError"), transient()),
            (api(502, ""), unavailable()),
            (api(503, "ServiceUnavailable"), unavailable()),
            (api(504, "Timeout"), unavailable()),
            (api(507, ""), transient()),
            (kube::Error::Service("connection refused".into()), unavailable()),
            (kube::Error::TlsRequired, permanent()),
        ];
        for (error, meaning) in table {
            assert_eq!(classify(&error), meaning, "{error}");
        }
    }

    #[test]
    fn a_proxys_error_page_is_cut_and_holds_no_line_breaks() {
        let page = format!("<html>\n{}</html>", "x".repeat(10_000));
        let error =
            ApiError::from(kube::Error::Api(Status::failure(&page, "").with_code(502).boxed()));
        assert!(error.to_string().len() < 400);
        assert!(!error.to_string().contains('\n'));
    }

    #[test]
    fn an_error_without_an_answer_says_what_it_was() {
        let refused = ApiError::from(kube::Error::Service("connection refused".into()));
        assert_eq!(
            refused.to_string(),
            "the Kubernetes API can't be reached: ServiceError: connection refused"
        );
        let Err(odd) = serde_json::from_str::<u8>("<html>") else { return };
        let odd = ApiError::from(kube::Error::SerdeError(odd)).to_string();
        assert!(odd.starts_with("the Kubernetes API's answer can't be read: "), "{odd}");
    }

    #[test]
    fn a_wait_that_the_server_asks_for_is_kept_within_bounds() {
        let asked = |seconds: u32| {
            let details = serde_json::from_value(json!({"retryAfterSeconds": seconds})).ok()?;
            let status =
                Status::failure("later", "TooManyRequests").with_code(429).with_details(details);
            Failure::from(ApiError::from(kube::Error::Api(status.boxed()))).retry_after
        };
        assert_eq!(asked(0), None);
        assert_eq!(asked(7), Some(Duration::from_secs(7)));
        assert_eq!(asked(86_400), Some(LONGEST_WAIT));
    }

    #[test]
    fn a_missing_permission_says_how_to_find_what_is_missing() {
        let error = ApiError::from(api(403, "Forbidden"));
        assert!(error.to_string().contains("stoop check --cluster"));
        assert!(Failure::from(error).is_permanent());
    }

    #[test]
    fn verb_and_resource_of_a_missing_permission_come_first() {
        let user = r#"User "system:serviceaccount:stoop:stoop" cannot"#;
        for (said, first) in [
            (
                r#"networkpolicies.networking.k8s.io "x" is forbidden: USER patch resource "networkpolicies" in API group "networking.k8s.io" in the namespace "shop""#,
                "may not patch networkpolicies.networking.k8s.io in shop: grant it (`stoop rbac` prints the roles",
            ),
            (
                r#"pods "web" is forbidden: USER create resource "pods/eviction" in API group "" in the namespace "shop""#,
                "may not create pods/eviction in shop: grant it",
            ),
            (
                r#"nodes "n" is forbidden: USER patch resource "nodes" in API group "" at the cluster scope"#,
                "may not patch nodes in the whole cluster: grant it",
            ),
            (
                r#"pods "x" is forbidden: violates PodSecurity "restricted:latest""#,
                "the Kubernetes API forbids it: pods",
            ),
        ] {
            let said = said.replace("USER", user);
            let status = Status::failure(&said, "Forbidden").with_code(403).boxed();
            let told = ApiError::from(kube::Error::Api(status)).to_string();
            assert!(told.starts_with(first), "{told}");
            assert!(told.contains(&said), "{told}");
        }
    }
}
