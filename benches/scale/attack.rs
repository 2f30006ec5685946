//! Events that are answered, and the pods that some of them are about.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stoop::demo::kubernetes::Server;

pub const NAMESPACE: &str = "shop";

/// Answers what happens on a host.
pub const TELL: &str = "
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: tell}
spec:
  mode: enforce
  match: {rules: [\"Terminal shell in container\"]}
  actions:
    - notify: {to: [log]}
";

/// Answers what happens in a pod.
pub const DELETE: &str = "
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: delete}
spec:
  mode: enforce
  match: {rules: [\"Terminal shell in container\"]}
  actions:
    - delete: {gracePeriod: 1s, owners: [Standalone]}
";

/// What Falco says of a shell, each a microsecond before the last.
fn event(number: usize, fields: Value) -> String {
    let time = Timestamp::now() - SignedDuration::from_micros(i64::try_from(number).unwrap());
    let nanos = i64::try_from(time.as_nanosecond()).unwrap();
    let mut all = json!({
        "evt.time": nanos, "evt.type": "execve", "proc.cmdline": "sh", "proc.name": "sh", "proc.pname": "runc",
        "proc.tty": 34816, "user.name": "root", "user.uid": 0,
    });
    all.as_object_mut().unwrap().append(&mut fields.as_object().unwrap().clone());
    let output = "Notice A shell was spawned in a container with an attached terminal (evt_type=execve user=root \
                  user_uid=0 user_loginuid=-1 process=sh proc_exepath=/bin/busybox parent=runc command=sh \
                  terminal=34816 exe_flags=EXE_WRITABLE|EXE_LOWER_LAYER container_id=6ac7d190134e container_name=app)";
    json!({
        "hostname": "node-a", "output": format!("{time}: {output}"), "priority": "Notice",
        "rule": "Terminal shell in container", "source": "syscall",
        "tags": ["T1059", "container", "maturity_stable", "mitre_execution", "shell"],
        "time": time.to_string(), "output_fields": all,
    })
    .to_string()
}

/// One about no pod.
pub fn on_a_host(number: usize) -> String {
    event(number, json!({"container.id": "host"}))
}

/// An API server in memory, and pods in it that nothing holds.
pub struct Attacked {
    pub server: Server,
    pods: usize,
}

impl Attacked {
    pub async fn start(pods: usize) -> Attacked {
        let server = Server::start().await.unwrap();
        server.keep_responses("stoop").unwrap();
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        server.create(namespace).unwrap();
        for number in 0..pods {
            let metadata = json!({"namespace": NAMESPACE, "name": format!("web-{number}"), "labels": {"app": "web"}});
            // No scheduler takes them, so that they are gone at once when they are deleted.
            let spec =
                json!({"schedulerName": "none", "containers": [{"name": "app", "image": "app"}]});
            let pod =
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
            server.create(pod).unwrap();
        }
        Attacked { server, pods }
    }

    /// An event about each pod.
    pub fn events(&self) -> Vec<String> {
        let pods = self.server.pods(NAMESPACE);
        assert_eq!(pods.len(), self.pods);
        let about = |(number, pod): (usize, Value)| {
            let (name, uid) = (&pod["metadata"]["name"], &pod["metadata"]["uid"]);
            let fields =
                json!({"k8s.ns.name": NAMESPACE, "k8s.pod.name": name, "k8s.pod.uid": uid});
            event(number, fields)
        };
        pods.into_iter().enumerate().map(about).collect()
    }
}
