//! The worker of the demo: `stoop run` as a process of its own, so that it can really be killed.

use std::{collections::VecDeque, net::SocketAddr, process::Stdio};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
};

use super::{
    http::Http,
    program::{Place, undisturbed},
};

/// The name of its one subscription.
pub(super) const INTAKE: &str = "intake";

/// How many lines of its log are kept, to be shown if something goes wrong.
const LOG_LINES: usize = 20;

/// Becomes the worker, after leaving a child behind that ends their process group once standard input closes. The
/// kernel closes it when the demo ends, however it ends.
const LEASH: &str =
    r#"exec 3<&0 </dev/null; { read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 & exec "$@" 3<&-"#;

/// A running worker; dropping it kills it.
pub(super) struct Worker {
    child: Child,
    /// Where it takes events.
    pub(super) intake: SocketAddr,
    /// Where it shows its metrics.
    pub(super) health: SocketAddr,
    /// Where its page is.
    pub(super) control: SocketAddr,
    audit: watch::Receiver<Vec<Value>>,
    log: watch::Receiver<Log>,
}

/// What the worker has said of itself so far.
#[derive(Default)]
struct Log {
    intake: Option<SocketAddr>,
    health: Option<SocketAddr>,
    control: Option<SocketAddr>,
    last: VecDeque<String>,
}

/// A worker that doesn't run.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("this program can't be started anew")]
    Start(#[source] std::io::Error),
    #[error("the worker ended before it was ready:\n{0}")]
    Ended(String),
    #[error("the worker can't be killed")]
    Kill(#[source] std::io::Error),
}

impl Worker {
    /// Starts `stoop run` with this configuration, and waits until it takes events.
    pub(super) async fn start(place: Place<'_>) -> Result<Worker, Error> {
        let program = std::env::current_exe().map_err(Error::Start)?;
        let mut command = Command::new("sh");
        command.args(["-c", LEASH, "leash"]).arg(program);
        command.args(["--log-format", "json", "run"]);
        undisturbed(&mut command, place);
        command
            // Stays open as long as `child` is there: the leash.
            .stdin(Stdio::piped())
            // A group of its own: ctrl-c in a terminal reaches the demo alone.
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(Error::Start)?;
        let audit = gather(child.stdout.take(), |lines: &mut Vec<Value>, line| {
            lines.extend(serde_json::from_str::<Value>(&line));
        });
        let mut log = gather(child.stderr.take(), Log::add);

        let ready = log.wait_for(|log| log.addresses().is_some()).await;
        let addresses = ready.ok().and_then(|log| log.addresses());
        match addresses {
            Some([intake, health, control]) => {
                Ok(Worker { child, intake, health, control, audit, log })
            }
            None => Err(Error::Ended(log.borrow().text())),
        }
    }

    /// SIGKILL: it has no say in it.
    pub(super) async fn kill(&mut self) -> Result<(), Error> {
        self.child.kill().await.map_err(Error::Kill)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// The audit lines so far, one for each finished response.
    pub(super) fn audit(&self) -> Vec<Value> {
        self.audit.borrow().clone()
    }

    /// The end of its log.
    pub(super) fn log(&self) -> String {
        self.log.borrow().text()
    }

    /// The sum of a metric over the series that have all of these labels.
    pub(super) async fn metric(
        &self,
        http: &Http,
        name: &str,
        labels: &[&str],
    ) -> Result<f64, super::http::Error> {
        let (_, text) = http.get(&format!("http://{}/metrics", self.health)).await?;
        Ok(sum(&text, name, labels))
    }
}

impl Log {
    fn add(&mut self, line: String) {
        if let Ok(said) = serde_json::from_str::<Value>(&line) {
            let address = |field: &str| said[field].as_str().and_then(|text| text.parse().ok());
            if said["subscription"] == INTAKE {
                self.intake = self.intake.or_else(|| address("address"));
            }
            self.health = self.health.or_else(|| address("health"));
            if said["message"] == "the control port listens" {
                self.control = self.control.or_else(|| address("address"));
            }
        }
        self.last.push_back(line);
        if self.last.len() > LOG_LINES {
            self.last.pop_front();
        }
    }

    /// Of intake, health and control port, once all are known.
    fn addresses(&self) -> Option<[SocketAddr; 3]> {
        Some([self.intake?, self.health?, self.control?])
    }

    fn text(&self) -> String {
        self.last.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// Takes a process's lines in as they come, until it ends.
fn gather<S, R>(
    from: Option<R>,
    mut add: impl FnMut(&mut S, String) + Send + 'static,
) -> watch::Receiver<S>
where
    S: Default + Send + Sync + 'static,
    R: AsyncRead + Unpin + Send + 'static,
{
    let (sender, receiver) = watch::channel(S::default());
    tokio::spawn(async move {
        let Some(from) = from else { return };
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            sender.send_modify(|state| add(state, line));
        }
    });
    receiver
}

fn sum(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    let series = metrics.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    });
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_sum_of_its_series_with_these_labels() {
        let text = "# HELP a_total x\na_total{how=\"acked\",s=\"x\"} 2\na_total{how=\"acked\",s=\"y\"} 3\na_total{how=\"dead\"} 5\na_total_b 7\n";
        assert_eq!(sum(text, "a_total", &["how=\"acked\""]), 5.0);
        assert_eq!(sum(text, "a_total", &[]), 10.0);
        assert_eq!(sum(text, "b_total", &[]), 0.0);
    }

    #[test]
    fn the_log_tells_the_addresses_and_is_bounded() {
        let mut log = Log::default();
        log.add(
            r#"{"message":"taking","subscription":"intake","address":"127.0.0.1:1"}"#.to_owned(),
        );
        log.add(r#"{"message":"the control port listens","address":"127.0.0.1:3"}"#.to_owned());
        assert_eq!(log.addresses(), None);
        log.add(r#"{"message":"started","health":"127.0.0.1:2"}"#.to_owned());
        (0..50).for_each(|_| log.add("not JSON".to_owned()));
        assert_eq!(log.addresses().unwrap().map(|address| address.port()), [1, 2, 3]);
        assert_eq!(log.last.len(), LOG_LINES);
    }
}
