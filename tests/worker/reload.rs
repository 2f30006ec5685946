//! Playbooks that change while the worker runs: the next event is answered by the new ones, and bad ones change nothing.

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::json;
use stoop::worker::readiness::Readiness;
use tokio::task::JoinHandle;

use super::{
    rig::{Rig, a_while_passes, event, play, play_on_pod, playbook, until},
    stage::Cue,
};

fn says(part: &str) -> String {
    playbook("p", json!({"actions": [play(part)], "limits": {"cooldown": "1s"}}))
}

/// Follows the files.
fn follow(rig: &Rig) -> (Arc<Readiness>, JoinHandle<()>) {
    let readiness = Arc::<Readiness>::default();
    let following = rig.worker.clone().follow_playbooks(readiness.clone(), Default::default());
    (readiness, tokio::spawn(following))
}

fn changes(rig: &Rig, result: &str) -> u64 {
    rig.worker.metrics.playbook_changes.with_label_values(&[result]).get()
}

async fn answer(rig: &Rig) {
    rig.subscribe([event(json!({}))]).is_settled().await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_change_leaves_the_last_good_one_in_force_and_says_where_it_is_wrong() {
    let rig = Rig::new(&[says("old")]).await;
    let (readiness, following) = follow(&rig);
    answer(&rig).await;
    fs::write(rig.playbooks(), says("new")).unwrap();
    until("the new one is in force", || changes(&rig, "taken") == 1).await;
    answer(&rig).await;
    assert_eq!((rig.stage.played("old"), rig.stage.played("new")), (1, 1));
    assert!(readiness.warnings().is_empty());

    for bad in [says("worse").replace("\"actions\"", "\"acts\""), "{".to_owned()] {
        let refused = changes(&rig, "refused");
        fs::write(rig.playbooks(), bad).unwrap();
        until("it was looked at", || changes(&rig, "refused") == refused + 1).await;
        let warnings = readiness.warnings();
        let place = format!("{}:1:", rig.playbooks().display());
        assert!(warnings.len() == 1 && warnings[0].contains(&place), "{warnings:?}");
        // Many looks later.
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(changes(&rig, "refused"), refused + 1, "it was decided about");
    }
    answer(&rig).await;
    assert_eq!((rig.stage.played("worse"), rig.stage.played("new")), (0, 2));
    fs::remove_file(rig.playbooks()).unwrap();
    until("its absence was seen", || changes(&rig, "refused") == 3).await;
    answer(&rig).await;
    assert_eq!(rig.stage.played("new"), 3);

    fs::write(rig.playbooks(), "").unwrap();
    until("that nothing is left was seen", || changes(&rig, "refused") == 4).await;
    assert_eq!(rig.worker.rules.now().plans().len(), 1);

    fs::write(rig.playbooks(), says("mended")).unwrap();
    until("the mended one is in force", || changes(&rig, "taken") == 2).await;
    answer(&rig).await;
    assert_eq!(rig.stage.played("mended"), 1);
    assert!(readiness.warnings().is_empty());
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn an_event_is_answered_to_its_end_by_the_playbooks_that_it_was_read_by() {
    // Another comes before it, so that its place is another's now.
    let last = playbook("q", json!({"actions": [play("last")]}));
    let rig = Rig::new(&[says("old"), last]).await;
    let (_, following) = follow(&rig);
    rig.stage.cue("old", [Cue::Wait]);
    let subscription = rig.subscribe([event(json!({}))]);
    until("it is under way", || rig.stage.played("old") == 1).await;
    let first = playbook("a", json!({"actions": [play("first")]}));
    fs::write(rig.playbooks(), [first, says("new")].join("\n---\n")).unwrap();
    until("others are in force", || changes(&rig, "taken") == 1).await;
    rig.stage.raise_curtain();
    subscription.is_settled().await;
    assert_eq!((rig.stage.played("first"), rig.stage.played("new")), (0, 0));
    assert_eq!(rig.stage.played("last"), 1, "its turn came when it was in force no longer");
    answer(&rig).await;
    assert_eq!((rig.stage.played("first"), rig.stage.played("new")), (1, 1));
    following.abort();
}

#[tokio::test]
async fn what_the_old_playbook_answered_is_no_answer_of_the_new_one() {
    let spec = |mode: &str| {
        let spec =
            json!({"mode": mode, "actions": [play_on_pod("a")], "limits": {"cooldown": "1h"}});
        playbook("p", spec)
    };
    let rig = Rig::new(&[spec("observe")]).await;
    rig.create_pod();
    let (_, following) = follow(&rig);
    let event = rig.event_about_pod(Timestamp::now()).await;
    rig.subscribe([event.clone()]).is_settled().await;
    fs::write(rig.playbooks(), spec("enforce")).unwrap();
    until("it enforces", || changes(&rig, "taken") == 1).await;
    rig.subscribe([event.clone()]).is_settled().await;
    rig.subscribe([event]).is_settled().await;
    assert_eq!(rig.stage.played("a"), 1);
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn a_worker_without_a_cluster_takes_no_playbook_that_acts_on_pods() {
    let rig = Rig::new(&[says("old")]).await.without_cluster().await;
    let (readiness, following) = follow(&rig);
    fs::write(rig.playbooks(), playbook("p", json!({"actions": [play_on_pod("new")]}))).unwrap();
    until("it was looked at", || changes(&rig, "refused") == 1).await;
    assert!(readiness.warnings()[0].contains("started without a cluster"));
    answer(&rig).await;
    assert_eq!(rig.stage.played("old"), 1);
    following.abort();
}

#[tokio::test]
async fn playbooks_that_need_what_the_cluster_does_not_keep_are_not_taken() {
    let rig = Rig::recording(&[says("old")]).await;
    let (readiness, following) = follow(&rig);
    let needy = json!({"approval": "required", "actions": [play_on_pod("new")]});
    fs::write(rig.playbooks(), playbook("p", needy)).unwrap();
    until("it was looked at", || !readiness.warnings().is_empty()).await;
    assert!(readiness.warnings()[0].contains("Response objects"), "{:?}", readiness.warnings());
    assert_eq!(changes(&rig, "taken"), 0);
    answer(&rig).await;
    assert_eq!(rig.stage.played("old"), 1);
    // Nobody has to touch the file, or start the worker anew.
    rig.server.keep_responses("stoop").unwrap();
    a_while_passes().await;
    until("it is in force", || changes(&rig, "taken") == 1).await;
    assert_eq!((changes(&rig, "refused"), readiness.warnings()), (1, Vec::new()));
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_still_being_written_is_not_taken_for_a_whole_one() {
    let rig = Rig::new(&[says("old")]).await;
    let (_, following) = follow(&rig);
    let halves = [says("half"), playbook("q", json!({"actions": [play("other")]}))];
    fs::write(rig.playbooks(), &halves[0]).unwrap();
    // One look of two.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    fs::write(rig.playbooks(), halves.join("\n---\n")).unwrap();
    until("the whole is in force", || rig.worker.rules.now().plans().len() == 2).await;
    assert_eq!((changes(&rig, "taken"), changes(&rig, "refused")), (1, 0));
    following.abort();
}

/// Puts a version of a ConfigMap's files in place as a kubelet does: a folder, and a link that is renamed over the last one.
fn mount(volume: &Path, version: &str, text: &str) {
    let folder = volume.join(version);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("p.yaml"), text).unwrap();
    symlink(version, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    if !volume.join("p.yaml").exists() {
        symlink("..data/p.yaml", volume.join("p.yaml")).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_mounted_config_map_is_followed_through_its_links() {
    let volume = tempfile::tempdir().unwrap();
    mount(volume.path(), "..1", &says("old"));
    let rig = Rig::reading(volume.path()).await;
    let (_, following) = follow(&rig);
    answer(&rig).await;
    mount(volume.path(), "..2", &says("new"));
    fs::remove_dir_all(volume.path().join("..1")).unwrap();
    until("the new one is in force", || changes(&rig, "taken") == 1).await;
    answer(&rig).await;
    assert_eq!((rig.stage.played("old"), rig.stage.played("new")), (1, 1));
    following.abort();
}
