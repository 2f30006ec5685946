//! What an attacker writes stays a value: no name, no argument, no variable is made of it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    Kept,
    world::{World, jobs, waits, worker},
};
use crate::{
    fixtures::{event, words},
    wire::Request,
};

const FROM_EVENT: &str = "mode: enforce\nactions: [capture: {files: {fromEvent: true}}]";

async fn job_for(path: &str) -> Option<Request> {
    let (kept, world) = (Kept::new("http://stoop-uploads.stoop:2809"), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let bench = worker(api, &kept);
    let mut event = event();
    event["output_fields"]["fd.name"] = json!(path);
    let mut response = bench.begin(FROM_EVENT, &event).await;
    let _ = bench.advance(&mut response).await;
    wire.writes().into_iter().find(|request| request.path == jobs())
}

/// The job without the one value that what the event says may be in.
fn but_the_request(job: &Value) -> String {
    let mut job = job.clone();
    job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = json!(null);
    job.to_string()
}

fn told(job: &Value) -> (String, Value) {
    let text = &job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"];
    let text = text.as_str().expect("a text").to_owned();
    let value = serde_json::from_str(&text).expect("JSON");
    (text, value)
}

#[tokio::test]
async fn a_files_name_is_a_parameter_and_nothing_else() {
    for path in [
        "/tmp/plain",
        "/tmp/$(KUBERNETES_SERVICE_HOST)",
        "/tmp/$$(id)`id`;reboot|&'\"\\ \n-rf",
        "/tmp/--exclude=/../../../etc/shadow",
        "/tmp/\u{202e}gpj.exe",
    ] {
        let job = job_for(path).await.expect(path).body;
        let (text, value) = told(&job);
        assert_eq!(value["paths"], json!([path]));
        assert!(!text.contains('$'), "Kubernetes would expand it: {text}");
        let (rest, name) =
            (but_the_request(&job), job["metadata"]["name"].as_str().expect("a name"));
        for piece in ["plain", "id", "reboot", "exclude", "exe"]
            .iter()
            .filter(|piece| path.contains(**piece))
        {
            assert!(!rest.contains(&format!("/tmp/{piece}")), "{rest}");
        }
        assert!(name.strip_prefix("cap-").expect("a name").chars().all(|c| c.is_ascii_hexdigit()));
    }
}

#[tokio::test]
async fn what_is_no_path_makes_no_job() {
    let long = format!("/{}", "x".repeat(5000));
    for path in ["", "relative", "10.0.0.1:443->10.0.0.2:80", "/", &long, "/a\u{0}b"] {
        assert!(job_for(path).await.is_none(), "{path}");
    }
    let (kept, world) = (Kept::new("http://stoop-uploads.stoop:2809"), World::new());
    let (api, _) = world.serve_but(|_| None);
    let report = worker(api, &kept).run(FROM_EVENT, &event()).await;
    assert_eq!(words(&report), ["capture refused (identity)"]);
}

#[tokio::test]
async fn other_files_of_the_same_event_are_another_capture() {
    let (kept, world) = (Kept::new("http://stoop-uploads.stoop:2809"), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let (bench, event) = (worker(api, &kept), event());
    for path in ["/etc/passwd", "/etc/group"] {
        let spec = format!("mode: enforce\nactions: [capture: {{files: {{paths: [{path}]}}}}]");
        waits(&bench, &mut bench.begin(&spec, &event).await).await;
    }
    let names: std::collections::BTreeSet<_> =
        wire.writes().iter().map(|request| request.body["metadata"]["name"].to_string()).collect();
    assert_eq!(names.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_bytes_of_a_name_get_out_of_its_value(name in "\\PC{1,40}") {
        let path = format!("/tmp/{name}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        if let Some(job) = runtime.block_on(job_for(&path)) {
            let (text, value) = told(&job.body);
            prop_assert_eq!(&value["paths"], &json!([path]));
            prop_assert!(!text.contains('$'));
            prop_assert!(!but_the_request(&job.body).contains(&path));
        }
    }
}
