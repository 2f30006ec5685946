//! An event whose every value is an attacker's, through everything that renders it.
//!
//! What each sink says, alone and with others along, what `run` starts with its values, and what `forward` leaves over: all of it
//! is JSON, of bounded length, without a control or bidirectional character, without a mention, a tag or a link; and objects
//! have names that are names.

#![no_main]

#[path = "telling/cluster.rs"]
mod cluster;
#[path = "telling/look.rs"]
mod look;
#[path = "telling/stage.rs"]
mod stage;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::json;

use stage::{CONTAINER, Stage};

static STAGE: LazyLock<Stage> = LazyLock::new(Stage::new);

/// Whether the pod is there, and what the attacker has called things.
type Chosen<'a> = (bool, &'a str, &'a str, &'a str, &'a str, &'a str);

fuzz_target!(|chosen: Chosen<'_>| {
    let (is_there, rule, output, command, file, name) = chosen;
    let mut event = json!({
        "rule": rule, "priority": "Notice", "source": "syscall", "output": output, "hostname": name,
        "time": jiff::Timestamp::now().to_string(), "tags": [file],
        "output_fields": {
            "proc.cmdline": command, "fd.name": file, "user.name": name, "container.name": name,
        },
    });
    let fields = &mut event["output_fields"];
    let (container, namespace, pod) =
        if is_there { (CONTAINER, "shop", "web") } else { ("host", name, file) };
    fields["container.id"] = json!(container);
    fields["k8s.ns.name"] = json!(namespace);
    fields["k8s.pod.name"] = json!(pod);
    STAGE.play(&event);
});
