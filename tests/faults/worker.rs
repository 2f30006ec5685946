//! A worker of the campaign: the program itself, as a process that can be killed, stopped and told to leave.

use std::{
    cell::{Cell, RefCell},
    fs::File,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::LazyLock,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use testbed::Port;
use tokio::process::{Child, ChildStdin, Command};

use crate::{
    id::RULE,
    logs::{Life, WorkerId},
};

/// How long a worker may take to do what it is told.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Asks the health ports. To make one takes long, and one that keeps connections would ask processes that are gone.
static CLIENT: LazyLock<reqwest::Client> =
    LazyLock::new(|| reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap());

/// A worker's place in the fleet: its folder, its configuration, and its process while it runs.
pub struct Worker {
    pub id: WorkerId,
    folder: TempDir,
    health: Port,
    control: Port,
    settings: RefCell<Settings>,
    lives: Cell<u32>,
    process: RefCell<Option<Process>>,
    peak_bytes: Cell<u64>,
    /// What was wrong with processes that nobody had told to end.
    ended: RefCell<Vec<String>>,
}

/// It ends with this process, however this one ends.
struct Process {
    child: Child,
    told_to_leave: bool,
    _leash: Option<ChildStdin>,
}

/// What a worker is configured with.
pub struct Settings {
    /// The `subscriptions`.
    pub subscriptions: String,
    /// Where its playbook has its effect, but for the number of its life.
    pub sink: String,
    /// Events at once.
    pub slots: usize,
    /// How long it may take to leave.
    pub drain: Duration,
}

impl Worker {
    pub fn new(id: WorkerId, settings: Settings) -> Self {
        let (health, control) = (Port::reserve().unwrap(), Port::reserve().unwrap());
        Self {
            id,
            folder: tempfile::tempdir().unwrap(),
            health,
            control,
            settings: RefCell::new(settings),
            lives: Cell::new(0),
            process: RefCell::new(None),
            peak_bytes: Cell::new(0),
            ended: RefCell::default(),
        }
    }

    /// Its next process works by these.
    pub fn configure(&self, settings: Settings) {
        self.settings.replace(settings);
    }

    /// What it does now is this one's.
    pub fn life(&self) -> Life {
        Life { worker: self.id, number: self.lives.get() }
    }

    fn write(&self) {
        let Settings { subscriptions, sink, slots, drain } = &*self.settings.borrow();
        let life = self.lives.get();
        let config = format!(
            "playbooks: [./playbook.yaml]\n\
             health: {{listen: \"{}\"}}\n\
             control: {{listen: \"{}\"}}\n\
             notifiers: {{sink: {{webhook: {{url: \"{sink}/{life}\"}}}}}}\n\
             limits: {{concurrency: {slots}, memory: 64MiB, drain: {}ms, actionTimeout: 4h}}\n\
             {subscriptions}",
            self.health.address(),
            self.control.address(),
            drain.as_millis(),
        );
        let playbook = format!(
            "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {{name: tell}}\n\
             spec:\n  mode: enforce\n  match: {{rules: [\"{RULE}\"]}}\n\
             \x20 actions: [{{notify: {{to: [sink]}}}}]\n  limits: {{attempts: 3, timeout: 8h}}\n"
        );
        std::fs::write(self.folder.path().join("stoop.yaml"), config).unwrap();
        std::fs::write(self.folder.path().join("playbook.yaml"), playbook).unwrap();
    }

    /// Starts its process, and doesn't wait for it to be ready.
    pub fn start(&self) {
        self.runs();
        self.lives.set(self.lives.get() + 1);
        self.write();
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut child = Command::from(testbed::leashed(env!("CARGO_BIN_EXE_stoop")))
            .arg("run")
            .current_dir(self.folder.path())
            .env_remove("STOOP_SUBSCRIPTIONS__FALCO__KAFKA__BROKERS")
            .env("KUBECONFIG", "no-cluster-is-needed")
            .env("STOOP_LOG_FORMAT", "pretty")
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let leash = child.stdin.take();
        self.process.replace(Some(Process { child, told_to_leave: false, _leash: leash }));
    }

    pub fn runs(&self) -> bool {
        let mut process = self.process.borrow_mut();
        let Some(Process { child, told_to_leave, .. }) = &mut *process else { return false };
        let Ok(Some(status)) = child.try_wait() else { return true };
        if !*told_to_leave {
            let ended = format!("worker {} ended by itself with {status}", self.id);
            self.ended.borrow_mut().push(ended);
            *process = None;
        }
        false
    }

    /// What was wrong with processes that nobody had told to end.
    pub fn ended(&self) -> Vec<String> {
        self.runs();
        self.ended.borrow().clone()
    }

    /// SIGKILL, and waits for its end.
    pub async fn kill(&self) {
        self.measure();
        if !self.runs() {
            return;
        }
        let process = self.process.take();
        if let Some(mut process) = process {
            process.child.kill().await.unwrap();
        }
    }

    /// SIGTERM, as soon as it can hear it: before, it would just die.
    pub async fn terminate(&self) -> Result<(), String> {
        let listens = async || self.get("/healthz").await.map(drop);
        let heard = testbed::until("a worker listens", PATIENCE, listens).await;
        heard.map_err(|error| error.to_string())?;
        self.measure();
        if let Some(process) = &mut *self.process.borrow_mut() {
            process.told_to_leave = true;
        }
        self.signal(Signal::TERM);
        Ok(())
    }

    /// SIGSTOP.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits for the end of one that was told to leave. It may say that a broker hasn't taken its last word; nothing else may
    /// be wrong.
    pub async fn left(&self) -> Result<(), String> {
        let process = self.process.take();
        let Some(Process { mut child, .. }) = process else {
            return Err(format!("worker {} doesn't run", self.id));
        };
        match tokio::time::timeout(PATIENCE, child.wait()).await {
            Ok(status) if status.as_ref().is_ok_and(ExitStatus::success) => Ok(()),
            Ok(_) if self.log().contains("its messages come again") => Ok(()),
            Ok(status) => Err(format!("worker {} left with {status:?}", self.id)),
            Err(_) => {
                let killed = child.kill().await;
                Err(format!("worker {} was told to leave and didn't: {killed:?}", self.id))
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            kill_process(pid, signal).unwrap();
        }
    }

    fn pid(&self) -> Option<Pid> {
        let id = self.process.borrow().as_ref()?.child.id()?;
        Pid::from_raw(i32::try_from(id).ok()?)
    }

    /// The most that any process of this place was seen to hold resident.
    pub fn peak_bytes(&self) -> u64 {
        self.measure();
        self.peak_bytes.get()
    }

    /// Looks what it holds now.
    pub fn measure(&self) {
        let Some(pid) = self.pid() else { return };
        // Nothing is there to be read of one that has just ended.
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
        let peak = status.ok().and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.to_owned();
            line.split_whitespace().next()?.parse::<u64>().ok()
        });
        self.peak_bytes.set(self.peak_bytes.get().max(peak.unwrap_or_default() << 10));
    }

    /// Status and body of a path of the health port.
    pub async fn get(&self, path: &str) -> Result<(u16, String), String> {
        let url = format!("http://{}{path}", self.health.address());
        let asked = async {
            let answer = CLIENT.get(url).send().await?;
            let status = answer.status().as_u16();
            Ok::<_, reqwest::Error>((status, answer.text().await?))
        };
        match tokio::time::timeout(Duration::from_secs(5), asked).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err("no answer".to_owned()),
        }
    }

    /// A metric's sum over its series.
    pub async fn metric(&self, name: &str) -> Result<u64, String> {
        let (_, text) = self.get("/metrics").await?;
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with(['{', ' ']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        });
        // Counts all, and far below what a float holds exactly.
        Ok(values.sum::<f64>() as u64)
    }

    /// Whether it says that it is ready, or else what it waits for.
    pub async fn ready(&self) -> Result<(), String> {
        match self.get("/readyz").await? {
            (200, _) => Ok(()),
            (status, waiting) => Err(format!("worker {}: {status} {waiting}", self.id)),
        }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}
