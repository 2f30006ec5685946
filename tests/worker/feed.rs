//! What is told live of an event, to whoever looks.

use serde_json::{Value, json};

use super::rig::{Rig, event, play, playbook};

/// The lines so far of this kind.
fn told(rig: &Rig, kind: &str) -> Vec<Value> {
    let entries = rig.worker.feed.look(None).entries;
    let lines = entries.iter().map(|entry| serde_json::from_str(&entry.json()).unwrap());
    lines.filter(|line: &Value| line["kind"] == kind).collect()
}

#[tokio::test]
async fn of_an_event_that_very_many_playbooks_want_the_first_are_named_and_all_are_counted() {
    let names: Vec<_> = (0..100).map(|number| format!("p{number:03}")).collect();
    let playbooks = names.iter().map(|name| playbook(name, json!({"actions": [play(name)]})));
    let rig = Rig::new(&playbooks.collect::<Vec<_>>()).await;
    rig.subscribe([event(json!({}))]).is_settled().await;
    let (seen, settled) = (told(&rig, "seen"), told(&rig, "settled"));
    assert_eq!((seen.len(), settled.len()), (1, 1));
    assert_eq!((&seen[0]["number"], &seen[0]["more"]), (&json!(0), &json!(68)));
    assert_eq!(seen[0]["playbooks"], json!(names[..32]));
    // Whoever is named and not here has found that the object is none of its own.
    let answers = settled[0]["answers"].as_array().unwrap();
    let answered: Vec<_> = answers.iter().map(|answer| answer["playbook"].clone()).collect();
    assert_eq!(json!(answered), json!(names[..32]));
    let counts = rig.worker.feed.counts();
    assert!(names.iter().all(|name| counts[name].events == 1), "{counts:?}");
}
