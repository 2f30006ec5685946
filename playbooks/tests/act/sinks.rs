//! Each sink against a server that speaks what the real one speaks, and what all sinks have in common.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use playbooks::{
    act::{Advance, Failure, FailureKind, Notification, NotifierConfig, Notifiers, Sink},
    decide::{Event, Matcher},
};
use serde_json::{Value, json};

use crate::{
    fixtures::{Bench, Setup, TRACE, UID, event, pod, server, words},
    receiver::{Received, Receiver, Script},
    wire::{Answer, Wire, error},
};

pub(crate) fn bench(sink: Value) -> Bench {
    let configs: BTreeMap<String, NotifierConfig> =
        serde_json::from_value(json!({"sink": sink})).expect("a notifier");
    let (api, _) = server(pod());
    let mut setup = Setup::new(api);
    let notifiers = Notifiers::new(&configs, &[], Duration::from_secs(5));
    setup.notifiers = notifiers.map_err(|error| format!("{error:?}")).expect("notifiers");
    setup.build()
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

#[tokio::test]
async fn kubernetes_is_told_by_an_event_about_the_pod_that_has_the_messages_name() {
    let mut live = crate::fixtures::with_pod(pod());
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
    let configs: BTreeMap<String, NotifierConfig> =
        serde_json::from_value(json!({"sink": {"kubernetesEvents": {"namespace": "security"}}}))
            .expect("a notifier");
    let mut setup = Setup::new(api);
    setup.notifiers = Notifiers::new(&configs, &[], Duration::from_secs(5)).expect("notifiers");
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

/// A sink that takes one message a second, and fails by a script.
#[derive(Clone, Default)]
struct Slow {
    script: Arc<Mutex<Vec<Failure>>>,
    /// How many went along with each.
    sent: Arc<Mutex<Vec<(tokio::time::Instant, usize)>>>,
}

#[async_trait::async_trait]
impl Sink for Slow {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        let now = tokio::time::Instant::now();
        self.sent.lock().expect("sent").push((now, message.more.len()));
        match self.script.lock().expect("script").pop() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    fn apart(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
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
    let sent = sink.sent.lock().expect("sent").clone();
    assert_eq!(sent.iter().map(|(_, more)| 1 + more).sum::<usize>(), 60);
    assert!(sent.len() <= 5, "{sent:?}");
    for pair in sent.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= Duration::from_secs(1), "{sent:?}");
    }
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
    let sent = sink.sent.lock().expect("sent").clone();
    assert_eq!(sent.iter().map(|(_, more)| more).collect::<Vec<_>>(), [&0, &4, &3], "{sent:?}");
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
    assert_eq!(sink.sent.lock().expect("sent").len(), 1);
    tokio::time::advance(Duration::from_secs(20)).await;
    tell(&bench, 2).await.expect("told");
}

#[tokio::test]
async fn what_goes_along_is_shown() {
    for sink in ["slack", "falcosidekick"] {
        let receiver = Receiver::start(vec![]).await;
        let bench = bench(json!({sink: {"url": receiver.url()}}));
        join_all((0..12).map(|number| tell(&bench, number))).await;
        let all: Vec<_> = receiver
            .received()
            .iter()
            .map(|message| String::from_utf8_lossy(&message.body).into_owned())
            .collect();
        assert!(all.len() < 12, "{sink}: {}", all.len());
        for number in 0..12 {
            let rule = format!("Rule {number}");
            assert!(all.iter().any(|text| text.contains(&rule)), "{sink}: {rule}");
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
