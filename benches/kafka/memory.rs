//! What a worker by itself holds in memory.

use std::{process::Stdio, time::Duration};

use super::fresh;

/// The most that `stoop run` had resident while it skipped every message of a topic, in MiB.
pub async fn peak(bootstrap: &str, topic: &str, messages: usize, playbooks: &str) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let group = fresh("memory");
    let config = format!(
        "playbooks: [playbooks.yaml]\nhealth: {{listen: \"127.0.0.1:{port}\"}}\n\
         subscriptions: {{bench: {{kafka: {{brokers: [\"{bootstrap}\"], topic: {topic}, group: {group}, deadLetters: {topic}.dead}}}}}}\n"
    );
    std::fs::write(at("playbooks.yaml"), playbooks).unwrap();
    std::fs::write(at("stoop.yaml"), config).unwrap();
    std::fs::write(at("kubeconfig"), super::kubeconfig::NOWHERE).unwrap();
    let mut worker = tokio::process::Command::new(env!("CARGO_BIN_EXE_stoop"))
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
    let status = format!("/proc/{}/status", worker.id().unwrap());
    let url = format!("http://127.0.0.1:{port}/metrics");
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let Ok(answer) = reqwest::get(&url).await else { continue };
        let text = answer.text().await.unwrap();
        let skipped =
            text.lines().find(|line| line.starts_with("stoop_messages_total{fate=\"skipped\""));
        let skipped = skipped.and_then(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
        if skipped.is_some_and(|skipped| skipped >= messages) {
            break;
        }
    }
    let status = std::fs::read_to_string(status).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    worker.kill().await.unwrap();
    kib / 1024.0
}
