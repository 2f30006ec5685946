//! A playbook of the Kubernetes Response Engine, by the flags that it was deployed with.
//!
//! Facts are those of falcosecurity/kubernetes-response-engine at 9884fa7 (April 2019): `deploy_playbook`,
//! `deploy_playbook_aws` and `deploy_playbook_gke`.

use std::{fmt, str::FromStr};

use playbooks::decide::Mode;
use serde_json::{Map, Value, json};

use super::{
    Draft, Imported, Needs, Remark,
    draft::{Item, Step},
    names::{literal, one_line, slug},
    source::Node,
};

/// What `deploy_playbook` was called with.
#[derive(Clone, Debug, Default)]
pub struct KreOptions {
    /// `-p`: its name, one of those that came with the engine or one of your own.
    pub playbook: String,
    /// `-e`: the function's environment.
    pub environment: Vec<KreVariable>,
    /// `-s`: which events, as subjects.
    pub subscriptions: Vec<String>,
    /// `-t`: of Pub/Sub; in its first versions what `-s` was later.
    pub topic: Option<String>,
}

/// One variable of the function's environment. What it says can be a secret, and is never shown.
#[derive(Clone)]
pub struct KreVariable {
    name: String,
    value: String,
}

impl fmt::Debug for KreVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=…", self.name)
    }
}

impl FromStr for KreVariable {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
        Ok(KreVariable { name: name.trim().to_owned(), value: value.to_owned() })
    }
}

/// Turns one deployed playbook into one of ours.
///
/// # Errors
///
/// It is not said which events it is for, or which playbook it is, or a subject asks for what only NATS can tell apart.
pub fn import(options: &KreOptions, mode: Mode) -> Result<Imported, String> {
    let name = options.playbook.trim();
    if name.is_empty() {
        return Err("no playbook: name it with -p, such as `-p slack`".to_owned());
    }
    let mut subjects =
        options.subscriptions.iter().map(|it| glob(it)).collect::<Result<Vec<_>, _>>()?;
    let mut remarks = Vec::new();
    if let Some(topic) = &options.topic {
        match topic.starts_with("falco.") {
            true => subjects.push(glob(topic)?),
            false => remarks.push(Remark::differs(
                &Node::named("-t"),
                format!("the topic {} is a subscription of the worker", one_line(topic)),
                "`subscriptions: {falco: {pubsub: {…}}}` of stoop.yaml",
            )),
        }
    }
    if subjects.is_empty() {
        return Err("no events: name them with -s, such as `-s falco.notice.*`, or `-s 'falco.*.*'` for all".to_owned());
    }
    let mut needs = Needs::default();
    let item = Deployed {
        name,
        environment: &options.environment,
        at: Node::named(&format!("-p {}", one_line(name))),
    }
    .item(&mut needs);
    let needs = needs.complete();
    let draft = Draft {
        name: format!("falco-{}", slug(name)),
        from: format!("deploy_playbook -p {name}"),
        description: None,
        mode,
        matching: Map::from_iter([("subjects".to_owned(), subjects.into())]),
        items: vec![item],
        remarks,
        needs: needs.clone(),
    };
    let draft = draft.checked(&Node::named(&format!("-p {}", one_line(name))));
    Ok(Imported { drafts: vec![draft], remarks: Vec::new(), needs })
}

/// A subject of NATS as a glob, whose `*` crosses dots. The engine's have three tokens, `falco.PRIORITY.RULE`, none of which
/// has a dot in it, so that with as many tokens both mean the same.
fn glob(subject: &str) -> Result<String, String> {
    let subject = subject.trim();
    let refused = |why: &str| {
        let subject = one_line(subject);
        format!("-s {subject}: {why}; write such as `falco.notice.*`, or `falco.>` for all")
    };
    let tokens: Vec<_> = subject.split('.').collect();
    let (ends_open, known) = match tokens.as_slice() {
        [known @ .., ">"] => (true, known),
        known => (false, known),
    };
    if tokens.len() > 3 || (tokens.len() < 3 && !ends_open) {
        return Err(refused("no event has it, as theirs have three parts: falco.PRIORITY.RULE"));
    }
    let is_odd = |token: &&str| {
        token.is_empty() || token.contains('>') || (token.len() > 1 && token.contains('*'))
    };
    if known.iter().any(is_odd) {
        return Err(refused("NATS takes `*` for a whole part alone, and `>` at the end alone"));
    }
    let each =
        known.iter().map(|token| if *token == "*" { "*".to_owned() } else { literal(token) });
    let each = each.chain(ends_open.then(|| "*".to_owned()));
    Ok(each.collect::<Vec<_>>().join("."))
}

struct Deployed<'a> {
    name: &'a str,
    environment: &'a [KreVariable],
    at: Node,
}

impl Deployed<'_> {
    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().rfind(|variable| variable.name == name)?;
        Some(found.value.as_str()).filter(|value| !value.is_empty())
    }

    /// What is read of the environment, as it is or as a secret that the configuration names.
    fn read(&self) -> &'static [&'static str] {
        match self.name {
            "taint" => &["TAINT_KEY", "TAINT_VALUE", "TAINT_EFFECT"],
            "capture" => &["CAPTURE_DURATION", "AWS_S3_BUCKET", "GCLOUD_BUCKET"],
            "slack" => &["SLACK_WEBHOOK_URL"],
            "demisto" => &["DEMISTO_BASE_URL", "DEMISTO_API_KEY", "VERIFY_SSL"],
            "phantom" => &["PHANTOM_BASE_URL", "VERIFY_SSL"],
            _ => &[],
        }
    }

    /// What nothing here reads.
    fn unread(&self) -> impl Iterator<Item = Remark> {
        let unread = self
            .environment
            .iter()
            .filter(|variable| !self.read().contains(&variable.name.as_str()));
        unread.map(|variable| {
            let how = format!("nothing here reads the variable {}", one_line(&variable.name));
            let what = "what needs it, such as a function of yours or the worker, has to have it";
            Remark::differs(&self.at, how, what)
        })
    }

    fn item(&self, needs: &mut Needs) -> Item {
        let mut item = Item { remarks: self.unread().collect(), steps: Vec::new() };
        match self.name {
            "delete" => {
                let owners = ["ReplicaSet", "StatefulSet", "DaemonSet", "Job", "Standalone"];
                item.steps.push(Step::new("delete", json!({"owners": owners})));
            }
            "isolate" => {
                let how = "it sets the label isolated=true, and whether a policy selects that is another matter";
                let what = "here the policy is made too, and only `Effective` is success: see isolate's `accept`";
                item.remarks.push(Remark::differs(&self.at, how, what));
                item.steps.push(Step::new("isolate", json!({})));
            }
            "taint" => item.steps.push(Step::new("taint", self.taint())),
            "capture" => self.capture(&mut item, needs),
            "slack" => {
                let url = json!({"slack": {"url": {"env": "SLACK_WEBHOOK_URL"}}});
                notify(&mut item, needs, "slack", url);
            }
            "demisto" => {
                let config = json!({"url": self.base("DEMISTO_BASE_URL"), "apiKey": {"env": "DEMISTO_API_KEY"}});
                self.tls(&mut item);
                notify(&mut item, needs, "xsoar", json!({"xsoar": config}));
            }
            "phantom" => {
                let how = "it logs in with PHANTOM_USER and PHANTOM_PASSWORD";
                let what = "here with the token of an automation user: SPLUNK_SOAR_TOKEN";
                item.remarks.push(Remark::differs(&self.at, how, what));
                let config = json!({"url": self.base("PHANTOM_BASE_URL"), "token": {"env": "SPLUNK_SOAR_TOKEN"}});
                self.tls(&mut item);
                notify(&mut item, needs, "splunk-soar", json!({"splunkSoar": config}));
            }
            _ => {
                let function = format!("falco-{}", slug(self.name));
                let how = "a playbook of your own goes on as the function that it is";
                let what = format!("here it is posted to: `functions.{function}` of stoop.yaml");
                item.remarks.push(Remark::differs(&self.at, how, what));
                needs.function(&function, None);
                item.steps.push(Step::new("call", json!({"function": function})));
            }
        }
        item
    }

    fn taint(&self) -> Value {
        let effect = self.variable("TAINT_EFFECT").unwrap_or("NoSchedule");
        let config = json!({
            "key": self.variable("TAINT_KEY").unwrap_or("falco/alert"),
            "value": self.variable("TAINT_VALUE").unwrap_or("true"),
            "effect": effect,
        });
        match (effect, config) {
            // The engine takes pods off the node without being asked twice.
            ("NoExecute", Value::Object(mut config)) => {
                config.insert("evictsPods".to_owned(), true.into());
                Value::Object(config)
            }
            (_, config) => config,
        }
    }

    fn capture(&self, item: &mut Item, needs: &mut Needs) {
        let duration = self.variable("CAPTURE_DURATION").unwrap_or("120");
        let Some(seconds) = duration.parse::<u64>().ok().filter(|seconds| *seconds > 0) else {
            let why = "CAPTURE_DURATION is no number of seconds";
            item.remarks.push(Remark::lost(&self.at, why, "write `-e CAPTURE_DURATION=120`"));
            return;
        };
        if seconds > 300 {
            let how = "at most five minutes can be recorded";
            item.remarks.push(Remark::differs(&self.at, how, "here it is five minutes"));
        }
        let url = match (self.variable("AWS_S3_BUCKET"), self.variable("GCLOUD_BUCKET")) {
            (Some(bucket), _) => format!("s3://{}", bucket.trim_start_matches("s3://")),
            (None, Some(bucket)) => format!("gs://{}", bucket.trim_start_matches("gs://")),
            (None, None) => "file:///var/lib/stoop/evidence".to_owned(),
        };
        let how = "it records the whole node, in a privileged job of the pod's namespace that holds the bucket's keys";
        let what = "here one container, in a job without credentials in a namespace of its own; the keys are the worker's";
        item.remarks.push(Remark::differs(&self.at, how, what));
        item.remarks.extend(needs.evidence(&url, &self.at));
        needs.jobs();
        let config = json!({"syscalls": {"duration": format!("{}s", seconds.min(300))}});
        item.steps.push(Step::new("capture", config));
    }

    /// An address as it was given; it is no secret.
    fn base(&self, name: &str) -> Value {
        self.variable(name).map_or_else(|| json!({"env": name}), Value::from)
    }

    fn tls(&self, item: &mut Item) {
        let off = |text: &str| !["yes", "true", "1"].contains(&text.to_lowercase().as_str());
        if self.variable("VERIFY_SSL").is_some_and(off) {
            let why = "VERIFY_SSL is off, and certificates are always verified here";
            let help = "give the server a certificate of an authority in SSL_CERT_FILE";
            item.remarks.push(Remark::lost(&self.at, why, help));
        }
    }
}

fn notify(item: &mut Item, needs: &mut Needs, name: &str, config: Value) {
    needs.notifier(name, config);
    item.steps.push(Step::new("notify", json!({"to": [name]})));
}
