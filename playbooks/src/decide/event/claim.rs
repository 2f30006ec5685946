//! What an event says it is about.

use super::{Event, EventError, Fields, names};
use std::borrow::Cow;

/// What the event *says*. Every value could have been chosen by an attacker; all that holds is its syntax.
///
/// Something that can't be the name, uid or id it is meant to be is `None`: never cut, escaped or guessed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Which kind of thing was seen.
    pub source: ClaimSource,
    /// The namespace, an RFC 1123 label.
    pub namespace: Option<String>,
    /// The pod's name, an RFC 1123 subdomain.
    pub pod: Option<String>,
    /// The pod's uid.
    pub pod_uid: Option<String>,
    /// The container's id, short or full, in lower case.
    pub container_id: Option<String>,
    /// `hostname`, where it could be a node's name. It can also be the Falco pod's own.
    pub node: Option<String>,
    /// The audit event's id.
    pub audit_id: Option<String>,
}

/// Which kind of thing an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClaimSource {
    /// A process in a container.
    Container,
    /// A process of the node itself.
    Host,
    /// A request to the Kubernetes API, on this resource; it is a pod only where that is `pods`.
    Audit {
        /// `ka.target.resource`
        resource: Option<String>,
    },
    /// Nothing that has a pod or a node.
    None,
}

impl Event<'_> {
    /// What the event says it is about.
    ///
    /// # Errors
    ///
    /// As [`Event::fields`].
    pub fn claim(&self) -> Result<Claim, EventError> {
        let fields = self.fields()?;
        let audit_id =
            fields.string("ka.auditid").filter(|id| names::is_uid(id)).map(Cow::into_owned);
        let node = self.hostname.as_deref().and_then(|name| named(name, names::is_subdomain));
        if self.source == "k8s_audit" {
            return Ok(Claim { audit_id, ..audited(fields) });
        }
        if fields.string("container.id").as_deref() == Some("host") {
            return Ok(Claim { node, audit_id, ..Claim::of(ClaimSource::Host) });
        }
        let pod = name(fields, "k8s.pod.name", names::is_subdomain);
        let pod_uid =
            fields.string("k8s.pod.uid").filter(|uid| names::is_uid(uid)).map(Cow::into_owned);
        let container_id = container_id(fields);
        let about_a_pod = pod.is_some() || pod_uid.is_some() || container_id.is_some();
        let source = if about_a_pod { ClaimSource::Container } else { ClaimSource::None };
        let namespace = name(fields, "k8s.ns.name", names::is_label);
        Ok(Claim { source, namespace, pod, pod_uid, container_id, node, audit_id })
    }
}

impl Claim {
    /// True where it names what is never given twice, a pod's uid or a container's id: who claims the same means the same.
    pub fn is_lasting(&self) -> bool {
        let has_id = self.pod_uid.is_some() || self.container_id.is_some();
        self.source == ClaimSource::Container && has_id
    }

    fn of(source: ClaimSource) -> Claim {
        Claim {
            source,
            namespace: None,
            pod: None,
            pod_uid: None,
            container_id: None,
            node: None,
            audit_id: None,
        }
    }
}

/// An audit event names its object; it carries no uid or container of it, and `hostname` is not its node.
fn audited(fields: &Fields<'_>) -> Claim {
    let resource = fields.string("ka.target.resource").map(Cow::into_owned);
    let namespace = name(fields, "ka.target.namespace", names::is_label);
    // A pod created with `generateName` has its name only in the response.
    let pod = match resource.as_deref() {
        Some("pods") => ["ka.target.name", "ka.resp.name"]
            .into_iter()
            .find_map(|key| name(fields, key, names::is_subdomain)),
        _ => None,
    };
    Claim { namespace, pod, ..Claim::of(ClaimSource::Audit { resource }) }
}

fn name(fields: &Fields<'_>, key: &str, valid: fn(&str) -> bool) -> Option<String> {
    fields.string(key).and_then(|text| named(&text, valid))
}

/// `host` is Falco's word for "no container": it is never taken for a name.
fn named(text: &str, valid: fn(&str) -> bool) -> Option<String> {
    (text != "host" && valid(text)).then(|| text.to_owned())
}

/// The longest id that the event gives, where the two that it can give agree.
fn container_id(fields: &Fields<'_>) -> Option<String> {
    let id = |key| {
        fields.string(key).filter(|id| names::is_container_id(id)).map(|id| id.to_ascii_lowercase())
    };
    match (id("container.id"), id("container.full_id")) {
        (Some(short), Some(full)) if full.starts_with(&short) => Some(full),
        (None, Some(full)) => Some(full),
        (short, _) => short,
    }
}
