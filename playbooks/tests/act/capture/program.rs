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

async fn bound() -> (tokio::net::TcpListener, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

/// A port that takes uploads as the worker's does.
async fn port() -> (String, tokio::sync::oneshot::Sender<Arc<Evidence>>) {
    let (listener, url) = bound().await;
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
        node.process(17, 1000);
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

    /// A process of the container's that began then.
    fn process(&self, pid: u32, began: u32) {
        let cgroup = format!("0::/../../kubepods-p.slice/cri-containerd-{ID}.scope\n");
        self.write(&format!("proc/{pid}/cgroup"), cgroup.as_bytes());
        let stat = format!("{pid} (a (b) c) S{} {began} 0 0\n", " 0".repeat(18));
        self.write(&format!("proc/{pid}/stat"), stat.as_bytes());
    }

    /// Runs the program; its exit code and last words.
    async fn run(&self, request: &Value, tool: Option<&Path>) -> (Option<i32>, Value) {
        self.run_after("", request, tool).await
    }

    /// With the world changed by some Python before.
    async fn run_after(
        &self,
        before: &str,
        request: &Value,
        tool: Option<&Path>,
    ) -> (Option<i32>, Value) {
        let mut command = Command::new("python3");
        let program =
            format!("{before}\nimport runpy\nrunpy.run_path({PROGRAM:?}, run_name='__main__')");
        command.arg("-I").arg("-c").arg(program).env_clear();
        command.env("STOOP_CAPTURE_FIRST_WAIT", "0.001").env("STOOP_CAPTURE_SLOWEST_FILE", "5");
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

    /// What is in the archive that was kept, by the paths that its index names; and the index.
    fn unpacked(kept: &Kept) -> (Value, Value) {
        let file = kept.files().into_iter().find(|file| file.ends_with("files.tar"));
        let read = "import json, sys, tarfile\n\
            tar = tarfile.open(sys.argv[1])\n\
            read = lambda name: tar.extractfile(name).read().decode()\n\
            index = json.loads(read('index.json'))\n\
            print(json.dumps([{f['path']: read(f['member']) for f in index['files']}, index]))";
        let mut command = Command::new("python3");
        command.arg("-I").arg("-c").arg(read).arg(kept.folder.path().join(file.expect("a tar")));
        let output = command.output().expect("python3");
        let printed = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{output:?}"))
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
    let spec =
        "mode: enforce\nactions: [capture: {files: {paths: [/large, /etc/passwd], size: 128KiB}}]";
    let (request, ..) = begun(&kept, &World::new(), spec).await;
    let (code, said) = node.run(&request, None).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said["size"].as_u64().is_some_and(|size| size <= 128 << 10), "{said}");
    let cut = said["cut"].as_str().expect("cut");
    let (files, index) = Node::unpacked(&kept);
    let size = files["/large"].as_str().map_or(0, str::len);
    assert_eq!(cut, format!("/large: cut at {size} bytes, it is said to have 1048576"));
    assert!(size > 80 << 10 && index["files"][0]["kept"] == size, "{index}");
    assert_eq!(files["/etc/passwd"], "inside", "a large file has pushed it out");
}

/// Files that are not what stat says, do not let themselves be read, or never answer.
const ODD_FILES: &str = r#"
import errno, os, time, types
fstat, read = os.fstat, os.read

def name(fd):
    return os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))

def odd_fstat(fd):
    found = fstat(fd)
    sizes = {"proclike": 0, "shrunk": 100}
    if name(fd) not in sizes:
        return found
    values = {key: getattr(found, key) for key in dir(found) if key.startswith("st_")}
    return types.SimpleNamespace(**{**values, "st_size": sizes[name(fd)]})

def odd_read(fd, size):
    if name(fd) == "stuck":
        time.sleep(600)
    if name(fd) == "broken" or name(fd) == "half" and os.lseek(fd, 0, os.SEEK_CUR) > 3:
        raise OSError(errno.EIO, "Input/output error")
    return read(fd, 4 if name(fd) == "half" else size)

os.fstat, os.read = odd_fstat, odd_read
"#;

#[tokio::test]
async fn files_that_can_not_be_read_are_named_and_the_others_kept_as_they_are() {
    let (url, give) = port().await;
    let (kept, node) = (Kept::new(&url), Node::new());
    assert!(give.send(kept.shared()).is_ok());
    let names = ["broken", "half", "stuck", "proclike", "shrunk"];
    for name in names {
        node.write(&format!("proc/17/root/{name}"), b"0123456789");
    }
    let paths: Vec<_> = names.iter().map(|name| format!("/{name}")).collect();
    let spec = format!(
        "mode: enforce\nactions: [capture: {{files: {{paths: {}}}}}]",
        json!([&paths[..], &["/etc/passwd".to_owned()]].concat())
    );
    let (request, ..) = begun(&kept, &World::new(), &spec).await;
    let (code, said) = node.run_after(ODD_FILES, &request, None).await;
    assert_eq!(code, Some(0), "{said}");
    let (files, index) = Node::unpacked(&kept);
    let whole = "0123456789";
    assert_eq!(
        files,
        json!({"/half": "0123", "/proclike": whole, "/shrunk": whole, "/etc/passwd": "inside"})
    );
    let missing = json!([
        {"what": "/broken", "why": "Input/output error"}, {"what": "/stuck", "why": "it was not read in time"}
    ]);
    assert_eq!((&said["missing"], &index["missing"]), (&missing, &missing));
    assert_eq!(
        said["cut"],
        "/half: cut at 4 bytes: Input/output error; \
         /shrunk: it ended at 10 bytes, though it was said to have 100"
    );
    // Each with the hash of what is there.
    let hash = said_hash(whole.as_bytes());
    assert_eq!(index["files"][1]["sha256"], hash);
}

fn said_hash(data: &[u8]) -> Value {
    super::jobs::said(data)["sha256"].clone()
}

#[tokio::test]
async fn more_missing_files_than_can_be_named_are_counted() {
    let (url, give) = port().await;
    let (kept, node) = (Kept::new(&url), Node::new());
    assert!(give.send(kept.shared()).is_ok());
    let mut paths: Vec<_> = (0..31).map(|n| format!("/{n}/{}", "x".repeat(110))).collect();
    paths.push("/etc/passwd".to_owned());
    let spec = format!("mode: enforce\nactions: [capture: {{files: {{paths: {}}}}}]", json!(paths));
    let (request, ..) = begun(&kept, &World::new(), &spec).await;
    let (code, said) = node.run(&request, None).await;
    assert_eq!(code, Some(0), "{said}");
    let named = said["missing"].as_array().map_or(0, Vec::len);
    assert!(said.to_string().len() <= 4000 && named < 31, "{named}");
    assert_eq!(said["more"], 31 - named);
}

#[tokio::test]
async fn a_process_that_came_later_shows_no_files_of_its_own() {
    let (url, give) = port().await;
    let (kept, node) = (Kept::new(&url), Node::new());
    assert!(give.send(kept.shared()).is_ok());
    // Its number is lower: numbers come round.
    node.process(11, 2000);
    node.write("proc/11/root/etc/passwd", b"made up");
    let spec = "mode: enforce\nactions: [capture: {files: {paths: [/etc/passwd]}}]";
    let (request, ..) = begun(&kept, &World::new(), spec).await;
    assert_eq!(node.run(&request, None).await.0, Some(0));
    assert_eq!(Node::unpacked(&kept).0, json!({"/etc/passwd": "inside"}));
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
    // Debian's would become another user, which takes more rights than the job has; and what it holds back would be lost.
    assert!(arguments.starts_with("-Z\nroot\n") && arguments.contains("--immediate-mode\n"));

    let (url, give) = port().await;
    let (kept, node) = (Kept::new(&url), Node::new());
    assert!(give.send(kept.shared()).is_ok());
    let spec = "mode: enforce\nactions: [capture: {syscalls: {duration: 4m, size: 1KiB}}]";
    let (request, ..) = begun(&kept, &World::new(), spec).await;
    let tool = node.tool("head -c 100000 /dev/zero >> \"$out\"\nexec sleep 60");
    let (code, said) = node.run(&request, Some(&tool)).await;
    assert_eq!((code, said["size"].as_u64()), (Some(0), Some(1024)), "{said}");
    assert_eq!(said["cut"], "cut at 1024 bytes, before the time was over");
    assert!(kept.read("syscalls.scap").contains(&format!("container.id={}\n", &ID[..12])));
}

#[tokio::test]
async fn a_tool_that_writes_faster_than_anyone_looks_is_ended_at_its_bound() {
    let (url, give) = port().await;
    let (kept, node) = (Kept::new(&url), Node::new());
    assert!(give.send(kept.shared()).is_ok());
    let spec = "mode: enforce\nactions: [capture: {packets: {duration: 4m, size: 1MiB}}]";
    let (request, ..) = begun(&kept, &World::new(), spec).await;
    let tool = node.tool("exec head -c 300M /dev/zero >> \"$out\"");
    let (code, said) = node.run(&request, Some(&tool)).await;
    assert_eq!((code, said["size"].as_u64()), (Some(0), Some(1 << 20)), "{said}");
    assert_eq!(said["cut"], "cut at 1048576 bytes, before the time was over");
}

#[tokio::test]
async fn what_was_lost_on_the_way_and_what_was_never_there_are_said() {
    let (url, give) = port().await;
    let (kept, node) = (Kept::new(&url), Node::new());
    assert!(give.send(kept.shared()).is_ok());
    let spec = "mode: enforce\nactions: [capture: {packets: {duration: 1s}}]";
    let (request, ..) = begun(&kept, &World::new(), spec).await;
    let tool = node.tool(
        "trap 'printf \"0 packets captured\\n3 packets dropped by kernel\\n\" >&2; exit 0' INT\nwhile :; do sleep 0.02; done",
    );
    let (code, said) = node.run(&request, Some(&tool)).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said["cut"], "3 were lost between the kernel and the recording");
    assert_eq!(said["missing"], json!([{"what": "packets", "why": "none was seen in 1s"}]));
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
async fn an_upload_is_tried_again_while_the_store_is_away_and_the_jobs_time_lasts() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let table: [(&[u16], bool, i32, usize); 7] = [
        (&[503, 503, 200], true, 0, 3),
        (&[503, 503, 503, 503, 503, 503, 503, 503, 503, 429, 409, 201], true, 0, 12),
        // What was answered so can have been stored.
        (&[503, 412], true, 0, 2),
        (&[412], true, 1, 1),
        (&[429, 412], true, 1, 2),
        (&[403, 200], true, 1, 1),
        // Its time is over.
        (&[503, 503, 503, 503, 503, 200], false, 1, 5),
    ];
    for (answers, in_time, code, tries) in table {
        let asked = Arc::new(AtomicUsize::new(0));
        let (listener, url) = bound().await;
        let counted = Arc::clone(&asked);
        let router = Router::new().fallback(move |_: Bytes| {
            let status = answers[counted.fetch_add(1, Ordering::SeqCst)];
            async move { StatusCode::from_u16(status).expect("a status") }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        let (kept, node) = (Kept::new(&url), Node::new());
        let spec = "mode: enforce\nactions: [capture: {files: {paths: [/etc/passwd]}}]";
        let (mut request, ..) = begun(&kept, &World::new(), spec).await;
        if !in_time {
            request["until"] = json!(0);
        }
        let (ended, said) = node.run(&request, None).await;
        assert_eq!(
            (ended, asked.load(Ordering::SeqCst)),
            (Some(code), tries),
            "{answers:?} {said}"
        );
    }
}

#[tokio::test]
async fn an_upload_survives_the_worker_that_took_it() {
    let (listener, url) = bound().await;
    let (kept, world, node) = (Kept::new(&url), World::new(), Node::new());
    node.write("proc/17/root/large", &vec![b'x'; 8 << 20]);
    let another = kept.another(&url);
    tokio::spawn(async move {
        // The first worker goes while it reads, another one of the fleet comes.
        let (mut broken, _) = listener.accept().await.expect("a connection");
        let mut some = vec![0; 1 << 20];
        tokio::io::AsyncReadExt::read_exact(&mut broken, &mut some).await.expect("a part");
        drop(broken);
        let router = Router::new().route("/v1/evidence/{*key}", put(take)).with_state(another);
        axum::serve(listener, router).await
    });
    let spec = "mode: enforce\nactions: [capture: {files: {paths: [/large]}}]";
    let (request, job, api) = begun(&kept, &world, spec).await;
    let (code, said) = node.run(&request, None).await;
    assert_eq!(code, Some(0), "{said}");
    world.end(&job, "Complete", &said);
    let bench = worker(api, &kept);
    let report = ends(&bench, &mut bench.begin(spec, &fixed_event()).await).await;
    assert_eq!(words(&report), ["capture applied"], "{}", report.overall);
    let parts = kept.files().iter().filter(|file| file.contains("files.tar")).count();
    assert_eq!(parts, 1, "nothing is left of what broke off: {:?}", kept.files());
}
