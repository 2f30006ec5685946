//! The worker as it runs: pump, filter, tracker, handler, commits.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use brokers::{Pool, kafka, pump};
use playbooks::{
    act::{Api, Registry},
    decide::Mode,
};
use stoop::{
    audit::Audit,
    config,
    worker::{Worker, assemble},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Round, cpu, fresh};

const PATIENCE: Duration = Duration::from_secs(5);

struct Running {
    passed: Arc<pump::Passed>,
    worker: Arc<Worker>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), brokers::Error>>,
}

/// Skips every message by the filter.
pub async fn skip(bootstrap: &str, topic: &str, messages: usize, playbooks: &str) -> Round {
    let running = start(bootstrap, topic, playbooks).await;
    let passed = running.passed.clone();
    run(running, messages, move |_| passed.skipped.load(Ordering::Relaxed)).await
}

/// Keeps every message, decodes it, finds no playbook for it, and acknowledges it.
pub async fn acknowledge(bootstrap: &str, topic: &str, messages: usize, playbooks: &str) -> Round {
    let running = start(bootstrap, topic, playbooks).await;
    let acked = running.worker.metrics.settled.with_label_values(&["bench", "acked"]);
    run(running, messages, move |_| acked.get()).await
}

async fn start(bootstrap: &str, topic: &str, playbooks: &str) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("playbooks.yaml");
    std::fs::write(&file, playbooks).unwrap();
    let text = format!("playbooks: [{}]", file.display());
    let config = config::parse("bench", &text, []).unwrap();
    // No cluster is asked, since no event is wanted.
    let nowhere =
        Api::from_config(kube::Config::new("http://127.0.0.1:9".parse().unwrap()), PATIENCE);
    let (registry, audit) = (Registry::standard(), Audit::to(std::io::sink()));
    let worker = assemble::worker(&config, &registry, nowhere, Mode::Enforce, audit).unwrap();
    let kafka: kafka::Config = serde_json::from_value(serde_json::json!({
        "brokers": [bootstrap], "topic": topic, "group": fresh("stoop"), "deadLetters": format!("{topic}.dead"),
    }))
    .unwrap();
    let (receiver, ledger) = kafka::connect(&kafka, kafka::Timing::default()).unwrap();
    let (passed, stop) = (Arc::<pump::Passed>::default(), CancellationToken::new());
    let intake = pump::Intake {
        pool: Pool::new(128, config.limits.memory.as_usize()),
        hold: worker.outages.hold("bench"),
        passed: passed.clone(),
        stop: stop.clone(),
        drain: Duration::from_secs(5),
    };
    let serving = worker.clone();
    let task = tokio::spawn(async move { serving.serve("bench", receiver, ledger, intake).await });
    Running { passed, worker, stop, task }
}

async fn run(running: Running, messages: usize, count: impl Fn(&Running) -> u64) -> Round {
    let messages = messages as u64;
    let poll = Duration::from_micros(200);
    while count(&running) == 0 {
        tokio::time::sleep(poll).await;
    }
    let (start, before) = (Instant::now(), cpu());
    while count(&running) < messages {
        tokio::time::sleep(poll).await;
    }
    let round = Round { took: start.elapsed(), cpu: cpu() - before };
    running.stop.cancel();
    running.task.await.unwrap().unwrap();
    round
}
