//! Processes on a leash: they end when this process does, however this process ends.

use std::{
    ffi::{OsStr, OsString},
    fs,
    fs::OpenOptions,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::{error::Error, tool::last_lines};

/// Becomes the server, after leaving a child behind that ends the process group once the pipe on
/// standard input closes. The kernel closes it when this process ends, by SIGKILL too; and the
/// group's id can't belong to anyone else, since that child is still in it.
const LEASH: &str = r#"exec 3<&0 </dev/null; { read -r _ <&3; kill -KILL 0; } & exec "$@" 3<&-"#;

/// A command that becomes `program`, which ends when its standard input closes: take that from the child, and keep it for
/// as long as the program may run, for waiting for a child closes it.
///
/// The program's id is the child's. Its own standard input is empty.
#[must_use]
pub fn leashed(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", LEASH, "leash"]).arg(program).stdin(Stdio::piped());
    // A group of its own: Ctrl-C in a terminal reaches this process alone.
    command.process_group(0);
    command
}

/// A running server. Dropping it kills the server and waits for its end.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    _leash: Option<ChildStdin>,
}

impl Process {
    /// Starts `program`, its output appended to `log`.
    pub(crate) fn spawn(
        name: impl Into<String>,
        program: &Path,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
        log: &Path,
    ) -> Result<Self, Error> {
        let name = name.into();
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(Error::file("write", log))?;
        let errors = output.try_clone().map_err(Error::file("write", log))?;
        let mut child = leashed(program)
            .args(arguments.into_iter().map(Into::into))
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(Error::io(format!("can't start {name}")))?;
        let leash = child.stdin.take();
        Ok(Self { name, child, log: log.to_owned(), _leash: leash })
    }

    /// An error if the server has ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        let ended = self.child.try_wait().map_err(Error::io(format!("can't watch {}", self.name)));
        ended?.map_or(Ok(()), |status| Err(self.ended(status)))
    }

    fn ended(&self, status: ExitStatus) -> Error {
        let log = fs::read(&self.log).unwrap_or_default();
        Error::Ended {
            server: self.name.clone(),
            status,
            log: last_lines(&String::from_utf8_lossy(&log)),
        }
    }

    /// The server's process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops the server in its tracks: it keeps its connections and answers nothing. It stands
    /// still once this returns, which the signal's delivery alone doesn't say.
    pub(crate) fn pause(&self) -> Result<(), Error> {
        self.signal(Signal::STOP)?;
        // An end counts too, or this would wait for ever; it is left for `check` to find.
        let stood = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_child(&self.child)), stood)
            .map(drop)
            .map_err(|error| Error::io(format!("can't watch {}", self.name))(error.into()))
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        kill_process(Pid::from_child(&self.child), signal)
            .map_err(|error| Error::io(format!("can't signal {}", self.name))(error.into()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::test_kill_process;

    use super::*;

    #[test]
    fn a_dropped_process_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let process = Process::spawn("sleep", Path::new("sleep"), ["600"], &log).unwrap();
        let id = Pid::from_child(&process.child);
        assert!(test_kill_process(id).is_ok());
        drop(process);
        assert!(test_kill_process(id).is_err());
    }

    #[test]
    fn one_that_ends_by_itself_is_reported_with_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let script = ["-c", "echo no such port >&2; exit 3"];
        let log = dir.path().join("log");
        let mut process = Process::spawn("server", Path::new("sh"), script, &log).unwrap();
        let error = loop {
            if let Err(error) = process.check() {
                break error.to_string();
            }
            std::thread::yield_now();
        };
        assert_eq!(
            error,
            "server ended by itself (exit status: 3), its log ends with:\nno such port"
        );
    }
}
