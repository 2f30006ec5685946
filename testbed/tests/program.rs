//! `testbed up` leaves nothing behind, however it ends.

#![allow(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use testbed::{Error, until};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn its_servers_end_when_it_is_killed() -> Result<(), Error> {
    let dir = tempfile::tempdir().unwrap();
    // A folder that stays: a broker whose data vanishes would give up by itself.
    let mut up = Up::start(dir.path(), &["--dir", dir.path().join("kept").to_str().unwrap()]);
    up.kill();
    until("the broker has ended", PATIENCE, async || match TcpStream::connect(&up.address) {
        Err(_) => Ok(()),
        Ok(_) => Err("it listens".to_owned()),
    })
    .await
}

#[tokio::test]
async fn its_temporary_folder_goes_when_it_is_killed() -> Result<(), Error> {
    let dir = tempfile::tempdir().unwrap();
    let mut up = Up::start(dir.path(), &[]);
    let data = folder_in(dir.path()).unwrap();
    up.kill();
    until("the broker's folder has gone", PATIENCE, async || {
        if data.exists() { Err(format!("{} is there", data.display())) } else { Ok(()) }
    })
    .await
}

#[tokio::test]
async fn all_has_gone_when_it_ends_on_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let env_file = dir.path().join("testbed.env");
    let mut up = Up::start(dir.path(), &["--env-file", env_file.to_str().unwrap()]);
    let exports = fs::read_to_string(&env_file).unwrap();
    assert!(exports.contains(&format!("export STOOP_TEST_KAFKA={}\n", up.address)), "{exports}");
    let brokers = format!("STOOP_SUBSCRIPTIONS__FALCO__KAFKA__BROKERS='[\"{}\"]'\n", up.address);
    assert!(exports.contains(&brokers), "{exports}");

    kill_process(Pid::from_child(&up.child), Signal::TERM).unwrap();
    assert!(up.child.wait().unwrap().success());
    assert!(TcpStream::connect(&up.address).is_err());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// A running `testbed up --kafka`.
struct Up {
    child: Child,
    address: String,
    // Open, so that it may go on writing.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Up {
    /// Its temporary folders go to `temporary`, where they can be seen to go.
    fn start(temporary: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_testbed"))
            .args(["up", "--kafka"])
            .args(arguments)
            .env("TMPDIR", temporary)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = output.find_map(|line| {
            Some(line.unwrap().strip_prefix("export STOOP_TEST_KAFKA=")?.to_owned())
        });
        Self { child, address: address.unwrap(), _output: output }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn folder_in(dir: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.is_dir())
}
