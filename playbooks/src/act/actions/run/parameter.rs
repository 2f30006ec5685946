//! What is handed over of an event, and in which form: a value may be anything that an attacker could make of it.

use crate::act::{action::Subject, config::ConfigError, occurrence::Occurrence, text::clean};

/// How many characters of a value are handed over.
const LIMIT: usize = 4096;

/// Fields that only claim which pod it is.
const CLAIMS: [(&str, &str); 4] = [
    ("k8s.pod.name", "target.pod"),
    ("k8s.ns.name", "target.namespace"),
    ("k8s.pod.uid", "target.uid"),
    ("container.id", "target.uid"),
];

/// One parameter: its name, and where its value is from.
#[derive(Debug)]
pub(super) struct Parameter {
    name: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Namespace,
    Pod,
    Uid,
    Node,
    EventId,
    Rule,
    Priority,
    Time,
    Field(String),
}

impl Parameter {
    pub(super) fn read(name: &str, from: &str) -> Result<Parameter, ConfigError> {
        if let Some((claim, verified)) = CLAIMS.iter().find(|(claim, _)| *claim == from) {
            let message = format!("{claim} is what the event says, and proves nothing");
            return Err(ConfigError::new(message)
                .help(format!("write {verified}, which is the verified pod's")));
        }
        let source = match from {
            "target.namespace" => Source::Namespace,
            "target.pod" => Source::Pod,
            "target.uid" => Source::Uid,
            "target.node" => Source::Node,
            "event.id" => Source::EventId,
            "event.rule" => Source::Rule,
            "event.priority" => Source::Priority,
            "event.time" => Source::Time,
            field if field.is_empty() || field.trim() != field || field.starts_with("target.") => {
                let message = format!("`{from}` is nothing that can be handed over");
                return Err(ConfigError::new(message).help(
                    "an output field such as `proc.cmdline`, `target.` namespace, pod, uid or node, or `event.` id, rule, \
                     priority or time",
                ));
            }
            field => Source::Field(field.to_owned()),
        };
        Ok(Parameter { name: name.to_owned(), source })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_of_target(&self) -> bool {
        matches!(self.source, Source::Namespace | Source::Pod | Source::Uid | Source::Node)
    }

    /// On one line, without what a terminal or a log would act on; empty where there is none.
    pub(super) fn value(&self, event: &Occurrence, subject: Subject<'_>) -> String {
        let target = |part: fn(&crate::act::Verified) -> &str| match subject {
            Subject::Target(target) => part(target).to_owned(),
            // Without a target it is not applied.
            Subject::Node(_) | Subject::Gone(_) | Subject::Event => String::new(),
        };
        let value = match &self.source {
            Source::Namespace => target(|pod| pod.namespace()),
            Source::Pod => target(|pod| pod.name()),
            Source::Uid => target(|pod| pod.uid().as_str()),
            Source::Node => target(|pod| pod.node().unwrap_or_default()),
            Source::EventId => event.id.to_string(),
            Source::Rule => event.rule.clone(),
            Source::Priority => event.priority.as_str().to_owned(),
            Source::Time => event.time.to_string(),
            Source::Field(key) => event.fields.get(key).cloned().unwrap_or_default(),
        };
        clean(&value, LIMIT)
    }
}

/// As the value of an environment variable: Kubernetes expands `$(NAME)` in it, and reads `$$` as `$`.
///
/// <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>
pub(super) fn for_environment(value: &str) -> String {
    value.replace('$', "$$")
}

/// As the parameter of a PipelineRun: Tekton pastes it into scripts and arguments as text, so that it has to mean nothing
/// there. Names, ids, paths and images are left as they are.
///
/// <https://tekton.dev/docs/pipelines/tasks/#substituting-parameters-and-resources>
pub(super) fn for_pipeline(value: &str) -> String {
    let is_inert = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '/' | '@' | ',' | '+')
    };
    let mut inert: String = value.chars().map(|c| if is_inert(c) { c } else { '_' }).collect();
    // First in an argument it would begin an option, or the name of a file to read.
    if inert.starts_with(['-', '+', '@']) {
        inert.replace_range(..1, "_");
    }
    inert
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the kubelet does it: k8s.io/kubernetes/third_party/forked/golang/expansion.
    fn expand(text: &str) -> String {
        let (mut out, mut rest) = (String::new(), text);
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some((_, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')'))
            {
                out.push_str("EXPANDED");
                rest = after;
            } else {
                out.push('$');
            }
        }
        out + rest
    }

    #[test]
    fn a_reference_is_a_text_like_any_other() {
        assert_eq!(for_environment("$(TOKEN)"), "$$(TOKEN)");
        assert_eq!(expand("$(TOKEN)"), "EXPANDED");
    }

    #[test]
    fn names_and_paths_survive_where_commands_do_not() {
        for same in ["web-5d-x2", "shop.example", "/etc/passwd", "reg.example/shop/web:1@sha256:0a"]
        {
            assert_eq!(for_pipeline(same), same);
        }
        for (value, inert) in [
            ("web --all", "web_--all"),
            ("--all", "_-all"),
            ("@/etc/passwd", "_/etc/passwd"),
            ("$(id)`id`;id|id&id>x<y\n\"'\\*?[]{}~#!=", "__id__id__id_id_id_x_y______________"),
            ("$(params.other)", "__params.other_"),
            ("é", "_"),
        ] {
            assert_eq!(for_pipeline(value), inert, "{value}");
        }
    }

    #[test]
    fn what_the_event_claims_is_not_handed_over_as_the_pod() {
        for (claim, _) in CLAIMS {
            assert!(Parameter::read("EVENT_X", claim).is_err());
        }
        for odd in ["", " x", "target.ip"] {
            assert!(Parameter::read("EVENT_X", odd).is_err(), "{odd}");
        }
        assert!(Parameter::read("EVENT_X", "target.node").is_ok_and(|p| p.is_of_target()));
        assert!(Parameter::read("EVENT_X", "proc.cmdline").is_ok_and(|p| !p.is_of_target()));
    }

    proptest! {
        #[test]
        fn a_container_sees_the_value_and_nothing_else(value in "[$()A-Za-z ]{0,30}") {
            prop_assert_eq!(expand(&for_environment(&value)), value);
        }

        #[test]
        fn nothing_that_a_shell_would_act_on_gets_into_a_pipeline(value in any::<String>()) {
            let inert = for_pipeline(&value);
            prop_assert!(!inert.starts_with('-'));
            let acts = |c: char| c.is_whitespace() || "$`;|&<>()\"'\\*?[]{}~#!=^%".contains(c);
            prop_assert!(!inert.contains(acts), "{inert}");
        }
    }
}
