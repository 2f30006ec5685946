//! Notifiers against a receiver that speaks what the real ones speak.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use playbooks::act::{Advance, Dependency, FailureKind, NotifierConfig, Notifiers, Report};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    fixtures::{Bench, Setup, TRACE, event, pod, server, words},
    outside::Inbox,
    receiver::Receiver,
};

fn notifiers(configs: Value) -> Result<Notifiers, playbooks::act::ConfigError> {
    let configs: BTreeMap<String, NotifierConfig> =
        serde_json::from_value(configs).expect("notifiers");
    Notifiers::new(&configs, &[], Duration::from_secs(5))
}

fn bench(configs: Value) -> Bench {
    let (api, _) = server(pod());
    let mut setup = Setup::new(api);
    setup.notifiers = notifiers(configs).expect("notifiers");
    setup.build()
}

const NOTIFY: &str = "mode: enforce\nactions: [delete, notify: {to: [chat]}]";

async fn one_try(
    script: crate::receiver::Script,
    sink: &str,
) -> (Result<Report, playbooks::act::Failure>, Receiver) {
    let receiver = Receiver::start(script).await;
    let bench = bench(json!({"chat": {sink: {"url": receiver.url()}}}));
    let mut response = bench.begin(NOTIFY, &event()).await;
    match bench.advance(&mut response).await {
        Advance::Finished(report) => (Ok(*report), receiver),
        Advance::Retry(failure) => (Err(failure), receiver),
        Advance::Lost => panic!("lost"),
    }
}

#[tokio::test]
async fn slack_gets_what_was_done_in_its_own_format() {
    let (report, receiver) = one_try(vec![], "slack").await;
    assert_eq!(words(&report.expect("sent")), ["delete applied", "notify applied"]);
    let [message] = &receiver.received()[..] else { panic!("{:?}", receiver.received()) };
    let body: Value = serde_json::from_slice(&message.body).expect("JSON");
    assert_eq!(body["unfurl_links"], false);
    let blocks = body["blocks"].to_string();
    for part in [
        "*Notice* `Terminal shell in container`",
        "`shop/web`",
        "delete *applied*",
        "A shell was spawned",
        "playbook `test`",
    ] {
        assert!(blocks.contains(part), "{part}: {blocks}");
    }
    for block in body["blocks"].as_array().expect("blocks") {
        let text = block.get("text").unwrap_or(&block["elements"][0]);
        assert_eq!(text["verbatim"], true);
        assert!(text["text"].as_str().is_some_and(|text| text.len() <= 3000));
    }
}

#[tokio::test]
async fn an_attackers_fields_stay_values() {
    let receiver = Receiver::start(vec![]).await;
    let bench = bench(json!({
        "chat": {"slack": {"url": receiver.url()}}, "hook": {"webhook": {"url": receiver.url()}}
    }));
    let mut event = event();
    event["output"] = json!(
        "`<!channel> <https://evil.example|bank>\n{{steps}} ${HOME} \u{202e}\u{1b}[31m".repeat(200)
    );
    event["rule"] = json!("<!here> & `co`");
    bench.run("mode: enforce\nactions: [notify: {to: [chat, hook]}]", &event).await;
    let received = receiver.received();
    let [slack, hook] = &received[..] else { panic!("{received:?}") };
    let slack = String::from_utf8_lossy(&slack.body);
    assert!(!slack.contains("<!") && !slack.contains("<http"), "{slack}");
    for sent in [&slack, &String::from_utf8_lossy(&hook.body)] {
        assert!(
            !sent.contains("\\n{{") && !sent.contains("\\u001b") && !sent.contains('\u{202e}'),
            "{sent}"
        );
        assert!(sent.contains("{{steps}} ${HOME}"), "never expanded");
        assert!(sent.len() < 8000);
    }
}

#[tokio::test]
async fn what_an_event_only_claims_is_not_told_as_verified() {
    let receiver = Receiver::start(vec![]).await;
    let bench = bench(json!({"chat": {"webhook": {"url": receiver.url()}}}));
    let mut claimed = event();
    claimed["output_fields"]["container.id"] = json!("host");
    for (event, verified) in [(event(), true), (claimed, false)] {
        bench.run("mode: enforce\nactions: [notify: {to: [chat]}]", &event).await;
        let told = receiver.received().pop().expect("told").json();
        assert_eq!((&told["target"], &told["verified"]), (&json!("shop/web"), &json!(verified)));
    }
}

#[tokio::test]
async fn what_a_receiver_answers_decides_about_trying_again() {
    let sink = || FailureKind::Unavailable(Dependency::Sink("chat".into()));
    let table = [
        ((429, "rate_limited", Some("7")), Err((FailureKind::Transient, Some(7)))),
        ((429, "", Some("86400")), Err((FailureKind::Transient, Some(60)))),
        ((429, "", Some("soon")), Err((FailureKind::Transient, None))),
        ((503, "", Some("7")), Err((sink(), Some(7)))),
        ((503, "", None), Err((sink(), None))),
        ((502, "", None), Err((sink(), None))),
        ((500, "rollup_error", None), Err((FailureKind::Transient, None))),
        ((404, "no_service", None), Ok("notify failed (permanent)")),
        ((403, "invalid_token", None), Ok("notify failed (permanent)")),
        ((410, "channel_is_archived", None), Ok("notify failed (permanent)")),
        ((400, "invalid_payload", None), Ok("notify failed (permanent)")),
        ((302, "", None), Ok("notify failed (permanent)")),
    ];
    for (answer, expected) in table {
        let (result, receiver) = one_try(vec![answer], "slack").await;
        assert_eq!(receiver.received().len(), 1);
        match (result, expected) {
            (Err(failure), Err((kind, wait))) => {
                assert_eq!(
                    (failure.kind, failure.retry_after),
                    (kind, wait.map(Duration::from_secs)),
                    "{answer:?}"
                );
            }
            (Ok(report), Ok(last)) => {
                assert_eq!(words(&report), ["delete applied", last], "{answer:?}");
                assert!(report.steps[1].outcome.detail().contains(answer.1));
            }
            (result, expected) => panic!("{answer:?}: {result:?}, expected {expected:?}"),
        }
    }
}

#[tokio::test]
async fn a_receiver_that_is_away_is_an_outage_and_its_url_stays_secret() {
    let bench = bench(
        json!({"chat": {"slack": {"url": "http://127.0.0.1:1/services/T000/topsecret?x=topsecret"}}}),
    );
    let mut response = bench.begin(NOTIFY, &event()).await;
    let Advance::Retry(failure) = bench.advance(&mut response).await else {
        panic!("not to be retried")
    };
    assert_eq!(failure.kind, FailureKind::Unavailable(Dependency::Sink("chat".into())));
    assert!(!format!("{failure:?} {failure}").contains("topsecret"), "{failure:?}");
}

#[tokio::test]
async fn a_webhook_can_be_told_from_a_forged_or_an_old_one() {
    let receiver = Receiver::start(vec![]).await;
    let bench = bench(json!({"chat": {"webhook": {
        "url": receiver.url(), "secret": "s3cret", "headers": {"Authorization": "Bearer token"}
    }}}));
    bench.run(NOTIFY, &event()).await;
    let [message] = &receiver.received()[..] else { panic!("{:?}", receiver.received()) };
    let header = |name: &str| message.headers[name].to_str().expect("text").to_owned();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret").expect("a key");
    mac.update(format!("{}.", header("x-stoop-timestamp")).as_bytes());
    mac.update(&message.body);
    let hex: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(header("x-stoop-signature"), format!("sha256={hex}"));
    assert_eq!(header("authorization"), "Bearer token");
    let body: Value = serde_json::from_slice(&message.body).expect("JSON");
    assert_eq!(header("traceparent"), TRACE);
    assert_eq!(header("idempotency-key"), body["key"].as_str().expect("a key"));
    assert_eq!(body["rule"], "Terminal shell in container");
    assert_eq!(body["target"], "shop/web");
    assert_eq!(body["verified"], true);
    assert_eq!(body["steps"][0]["outcome"], "applied");
}

#[tokio::test]
async fn no_message_follows_a_redirect() {
    let elsewhere = Receiver::start(vec![]).await;
    let bench = bench(
        json!({"chat": {"webhook": {"url": crate::receiver::redirecting(elsewhere.url()).await}}}),
    );
    assert_eq!(
        words(&bench.run(NOTIFY, &event()).await),
        ["delete applied", "notify failed (permanent)"]
    );
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn copies_of_a_message_carry_the_same_key_and_others_do_not() {
    let inbox = Inbox::default();
    let (api, _) = server(pod());
    let mut setup = Setup::new(api);
    setup.notifiers =
        Notifiers::default().with("inbox", Arc::new(inbox.clone())).expect("a free name");
    let bench = setup.build();
    let spec = "mode: enforce\nactions: [notify: {to: [inbox]}]";
    let event = event();
    let mut later = event.clone();
    later["rule"] = json!("Another rule");
    for event in [&event, &event, &later] {
        bench.run(spec, event).await;
    }
    let keys: Vec<_> = inbox.messages().iter().map(|message| message["key"].clone()).collect();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0], keys[2]);
}

#[tokio::test]
async fn of_several_only_those_that_failed_are_tried_again() {
    let away = || playbooks::act::Failure::unavailable(Dependency::Sink(String::new()), "away");
    let (first, second) = (Inbox::failing([away()]), Inbox::default());
    let (api, _) = server(pod());
    let mut setup = Setup::new(api);
    setup.notifiers = Notifiers::default()
        .with("first", Arc::new(first.clone()))
        .and_then(|notifiers| notifiers.with("second", Arc::new(second.clone())))
        .expect("free names");
    let bench = setup.build();
    let mut response =
        bench.begin("mode: enforce\nactions: [notify: {to: [first, second]}]", &event()).await;
    assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
    assert_eq!((first.messages().len(), second.messages().len()), (0, 1));
    let Advance::Finished(report) = bench.advance(&mut response).await else {
        panic!("not finished")
    };
    assert_eq!((first.messages().len(), second.messages().len()), (1, 1));
    assert_eq!(report.told, ["first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_is_an_outage_and_keeps_no_other_waiting() {
    struct Hangs;
    #[async_trait::async_trait]
    impl playbooks::act::Sink for Hangs {
        async fn send(
            &self,
            _: &playbooks::act::Notification<'_>,
        ) -> Result<(), playbooks::act::Failure> {
            std::future::pending().await
        }
    }
    let inbox = Inbox::default();
    let (api, _) = server(pod());
    let mut setup = Setup::new(api);
    setup.notifiers = Notifiers::default()
        .with("hangs", Arc::new(Hangs))
        .and_then(|notifiers| notifiers.with("inbox", Arc::new(inbox.clone())))
        .expect("free names");
    let bench = setup.build();
    let mut response =
        bench.begin("mode: enforce\nactions: [notify: {to: [hangs, inbox]}]", &event()).await;
    for _ in 0..3 {
        let Advance::Retry(failure) = bench.advance(&mut response).await else {
            panic!("not to be retried")
        };
        assert_eq!(failure.kind, FailureKind::Unavailable(Dependency::Sink("hangs".into())));
    }
    assert_eq!(inbox.messages().len(), 1);
}

#[test]
fn what_cannot_work_is_refused_at_the_start_without_showing_secrets() {
    let table = [
        (
            json!({"chat": {"slack": {"url": {"env": "STOOP_TEST_NO_SUCH_VARIABLE"}}}}),
            "STOOP_TEST_NO_SUCH_VARIABLE is not set",
        ),
        (json!({"chat": {"slack": {"url": {"file": "/no/such/file"}}}}), "/no/such/file"),
        (json!({"chat": {"slack": {"url": "topsecret"}}}), "the URL can't be used"),
        (json!({"chat": {"slack": {"url": "file:///topsecret"}}}), "the URL can't be used"),
        (
            json!({"chat": {"webhook": {"url": "https://x", "headers": {"a b": "topsecret"}}}}),
            "header a b",
        ),
        (
            json!({"chat": {"webhook": {"url": "https://x", "headers": {"a": "top\nsecret"}}}}),
            "header a",
        ),
        (json!({"log": {"slack": {"url": "https://topsecret"}}}), "`log` is taken"),
    ];
    for (config, words) in table {
        let Err(error) = notifiers(config.clone()) else { panic!("accepted: {config}") };
        let text = format!("{error} {error:?}");
        assert!(text.contains(words), "{text}");
        assert!(!text.contains("topsecret"), "{text}");
    }
    let config: BTreeMap<String, NotifierConfig> =
        serde_json::from_value(json!({"chat": {"slack": {"url": "https://topsecret"}}}))
            .expect("a notifier");
    assert!(!format!("{config:?}").contains("topsecret"));
    let unknown = Notifiers::new(&config, &["slak".to_owned()], Duration::from_secs(1));
    assert!(unknown.is_err_and(|error| error.to_string().contains("slak")));
}
