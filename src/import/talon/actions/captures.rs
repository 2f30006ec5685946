//! What is kept, and where.

use serde_json::{Value, json};

use super::Item;
use crate::import::{Needs, Remark, talon::document::Action};

pub(super) const TCPDUMP: [&str; 3] = ["duration", "image", "snaplen"];
pub(super) const SYSDIG: [&str; 4] = ["buffer_size", "duration", "image", "scope"];

/// Talon's recordings last so long unless told otherwise.
const SECONDS: u64 = 5;
/// The longest recording here.
const MOST: u64 = 300;

pub(super) fn log(action: &Action, mut item: Item, needs: &mut Needs) -> Item {
    let how = "Talon keeps the last lines of one container's log";
    let what = "here all of the pod's logs are kept, with the pod, its owners, its node and its events; `snapshot.log` bounds them in bytes";
    item = item.differs(action, how, what);
    keep(action, item, needs).step("capture", json!({"snapshot": {}}))
}

pub(super) fn download(action: &Action, item: Item, needs: &mut Needs) -> Item {
    let file = action.params.text("file").unwrap_or_default();
    let config = match file.as_str() {
        "${FD_NAME}" | "$FD_NAME" => json!({"fromEvent": true}),
        path if path.starts_with('/') && path.len() > 1 && !path.contains(['$', '\0']) => {
            json!({"paths": [path]})
        }
        other => {
            let why =
                format!("`{other}` is no whole path, and of an event only fd.name names a file");
            return item.lost(action, &why, "write `paths: [/etc/passwd]`, or `fromEvent: true`");
        }
    };
    job(action, item, needs).step("capture", json!({"files": config}))
}

pub(super) fn tcpdump(action: &Action, mut item: Item, needs: &mut Needs) -> Item {
    item = unset(action, item, "snaplen", "packets are kept whole, up to `packets.size`");
    let (item, config) = recording(action, item);
    job(action, item, needs).step("capture", json!({"packets": config}))
}

pub(super) fn sysdig(action: &Action, mut item: Item, needs: &mut Needs) -> Item {
    if action.params.text("scope").as_deref() == Some("node") {
        let why =
            "the system calls of the whole node: an answer to one container records that one alone";
        return item.lost(action, why, "leave `scope` out, or `run` a Job of yours");
    }
    item = unset(action, item, "buffer_size", "`syscalls.size` bounds what is kept");
    let (item, config) = recording(action, item);
    job(action, item, needs).step("capture", json!({"syscalls": config}))
}

/// A parameter that there is nothing for here.
fn unset(action: &Action, item: Item, name: &str, instead: &str) -> Item {
    match action.params.node(name) {
        Some(_) => item.differs(action, &format!("`{name}` can't be set"), instead),
        None => item,
    }
}

fn recording(action: &Action, mut item: Item) -> (Item, Value) {
    let seconds = action.params.number("duration").filter(|it| *it > 0).unwrap_or(SECONDS);
    if seconds > MOST {
        item =
            item.differs(action, "at most five minutes can be recorded", "here it is five minutes");
    }
    (item, json!({"duration": format!("{}s", seconds.min(MOST))}))
}

/// Made by a job on the pod's node.
fn job(action: &Action, mut item: Item, needs: &mut Needs) -> Item {
    if action.params.node("image").is_some() {
        let how = "the image is one for all captures";
        item = item.differs(
            action,
            how,
            "`captureImage` of stoop.yaml, by its digest; deploy/capture builds it",
        );
    }
    needs.jobs();
    keep(action, item, needs)
}

/// Where Talon puts it, as far as that is a place of ours.
fn keep(action: &Action, mut item: Item, needs: &mut Needs) -> Item {
    let output = &action.output;
    let (bucket, prefix) = (
        output.params.text("bucket").unwrap_or_default(),
        output.params.text("prefix").unwrap_or_default(),
    );
    let below = |scheme: &str| {
        format!("{scheme}://{bucket}/{}", prefix.trim_matches('/')).trim_end_matches('/').to_owned()
    };
    let Some(target) = &output.target else {
        let how = "Talon keeps it nowhere but in its own log";
        item = item.differs(action, how, "here evidence has a place: `evidence.url` of stoop.yaml");
        item.remarks.extend(needs.evidence("file:///var/lib/stoop/evidence", &action.name.node));
        return item;
    };
    let url = match target.text.as_str() {
        "aws:s3" => below("s3"),
        "minio:s3" => {
            item = item.differs(
                action,
                "MinIO speaks S3",
                "name it in AWS_ENDPOINT of the worker's environment",
            );
            below("s3")
        }
        "gcp:gcs" => below("gs"),
        "local:file" => {
            format!("file://{}", output.params.text("destination").unwrap_or_default())
        }
        other => {
            let why = format!(
                "its output goes to `{other}`, which is none of Talon's that are known here"
            );
            item.remarks.push(Remark::lost(
                &target.node,
                why,
                "say where in `evidence.url` of stoop.yaml",
            ));
            return item;
        }
    };
    item.remarks.extend(needs.evidence(&url, &target.node));
    item
}
