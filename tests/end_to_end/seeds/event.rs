//! Events as they arrive: what Falcosidekick has put on a broker, about a pod of today.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};

pub const SHELL: &str = "Terminal shell in container";
pub const CONNECTION: &str = "Unexpected outbound connection destination";
const EXEC: &str = "Attach/Exec Pod";

/// What Falcosidekick really put on a topic, one message a line.
const RECORDED: &str = include_str!("../../../playbooks/tests/data/falcosidekick.jsonl");

/// The pod that the recorded messages name in their text.
const NAMED: &str = "k8s.ns=shop k8s.pod=web";

/// The first recorded message of this rule, of this priority, that names a pod.
pub fn recorded(rule: &str, priority: &str) -> Value {
    let messages = RECORDED.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let wanted = |message: &Value| {
        message["rule"] == rule
            && message["priority"] == priority
            && message["output_fields"]["k8s.pod.name"] == "web"
    };
    messages.into_iter().find(wanted).unwrap_or_else(|| panic!("no {priority} {rule} is recorded"))
}

/// The same about this pod, now.
///
/// The runtime of the cluster's nodes gives ids that are none, so the uid is there as well, as Falco's `append_output` adds
/// it.
pub fn about(mut message: Value, pod: &Pod) -> Value {
    let (namespace, name) = (pod.namespace().unwrap(), pod.name_any());
    let output = message["output"].as_str().unwrap();
    message["output"] = output.replace(NAMED, &format!("k8s.ns={namespace} k8s.pod={name}")).into();
    message["time"] = Timestamp::now().to_string().into();
    message["hostname"] = node(pod).unwrap_or("node-a").into();
    let fields = &mut message["output_fields"];
    fields["k8s.ns.name"] = namespace.into();
    fields["k8s.pod.name"] = name.into();
    fields["k8s.pod.uid"] = pod.uid().into();
    fields["container.id"] = Value::Null;
    message
}

/// A recorded message of that priority, under the rule and the tags of what finds miners.
pub fn miner(pod: &Pod) -> Value {
    let mut message = about(recorded(SHELL, "Critical"), pod);
    message["rule"] = "Detect crypto miners using the Stratum protocol".into();
    message["tags"] = json!(["T1496", "container", "mitre_impact", "process"]);
    message
}

/// Who attached to this pod, in the words of Falco's rules for audit logs: an audit event knows of no process.
///
/// It is of the second after the pod was made, since that is when a name begins to be proof.
pub fn exec(pod: &Pod, user: &str, command: &str) -> Value {
    let mut message = recorded(EXEC, "Notice");
    let (namespace, name) = (pod.namespace().unwrap(), pod.name_any());
    let made = pod.metadata.creation_timestamp.as_ref().unwrap().0;
    let time = Timestamp::now().max(made + SignedDuration::from_secs(2));
    message["time"] = time.to_string().into();
    message["output"] = format!(
        "{}: Notice Attach/Exec to pod (user={user} pod={name} resource=pods ns={namespace} action=exec command={command})",
        time.strftime("%H:%M:%S.%9f")
    )
    .into();
    let fields = message["output_fields"].as_object_mut().unwrap();
    fields.retain(|key, _| key.starts_with("ka."));
    fields["ka.target.namespace"] = namespace.into();
    fields["ka.target.name"] = name.into();
    fields["ka.user.name"] = user.into();
    fields["ka.uri.param[command]"] = command.into();
    message
}

fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}
