//! A worker under test: the program itself, as a process of its own.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use testbed::Port;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a configuration and playbooks, in which `stoop` is called.
pub struct Desk {
    folder: TempDir,
    kubeconfig: PathBuf,
    health: Port,
    environment: Vec<(&'static str, String)>,
}

/// A running worker. Dropping it kills it.
pub struct Worker {
    child: Child,
    health: u16,
    audit: Arc<Mutex<Vec<Value>>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    /// `config` is completed by what every test wants: its own health port, and the playbooks.
    pub fn new(kubeconfig: &Path, config: &str, playbooks: &[&str]) -> Self {
        let desk = Self::empty(kubeconfig);
        desk.file("stoop.yaml", &format!("playbooks: [./playbooks]\n{config}"));
        std::fs::create_dir(desk.path().join("playbooks")).unwrap();
        for (position, text) in playbooks.iter().enumerate() {
            desk.file(&format!("playbooks/{position}.yaml"), text);
        }
        desk
    }

    /// Without any file yet. Its ports are free ones, whatever the configuration says.
    pub fn empty(kubeconfig: &Path) -> Self {
        // Whoever else does it meanwhile does the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let health = Port::reserve().unwrap();
        let environment = vec![
            ("STOOP_HEALTH__LISTEN", health.address().to_string()),
            ("STOOP_CONTROL__LISTEN", "127.0.0.1:0".to_owned()),
        ];
        let folder = tempfile::tempdir().unwrap();
        Self { folder, kubeconfig: kubeconfig.to_owned(), health, environment }
    }

    pub fn file(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// From now on as whom this kubeconfig names.
    pub fn act_as(&mut self, kubeconfig: PathBuf) {
        self.kubeconfig = kubeconfig;
    }

    /// With a variable in the environment of what is called.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stoop"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            // A testbed in the shell that runs the tests would bend every subscription to its Kafka.
            .env_remove("STOOP_SUBSCRIPTIONS__FALCO__KAFKA__BROKERS")
            .env("KUBECONFIG", &self.kubeconfig)
            .env("STOOP_LOG_FORMAT", "pretty")
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Calls `stoop` and gives its exit code, standard output and standard error.
    pub async fn call(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(arguments).output().await.unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// As [`Self::call`], and it has to succeed.
    pub async fn must(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.call(arguments).await;
        assert_eq!(code, 0, "stoop {arguments:?}:\n{out}{err}");
        out
    }

    /// Starts a worker, and waits until it says that it is ready.
    pub async fn run(&self) -> Worker {
        let worker = self.start();
        worker.ready().await;
        worker
    }

    /// Starts a worker.
    pub fn start(&self) -> Worker {
        self.start_with(&["run"])
    }

    /// Starts a worker by these arguments.
    pub fn start_with(&self, arguments: &[&str]) -> Worker {
        let mut child = self.command(arguments).spawn().unwrap();
        let audit = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, into) = (BufReader::new(child.stdout.take().unwrap()).lines(), audit.clone());
        gather(lines, move |line| {
            into.lock().unwrap().push(serde_json::from_str(&line).unwrap());
        });
        let (lines, into) = (BufReader::new(child.stderr.take().unwrap()).lines(), log.clone());
        gather(lines, move |line| into.lock().unwrap().push(line));
        Worker { child, health: self.health.number(), audit, log }
    }
}

fn gather<R>(mut lines: tokio::io::Lines<R>, take: impl Fn(String) + Send + 'static)
where
    R: tokio::io::AsyncBufRead + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            take(line);
        }
    });
}

impl Worker {
    pub async fn ready(&self) {
        self.wait("the worker is ready", async || match self.get("/readyz").await {
            Ok((200, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    /// Waits until it says that this is away, and is ready all the same.
    pub async fn does_without(&self, what: &str) {
        self.wait("the worker says what is away, and is ready", async || {
            match self.get("/readyz").await {
                Ok((200, body)) if body.contains(what) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// `probe` until it gives a value; on a timeout the worker's log is shown.
    pub async fn wait<T>(&self, what: &str, probe: impl AsyncFnMut() -> Result<T, String>) -> T {
        match testbed::until(what, PATIENCE, probe).await {
            Ok(value) => value,
            Err(error) => panic!("{error}\n--- log\n{}", self.log.lock().unwrap().join("\n")),
        }
    }

    /// Status and body of a path of the health port.
    pub async fn get(&self, path: &str) -> Result<(u16, String), String> {
        let url = format!("http://127.0.0.1:{}{path}", self.health);
        let response = reqwest::get(url).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        Ok((status, response.text().await.map_err(|error| error.to_string())?))
    }

    /// The sum of a metric over the series whose labels contain every one of `labels`.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let Ok((200, text)) = self.get("/metrics").await else { return f64::NAN };
        text.lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Waits until its log says `what`.
    pub async fn says(&self, what: &str) {
        self.wait(&format!("the log says: {what}"), async || {
            if self.has_said(what) { Ok(()) } else { Err("it does not".to_owned()) }
        })
        .await;
    }

    pub fn has_said(&self, what: &str) -> bool {
        self.log.lock().unwrap().iter().any(|line| line.contains(what))
    }

    /// The audit lines so far.
    pub fn audit(&self) -> Vec<Value> {
        self.audit.lock().unwrap().clone()
    }

    /// SIGKILL.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, and the exit code.
    pub async fn terminate(mut self) -> i32 {
        self.ask_to_leave().await;
        self.ended().await
    }

    /// SIGTERM.
    pub async fn ask_to_leave(&self) {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; the exit code.
    pub async fn ended(&mut self) -> i32 {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        status.expect("the worker did not end").unwrap().code().unwrap_or(-1)
    }
}
