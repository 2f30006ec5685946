//! `call`: the event's own bytes, posted to a function, and what its answer decides.

use std::{collections::BTreeMap, time::Duration};

use playbooks::act::{Advance, ConfigError, Dependency, FailureKind, FunctionConfig, Functions};
use serde_json::{Value, json};

use crate::{
    fixtures::{Bench, Setup, TRACE, event, pod, server, words},
    receiver::{Receiver, always, redirecting},
};

pub(crate) fn functions(config: Value) -> Result<Functions, ConfigError> {
    let configs: BTreeMap<String, FunctionConfig> =
        serde_json::from_value(json!({"scan": config})).expect("a function");
    Functions::new(&configs, Duration::from_secs(5))
}

pub(crate) fn bench(config: Value) -> Bench {
    let (api, _) = server(pod());
    let mut setup = Setup::new(api);
    setup.functions = functions(config).expect("a function");
    setup.build()
}

const CALL: &str = "mode: enforce\nactions: [call: {function: scan}]";

#[tokio::test]
async fn a_function_gets_the_events_own_bytes_and_can_tell_a_copy() {
    let function = Receiver::start(vec![(202, "queued", None)]).await;
    let bench = bench(json!({"url": function.url(), "headers": {"X-Api-Key": "k3y"}}));
    let mut event = event();
    event["output_fields"]["proc.cmdline"] = json!("sh -c 'é \u{1b}[31m'");
    assert_eq!(words(&bench.run(CALL, &event).await), ["call applied"]);
    bench.run(CALL, &event).await;
    let [first, second] = &function.received()[..] else { panic!("{:?}", function.received()) };
    assert_eq!(first.body, event.to_string());
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(first.header("x-api-key"), Some("k3y"));
    assert_eq!(first.header("traceparent"), Some(TRACE));
    assert_eq!(first.header("ce-specversion"), Some("1.0"));
    assert_eq!(first.header("ce-type"), Some("falco.rule.output.v1"));
    assert_eq!(first.header("ce-id").map(str::len), Some(64));
    assert_eq!(first.header("idempotency-key").map(str::len), Some(64));
    assert_eq!(first.header("idempotency-key"), second.header("idempotency-key"));
}

#[tokio::test]
async fn a_token_that_was_renewed_is_shown_anew() {
    let function = Receiver::start(vec![]).await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "first\n").expect("written");
    let bench = bench(json!({"url": function.url(), "token": {"file": file.path()}}));
    bench.run(CALL, &event()).await;
    std::fs::write(file.path(), "second\n").expect("written");
    bench.run(CALL, &event()).await;
    let shown: Vec<_> = function
        .received()
        .iter()
        .map(|request| request.header("authorization").expect("a token").to_owned())
        .collect();
    assert_eq!(shown, ["Bearer first", "Bearer second"]);
}

#[tokio::test]
async fn what_a_function_answers_decides_about_trying_again() {
    let table = [
        ((429, "", Some("7")), Some(Some(7))),
        ((500, "", None), Some(None)),
        ((502, "", None), Some(None)),
        ((503, "", Some("86400")), Some(Some(60))),
        ((504, "", None), Some(None)),
        ((400, "", None), None),
        ((401, "", None), None),
        ((404, "", None), None),
        ((307, "", None), None),
    ];
    for (answer, expected) in table {
        let function = Receiver::start(vec![answer]).await;
        let bench = bench(json!({"url": function.url()}));
        let mut response = bench.begin(CALL, &event()).await;
        match (bench.advance(&mut response).await, expected) {
            (Advance::Retry(failure), Some(wait)) => {
                assert_eq!(failure.kind, FailureKind::Transient, "{answer:?}");
                assert_eq!(failure.retry_after, wait.map(Duration::from_secs), "{answer:?}");
            }
            (Advance::Finished(report), None) => {
                assert_eq!(words(&report), ["call failed (permanent)"], "{answer:?}");
            }
            (other, _) => panic!("{answer:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_function_that_fails_uses_up_attempts_and_one_that_is_not_there_does_not() {
    let (url, asked) = always(500).await;
    let failing = bench(json!({"url": url}));
    let mut response = failing.begin(CALL, &event()).await;
    let ended = loop {
        match failing.advance(&mut response).await {
            Advance::Retry(_) => {}
            Advance::Finished(report) => break report,
            Advance::Lost => panic!("lost"),
        }
    };
    assert_eq!(words(&ended), ["call failed (transient)"]);
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 5);

    let away = bench(json!({"url": "http://127.0.0.1:1/topsecret"}));
    let mut response = away.begin(CALL, &event()).await;
    for _ in 0..7 {
        let Advance::Retry(failure) = away.advance(&mut response).await else {
            panic!("not to be retried")
        };
        let kind = FailureKind::Unavailable(Dependency::Function("scan".into()));
        assert_eq!(failure.kind, kind);
        assert!(!format!("{failure:?}").contains("topsecret"), "{failure:?}");
    }
}

#[tokio::test]
async fn one_that_never_answers_is_given_up_in_time_and_holds_nobody_else() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let silent = bench(json!({"url": url, "timeout": "50ms"}));
    let mut response = silent.begin(CALL, &event()).await;
    let Advance::Retry(failure) = silent.advance(&mut response).await else {
        panic!("not to be retried")
    };
    assert_eq!(failure.kind, FailureKind::Transient);
    drop(listener);
}

#[tokio::test]
async fn no_event_follows_a_redirect() {
    let elsewhere = Receiver::start(vec![]).await;
    let bench = bench(json!({"url": redirecting(elsewhere.url()).await}));
    let report = bench.run(CALL, &event()).await;
    assert_eq!(words(&report), ["call failed (permanent)"]);
    assert!(report.overall.detail().contains("no redirect is followed"));
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn it_needs_no_target_and_a_rehearsal_calls_nobody() {
    let function = Receiver::start(vec![]).await;
    let bench = bench(json!({"url": function.url()}));
    let mut host = event();
    host["output_fields"] = json!({"container.id": "host", "proc.name": "sh"});
    for mode in ["observe", "dryRun"] {
        bench.run(&CALL.replace("enforce", mode), &host).await;
    }
    assert!(function.received().is_empty());
    assert_eq!(words(&bench.run(CALL, &host).await), ["call applied"]);
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start_without_showing_secrets() {
    let table = [
        (json!({"url": "topsecret"}), "the URL can't be used"),
        (json!({"url": "https://x", "token": {"file": "/no/such/file"}}), "/no/such/file"),
        (json!({"url": "https://x", "token": "top\nsecret"}), "can't be sent"),
        (
            json!({"url": "https://x", "token": "topsecret", "headers": {"authorization": "topsecret"}}),
            "one and the same",
        ),
        (json!({"url": "https://x", "timeout": "0s"}), "fail at once"),
    ];
    for (config, words) in table {
        let Err(error) = functions(config.clone()) else { panic!("accepted: {config}") };
        let text = format!("{error} {error:?}");
        assert!(text.contains(words), "{text}");
        assert!(!text.contains("topsecret"), "{text}");
    }
    let (api, _) = server(pod());
    let refused =
        Setup::new(api).build().refuse("mode: enforce\nactions: [call: {function: scan}]");
    assert!(refused.contains("no function `scan`"), "{refused}");
}
