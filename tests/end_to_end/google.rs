//! Google's Pub/Sub as it guards itself: behind TLS, and open to who shows a token. No emulator does either.

use std::path::Path;

use serde_json::{Value, json};
use testbed::pubsub::{
    Tokens,
    fake::{Fake, Guarded},
};

use crate::{
    bad_input::{TELL, event},
    sink::Sink,
    worker::{Desk, Worker},
};

/// What another issuer, such as a cluster, says of the workload.
const SUBJECT: &str = "issued-by-the-cluster";

struct Bench {
    tokens: Tokens,
    google: Guarded,
    sink: Sink,
    desk: Desk,
}

impl Bench {
    /// A desk whose worker trusts the server, and takes from it as `more` says.
    async fn new(more: Value) -> Self {
        let tokens = Tokens::start(SUBJECT).await.unwrap();
        let google = Fake::guarded(&tokens).await.unwrap();
        let sink = Sink::start().await;
        let port = google.address().rsplit(':').next().unwrap().to_owned();
        let mut pubsub = json!({
            "project": "fake", "subscription": "stoop", "topic": "falco", "deadLetters": "falco-dead",
            "endpoint": format!("https://localhost:{port}"),
        });
        pubsub.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
        let config = format!(
            "notifiers: {{hook: {{webhook: {{url: \"{}\"}}}}}}\nsubscriptions: {}\n",
            sink.url(),
            json!({"cloud": {"pubsub": pubsub}})
        );
        let desk = Desk::new(Path::new("no cluster"), &config, &[TELL]);
        let put = |name: &str, text: &str| std::fs::write(desk.path().join(name), text).unwrap();
        put("ca.pem", google.ca());
        put("subject", SUBJECT);
        let subject = desk.path().join("subject");
        put("account.json", &tokens.external_account(subject.to_str().unwrap()).to_string());
        let desk =
            desk.with("SSL_CERT_FILE", "ca.pem").with("GCE_METADATA_HOST", &tokens.address());
        Self { tokens, google, sink, desk }
    }

    async fn answers(&self, worker: &Worker, number: usize) {
        self.google.publish(event("Tell", number));
        worker
            .wait("the event is answered and acknowledged", async || {
                match (self.sink.received().len(), self.google.unsettled()) {
                    (told, 0) if told == number => Ok(()),
                    other => Err(format!("told and unsettled: {other:?}")),
                }
            })
            .await;
    }
}

async fn says(worker: &Worker, texts: &[&str]) {
    worker
        .wait("it says what is wrong", async || {
            let (_, body) = worker.get("/readyz").await?;
            if texts.iter().all(|text| body.contains(text)) { Ok(()) } else { Err(body) }
        })
        .await;
}

#[tokio::test]
async fn a_workload_of_another_issuer_is_let_in_over_tls() {
    let bench = Bench::new(json!({"credentials": {"file": "account.json"}})).await;
    let worker = bench.desk.run().await;
    bench.answers(&worker, 1).await;
    assert!(bench.tokens.given() > 0);

    bench.tokens.revoke();
    says(&worker, &["subscription cloud: ", "refuses our credentials"]).await;
    assert_eq!(worker.terminate().await, 0);
}

#[tokio::test]
async fn without_credentials_the_metadata_server_is_asked_for_them() {
    let bench = Bench::new(json!({})).await;
    let worker = bench.desk.run().await;
    bench.answers(&worker, 1).await;
    assert!(bench.tokens.given() > 0);
    assert_eq!(worker.terminate().await, 0);
}

#[tokio::test]
async fn who_is_unknown_to_the_token_service_learns_where_to_look() {
    let bench = Bench::new(json!({"credentials": {"file": "account.json"}})).await;
    std::fs::write(bench.desk.path().join("subject"), "somebody").unwrap();
    let worker = bench.desk.start();
    says(&worker, &["subscription cloud: ", "check `credentials`"]).await;
    assert_eq!(bench.tokens.given(), 0);
    assert_eq!(worker.terminate().await, 0);
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_told_no_token() {
    let bench = Bench::new(json!({})).await;
    let other = Fake::guarded(&bench.tokens).await.unwrap();
    std::fs::write(bench.desk.path().join("ca.pem"), other.ca()).unwrap();
    let worker = bench.desk.start();
    says(&worker, &["subscription cloud: ", "name the authority"]).await;
    assert_eq!(worker.terminate().await, 0);
}
