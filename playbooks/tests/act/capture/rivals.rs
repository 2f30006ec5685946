//! Others who were faster, or who only have the name; and answers that were lost.

use http::Method;
use serde_json::json;

use super::{
    Kept,
    jobs::{said, upload},
    world::{World, ends, jobs, waits, worker},
};
use crate::{
    fixtures::{OTHER_UID, event, words},
    wire::{Answer, error},
};

const PACKETS: &str = "mode: enforce\nactions: [capture: {packets: {}}]";

fn kept() -> Kept {
    Kept::new("http://stoop-uploads.stoop:2809")
}

#[tokio::test]
async fn a_job_of_the_name_that_is_about_another_pod_is_no_success() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let (bench, event) = (worker(api, &kept), event());
    waits(&bench, &mut bench.begin(PACKETS, &event).await).await;
    let job = world.job_path(&wire);
    upload(&kept, &world.request(&job), b"packets").await.expect("taken");
    world.end(&job, "Complete", &said(b"packets"));
    for about in [json!(null), json!("{}"), json!({"uid": OTHER_UID}).to_string().into()] {
        world.0.lock().change(&job, |job| {
            let notes = &mut job["metadata"]["annotations"]["stoop.dev/about"];
            let mut whole: serde_json::Value = notes
                .as_str()
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or(json!({}));
            whole["uid"] = json!(OTHER_UID);
            *notes = if about.is_null() { json!(whole.to_string()) } else { about.clone() };
        });
        let report = bench.run(PACKETS, &event).await;
        assert_eq!(words(&report), ["capture failed (permanent)"]);
        assert!(
            report.overall.detail().contains("not about this pod"),
            "{}",
            report.overall.detail()
        );
        assert!(!kept.files().iter().any(|file| file.ends_with("manifest.json")));
    }
}

#[tokio::test]
async fn who_comes_second_goes_on_with_the_firsts_job() {
    let (kept, world) = (kept(), World::new());
    // The second worker has looked before the first one's job was there.
    let mut blind = false;
    let (api, wire) = world.serve_but(move |request| {
        let is_look = request.method == Method::GET && request.path.starts_with(&jobs());
        if request.method == Method::POST {
            blind = true;
            return None;
        }
        (is_look && std::mem::take(&mut blind)).then(|| error(404, "NotFound", "jobs not found"))
    });
    let event = event();
    for _ in 0..2 {
        let bench = worker(api.clone(), &kept);
        waits(&bench, &mut bench.begin(PACKETS, &event).await).await;
    }
    let posts = wire.writes();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0].body["metadata"]["name"], posts[1].body["metadata"]["name"]);
    // What the first one has stored is what counts: the second one's key is not the job's.
    let name = posts[0].body["metadata"]["name"].as_str().expect("a name");
    let job = format!("{}/{name}", jobs());
    assert_eq!(
        world.0.get(&job)["metadata"]["annotations"],
        posts[0].body["metadata"]["annotations"]
    );
}

#[tokio::test]
async fn a_crash_anywhere_ends_in_one_job_and_one_capture() {
    for lost in 0..10 {
        let (kept, world, event) = (kept(), World::new(), event());
        let mut asked = 0;
        let looking_on = world.clone();
        let (api, wire) = world.0.serve_but({
            let inner = looking_on.clone();
            move |request, carry_out| {
                let answer = inner.answer_to(request).unwrap_or_else(carry_out);
                asked += 1;
                if asked - 1 == lost { Answer::Broken } else { answer }
            }
        });
        let mut is_over = false;
        let report = 'over: loop {
            let bench = worker(api.clone(), &kept);
            let Some(mut response) = bench.try_begin(PACKETS, &event).await else { continue };
            match bench.advance(&mut response).await {
                playbooks::act::Advance::Finished(report) => break 'over report,
                playbooks::act::Advance::Retry(_) => {}
                playbooks::act::Advance::Lost => panic!("lost"),
            }
            let posted = wire.writes().iter().any(|request| request.path == jobs());
            if posted && !is_over {
                let name =
                    wire.writes()[0].body["metadata"]["name"].as_str().expect("a name").to_owned();
                let job = format!("{}/{name}", jobs());
                if world.0.get(&job).is_null() {
                    continue;
                }
                upload(&kept, &world.request(&job), b"packets").await.expect("taken");
                world.end(&job, "Complete", &said(b"packets"));
                is_over = true;
            }
        };
        assert!(report.overall.ended_well(), "{lost}: {}", report.overall);
        let manifests = kept.files().iter().filter(|file| file.ends_with("manifest.json")).count();
        assert_eq!(manifests, 1, "{lost}");
        let names: std::collections::BTreeSet<_> = wire
            .writes()
            .iter()
            .map(|request| request.body["metadata"]["name"].to_string())
            .collect();
        assert_eq!(names.len(), 1, "{lost}");
    }
}

#[tokio::test]
async fn a_missing_right_on_jobs_is_permanent_and_named() {
    let (kept, world) = (kept(), World::new());
    let why = "jobs.batch is forbidden: User \"worker\" cannot create resource \"jobs\"";
    let (api, _) = world.serve_but(move |request| {
        (request.method == Method::POST).then(|| error(403, "Forbidden", why))
    });
    let bench = worker(api, &kept);
    let report = ends(&bench, &mut bench.begin(PACKETS, &event()).await).await;
    assert_eq!(words(&report), ["capture failed (permanent)"]);
    assert!(report.overall.detail().contains("cannot create resource \"jobs\""));
}
