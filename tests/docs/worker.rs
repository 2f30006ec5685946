//! The commands that ask a worker, asked of one: it runs on a journal, with two dead letters.

use crate::{commands::filled, desk::Desk, shell::calls};

/// Which they are.
pub(crate) const ASKED: [&str; 2] = ["stoop dlq", "stoop replay --subscription"];

/// Fails for good on every event, by the name that the book's dead letters have.
const PLAYBOOK: &str = "\
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: delete-shell}
spec:
  match: {when: 'fields[\"proc.name\"] > 1'}
  actions: [notify: {to: [log]}]
";

fn desk() -> Desk {
    let desk = Desk::new("");
    let config = format!(
        "playbooks: [wary.yaml]\nhealth: {{listen: \"{}\"}}\ncontrol: {{listen: \"{}\"}}\n\
         subscriptions: {{falco: {{journal: {{path: data, listen: \"{}\"}}}}}}\n",
        desk.health.address(),
        desk.control.address(),
        desk.intake.address()
    );
    desk.write("stoop.yaml", &config);
    desk.write("wary.yaml", PLAYBOOK);
    desk
}

#[tokio::test]
async fn every_command_about_dead_letters_and_history_is_run_on_a_worker() {
    let asked: Vec<_> =
        calls().into_iter().filter(|call| ASKED.iter().any(|words| call.begins(words))).collect();
    assert!(asked.len() >= 6, "{asked:?}");
    let desk = desk();
    let worker = desk.work().await;
    desk.post("Terminal shell in container").await;
    desk.post("Terminal shell in container").await;
    desk.has_letters(2).await;
    for call in asked {
        let words = filled(&call);
        let arguments: Vec<_> = words.iter().skip(1).map(String::as_str).collect();
        let ran = desk.call(&arguments).await;
        // `PARTITION/OFFSET` is a place of Kafka's, which a journal says it doesn't have.
        let is_elsewhere =
            words.iter().any(|word| word.contains('/')) && ran.err.contains("no dead letter at");
        assert!(matches!(ran.code, 0 | 1) || is_elsewhere, "{}: {words:?}: {ran:?}", call.place);
        // What was redriven fails again, and is a letter at another place.
        desk.has_letters(2).await;
    }
    worker.leave().await;
}
