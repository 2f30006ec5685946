//! The Chrome DevTools Protocol over a pipe: questions and answers as JSON, each ended by a zero byte.

use std::{
    collections::HashMap,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Mutex as AsyncMutex, oneshot},
};

/// What the browser may take for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

const NAMES: [&str; 3] = ["chromium-headless-shell", "chromium", "google-chrome"];

/// Chromium reads from 3 and writes to 4.
const BRIDGE: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;

const FLAGS: [&str; 10] = [
    "--headless",
    "--remote-debugging-pipe",
    // Its sandbox can't be had as root or in most containers; it opens nothing but our own page.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
];

type Waiting = Mutex<HashMap<u64, oneshot::Sender<Result<Value, String>>>>;

/// A running browser. Dropping it closes the pipe, and with that the browser.
pub(crate) struct Pipe {
    to: AsyncMutex<ChildStdin>,
    next: AtomicU64,
    waiting: Arc<Waiting>,
    /// What it said without being asked.
    pub(crate) events: Arc<Mutex<Vec<Value>>>,
    _child: Child,
    _profile: TempDir,
}

impl Pipe {
    pub(crate) fn open() -> Pipe {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", BRIDGE, "bridge"]).arg(program()).args(FLAGS);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.env("LANG", "C.UTF-8").env("TZ", "UTC");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (waiting, events) = (Arc::<Waiting>::default(), Arc::default());
        tokio::spawn(read(from, waiting.clone(), Arc::clone(&events)));
        let (to, next) = (AsyncMutex::new(to), AtomicU64::new(1));
        Pipe { to, next, waiting, events, _child: child, _profile: profile }
    }

    /// Asks, of a page if it is one's session, and waits for the answer.
    pub(crate) async fn ask(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut question = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            question["sessionId"] = session.into();
        }
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id, answer);
        let mut bytes = question.to_string().into_bytes();
        bytes.push(0);
        self.to.lock().await.write_all(&bytes).await.expect("the browser runs");
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(why))) => panic!("{method}: {why}"),
            Ok(Err(_)) => panic!("{method}: the browser has ended"),
            Err(_) => panic!("{method}: the browser doesn't answer"),
        }
    }
}

async fn read(from: ChildStdout, waiting: Arc<Waiting>, events: Arc<Mutex<Vec<Value>>>) {
    let mut from = BufReader::new(from);
    loop {
        let mut bytes = Vec::new();
        if from.read_until(0, &mut bytes).await.unwrap_or(0) == 0 {
            // Whoever waits for an answer is to know that there is none.
            return waiting.lock().unwrap().clear();
        }
        bytes.pop();
        let mut said: Value = serde_json::from_slice(&bytes).unwrap();
        let Some(id) = said["id"].as_u64() else {
            events.lock().unwrap().push(said);
            continue;
        };
        let Some(waits) = waiting.lock().unwrap().remove(&id) else { continue };
        let answer = match said.get("error") {
            Some(error) => Err(error.to_string()),
            None => Ok(said["result"].take()),
        };
        drop(waits.send(answer));
    }
}

/// The browser there is. Without one these tests are worth nothing, so that is a failure.
fn program() -> String {
    let folders = std::env::var("PATH").unwrap_or_default();
    let is_there = |name: &&&str| {
        folders.split(':').any(|folder| std::path::Path::new(folder).join(name).is_file())
    };
    let found = NAMES.iter().find(is_there);
    found
        .expect("no Chromium on the PATH: `apt install chromium-headless-shell` on Debian, or put one of any name there as `chromium`")
        .to_string()
}
