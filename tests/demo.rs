//! The demo as a user sees it: the program, its output, its exit code.

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

const PATIENCE: Duration = Duration::from_secs(60);

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stoop"));
    command.arg("demo").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

#[tokio::test]
async fn every_promise_is_kept_and_told_without_colour_into_a_pipe() {
    let Output { status, stdout, .. } = demo(&[]).output().await.expect("it starts");
    let told = String::from_utf8(stdout).expect("text");
    assert!(status.success(), "{told}");
    assert!(told.contains("promises kept") && !told.contains('✗'), "{told}");
    assert!(!told.contains('\x1b'), "{told}");
}

/// Names and ids differ each time; scenes, promises and their number don't.
#[tokio::test]
async fn the_readme_shows_what_it_prints() {
    let readme = include_str!("../README.md");
    let shown = readme.split("```").find(|block| block.contains("promises kept"));
    let shown = shown.expect("an excerpt").lines();
    let is_fixed =
        |line: &&str| line.starts_with(|first: char| first.is_ascii_digit()) || line.contains('✓');
    let fixed: Vec<_> = shown.filter(is_fixed).collect();
    assert!(fixed.len() > 2, "{fixed:?}");
    let output = demo(&[]).output().await.expect("it starts");
    let told = String::from_utf8(output.stdout).expect("text");
    for line in fixed {
        assert!(told.lines().any(|other| other == line), "{line:?} is not in:\n{told}");
    }
}

#[tokio::test]
async fn it_does_not_mind_the_settings_of_a_real_worker_in_its_environment() {
    let mut demo = demo(&[]);
    demo.env("STOOP_LIMITS__CONCURRENCY", "0").env("STOOP_LOG", "off").env("STOOP_CONFIG", "/none");
    demo.env("HTTP_PROXY", "http://127.0.0.1:1").env("http_proxy", "http://127.0.0.1:1");
    assert!(demo.status().await.expect("it starts").success());
}

#[tokio::test]
async fn serving_goes_on_until_ctrl_c_and_leaves_nothing_behind() {
    // reqwest wants one to be chosen, even where it only speaks plain HTTP.
    rustls::crypto::ring::default_provider().install_default().expect("the first to choose");
    let mut child = demo(&["--serve"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let pods = url(&mut lines).await;
    let metrics = url(&mut lines).await;
    assert!(body(&pods).await.contains("PodList"));
    assert!(body(&metrics).await.contains("stoop_settled_total"));

    interrupt(&child).await;
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends");
    assert_eq!(status.expect("an exit").code(), Some(0));
    testbed::until("the worker is gone", PATIENCE, async || match reqwest::get(&metrics).await {
        Ok(_) => Err("it answers".to_owned()),
        Err(_) => Ok(()),
    })
    .await
    .expect("it ends with the demo");
}

/// The next URL that a line offers to curl.
async fn url(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let found = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            if let Some((_, url)) = line.split_once("curl http") {
                return format!("http{url}");
            }
        }
        panic!("the demo has ended")
    };
    tokio::time::timeout(PATIENCE, found).await.expect("it comes to serving")
}

async fn body(url: &str) -> String {
    reqwest::get(url).await.expect("an answer").text().await.expect("text")
}

async fn interrupt(child: &Child) {
    let pid = child.id().expect("it runs").to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().await.expect("kill starts");
    assert!(sent.success());
}
