//! What the port says to whoever asks, page or not.

use playbooks::decide::Priority;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::stage::{MINER, SHELL, Stage, until};

const ALL: [&str; 4] = ["approve", "revert", "redrive", "drop"];

/// Everything that changes something, with a body that is right.
fn changes(response: &Value) -> Vec<(String, Value)> {
    let path = |what| format!("/v1/responses/{}/{what}", response["name"].as_str().unwrap());
    let asked = json!({"event": response["event"], "waitsUntil": response["waitsUntil"]});
    vec![
        (path("approve"), asked.clone()),
        (path("deny"), asked),
        (path("revert"), json!({"run": 1, "dryRun": false})),
        ("/v1/dead-letters/intake/redrive".to_owned(), json!({"place": "1"})),
        ("/v1/dead-letters/intake/drop".to_owned(), json!({"place": "1"})),
    ]
}

#[tokio::test]
async fn nothing_is_changed_unless_it_is_allowed() {
    let stage = Stage::set(json!({})).await;
    stage.pod("web-1");
    stage.happen(MINER, "web-1", Priority::Critical).await;
    let response = stage.response("asks-first", "Pending").await;
    for (path, body) in changes(&response) {
        let answer = stage.ask(Method::POST, &path).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path}");
        let why: Value = answer.json().await.unwrap();
        assert!(why["error"].as_str().unwrap().contains("`control.allow`"), "{why}");
    }
    assert_eq!(stage.get("/v1/worker").await["allow"], json!([]));
    stage.response("asks-first", "Pending").await;
}

/// What a page of another origin can have a browser send changes nothing, even where everything is allowed.
#[tokio::test]
async fn no_request_from_another_site_changes_anything() {
    let stage = Stage::set(json!({"allow": ALL})).await;
    stage.pod("web-1");
    stage.happen(MINER, "web-1", Priority::Critical).await;
    let response = stage.response("asks-first", "Pending").await;
    let ours = format!("http://127.0.0.1:{}", stage.control.number());
    let evil = "https://evil.example";
    let rebound = format!("http://evil.example:{}", stage.control.number());
    let hostile: [(&str, &[(&str, &str)]); 9] = [
        (
            "a form",
            &[("content-type", "text/plain"), ("origin", evil), ("sec-fetch-site", "cross-site")],
        ),
        ("a form of an old browser", &[("content-type", "application/x-www-form-urlencoded")]),
        ("a fetch without our header", &[("content-type", "application/json"), ("origin", evil)]),
        (
            "our header, another origin",
            &[("stoop-control", "1"), ("content-type", "application/json"), ("origin", evil)],
        ),
        (
            "a sandboxed frame",
            &[("stoop-control", "1"), ("content-type", "application/json"), ("origin", "null")],
        ),
        (
            "another port here",
            &[
                ("stoop-control", "1"),
                ("content-type", "application/json"),
                ("origin", "http://127.0.0.1:1"),
                ("sec-fetch-site", "same-site"),
            ],
        ),
        (
            "a site that lies of its origin",
            &[
                ("stoop-control", "1"),
                ("content-type", "application/json"),
                ("origin", &ours),
                ("sec-fetch-site", "cross-site"),
            ],
        ),
        (
            "a name that leads here",
            &[
                ("stoop-control", "1"),
                ("content-type", "application/json"),
                ("host", "evil.example"),
                ("origin", &rebound),
                ("sec-fetch-site", "same-origin"),
            ],
        ),
        (
            "ours, as a form",
            &[
                ("stoop-control", "1"),
                ("content-type", "text/plain"),
                ("origin", &ours),
                ("sec-fetch-site", "same-origin"),
            ],
        ),
    ];
    for (path, body) in changes(&response) {
        for (what, headers) in hostile {
            let mut request = stage.bare(Method::POST, &path).body(body.to_string());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let status = request.send().await.unwrap().status();
            let is_no =
                status == StatusCode::FORBIDDEN || status == StatusCode::UNSUPPORTED_MEDIA_TYPE;
            assert!(is_no, "{what}: {status} for {path}");
        }
        // What a browser asks before it sends a header of ours: nobody is allowed to.
        let preflight = stage.bare(Method::OPTIONS, &path).header("origin", evil);
        let answer =
            preflight.header("access-control-request-method", "POST").send().await.unwrap();
        assert_eq!(answer.status(), 403);
        assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
        // A link changes nothing either.
        let link = stage.ask(Method::GET, &path).send().await.unwrap();
        assert_eq!(link.status(), 405, "{path}");
    }
    let still = stage.response("asks-first", "Pending").await;
    assert_eq!(still, response);
    // The same from our own page is taken, so that it was the checks.
    let (path, body) = &changes(&response)[1];
    let answer = stage
        .ask(Method::POST, path)
        .header("origin", &ours)
        .header("sec-fetch-site", "same-origin")
        .json(body);
    assert_eq!(answer.send().await.unwrap().status(), 204);
    stage.response("asks-first", "Denied").await;
}

#[tokio::test]
async fn an_answer_is_to_the_question_that_was_shown() {
    let stage = Stage::set(json!({"allow": ["approve", "revert"]})).await;
    stage.pod("web-1");
    stage.happen(MINER, "web-1", Priority::Critical).await;
    let response = stage.response("asks-first", "Pending").await;
    let name = response["name"].as_str().unwrap();
    let until = response["waitsUntil"].as_i64().unwrap();
    let ask = async |what: &str, body: Value| {
        let path = format!("/v1/responses/{name}/{what}");
        stage.ask(Method::POST, &path).json(&body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask("approve", json!({"event": "another", "waitsUntil": until})).await, 409);
    assert_eq!(
        ask("approve", json!({"event": response["event"], "waitsUntil": until - 1})).await,
        409
    );
    assert_eq!(ask("revert", json!({"run": 2, "dryRun": false})).await, 409);
    assert_eq!(ask("approve", json!({"event": response["event"], "waitsUntil": until})).await, 204);
    assert_eq!(ask("deny", json!({"event": response["event"], "waitsUntil": until})).await, 409);
    until_gone(&stage, "web-1").await;
}

async fn until_gone(stage: &Stage, pod: &str) {
    until("the pod is deleted", async || {
        stage.cluster.pods("shop").iter().all(|it| {
            it["metadata"]["name"] != pod || it["metadata"]["deletionTimestamp"].is_string()
        })
    })
    .await;
}

#[tokio::test]
async fn every_answer_keeps_browsers_from_doing_anything_else_with_it() {
    let stage = Stage::set(json!({})).await;
    let mut html = String::new();
    for path in ["/", "/page/main.js", "/page/style.css", "/v1/worker", "/v1/nothing", "/nothing"] {
        let answer = stage.ask(Method::GET, path).send().await.unwrap();
        let header = |name| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "form-action 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(
            (header("x-content-type-options"), header("referrer-policy")),
            ("nosniff", "no-referrer"),
            "{path}"
        );
        assert_eq!((header("cache-control"), header("set-cookie")), ("no-store", ""), "{path}");
        html = if path == "/" { answer.text().await.unwrap() } else { html };
    }
    assert!(
        !html.contains(" style=") && !html.contains("onclick") && !html.contains("<style"),
        "{html}"
    );
    assert!(
        html.matches("<script").count() == 1 && html.contains("src=\"/page/main.js\"></script>")
    );
}

#[tokio::test]
async fn the_feed_tells_the_whole_way_of_an_event() {
    let stage = Stage::set(json!({})).await;
    stage.pod("web-1");
    stage.happen(SHELL, "web-1", Priority::Notice).await;
    stage.response("shell-in-container", "Succeeded").await;
    let mut answer = stage.ask(Method::GET, "/v1/feed").send().await.unwrap();
    let mut text = String::new();
    while !text.contains("\"kind\":\"settled\"") {
        let chunk = answer.chunk().await.unwrap().expect("it goes on");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(text.starts_with("event: hello\ndata: {\"feed\":\""), "{text}");
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let told: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| told.iter().filter(|line| line["kind"] == kind).collect::<Vec<_>>();
    let (seen, responded, settled) = (of("seen"), of("responded"), of("settled"));
    assert_eq!((seen.len(), responded.len(), settled.len()), (1, 2, 1), "{text}");
    assert_eq!(seen[0]["claimed"], json!({"namespace": "shop", "pod": "web-1", "node": "node-a"}));
    assert_eq!(seen[0]["playbooks"], json!(["shell-in-container", "watches"]));
    let shell = responded.iter().find(|line| line["playbook"] == "shell-in-container").unwrap();
    assert_eq!(
        (&shell["outcome"], &shell["steps"][0]["action"]),
        (&json!("applied"), &json!("label"))
    );
    let watches = responded.iter().find(|line| line["playbook"] == "watches").unwrap();
    assert_eq!((&watches["outcome"], &watches["reason"]), (&json!("skipped"), &json!("observe")));
    assert_eq!((&settled[0]["how"], &settled[0]["event"]), (&json!("acked"), &seen[0]["event"]));

    // Who comes back goes on where he was; another feed's numbers are none of this one's.
    let hello: Value =
        serde_json::from_str(text.lines().nth(1).unwrap().strip_prefix("data: ").unwrap()).unwrap();
    let name = hello["feed"].as_str().unwrap();
    for (feed, first) in [(name, 2), ("another", 0)] {
        let path = format!("/v1/feed?feed={feed}&after=1");
        let mut again = stage.ask(Method::GET, &path).send().await.unwrap();
        let mut text = String::new();
        while text.matches("\n\n").count() < 2 {
            text.push_str(std::str::from_utf8(&again.chunk().await.unwrap().unwrap()).unwrap());
        }
        let line = text.lines().filter_map(|line| line.strip_prefix("data: ")).nth(1).unwrap();
        assert_eq!(serde_json::from_str::<Value>(line).unwrap()["number"], first, "{feed}");
    }

    let playbooks = stage.get("/v1/playbooks").await;
    let shell =
        playbooks.as_array().unwrap().iter().find(|it| it["name"] == "shell-in-container").unwrap();
    assert_eq!((&shell["events"], &shell["responses"]), (&json!(1), &json!({"applied": 1})));
    let lag = stage.get("/v1/lag").await;
    assert_eq!(
        (&lag[0]["name"], &lag[0]["broker"], &lag[0]["lag"]),
        (&json!("intake"), &json!("journal"), &json!(0))
    );
}

/// A page that is open must not keep a worker from leaving.
#[tokio::test]
async fn the_feed_ends_when_the_worker_leaves() {
    let mut stage = Stage::set(json!({})).await;
    let mut answer = stage.ask(Method::GET, "/v1/feed").send().await.unwrap();
    assert!(answer.chunk().await.unwrap().is_some());
    stage.leave().await;
    while let Some(beat) = answer.chunk().await.unwrap() {
        assert!(beat.starts_with(b":"), "{beat:?}");
    }
}

#[tokio::test]
async fn dead_letters_are_shown_redriven_and_dropped() {
    let stage = Stage::set(json!({"allow": ["redrive", "drop"]})).await;
    stage.pod("web-1");
    for _ in 0..2 {
        stage.happen("Strange", "web-1", Priority::Notice).await;
    }
    let letters =
        async || stage.get("/v1/dead-letters/intake").await["items"].as_array().unwrap().clone();
    until("two dead letters", async || letters().await.len() == 2).await;
    let all = letters().await;
    assert_eq!((&all[0]["rule"], &all[0]["playbooks"]), (&json!("Strange"), &json!(["wary"])));
    let place = all[0]["place"].as_str().unwrap();
    let whole = stage.get(&format!("/v1/dead-letters/intake/show?place={place}")).await;
    assert!(whole["body"].as_str().unwrap().contains("\"rule\":\"Strange\""), "{whole}");
    let send = async |what: &str, place: &str| {
        let path = format!("/v1/dead-letters/intake/{what}");
        let request = stage.ask(Method::POST, &path).json(&json!({"place": place}));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(send("redrive", place).await, 204);
    assert_eq!(send("redrive", place).await, 410);
    until("it failed again", async || letters().await.len() == 2).await;
    assert_eq!(send("drop", all[1]["place"].as_str().unwrap()).await, 204);
    assert_eq!(letters().await.len(), 1);
    let missing = stage.ask(Method::GET, "/v1/dead-letters/other").send().await.unwrap();
    assert_eq!(missing.status(), 404);
}
