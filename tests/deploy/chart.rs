//! The chart, and what Helm makes of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use serde_json::Value;
use tempfile::TempDir;

/// The namespace of every release here.
pub(crate) const NAMESPACE: &str = "security";

/// The chart's folder.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/helm/stoop")
}

/// The values of `values/NAME.yaml`.
pub(crate) fn values(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy/values");
    fs::read_to_string(path.join(format!("{name}.yaml"))).expect("values")
}

/// All of them.
pub(crate) const VALUES: [&str; 6] = ["everything", "journal", "kafka", "keda", "nats", "pubsub"];

/// The variables that values here take secrets from.
const SECRETS: [&str; 2] = ["TOKEN", "INTAKE_TOKEN"];

/// What became of a run of Helm.
pub(crate) struct Ran {
    pub(crate) ok: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `helm` in a home of its own.
pub(crate) fn helm(arguments: &[&str]) -> Ran {
    static HELM: LazyLock<PathBuf> = LazyLock::new(|| testbed::helm::provision().expect("helm"));
    let home = tempfile::tempdir().expect("a folder");
    let ran = Command::new(&*HELM)
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .output()
        .expect("helm starts");
    Ran {
        ok: ran.status.success(),
        out: String::from_utf8(ran.stdout).expect("text"),
        err: String::from_utf8(ran.stderr).expect("text"),
    }
}

/// `helm COMMAND` on the chart with these values: `template` of a release called stoop, or `lint`.
pub(crate) fn with(command: &str, values: &str) -> Ran {
    let scratch = tempfile::tempdir().expect("a folder");
    let file = scratch.path().join("values.yaml");
    fs::write(&file, values).expect("a file");
    let (folder, file) = (folder(), file.to_string_lossy().into_owned());
    let chart = folder.to_string_lossy();
    let release: &[&str] = if command == "template" { &["stoop"] } else { &[] };
    let rest = [&*chart, "--namespace", NAMESPACE, "-f", &*file];
    helm(&[&[command], release, &rest].concat())
}

/// The objects that the chart makes of these values, in the order that Helm applies them.
pub(crate) fn rendered(values: &str) -> Vec<Value> {
    let ran = with("template", values);
    assert!(ran.ok, "{}\n{values}", ran.err);
    documents(&ran.out)
}

/// Why the chart refuses these values.
pub(crate) fn refused(values: &str) -> String {
    let ran = with("template", values);
    assert!(!ran.ok, "it takes:\n{values}\n{}", ran.out);
    ran.err
}

/// The documents of a text of YAML, but empty ones.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let read: Vec<Value> = serde_saphyr::from_multiple(text).expect("YAML");
    read.into_iter().filter(|document| !document.is_null()).collect()
}

/// The first object of a kind.
pub(crate) fn of_kind<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found = objects.iter().find(|object| object["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind}"))
}

/// `stoop.yaml` and the playbooks as the pods see them, in a folder to run the program on.
pub(crate) struct Worker {
    folder: TempDir,
}

impl Worker {
    /// Takes them from the ConfigMaps.
    pub(crate) fn of(objects: &[Value]) -> Worker {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("playbooks")).expect("a folder");
        for object in objects.iter().filter(|object| object["kind"] == "ConfigMap") {
            for (name, text) in object["data"].as_object().into_iter().flatten() {
                let place = match name == "stoop.yaml" {
                    true => folder.path().join(name),
                    false => folder.path().join("playbooks").join(name),
                };
                let text = text.as_str().expect("text");
                // What a volume is mounted at in a pod.
                let evidence = format!("file://{}", folder.path().display());
                let text = text.replace("file:///evidence", &evidence);
                fs::write(place, text).expect("a file");
            }
        }
        Worker { folder }
    }

    /// The program on them, with nothing else around it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.around(Command::new(env!("CARGO_BIN_EXE_stoop")), arguments)
    }

    /// The same of a command that becomes the program.
    pub(crate) fn around(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.args(arguments).current_dir(self.path()).env_clear().env("HOME", self.path());
        // What is elsewhere than in a pod, or comes from Secrets there.
        command.env("STOOP_PLAYBOOKS", "[./playbooks]");
        for name in SECRETS {
            command.env(name, "https://hooks.example/a-secret-of-some-length");
        }
        command
    }

    /// The folder that it runs in.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What it prints; it has to succeed.
    pub(crate) fn prints(&self, arguments: &[&str]) -> String {
        let ran = self.command(arguments).output().expect("it starts");
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("text")
    }
}
