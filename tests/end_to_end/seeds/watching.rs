//! The examples before anybody has changed a mode.

use kube::ResourceExt;

use super::{
    cluster::is_alive,
    event::{CONNECTION, SHELL, about, exec, miner, recorded},
    setting::{EXAMPLES, Setting, lines_of, steps},
    stream::{OnNats, Stream},
};

#[tokio::test]
async fn as_they_stand_they_say_what_they_would_do_and_do_nothing() {
    let setting = Setting::new(None, OnNats::new().await).await;
    let cluster = setting.cluster;
    let namespace = cluster.create_namespace("critical").await.unwrap();
    let pod = cluster.create_deployment(&namespace, "web", 1).await.unwrap().remove(0);
    let shop = cluster.create_namespace("shop").await.unwrap();
    let other = cluster.create_deployment(&shop, "web", 1).await.unwrap().remove(0);
    let worker = setting.desk.run().await;
    let events = [
        miner(&other),
        about(recorded(SHELL, "Notice"), &pod),
        about(recorded(CONNECTION, "Warning"), &pod),
        exec(&pod, "mallory", "sh"),
    ];
    for event in &events {
        setting.stream.publish(event).await;
    }
    setting.settled(&worker, events.len()).await;

    let audit = worker.audit();
    let mut answered: Vec<_> =
        audit.iter().map(|line| line["playbook"].as_str().unwrap()).collect();
    answered.sort_unstable();
    let all = [
        "cryptominer",
        "delete-by-priority",
        "exec-audit",
        "exec-audit-mark",
        "exec-audit-sensitive",
        "shell-in-a-container",
        "unexpected-connection",
    ];
    assert_eq!(answered, all);
    assert!(audit.iter().flat_map(steps).all(|(_, outcome)| outcome == "skipped"), "{audit:?}");
    assert!(is_alive(cluster, &pod).await && is_alive(cluster, &other).await);
    assert!(setting.captures().is_empty() && setting.sinks.messages().is_empty());
    setting.leaves_nothing(worker).await;
}

/// What a header says to try, about this pod in place of `shop/web-…`.
fn tried<'a>(example: &'a str, pod: &'a str) -> Option<Vec<&'a str>> {
    let line = example.lines().find(|line| line.contains("stoop event "))?;
    let (_, command) = line.split_once("stoop ")?;
    // Every other piece stands in quotes.
    let pieces = command.split('\'').enumerate();
    let words = pieces.flat_map(|(at, piece)| match at % 2 {
        0 => piece.split_whitespace().collect(),
        _ => vec![piece],
    });
    Some(words.map(|word| if word == "shop/web-…" { pod } else { word }).collect())
}

#[tokio::test]
async fn what_their_headers_say_to_try_is_answered() {
    let setting = Setting::new(None, OnNats::new().await).await;
    let shop = setting.cluster.create_namespace("shop").await.unwrap();
    let pod = setting.cluster.create_deployment(&shop, "web", 2).await.unwrap().remove(0);
    let pod = format!("{shop}/{}", pod.name_any());
    let worker = setting.desk.run().await;
    let mut tries = Vec::new();
    for (file, text) in EXAMPLES {
        let Some(command) = tried(text, &pod) else { continue };
        setting.desk.must(&command).await;
        tries.push(file.strip_suffix(".yaml").unwrap());
    }
    assert_eq!(tries.len(), 4, "{tries:?}");
    setting.settled(&worker, tries.len()).await;
    for playbook in tries {
        assert!(!lines_of(&worker, playbook).is_empty(), "{playbook} has no answer");
    }
    setting.leaves_nothing(worker).await;
}
