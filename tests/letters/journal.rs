//! Listed, shown, redriven and dropped: through the worker while it runs, in the file when none does.

use serde_json::Value;

use crate::desk::Desk;

#[tokio::test]
async fn a_running_workers_dead_letters_are_listed_shown_redriven_and_dropped() {
    let desk = Desk::new("");
    let worker = desk.work().await;
    desk.post("One").await;
    desk.post("Two").await;
    let letters = desk.has_letters(2).await;
    assert_eq!(letters[0]["rule"], "One");
    assert_eq!(
        (&letters[0]["reason"], &letters[0]["playbooks"][0]),
        (&"failed".into(), &"wary".into())
    );
    let place = letters[0]["place"].as_str().unwrap();

    let table = desk.must(&["dlq", "list", "--rule", "Two"]).await;
    assert!(table.contains("Two") && !table.contains("One"), "{table}");
    let shown = desk.must(&["dlq", "show", place]).await;
    assert!(shown.contains("wary: ") && shown.contains("\"rule\": \"One\""), "{shown}");
    assert!(shown.contains("\\u001b[31m") && !shown.contains('\u{1b}'), "{shown}");

    let dry = desk.must(&["dlq", "redrive", "--all", "--dry-run"]).await;
    assert!(dry.contains("2 of intake would be redriven"), "{dry}");
    assert_eq!(desk.letters().await, letters);

    // It fails again, and is a new letter at another place.
    let done = desk.must(&["dlq", "redrive", place, "--max-age", "7d"]).await;
    assert!(done.contains("1 redriven"), "{done}");
    let again = desk.has_letters(2).await;
    assert_eq!((&again[0]["rule"], &again[1]["rule"]), (&"Two".into(), &"One".into()));
    assert_ne!(again[1]["place"], place);
    let gone = desk.call(&["dlq", "show", place]).await;
    assert_eq!(gone.code, 2, "{gone:?}");

    let dropped = desk.must(&["dlq", "drop", "--rule", "Two"]).await;
    assert!(dropped.contains("1 dropped"), "{dropped}");
    assert_eq!(desk.letters().await.len(), 1);
    worker.leave().await;
    assert_eq!(desk.letters().await.len(), 1, "the file says the same");
}

#[tokio::test]
async fn without_a_worker_the_file_is_opened_and_a_redrive_waits_in_it_for_the_next() {
    let desk = Desk::new("");
    let none = desk.call(&["dlq", "list"]).await;
    assert_eq!(none.code, 2);
    assert!(none.err.contains("there is no journal in data"), "{none:?}");

    let worker = desk.work().await;
    for rule in ["One", "Two", "Three"] {
        desk.post(rule).await;
    }
    desk.has_letters(3).await;
    worker.leave().await;

    let many = desk.call(&["dlq", "redrive", "--all"]).await;
    assert_eq!(many.code, 2);
    assert!(many.err.contains("--yes"), "{many:?}");
    desk.must(&["dlq", "redrive", "--rule", "One"]).await;
    desk.must(&["dlq", "drop", "--rule", "Two"]).await;
    let left: Vec<_> = desk.letters().await.iter().map(|letter| letter["rule"].clone()).collect();
    assert_eq!(left, ["Three"]);
    let worker = desk.work().await;
    let letters = desk.has_letters(2).await;
    assert_eq!(letters[1]["rule"], "One");
    worker.leave().await;
}

#[tokio::test]
async fn a_command_says_which_dead_letters_it_could_mean() {
    let desk = Desk::new("");
    let worker = desk.work().await;
    for (arguments, says) in [
        (&["dlq", "redrive"][..], "--all"),
        (&["dlq", "drop", "77"], "no such dead letter: 77"),
        (&["dlq", "list", "--subscription", "falco"], "known: intake"),
        (&["dlq", "redrive", "--all", "--max-age", "old"], "such as `30s`"),
    ] {
        let ran = desk.call(arguments).await;
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains(says), "{ran:?}");
    }
    assert!(desk.must(&["dlq", "list"]).await.contains("no dead letters"));
    worker.leave().await;
}

#[tokio::test]
async fn what_a_journal_holds_is_rehearsed_by_way_of_its_worker_and_of_its_file() {
    let desk = Desk::new("");
    let worker = desk.work().await;
    desk.post("One").await;
    desk.post("Two").await;
    desk.has_letters(2).await;
    let rehearse = async |arguments: &[&str]| {
        let all = [&["replay", "--dry-run", "--output", "json"][..], arguments].concat();
        serde_json::from_str::<Value>(&desk.must(&all).await).unwrap()
    };
    let report = rehearse(&[]).await;
    assert_eq!((&report["source"], &report["messages"]["read"]), (&"intake".into(), &2.into()));
    assert_eq!(report["playbooks"][0]["held"][0]["by"], "when-fails");
    assert_eq!(rehearse(&["--since", "2099-01-01T00:00:00Z"]).await["messages"]["read"], 0);
    assert_eq!(desk.letters().await.len(), 2, "nothing was done");
    worker.leave().await;
    assert_eq!(rehearse(&[]).await, report);
}
