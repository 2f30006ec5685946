//! No byte of a field adds a mention, a link, a line, an argument or a name, whatever it is sent to.
//!
//! What goes out about an attacker's event is compared with what goes out about a harmless one: but for the values
//! themselves both have to be the same.

use std::sync::Arc;

use http::Method;
use playbooks::act::{Notifiers, Outcome};
use serde_json::{Value, json};

use crate::{
    call,
    fixtures::{Setup, event, pod, with_pod},
    forward::{self, Topic},
    outside::{Inbox, Scripted},
    receiver::Receiver,
    responses::{recording, shelf::Responses},
    sinks,
    wire::{Answer, Request, Wire, not_found},
};

/// What an attacker may have called a process, a file, a pod.
fn values() -> Vec<String> {
    let mut values: Vec<String> = [
        "<!channel> <!here> <@U123> <#C1> @here @everyone",
        "<https://evil.example|your bank> [bank](https://evil.example) www.evil.example http://evil.example",
        "<script>alert(1)</script><img src=x onerror=y>",
        "`code` ``` *bold* _it_ ~no~ # head | cell | ![x](https://evil.example)",
        "\u{1b}[31mred\u{1b}[0m \u{1b}]8;;https://evil.example\u{7}link\u{1b}]8;;\u{7} \u{9b}31m",
        "gpj.\u{202e}exe \u{2066}x\u{2069} \u{200b}\u{feff}",
        "one\ntwo\r\nlevel=error msg=forged\u{2028}three\u{85}four",
        "x\r\nX-Evil: 1\r\n\r\nbody",
        "nul\0bell\u{7}back\u{8}del\u{7f}",
        "$(id)`id`;id|id&&id>x<y #' \" \\ ${HOME} $HOME %s %n !!",
        "$(EVENT_COMMAND) $(params.command) $(context.pipelineRun.name) {{steps}}",
        "\"},{\"source\":\"syscall\",\"rule\":\"x\"}],\"a\":[{\"",
        "../../kube-system/Pod_X%2f..%00?x=y#z",
        "--all --namespace=kube-system -n x",
    ]
    .map(str::to_owned)
    .to_vec();
    values.push("\u{1f985}".repeat(1000));
    values.push("A".repeat(1 << 20));
    values.push("<!channel>\n".repeat(100_000));
    values
}

/// An event in which everything that may be chosen is this value.
fn event_of(value: &str, fields: &Value) -> Value {
    let mut event = event();
    event["output"] = json!(value);
    event["rule"] = json!(value);
    event["source"] = json!(value);
    event["output_fields"] = fields.clone();
    for key in ["proc.cmdline", "fd.name", "user.name", "container.name"] {
        event["output_fields"][key] = json!(value);
    }
    event
}

/// About the verified pod; and about none, where the names are the attacker's word too.
fn events(value: &str) -> [Value; 2] {
    let about = event()["output_fields"].clone();
    let mut claimed = event_of(
        value,
        &json!({"container.id": "host", "k8s.ns.name": value, "k8s.pod.name": value, "static.cluster": value}),
    );
    claimed["hostname"] = json!(value);
    [event_of(value, &about), claimed]
}

fn strings(json: &Value, all: &mut Vec<String>) {
    match json {
        Value::String(text) => all.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| strings(value, all)),
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            all.push(key.clone());
            strings(value, all);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Where there is something in a JSON, and of what kind: what a value can't change.
fn shape(json: &Value) -> Value {
    match json {
        // Lines are structure too.
        Value::String(text) => json!(text.matches('\n').count()),
        Value::Array(values) => values.iter().map(shape).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        other => other.clone(),
    }
}

fn is_quiet(text: &str) -> bool {
    let moves = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !text.chars().any(|c| (c.is_control() && c != '\n') || moves(c))
}

/// What each sink must not say, since its readers would act on it.
fn sinks(to: &Receiver) -> Vec<(Value, &'static [&'static str])> {
    const MARKUP: &[&str] = &["<", ">", "@", "](", "://evil", "www.evil", "`", "!["];
    vec![
        (json!({"slack": {"url": to.url()}}), &["<!", "<@", "<#", "<http", "<script", "```"]),
        (json!({"falcosidekick": {"url": to.url()}}), MARKUP),
        (json!({"splunkSoar": {"url": to.url(), "token": "t"}}), MARKUP),
        (json!({"xsoar": {"url": to.url(), "apiKey": "k"}}), MARKUP),
        (
            json!({"securityCommandCenter": {
                "source": "organizations/1/sources/2", "endpoint": to.address(),
                "credentials": authorized(to)
            }}),
            MARKUP,
        ),
        (json!({"webhook": {"url": to.url(), "secret": "s"}}), &[]),
        (json!({"cloudEvents": {"url": to.url()}}), &[]),
    ]
}

fn authorized(to: &Receiver) -> String {
    json!({
        "type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r",
        "token_uri": format!("{}/token", to.address()),
    })
    .to_string()
}

const TOKEN: &str =
    r#"{"access_token": "t", "expires_in": 3600, "token_type": "Bearer", "success": true}"#;

/// Takes out what is data for machines within a text.
fn assert_harmless(sink: &Value, json: &mut Value, forbidden: &[&str]) {
    // What it is made of is looked at where it is not escaped.
    if let Some(raw) = json.as_object_mut().expect("an object").remove("rawJSON") {
        let raw = serde_json::from_str(raw.as_str().expect("a text")).expect("JSON");
        let mut inside = Vec::new();
        strings(&raw, &mut inside);
        assert!(inside.iter().all(|text| is_quiet(text)), "{sink}: {raw}");
    }
    let mut all = Vec::new();
    strings(json, &mut all);
    for text in &all {
        assert!(is_quiet(text), "{sink}: {text:?}");
        for part in forbidden {
            let stray = text.replace("`", "");
            let text = if sink["slack"].is_object() { text } else { &stray };
            let text = if *part == "`" { &all.join(" ") } else { text };
            assert!(!text.contains(part), "{sink} says {part}: {text}");
        }
    }
}

/// A test for each sink: they take their time between two messages.
macro_rules! sinks {
    ($($name:ident at $at:literal,)*) => {$(
        #[tokio::test]
        async fn $name() {
            super::look_at($at).await;
        }
    )*};
}

mod no_value_changes_but_for_itself_what_is_said_by {
    sinks! {
        slack at 0,
        falcosidekick at 1,
        splunk_soar at 2,
        xsoar at 3,
        security_command_center at 4,
        webhook at 5,
        cloud_events at 6,
    }
}

async fn look_at(at: usize) {
    let receiver = Receiver::start(vec![(200, TOKEN, None); 1000]).await;
    let (sink, forbidden) = sinks(&receiver).remove(at);
    let mut bodies = Vec::new();
    for value in ["harmless".to_owned()].into_iter().chain(values()) {
        for event in events(&value) {
            // Another each time: the same one would wait between messages.
            let bench = sinks::bench(sink.clone());
            let report = bench.run("mode: enforce\nactions: [notify: {to: [sink]}]", &event).await;
            assert_eq!(report.steps[0].outcome.as_str(), "applied", "{sink} {:?}", report.steps);
        }
        let received = receiver.received();
        let told: Vec<_> = received.iter().filter(|request| request.path != "/token").collect();
        let [.., verified, claimed] = &told[..] else { panic!("{sink}: {}", told.len()) };
        for message in [verified, claimed] {
            assert!(message.body.len() < 64 << 10, "{sink}: {}", message.body.len());
            assert!(message.headers.iter().all(|(name, _)| name != "x-evil"), "{sink}");
            let mut json = message.json();
            assert_harmless(&sink, &mut json, forbidden);
            bodies.push(shape(&json));
        }
        let [harmless_verified, harmless_claimed, .., verified, claimed] = &bodies[..] else {
            continue;
        };
        assert_eq!(verified, harmless_verified, "{sink} of {value:.60}");
        assert_eq!(claimed, harmless_claimed, "{sink} of {value:.60}");
    }
}

#[tokio::test]
async fn what_goes_along_with_another_is_as_harmless() {
    // The others take each by itself, in such numbers.
    for at in 0..5 {
        let receiver = Receiver::start(vec![(200, TOKEN, None); 100]).await;
        let (sink, forbidden) = sinks(&receiver).remove(at);
        let bench = sinks::bench(sink.clone());
        let events: Vec<_> =
            values().iter().take(12).map(|value| events(value)[1].clone()).collect();
        let told = events
            .iter()
            .map(|event| bench.run("mode: enforce\nactions: [notify: {to: [sink]}]", event));
        futures::future::join_all(told).await;
        let mut received = receiver.received();
        received.retain(|request| request.path != "/token");
        assert!(received.len() < events.len(), "{sink}: {}", received.len());
        for message in received {
            assert!(message.body.len() < 64 << 10, "{sink}: {}", message.body.len());
            assert_harmless(&sink, &mut message.json(), forbidden);
        }
    }
}

#[tokio::test]
async fn what_an_action_says_is_harmless_wherever_it_is_told() {
    for value in values() {
        let responses = Responses::default();
        let (api, _) = responses.serve(with_pod(pod()));
        let (says, inbox) = (Outcome::Applied(value.clone()), Inbox::default());
        let mut setup = Setup::new(api.clone());
        setup.registry = Scripted::containing("act", [says]).register(setup.registry);
        setup.notifiers =
            Notifiers::default().with("sink", Arc::new(inbox.clone())).expect("a free name");
        let bench = recording("a", setup, api);
        bench.run("mode: enforce\nactions: [act, notify: {to: [sink]}]", &event()).await;
        let kept = serde_json::to_value(responses.only()).expect("a response");
        for told in [&inbox.messages()[0]["steps"], &kept["status"]["actions"]] {
            let said = told[0]["detail"].as_str().expect("a text");
            assert!(is_quiet(said) && !said.contains('\n'), "{said:?}");
            assert!(said.chars().count() <= 500, "{}", said.len());
        }
    }
}

#[tokio::test]
async fn no_value_gets_out_of_the_body_of_a_call_or_of_what_is_forwarded() {
    let function = Receiver::start(vec![]).await;
    let calls = call::bench(json!({"url": function.url()}));
    let topic = Topic::default();
    let forwards = forward::bench(&[("topic", &topic)]);
    for value in values() {
        for event in events(&value) {
            calls.run("mode: enforce\nactions: [call: {function: scan}]", &event).await;
            forwards.run("mode: enforce\nactions: [forward: {to: topic}]", &event).await;
            let called = function.received().pop().expect("a call");
            assert!(called.body == event.to_string(), "{value:.60}");
            assert_eq!(called.path, "/services/T000/B000/topsecret");
            let mut names: Vec<_> = called.headers.keys().map(|name| name.as_str()).collect();
            names.sort_unstable();
            let expected = [
                "accept",
                "ce-id",
                "ce-source",
                "ce-specversion",
                "ce-time",
                "ce-type",
                "content-length",
                "content-type",
                "host",
                "idempotency-key",
                "traceparent",
                "user-agent",
            ];
            assert_eq!(names, expected);
            let forwarded = topic.published().pop().expect("published");
            assert!(forwarded.payload == event.to_string().into_bytes(), "{value:.60}");
            let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
            assert!(
                forwarded.headers.iter().all(|(_, value)| is_plain(value)),
                "{:?}",
                forwarded.headers
            );
        }
    }
}

/// Takes whatever is created.
fn creating() -> (playbooks::act::Api, Wire) {
    let mut live = with_pod(pod());
    Wire::new(move |request: &Request| match request.method {
        Method::POST if request.path.ends_with("/selfsubjectreviews") => Answer::Json(
            201,
            json!({"metadata": {}, "status": {"userInfo": {"username": "worker"}}}),
        ),
        Method::POST => Answer::Json(201, request.body.clone()),
        Method::GET if request.path.contains("/pods") => live(request),
        _ => not_found(),
    })
}

const RUN: &str = "
mode: enforce
actions:
  - run:
      namespace: forensics
      serviceAccount: scanner
      parameters: {NAME: proc.cmdline}
      template: TEMPLATE
  - notify: {to: [sink]}";

#[tokio::test(start_paused = true)]
async fn no_value_changes_an_object_but_for_its_own_parameter() {
    let job = r#"{apiVersion: batch/v1, kind: Job, spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i, command: [sh, -c, 'scan "$EVENT_COMMAND"']}]}}}}"#;
    let pipeline =
        "{apiVersion: tekton.dev/v1, kind: PipelineRun, spec: {pipelineRef: {name: respond}}}";
    for (template, name, at) in [
        (job, "EVENT_COMMAND", "/spec/template/spec/containers/0/env/0/value"),
        (pipeline, "command", "/spec/params/0/value"),
    ] {
        let (api, wire) = creating();
        let mut setup = Setup::new(api);
        let configs =
            serde_json::from_value(json!({"sink": {"kubernetesEvents": {}}})).expect("a notifier");
        setup.notifiers =
            Notifiers::new(&configs, &[], std::time::Duration::from_secs(5)).expect("notifiers");
        let bench = setup.build();
        let spec = RUN.replace("NAME", name).replace("TEMPLATE", template);
        let mut first: Option<(Value, Value)> = None;
        for value in ["harmless".to_owned()].into_iter().chain(values()) {
            let [event, _] = events(&value);
            bench.run(&spec, &event).await;
            let writes = wire.writes();
            let [.., started, told] = &writes[..] else { panic!("{}", writes.len()) };
            let (mut object, mut note) = (started.body.clone(), told.body.clone());
            let parameter = object.pointer_mut(at).expect("the parameter").take();
            let parameter = parameter.as_str().expect("a text").to_owned();
            assert!(
                parameter.chars().count() <= 8192
                    && is_quiet(&parameter)
                    && !parameter.contains('\n')
            );
            if name == "command" {
                let inert = |c: char| c.is_ascii_alphanumeric() || "._-:/@,+".contains(c);
                assert!(parameter.chars().all(inert) && !parameter.starts_with('-'), "{parameter}");
            } else {
                // What Kubernetes would expand is escaped.
                assert!(!parameter.replace("$$", "").contains('$'), "{parameter}");
            }
            // What names the event is a hash of it.
            let metadata = object["metadata"].take();
            let name = metadata["name"].as_str().expect("a name").to_owned();
            assert!(
                name.len() <= 63
                    && name
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            );
            assert_eq!(metadata["annotations"].as_object().map(serde_json::Map::len), Some(3));
            let text = note["note"].take();
            let text = text.as_str().expect("a note");
            assert!(text.len() <= 1024 && is_quiet(text) && !text.contains('\n'), "{text:?}");
            assert!(!text.contains(['<', '>', '@', '`']) && !text.contains("://evil"), "{text:?}");
            note["metadata"].take();
            note["eventTime"].take();
            let (harmless, harmless_note) = first.get_or_insert((object.clone(), note.clone()));
            assert_eq!((&object, &note), (&*harmless, &*harmless_note), "{value:.60}");
        }
    }
}
