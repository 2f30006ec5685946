//! Falco's demo with Tekton: the priority decides, but not in namespaces that matter more or have opted out.

use super::{
    cluster::{annotate_namespace, gone, is_alive},
    event::{SHELL, about, recorded},
    setting::{Setting, lines_of, steps},
    stream::{OnNats, Stream},
};

#[tokio::test]
async fn only_what_is_critical_goes_and_only_where_it_may() {
    let setting = Setting::new(Some("delete-by-priority.yaml"), OnNats::new().await).await;
    let cluster = setting.cluster;
    let namespace = async |prefix| cluster.create_namespace(prefix).await.unwrap();
    let (shop, critical) = (namespace("shop").await, namespace("critical").await);
    let exempt = namespace("exempt").await;
    annotate_namespace(cluster, &exempt, "stoop.dev/ignore", "true").await;
    let (shops, criticals, exempts, lonely) = tokio::join!(
        cluster.create_deployment(&shop, "web", 2),
        cluster.create_deployment(&critical, "web", 2),
        cluster.create_deployment(&exempt, "web", 2),
        cluster.create_deployment(&shop, "lonely", 1),
    );
    let (shops, criticals) = (shops.unwrap(), criticals.unwrap());
    let (exempts, lonely) = (exempts.unwrap(), lonely.unwrap());
    let worker = setting.desk.run().await;

    let serious = |pod| about(recorded(SHELL, "Critical"), pod);
    let events = [
        about(recorded(SHELL, "Notice"), &shops[1]),
        serious(&criticals[0]),
        serious(&exempts[0]),
        serious(&lonely[0]),
        serious(&shops[0]),
    ];
    for event in &events {
        setting.stream.publish(event).await;
    }
    gone(cluster, &shops[0]).await;
    setting.settled(&worker, events.len()).await;

    for spared in [&shops[1], &criticals[0], &criticals[1], &exempts[0], &exempts[1], &lonely[0]] {
        assert!(is_alive(cluster, spared).await, "{:?} was deleted", spared.metadata);
    }
    let mut answers: Vec<_> = lines_of(&worker, "delete-by-priority")
        .iter()
        .map(|line| {
            let namespace = line["object"]["namespace"].as_str().unwrap_or_default().to_owned();
            (namespace, line["steps"][0]["outcome"].clone(), line["steps"][0]["reason"].clone())
        })
        .collect();
    answers.sort_by_key(|(namespace, outcome, _)| (namespace.clone(), outcome.to_string()));
    let refused = |namespace: &String, why: &str| (namespace.clone(), "refused".into(), why.into());
    let applied = (shop.clone(), "applied".into(), serde_json::Value::Null);
    let expected = [refused(&exempt, "exempt"), applied, refused(&shop, "min-healthy")];
    assert_eq!(answers, expected);
    let watched = lines_of(&worker, "shell-in-a-container");
    let did_nothing = |outcome: &str| ["refused", "skipped"].contains(&outcome);
    assert!(
        watched.iter().flat_map(steps).all(|(_, outcome)| did_nothing(&outcome)),
        "{watched:?}"
    );
    setting.leaves_nothing(worker).await;
}
