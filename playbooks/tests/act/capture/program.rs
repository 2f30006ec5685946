//! The program of the capture image, run as a process on a made-up /proc, and its upload through the worker's own port.
//!
//! The image itself can't be built in a test: what is tried is its one program, by the request that a real job would carry.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
    sync::Arc,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path as At, Query, State},
    http::StatusCode,
    routing::put,
};
use jiff::Timestamp;
use playbooks::act::{Evidence, Ticket};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Kept,
    world::{ID, World, ends, waits, worker},
};
use crate::fixtures::{event, words};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/capture/capture.py");

/// A port that takes uploads as the worker's does.
async fn port() -> (String, tokio::sync::oneshot::Sender<Arc<Evidence>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (give, given) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let evidence: Arc<Evidence> = given.await.expect("a store");
        let router = Router::new().route("/v1/evidence/{*key}", put(take)).with_state(evidence);
        axum::serve(listener, router).await
    });
    (url, give)
}

async fn take(
    State(evidence): State<Arc<Evidence>>,
    At(key): At<String>,
    Query(ticket): Query<Ticket>,
    body: Body,
) -> StatusCode {
    match evidence.receive(&key, &ticket, Timestamp::now(), body.into_data_stream()).await {
        Ok(_) => StatusCode::CREATED,
        Err(_) => StatusCode::FORBIDDEN,
    }
}

/// A node as the job sees it: another process, and the container's with its files.
struct Node(TempDir);

impl Node {
    fn new() -> Node {
        let node = Node(tempfile::tempdir().expect("a folder"));
        fs::create_dir_all(node.path("work")).expect("a folder");
        node.write("proc/9/cgroup", b"0::/init.scope\n");
        node.write(
            "proc/12/cgroup",
            format!("0::/kubepods/cri-containerd-{}.scope\n", "f".repeat(64)).as_bytes(),
        );
        node.write(
            "proc/17/cgroup",
            format!("0::/../../kubepods-p.slice/cri-containerd-{ID}.scope\n").as_bytes(),
        );
        node.write("proc/17/root/etc/passwd", b"inside");
        node.write("outside", b"the node's own");
        node
    }

    fn path(&self, below: &str) -> std::path::PathBuf {
        self.0.path().join(below)
    }

    fn write(&self, below: &str, data: &[u8]) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder");
        fs::write(path, data).expect("a file");
    }

    /// Runs the program; its exit code and last words.
    async fn run(&self, request: &Value, tool: Option<&Path>) -> (Option<i32>, Value) {
        let mut command = Command::new("python3");
        command.arg("-I").arg(PROGRAM).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("STOOP_CAPTURE", request.to_string());
        command
            .env("STOOP_CAPTURE_PROC", self.path("proc"))
            .env("STOOP_CAPTURE_WORK", self.path("work"));
        command.env("STOOP_CAPTURE_LAST_WORDS", self.path("words"));
        if let Some(tool) = tool {
            command.env("STOOP_CAPTURE_PROGRAM", tool);
        }
        let ran = tokio::task::spawn_blocking(move || command.output()).await.expect("a task");
        let output =
            ran.expect("python3: install it, the capture image's program is written in it");
        let text = fs::read_to_string(self.path("words")).unwrap_or_else(|_| {
            panic!("no last words: {}", String::from_utf8_lossy(&output.stderr))
        });
        (output.status.code(), serde_json::from_str(&text).expect("JSON"))
    }

    /// Something in place of tcpdump that writes its arguments to the file after `-w`, then `more`.
    fn tool(&self, more: &str) -> std::path::PathBuf {
        let script = format!(
            "#!/bin/sh\nfor f in \"$@\"; do [ \"$p\" = -w ] && out=$f; p=$f; done\nprintf '%s\\n' \"$@\" > \"$out\"\n{more}\n"
        );
        self.write("tool", script.as_bytes());
        fs::set_permissions(self.path("tool"), fs::Permissions::from_mode(0o755)).expect("a mode");
        self.path("tool")
    }
}

/// A worker's capture up to its job; the request that the job carries.
async fn begun(kept: &Kept, world: &World, spec: &str) -> (Value, String, playbooks::act::Api) {
    let (api, wire) = world.serve_but(|_| None);
    let bench = worker(api.clone(), kept);
    waits(&bench, &mut bench.begin(spec, &fixed_event()).await).await;
    let job = world.job_path(&wire);
    (world.request(&job), job, api)
}

/// The same for each delivery.
fn fixed_event() -> Value {
    use std::sync::OnceLock;
    static EVENT: OnceLock<Value> = OnceLock::new();
    EVENT.get_or_init(event).clone()
}

#[tokio::test]
async fn files_go_all_the_way_from_the_container_into_a_sealed_capture() {
    let (url, give) = port().await;
    let (kept, world, node) = (Kept::new(&url), World::new(), Node::new());
    assert!(give.send(kept.shared()).is_ok());
    let spec = "mode: enforce\nactions: [capture: {files: {paths: [/etc/passwd, /no/such]}}]";
    let (request, job, api) = begun(&kept, &world, spec).await;
    let (code, words_said) = node.run(&request, None).await;
    assert_eq!(code, Some(0), "{words_said}");
    world.end(&job, "Complete", &words_said);
    let bench = worker(api, &kept);
    let report = ends(&bench, &mut bench.begin(spec, &fixed_event()).await).await;
    assert_eq!(words(&report), ["capture applied"]);
    let manifest: Value = serde_json::from_str(&kept.read("manifest.json")).expect("JSON");
    assert_eq!(manifest["missing"][0]["what"], "/no/such");
    let tar = kept.read("files.tar");
    assert!(tar.contains("inside") && tar.contains("index.json"));
    // The link was good once.
    assert_eq!(node.run(&request, None).await.0, Some(1));
    assert_eq!(kept.read("files.tar"), tar);
}

#[tokio::test]
async fn no_link_leads_out_of_the_container() {
    let (url, give) = port().await;
    let (kept, node) = (Kept::new(&url), Node::new());
    assert!(give.send(kept.shared()).is_ok());
    let outside = node.path("outside");
    let root = node.path("proc/17/root");
    symlink(&outside, root.join("absolute")).expect("a link");
    symlink(format!("../../../../../../../..{}", outside.display()), root.join("relative"))
        .expect("a link");
    symlink(node.0.path(), root.join("folder")).expect("a link");
    symlink("/etc/passwd", root.join("own")).expect("a link");
    symlink("loop", root.join("loop")).expect("a link");
    // What /proc of the container would offer as a door.
    fs::create_dir_all(root.join("proc/1")).expect("a folder");
    symlink(node.0.path(), root.join("proc/1/root")).expect("a link");
    let fifo = Command::new("mkfifo").arg(root.join("pipe")).status().expect("mkfifo");
    assert!(fifo.success());
    let climbing = format!("/../../../../../../../..{}", outside.display());
    let paths = [
        "/own",
        "/absolute",
        "/relative",
        "/folder/outside",
        "/proc/1/root/outside",
        "/loop",
        "/pipe",
        "/etc",
        "/../../etc/passwd",
        climbing.as_str(),
        "/etc/../../../../../../outside",
    ];
    let spec = format!("mode: enforce\nactions: [capture: {{files: {{paths: {}}}}}]", json!(paths));
    let (request, ..) = begun(&kept, &World::new(), &spec).await;
    let (code, said) = node.run(&request, None).await;
    assert_eq!(code, Some(0), "{said}");
    let tar = kept.read("files.tar");
    assert!(!tar.contains("the node's own"));
    assert_eq!(tar.matches("inside").count(), 2, "the container's own file, by two names: {said}");
    assert_eq!(said["missing"].as_array().map(Vec::len), Some(paths.len() - 2), "{said}");
}

#[tokio::test]
async fn files_are_bounded_and_what_is_cut_says_so() {
    let (url, give) = port().await;
    let (kept, node) = (Kept::new(&url), Node::new());
    assert!(give.send(kept.shared()).is_ok());
    node.write("proc/17/root/large", &vec![b'x'; 1 << 20]);
    let spec = "mode: enforce\nactions: [capture: {files: {paths: [/large], size: 128KiB}}]";
    let (request, ..) = begun(&kept, &World::new(), spec).await;
    let (code, said) = node.run(&request, None).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said["size"].as_u64().is_some_and(|size| size <= 128 << 10), "{said}");
    assert!(said["cut"].is_string(), "{said}");
}

#[tokio::test]
async fn a_container_that_is_not_here_is_said() {
    let kept = Kept::new("http://127.0.0.1:1");
    let node = Node::new();
    fs::remove_dir_all(node.path("proc/17")).expect("removed");
    let spec = "mode: enforce\nactions: [capture: {files: {paths: [/etc/passwd]}}]";
    let (request, ..) = begun(&kept, &World::new(), spec).await;
    let (code, said) = node.run(&request, None).await;
    assert_eq!(
        (code, said["error"].as_str()),
        (Some(1), Some("no process of the container runs on this node"))
    );
}

#[tokio::test]
async fn a_recording_ends_with_its_time_or_its_size_and_gets_plain_arguments() {
    let (url, give) = port().await;
    let (kept, node) = (Kept::new(&url), Node::new());
    assert!(give.send(kept.shared()).is_ok());
    let spec = "mode: enforce\nactions: [capture: {packets: {duration: 1s, size: 1MiB}}]";
    let (request, ..) = begun(&kept, &World::new(), spec).await;
    let tool = node.tool("exec sleep 60");
    let (code, said) = node.run(&request, Some(&tool)).await;
    assert_eq!(code, Some(0), "{said}");
    let arguments = kept.read("packets.pcap");
    assert!(arguments.ends_with("host\n10.0.0.7\n"), "{arguments}");

    let (url, give) = port().await;
    let (kept, node) = (Kept::new(&url), Node::new());
    assert!(give.send(kept.shared()).is_ok());
    let spec = "mode: enforce\nactions: [capture: {syscalls: {duration: 4m, size: 1KiB}}]";
    let (request, ..) = begun(&kept, &World::new(), spec).await;
    let tool = node.tool("head -c 100000 /dev/zero >> \"$out\"\nexec sleep 60");
    let (code, said) = node.run(&request, Some(&tool)).await;
    assert_eq!((code, said["size"].as_u64()), (Some(0), Some(1024)), "{said}");
    assert!(said["cut"].is_string());
    assert!(kept.read("syscalls.scap").contains(&format!("container.id={}\n", &ID[..12])));
}

#[tokio::test]
async fn a_tool_that_fails_is_quoted() {
    let (kept, node) = (Kept::new("http://127.0.0.1:1"), Node::new());
    let spec = "mode: enforce\nactions: [capture: {packets: {}}]";
    let (request, ..) = begun(&kept, &World::new(), spec).await;
    let tool = node.tool("echo 'no such device' >&2; exit 1");
    let (code, said) = node.run(&request, Some(&tool)).await;
    let error = said["error"].as_str().unwrap_or_default().to_owned();
    assert!(code == Some(1) && error.contains("no such device"), "{said}");
}

#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_tried_again_and_one_that_is_refused_is_not() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    for (answers, code, tries) in [(vec![503, 503, 200], 0, 3), (vec![403, 200], 1, 1)] {
        let asked = Arc::new(AtomicUsize::new(0));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let counted = Arc::clone(&asked);
        let router = Router::new().fallback(move |_: Bytes| {
            let status = answers[counted.fetch_add(1, Ordering::SeqCst)];
            async move { StatusCode::from_u16(status).expect("a status") }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        let (kept, node) = (Kept::new(&url), Node::new());
        let spec = "mode: enforce\nactions: [capture: {packets: {duration: 1s}}]";
        let (request, ..) = begun(&kept, &World::new(), spec).await;
        let tool = node.tool("exec sleep 60");
        assert_eq!(node.run(&request, Some(&tool)).await.0, Some(code));
        assert_eq!(asked.load(Ordering::SeqCst), tries);
    }
}
