//! What a worker by itself holds in memory.

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// A kubeconfig that leads nowhere: no cluster is asked, but the playbooks want one to be configured.
const NOWHERE: &str = "\
apiVersion: v1
kind: Config
clusters: [{name: nowhere, cluster: {server: \"http://127.0.0.1:9\"}}]
users: [{name: nobody, user: {}}]
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
current-context: nowhere
";

/// The most that `stoop run` had resident until it was done with so many messages of a subscription, in MiB. `more` are
/// further sections of its configuration.
pub async fn peak(subscription: Value, messages: usize, playbooks: &str, more: Value) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = json!({
        "playbooks": ["playbooks.yaml"],
        "health": {"listen": format!("127.0.0.1:{port}")},
        "subscriptions": {"bench": subscription},
    });
    config.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
    std::fs::write(at("playbooks.yaml"), playbooks).unwrap();
    std::fs::write(at("stoop.yaml"), config.to_string()).unwrap();
    std::fs::write(at("kubeconfig"), NOWHERE).unwrap();
    let mut worker = Command::new(env!("CARGO_BIN_EXE_stoop"))
        .arg("run")
        .current_dir(folder.path())
        // A testbed in the shell would add a subscription of its own.
        .env_remove("STOOP_SUBSCRIPTIONS__FALCO__KAFKA__BROKERS")
        .env("KUBECONFIG", at("kubeconfig"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let url = format!("http://127.0.0.1:{port}/metrics");
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(worker.try_wait().unwrap().is_none(), "the worker ended");
        let Ok(answer) = reqwest::get(&url).await else { continue };
        if done(&answer.text().await.unwrap()) >= messages {
            break;
        }
    }
    let peak = high_water(&worker);
    worker.kill().await.unwrap();
    peak
}

/// How many messages the worker is done with, as its metrics say.
fn done(metrics: &str) -> usize {
    let of = ["stoop_messages_total{fate=\"skipped\"", "stoop_settled_total{how=\"acked\""];
    let lines = metrics.lines().filter(|line| of.iter().any(|start| line.starts_with(start)));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
}

/// The most that the process had resident so far, in MiB.
fn high_water(worker: &Child) -> f64 {
    let status = format!("/proc/{}/status", worker.id().unwrap());
    let status = std::fs::read_to_string(status).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    kib / 1024.0
}
