//! Playbooks and events to measure with: shared by every benchmark that decides, which includes it by path.
//!
//! A quarter of the playbooks name rules, a quarter globs, a quarter fields and a quarter CEL. Those without a
//! rule are held to a priority, as a fleet's would be: one that is open to every event would leave no event
//! that a filter may skip.

use std::fmt::Write;

/// What Falco's own rules are called, and what an operator's might be.
const RULES: [&str; 12] = [
    "Terminal shell in container",
    "Read sensitive file untrusted",
    "Drop and execute new binary in container",
    "Contact K8S API Server From Container",
    "Netcat Remote Code Execution in Container",
    "Detect release_agent File Container Escapes",
    "Run shell untrusted",
    "Redirect STDOUT/STDIN to Network Connection in Container",
    "Packet socket created in container",
    "Clear Log Activities",
    "Remove Bulk Data from Disk",
    "Fileless execution via memfd_create",
];

/// `count` playbooks, as documents of one file.
pub(crate) fn playbooks(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let matching = matching(number);
        let _ = write!(
            text,
            "---\napiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {{name: playbook-{number:04}}}\n\
             spec:\n  mode: enforce\n  match: {matching}\n  actions:\n    - delete: {{gracePeriod: 5s}}\n    - notify: {{to: [log]}}\n"
        );
    }
    text
}

/// The rule that the playbooks of this block of eight ask for.
fn rule(block: usize) -> String {
    let name = RULES[block % RULES.len()];
    match block / RULES.len() {
        0 => name.to_owned(),
        family => format!("{name} {family}"),
    }
}

/// The rule that those playbooks of a block ask for that also ask for fields.
fn narrowed_rule(block: usize) -> String {
    format!("Suspicious {}", rule(block))
}

fn matching(number: usize) -> String {
    let (rule, narrowed) = (rule(number / 8), narrowed_rule(number / 8));
    match number % 8 {
        0 => format!(
            "{{rules: [\"{rule}\"], priority: \">= Notice\", namespaces: {{exclude: [ci-*]}}}}"
        ),
        4 => format!(
            "{{rules: [\"{rule}\", \"Custom {number}\"], sources: [syscall], tags: [shell]}}"
        ),
        1 => format!(
            "{{rules: [\"*{number} in container\", \"{number} escape*\"], priority: \">= Warning\"}}"
        ),
        5 => format!(
            "{{subjects: [\"falco.*.tenant_{number}_*\"], priority: [Warning, Error, Critical]}}"
        ),
        2 => format!(
            "{{rules: [\"{narrowed}\"], fields: {{\"proc.name\": [tool-{number}, sh], \"user.name\": [root, \"svc-*\"]}}}}"
        ),
        6 => {
            format!(
                "{{priority: \">= Critical\", fields: {{\"ka.target.resource\": [kind-{number}]}}}}"
            )
        }
        3 => format!(
            "{{rules: [\"{narrowed}\"], when: 'fields[\"proc.name\"] == \"bash\" && fields[\"proc.tty\"] != 0'}}"
        ),
        _ => format!(
            "{{priority: Emergency, when: 'fields[\"k8s.ns.name\"].startsWith(\"tenant-{number}\")'}}"
        ),
    }
}

/// An event of about 750 bytes that no playbook could want: its rule alone says so.
pub(crate) fn unwanted(number: usize) -> String {
    event(number, &format!("Unexpected UDP Traffic {}", number % 40), "node", "dns-proxy")
}

/// An event that a filter has to keep, since playbooks ask for its rule, and whose fields then please none.
pub(crate) fn kept(number: usize) -> String {
    event(number, &narrowed_rule(number % 12), "node", "nginx")
}

/// An event that one or two playbooks want: for its rule, for its fields, or by CEL.
pub(crate) fn wanted(number: usize) -> String {
    match number % 4 {
        0 | 1 => event(number, &rule(number % 12), "root", "sh"),
        2 => event(number, &narrowed_rule(number % 12), "root", "sh"),
        _ => event(number, &narrowed_rule(number % 12), "root", "bash"),
    }
}

fn event(number: usize, rule: &str, user: &str, process: &str) -> String {
    format!(
        "{{\"uuid\":\"cda5a467-c6d3-491b-b96e-{number:012x}\",\"output\":\"20:24:10.361728219: Notice A shell was spawned in a \
         container with an attached terminal (user={user} user_loginuid=-1 k8s.ns=shop k8s.pod=web-{number} \
         container=6ac7d190134e cmdline={process} -c uptime terminal=34816 image=alpine \\u003cNA\\u003e)\",\
         \"priority\":\"Notice\",\"rule\":\"{rule}\",\"time\":\"2026-11-21T05:24:10.361728219Z\",\"output_fields\":{{\
         \"container.id\":\"6ac7d190134e\",\"container.image.repository\":\"alpine\",\"evt.time\":1619987050361728219,\
         \"k8s.ns.name\":\"shop\",\"k8s.pod.name\":\"web-{number}\",\"proc.cmdline\":\"{process} -c uptime\",\
         \"proc.name\":\"{process}\",\"proc.pname\":\"runc\",\"proc.tty\":34816,\"user.loginuid\":-1,\"user.name\":\"{user}\"}},\
         \"source\":\"syscall\",\"tags\":[\"T1059\",\"container\",\"shell\"],\"hostname\":\"node-a\"}}"
    )
}
