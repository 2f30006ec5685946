//! `testbed up` leaves nothing behind, however it ends.

#![allow(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use testbed::{Error, until};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn its_servers_and_their_data_go_when_it_is_killed() -> Result<(), Error> {
    let mut up = Up::start();
    up.child.kill().unwrap();
    up.child.wait().unwrap();
    up.gone().await
}

#[tokio::test]
async fn it_ends_well_on_sigterm_and_takes_its_env_file_along() -> Result<(), Error> {
    let mut up = Up::start();
    let exports = fs::read_to_string(&up.env_file).unwrap();
    assert!(exports.contains(&format!("export STOOP_TEST_KAFKA={}\n", up.address)), "{exports}");

    kill_process(Pid::from_child(&up.child), Signal::TERM).unwrap();
    assert!(up.child.wait().unwrap().success());
    assert!(!up.env_file.exists());
    up.gone().await
}

/// A running `testbed up --kafka`.
struct Up {
    child: Child,
    address: String,
    data: PathBuf,
    env_file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Up {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let env_file = dir.path().join("testbed.env");
        let mut child = Command::new(env!("CARGO_BIN_EXE_testbed"))
            .args(["up", "--kafka", "--env-file"])
            .arg(&env_file)
            // Its temporary folders go here, where they can be seen to go.
            .env("TMPDIR", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let address = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .find_map(|line| {
                Some(line.unwrap().strip_prefix("export STOOP_TEST_KAFKA=")?.to_owned())
            })
            .unwrap();
        let data = scratch(dir.path()).unwrap();
        Self { child, address, data, env_file, _dir: dir }
    }

    async fn gone(&self) -> Result<(), Error> {
        until("the broker and its data are gone", PATIENCE, async || {
            match (TcpStream::connect(&self.address), self.data.exists()) {
                (Err(_), false) => Ok(()),
                (answer, data) => Err(format!("connect: {answer:?}, data there: {data}")),
            }
        })
        .await
    }
}

fn scratch(dir: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.is_dir())
}
