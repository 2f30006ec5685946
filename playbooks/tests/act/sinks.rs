//! Each sink against a server that speaks what the real one speaks, and what all sinks have in common.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use playbooks::{
    act::{
        Advance, Api, Failure, FailureKind, Guardrail, Notification, NotifierConfig, Notifiers,
        Outcome, Pace, Refusal, Sink,
    },
    decide::{Event, Matcher},
};
use serde_json::{Value, json};

use crate::{
    fixtures::{Bench, Setup, TRACE, UID, event, pod, server, with_pod, words},
    outside::Scripted,
    receiver::{Received, Receiver, Script},
    wire::{Answer, Wire, error},
};

pub(crate) fn bench(sink: Value) -> Bench {
    let (api, _) = server(pod());
    setup(api, sink).build()
}

fn setup(api: Api, sink: Value) -> Setup {
    let configs: BTreeMap<String, NotifierConfig> =
        serde_json::from_value(json!({"sink": sink})).expect("a notifier");
    let mut setup = Setup::new(api);
    let notifiers = Notifiers::new(&configs, &[], Duration::from_secs(5));
    setup.notifiers = notifiers.map_err(|error| format!("{error:?}")).expect("notifiers");
    setup
}

const NOTIFY: &str = "mode: enforce\nactions: [delete, notify: {to: [sink]}]";
const TELL: &str = "mode: enforce\nactions: [notify: {to: [sink]}]";

/// What a sink sent about one deleted pod, and what it took the answer for.
async fn sent(sink: impl Fn(&Receiver) -> Value, script: Script) -> (String, Vec<Received>) {
    let receiver = Receiver::start(script).await;
    let bench = bench(sink(&receiver));
    let mut response = bench.begin(NOTIFY, &event()).await;
    let word = match bench.advance(&mut response).await {
        Advance::Finished(report) => words(&report).remove(1),
        Advance::Retry(failure) => format!("retry ({})", failure.kind.as_str()),
        Advance::Lost => panic!("lost"),
    };
    (word, receiver.received())
}

#[tokio::test]
async fn cloudevents_are_structured_and_know_a_copy() {
    let sink =
        |to: &Receiver| json!({"cloudEvents": {"url": to.url(), "source": "urn:stoop:prod-1"}});
    let (word, received) = sent(sink, vec![(202, "", None)]).await;
    assert_eq!(word, "notify applied");
    let [message] = &received[..] else { panic!("{received:?}") };
    let kind = "application/cloudevents+json; charset=UTF-8";
    assert_eq!(message.header("content-type"), Some(kind));
    let event = message.json();
    for (attribute, value) in [
        ("specversion", "1.0"),
        ("type", "dev.stoop.response.v1"),
        ("source", "urn:stoop:prod-1"),
        ("subject", "shop/web"),
        ("datacontenttype", "application/json"),
        ("traceparent", TRACE),
    ] {
        assert_eq!(event[attribute], value, "{attribute}");
    }
    assert_eq!(event["id"], event["data"]["key"]);
    assert_eq!(event["data"]["steps"][0]["outcome"], "applied");
    // Names of attributes are lower-case letters and digits alone.
    let is_name =
        |name: &String| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    assert!(event.as_object().expect("an object").keys().all(is_name));
}

#[tokio::test]
async fn xsoar_gets_an_incident_by_the_version_that_its_key_is_of() {
    let sink = |to: &Receiver| json!({"xsoar": {"url": to.address(), "apiKey": "k3y", "incidentType": "Falco"}});
    let (word, received) = sent(sink, vec![(201, r#"{"id": "5"}"#, None)]).await;
    assert_eq!(word, "notify applied");
    let [message] = &received[..] else { panic!("{received:?}") };
    assert_eq!((message.method.as_str(), message.path.as_str()), ("POST", "/incident"));
    assert_eq!(message.header("authorization"), Some("k3y"));
    assert_eq!(message.header("x-xdr-auth-id"), None);
    let incident = message.json();
    assert_eq!(incident["name"], "stoop answered: Terminal shell in container on shop/web");
    assert_eq!((&incident["severity"], &incident["type"]), (&json!(1), &json!("Falco")));
    assert_eq!(incident["createInvestigation"], true);
    assert!(incident["details"].as_str().is_some_and(|text| text.contains("delete applied")));
    let raw: Value =
        serde_json::from_str(incident["rawJSON"].as_str().expect("a text")).expect("JSON");
    assert_eq!(incident["labels"][0], json!({"type": "stoop.key", "value": raw["key"]}));

    let sink =
        |to: &Receiver| json!({"xsoar": {"url": to.address(), "apiKey": "k3y", "apiKeyId": "7"}});
    let (_, received) = sent(sink, vec![]).await;
    assert_eq!(received[0].path, "/xsoar/public/v1/incident");
    assert_eq!(received[0].header("x-xdr-auth-id"), Some("7"));
}

#[tokio::test]
async fn splunk_soar_gets_a_container_with_its_artifact_and_a_copy_is_known_there() {
    let sink = |to: &Receiver| json!({"splunkSoar": {"url": to.address(), "token": "t0ken"}});
    let made = r#"{"success": true, "id": 5, "artifacts": [{"success": true, "id": 9}]}"#;
    let copy = r#"{"failed": true, "message": "duplicate", "existing_container_id": 5}"#;
    let failed = r#"{"failed": true, "message": "label \"events\" not\nfound"}"#;
    for (script, expected) in [
        ((200, made, None), "notify applied"),
        ((200, copy, None), "notify applied"),
        ((400, copy, None), "notify applied"),
        ((200, failed, None), "notify failed (permanent)"),
        ((400, failed, None), "notify failed (permanent)"),
        ((200, "<html>", None), "notify failed (permanent)"),
        ((200, r#"{"success": tr"#, None), "retry (transient)"),
        ((401, "{}", None), "notify failed (permanent)"),
        ((503, "", None), "retry (unavailable)"),
    ] {
        let (word, received) = sent(sink, vec![script]).await;
        assert_eq!(word, expected, "{script:?}");
        let [message] = &received[..] else { panic!("{received:?}") };
        assert_eq!((message.method.as_str(), message.path.as_str()), ("POST", "/rest/container"));
        assert_eq!(message.header("ph-auth-token"), Some("t0ken"));
        let container = message.json();
        assert_eq!(
            (&container["label"], &container["severity"]),
            (&json!("events"), &json!("medium"))
        );
        let [artifact] = &container["artifacts"].as_array().expect("artifacts")[..] else {
            panic!("{container}")
        };
        assert_eq!(artifact["source_data_identifier"], container["source_data_identifier"]);
        assert_eq!(artifact["cef"]["kubernetesPod"], "shop/web");
        // Left out, automation runs once all is there.
        assert!(artifact.get("run_automation").is_none());
    }
}

#[tokio::test]
async fn a_finding_is_patched_under_its_key_by_a_token_of_googles() {
    let token = r#"{"access_token": "t0ken", "expires_in": 3600, "token_type": "Bearer"}"#;
    let google = Receiver::start(vec![(200, token, None)]).await;
    let credentials = json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "s", "refresh_token": "r",
        "token_uri": format!("{}/token", google.address()),
    });
    let sink = |to: &Receiver| {
        json!({"securityCommandCenter": {
            "source": "organizations/123/sources/456", "endpoint": to.address(),
            "credentials": credentials.to_string()
        }})
    };
    let (word, received) = sent(sink, vec![(200, "{}", None)]).await;
    assert_eq!(word, "notify applied");
    let [message] = &received[..] else { panic!("{received:?}") };
    assert_eq!(message.method, "PATCH");
    let (above, id) = message.path.rsplit_once('/').expect("a path");
    assert_eq!(above, "/v2/organizations/123/sources/456/findings");
    // 1 to 32 letters and digits: <https://cloud.google.com/security-command-center/docs/reference/rest/v2/organizations.sources.findings/create>
    assert!((1..=32).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric()), "{id}");
    assert_eq!(message.header("authorization"), Some("Bearer t0ken"));
    let finding = message.json();
    assert_eq!((&finding["state"], &finding["severity"]), (&json!("ACTIVE"), &json!("LOW")));
    assert_eq!(finding["resourceName"], "shop/web");
    assert_eq!(finding["sourceProperties"]["result"], "answered");
    let is_key = |key: &String| {
        key.starts_with(|c: char| c.is_ascii_alphabetic())
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let properties = finding["sourceProperties"].as_object().expect("properties");
    assert!(properties.keys().all(is_key));
}

#[tokio::test]
async fn falcosidekick_gets_an_event_that_it_takes_and_that_no_playbook_ever_answers() {
    let sink = |to: &Receiver| json!({"falcosidekick": {"url": to.address()}});
    let (word, received) = sent(sink, vec![]).await;
    assert_eq!(word, "notify applied");
    let [message] = &received[..] else { panic!("{received:?}") };
    assert_eq!((message.method.as_str(), message.path.as_str()), ("POST", "/"));
    let body = message.json();
    assert_eq!(body["source"], "stoop");
    assert_eq!(body["rule"], "Stoop answered");
    assert_eq!(body["output_fields"]["k8s.pod.name"], "web");
    assert_eq!(body["output_fields"]["stoop.steps"], "delete applied");
    // Falcosidekick takes the namespace and the pod for texts without looking.
    let fields = body["output_fields"].as_object().expect("fields");
    assert!(!fields.is_empty() && fields.values().all(Value::is_string));

    let event = Event::decode(&message.body).expect("an event of Falco's");
    assert!(event.is_internal());
    let everything = ["rules: ['*']", "sources: [stoop]", "rules: ['Stoop *']"].map(|matches| {
        let text = format!(
            "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {{name: all}}\nspec:\n  match: {{{matches}}}\n  actions: [notify: {{to: [log]}}]"
        );
        playbooks::decide::read_text("all", &text).map_err(|e| e.to_string()).expect("a playbook").remove(0)
    });
    for playbook in everything {
        let found = Matcher::new(vec![playbook]).candidates(&event).expect("candidates");
        assert!(found.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn kubernetes_is_told_by_an_event_about_the_pod_that_has_the_messages_name() {
    let mut live = with_pod(pod());
    let mut made = 0;
    let (api, wire) = Wire::new(move |request| match request.path.ends_with("/events") {
        true => {
            made += 1;
            match made {
                1 => Answer::Json(201, request.body.clone()),
                _ => error(409, "AlreadyExists", "it is there"),
            }
        }
        false => live(request),
    });
    let setup = setup(api, json!({"kubernetesEvents": {"namespace": "security"}}));
    let rights = setup.notifiers.rights();
    let rights: Vec<_> = rights.iter().map(|right| right.permission.to_string()).collect();
    assert_eq!(rights, ["create events.events.k8s.io"]);
    let bench = setup.build();
    let event = event();
    for _ in 0..2 {
        assert_eq!(words(&bench.run(TELL, &event).await), ["notify applied"]);
    }
    let mut host = event.clone();
    host["output_fields"] = json!({"container.id": "host"});
    bench.run(TELL, &host).await;
    let posts: Vec<_> = wire.writes();
    let [first, copy, host] = &posts[..] else { panic!("{posts:?}") };
    assert_eq!(first.path, "/apis/events.k8s.io/v1/namespaces/shop/events");
    assert_eq!(first.body["metadata"]["name"], copy.body["metadata"]["name"]);
    let regarding = &first.body["regarding"];
    assert_eq!(
        (&regarding["kind"], &regarding["name"], &regarding["uid"]),
        (&json!("Pod"), &json!("web"), &json!(UID))
    );
    assert_eq!(
        (&first.body["type"], &first.body["reason"]),
        (&json!("Normal"), &json!("Responded"))
    );
    assert_eq!(host.path, "/apis/events.k8s.io/v1/namespaces/security/events");
    assert_eq!(host.body["regarding"]["kind"], "Namespace");
}

/// Every sink that sends to a server, as it is configured for this one.
fn all(to: &Receiver) -> Vec<(&'static str, Value)> {
    let credentials = json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "s", "refresh_token": "r",
        "token_uri": format!("{}/token", to.address()),
    });
    vec![
        ("slack", json!({"url": to.url()})),
        ("webhook", json!({"url": to.url()})),
        ("cloudEvents", json!({"url": to.url()})),
        ("falcosidekick", json!({"url": to.address()})),
        ("xsoar", json!({"url": to.address(), "apiKey": "k"})),
        ("splunkSoar", json!({"url": to.address(), "token": "t"})),
        (
            "securityCommandCenter",
            json!({
                "source": "organizations/1/sources/2", "endpoint": to.address(),
                "credentials": credentials.to_string()
            }),
        ),
    ]
}

/// Contents that all of them take for a yes, and for a token.
const YES: &str =
    r#"{"access_token": "t", "expires_in": 3600, "token_type": "Bearer", "success": true}"#;

/// What each sink, the one of Kubernetes among them, sends about a response of `action`, and then notifies.
async fn told_of(
    action: &str,
    scripted: Option<Outcome>,
    answer: impl Fn() -> Option<Answer> + Clone + Send + 'static,
) -> BTreeMap<&'static str, Value> {
    let receiver = Receiver::start(vec![(200, YES, None); 50]).await;
    let mut told = BTreeMap::new();
    let kubernetes = ("kubernetesEvents", json!({}));
    for (name, config) in all(&receiver).into_iter().chain([kubernetes]) {
        let (mut live, answer) = (with_pod(pod()), answer.clone());
        let (api, wire) = Wire::new(move |request| match request.is_write() {
            true if request.path.ends_with("/events") => Answer::Json(201, request.body.clone()),
            true => answer().unwrap_or_else(|| live(request)),
            false => live(request),
        });
        let mut setup = setup(api, json!({name: config}));
        let scripted =
            Scripted::containing("contain", scripted.clone().into_iter().collect::<Vec<_>>());
        setup.registry = scripted.register(setup.registry);
        let bench = setup.build();
        let spec = format!("mode: enforce\nactions: [{action}, notify: {{to: [sink]}}]");
        let report = bench.run(&spec, &event()).await;
        assert_eq!(words(&report).last().map(String::as_str), Some("notify applied"), "{name}");
        let message = match name {
            "kubernetesEvents" => wire.writes().pop().expect("an event").body,
            _ => receiver.received().pop().expect("a message").json(),
        };
        told.insert(name, message);
    }
    told
}

const LINK: &str = "https://stoop.example/approvals/ask-first-90cbd1a09ac2e9e8/\
    5f1dbeb8ac6a8aee5d6a5b4ce2c2b5b0f5f9a1f1a9d0f4ddb3f1c7e6f2a3b4c5/1800000000/\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn whoever_is_told_of_a_question_gets_the_whole_link_and_who_only_reads_along_does_not() {
    let why = "waits for an approval: `stoop responses approve ask-first-90cbd1a09ac2e9e8`";
    let refusal = Refusal { link: Some(LINK.to_owned()), ..Refusal::new(Guardrail::Approval, why) };
    let mut told = told_of("contain", Some(refusal.into()), || None).await;

    let event = told.remove("kubernetesEvents").expect("an event");
    assert!(!event.to_string().contains("/approvals/"), "{event}");
    let note = event["note"].as_str().expect("a note");
    assert!(note.contains("stoop responses approve ask-first-90cbd1a09ac2e9e8"), "{note}");

    let slack = told.remove("slack").expect("a message");
    let is_link = |block: &Value| {
        let text = block["text"]["text"].as_str().unwrap_or_default();
        text.contains(&format!("<{LINK}|Approve or deny>"))
    };
    assert!(slack["blocks"].as_array().expect("blocks").iter().any(is_link), "{slack}");

    let whole = Some(LINK);
    let ends = |text: &Value| text.as_str().is_some_and(|text| text.ends_with(LINK));
    for (name, message) in told {
        let told = match name {
            "webhook" => message["link"].as_str() == whole,
            "cloudEvents" => message["data"]["link"].as_str() == whole,
            "falcosidekick" => {
                ends(&message["output"]) && message["output_fields"]["stoop.link"] == LINK
            }
            "xsoar" => {
                let label = json!({"type": "stoop.link", "value": LINK});
                let lines = message["details"].as_str().unwrap_or_default().lines();
                lines.clone().any(|line| line == format!("approve or deny: {LINK}"))
                    && message["labels"].as_array().is_some_and(|labels| labels.contains(&label))
            }
            "splunkSoar" => {
                let lines = message["description"].as_str().unwrap_or_default().lines();
                lines.clone().any(|line| line == format!("approve or deny: {LINK}"))
                    && message["artifacts"][0]["cef"]["stoopLink"] == LINK
            }
            "securityCommandCenter" => {
                ends(&message["description"]) && message["sourceProperties"]["link"] == LINK
            }
            _ => panic!("no word of {name}"),
        };
        assert!(told, "{name}: {message}");
    }
}

#[tokio::test]
async fn every_sink_says_which_verb_is_missing_on_which_resource() {
    let forbidden = || {
        Some(error(
            403,
            "Forbidden",
            "pods \"web\" is forbidden: User \"system:serviceaccount:stoop:stoop\" cannot delete resource \"pods\" in API \
             group \"\" in the namespace \"shop\"",
        ))
    };
    let told = told_of("delete", None, forbidden).await;
    let said = "may not delete pods in shop: grant it (";
    for (name, message) in &told {
        assert!(message.to_string().contains(said), "{name}: {message}");
    }
    let line = told["slack"]["blocks"][1]["text"]["text"].as_str().expect("a text");
    assert!(line.starts_with("• delete *failed* (permanent): `"), "{line}");
    assert!(line.contains(said) && line.contains("'stoop rbac' prints the roles"), "{line}");
    let output = told["falcosidekick"]["output"].as_str().expect("a text");
    assert!(output.contains(said) && output.contains("delete failed (permanent): "), "{output}");
    let fields = &told["falcosidekick"]["output_fields"];
    assert!(fields["stoop.steps"].as_str().is_some_and(|steps| steps.contains(said)), "{fields}");
}

/// A sink that takes few messages, one a second if nothing else is said, and fails by a script.
#[derive(Clone)]
struct Slow {
    pace: Pace,
    script: Arc<Mutex<Vec<Failure>>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

#[derive(Clone, Debug)]
struct Sent {
    at: tokio::time::Instant,
    delivery: String,
    /// The keys of those that went along with it.
    more: Vec<String>,
}

impl Default for Slow {
    fn default() -> Slow {
        Slow::at(Pace::apart(Duration::from_secs(1)))
    }
}

impl Slow {
    fn at(pace: Pace) -> Slow {
        Slow { pace, script: Arc::default(), sent: Arc::default() }
    }

    fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("sent").clone()
    }
}

#[async_trait::async_trait]
impl Sink for Slow {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        assert_eq!(message.more.is_empty(), message.delivery() == message.key);
        self.sent.lock().expect("sent").push(Sent {
            at: tokio::time::Instant::now(),
            delivery: message.delivery().into_owned(),
            more: message.more.iter().map(|other| other.key.clone()).collect(),
        });
        match self.script.lock().expect("script").pop() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    fn pace(&self) -> Option<Pace> {
        Some(self.pace)
    }
}

fn slow_bench(sink: &Slow) -> Bench {
    let (api, _) = server(pod());
    let mut setup = Setup::new(api);
    let notifiers = Notifiers::default().with("sink", Arc::new(sink.clone()));
    setup.notifiers = notifiers.expect("a free name");
    setup.build()
}

async fn tell(bench: &Bench, number: usize) -> Result<(), Failure> {
    let mut event = event();
    event["rule"] = json!(format!("Rule {number}"));
    let mut response = bench.begin(TELL, &event).await;
    match bench.advance(&mut response).await {
        Advance::Finished(report) if words(&report) == ["notify applied"] => Ok(()),
        Advance::Retry(failure) => Err(failure),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_goes_in_few_messages_that_are_far_enough_apart_and_leave_nobody_out() {
    let sink = Slow::default();
    let bench = slow_bench(&sink);
    let told = join_all((0..60).map(|number| tell(&bench, number))).await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    let sent = sink.sent();
    assert_eq!(sent.iter().map(|sent| 1 + sent.more.len()).sum::<usize>(), 60);
    assert!(sent.len() <= 5, "{sent:?}");
    for pair in sent.windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_secs(1), "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_few_go_as_they_come_and_only_a_flood_together() {
    let sink = Slow::at(Pace { at_once: 10, apart: Duration::from_secs(1) });
    let bench = slow_bench(&sink);
    let start = tokio::time::Instant::now();
    let told = join_all((0..60).map(|number| tell(&bench, number))).await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    let sent = sink.sent();
    assert_eq!(sent.iter().map(|sent| 1 + sent.more.len()).sum::<usize>(), 60);
    let alone = sent.iter().filter(|sent| sent.at == start && sent.more.is_empty()).count();
    assert!((10..=11).contains(&alone) && sent.len() <= 15, "{sent:?}");
    // And a second later as before.
    tokio::time::advance(Duration::from_secs(1)).await;
    let before = sent.len();
    join_all((0..10).map(|number| tell(&bench, number))).await;
    assert_eq!(sink.sent().len(), before + 10);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_with_others_is_no_copy_of_what_was_sent() {
    let sink = Slow::default();
    let bench = slow_bench(&sink);
    tell(&bench, 9).await.expect("told");
    // It may have arrived: a receiver that drops what it has seen would drop who goes along with it the next time.
    sink.script
        .lock()
        .expect("script")
        .extend([Failure::transient("no answer"), Failure::transient("no answer")]);
    for numbers in [0..3, 0..5, 0..5] {
        join_all(numbers.map(|number| tell(&bench, number))).await;
    }
    let sent = sink.sent();
    let deliveries: BTreeSet<_> = sent.iter().map(|sent| &sent.delivery).collect();
    let contents: BTreeSet<_> = sent.iter().map(|sent| (&sent.delivery, &sent.more)).collect();
    assert_eq!(deliveries.len(), contents.len(), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_refusals_writes_few_kubernetes_events_that_say_how_many_they_tell_of() {
    let mut live = with_pod(pod());
    let (api, wire) = Wire::new(move |request| match request.path.ends_with("/events") {
        true => Answer::Json(201, request.body.clone()),
        false => live(request),
    });
    let bench = setup(api, json!({"kubernetesEvents": {}})).build();
    let told = join_all((0..60).map(|number| tell(&bench, number))).await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    let notes: Vec<_> = wire
        .writes()
        .iter()
        .map(|write| write.body["note"].as_str().expect("a note").to_owned())
        .collect();
    assert!(notes.len() <= 5, "{notes:?}");
    let count = |note: &String| {
        let rest = note.strip_prefix("1 of ").and_then(|rest| rest.split_once(':'));
        rest.map_or(1, |(count, _)| count.parse().expect("a number"))
    };
    assert_eq!(notes.iter().map(count).sum::<usize>(), 60, "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn those_that_went_along_with_one_that_failed_are_told_all_the_same() {
    let sink = Slow::default();
    let bench = slow_bench(&sink);
    // While the next may not go yet, they gather.
    tell(&bench, 9).await.expect("told");
    sink.script.lock().expect("script").push(Failure::transient("try again"));
    let told = join_all((0..5).map(|number| tell(&bench, number))).await;
    assert_eq!(told.iter().filter(|told| told.is_err()).count(), 1, "{told:?}");
    let sent = sink.sent();
    let more: Vec<_> = sent.iter().map(|sent| sent.more.len()).collect();
    assert_eq!(more, [0, 4, 3], "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_asks_to_be_left_alone_is_left_alone_by_all() {
    let sink = Slow::default();
    let wait = Failure::transient("slow down").after(Some(Duration::from_secs(30)));
    sink.script.lock().expect("script").push(wait);
    let bench = slow_bench(&sink);
    assert!(tell(&bench, 0).await.is_err());
    tokio::time::advance(Duration::from_secs(10)).await;
    let failure = tell(&bench, 1).await.expect_err("not asked");
    assert_eq!(
        (failure.kind, failure.retry_after),
        (FailureKind::Transient, Some(Duration::from_secs(20)))
    );
    assert_eq!(sink.sent().len(), 1);
    tokio::time::advance(Duration::from_secs(20)).await;
    tell(&bench, 2).await.expect("told");
}

#[tokio::test]
async fn what_goes_along_is_shown_with_the_link_of_each() {
    const EVENTS: usize = 8;
    // The others take each by itself, in such numbers.
    let few = |name: &str| !matches!(name, "webhook" | "cloudEvents");
    let receiver = Receiver::start(vec![(200, YES, None); 100]).await;
    for (name, config) in all(&receiver).into_iter().filter(|(name, _)| few(name)) {
        let before = receiver.received().len();
        let asks = |number| Refusal {
            link: Some(format!("{LINK}{number}")),
            ..Refusal::new(Guardrail::Approval, "waits")
        };
        let outcomes: Vec<_> = (0..EVENTS).map(|number| asks(number).into()).collect();
        let (api, _) = server(pod());
        let mut setup = setup(api, json!({name: config}));
        setup.registry = Scripted::containing("contain", outcomes).register(setup.registry);
        let bench = setup.build();
        let told = join_all((0..EVENTS).map(async |number| {
            let mut event = event();
            event["rule"] = json!(format!("Rule {number}"));
            bench.run("mode: enforce\nactions: [contain, notify: {to: [sink]}]", &event).await
        }));
        for report in told.await {
            assert_eq!(words(&report), ["contain refused (approval)", "notify applied"], "{name}");
        }
        let all: Vec<_> = receiver.received()[before..]
            .iter()
            .filter(|message| message.path != "/token")
            .map(|message| String::from_utf8_lossy(&message.body).into_owned())
            .collect();
        assert!(all.len() < EVENTS, "{name}: {}", all.len());
        assert!(all.iter().any(|text| text.contains(" more")), "{name}: {all:?}");
        for number in 0..EVENTS {
            for part in [format!("Rule {number}"), format!("{LINK}{number}")] {
                assert!(all.iter().any(|text| text.contains(&part)), "{name}: {part}");
            }
        }
    }
}

#[test]
fn what_cannot_work_is_refused_at_the_start_without_showing_secrets() {
    let table = [
        (json!({"cloudEvents": {"url": "https://x", "source": "a b"}}), "no URI"),
        (json!({"xsoar": {"url": "topsecret", "apiKey": "k"}}), "the URL can't be used"),
        (json!({"xsoar": {"url": "https://x", "apiKey": "top\nsecret"}}), "can't be sent"),
        (
            json!({"splunkSoar": {"url": "https://x", "token": {"file": "/no/such/file"}}}),
            "/no/such/file",
        ),
        (json!({"falcosidekick": {"url": "ftp://topsecret"}}), "the URL can't be used"),
        (json!({"kubernetesEvents": {"namespace": "No_Name"}}), "no namespace"),
        (json!({"securityCommandCenter": {"source": "organizations/1"}}), "no source of findings"),
        (
            json!({"securityCommandCenter": {"source": "organizations/1/sources/../x"}}),
            "no source of findings",
        ),
        (
            json!({"securityCommandCenter": {"source": "organizations/1/sources/2", "endpoint": "http://x"}}),
            "no address",
        ),
        (
            json!({"securityCommandCenter": {"source": "organizations/1/sources/2", "credentials": "topsecret"}}),
            "that is no JSON",
        ),
        (
            json!({"securityCommandCenter": {"source": "organizations/1/sources/2", "credentials": "{\"topsecret\": 1}"}}),
            "its type is not known",
        ),
    ];
    for (config, words) in table {
        let configs: BTreeMap<String, NotifierConfig> =
            serde_json::from_value(json!({"sink": config})).expect("a notifier");
        let Err(error) = Notifiers::new(&configs, &[], Duration::from_secs(5)) else {
            panic!("accepted: {configs:?}")
        };
        let text = format!("{error} {error:?} {configs:?}");
        assert!(text.contains(words), "{text}");
        assert!(!text.contains("topsecret"), "{text}");
    }
}
