//! `docs/reference`: written from the types, the command line and the rights, and compared with them.

mod keys;

use std::{env, fmt::Write, fs};

use clap::{Command, CommandFactory};
use playbooks::{act, decide::yaml};
use serde_json::Value;
use stoop::{cli::Cli, config::Config};

use crate::page::root;
use keys::{Row, rows};

const HEAD: &str =
    "<!-- Written from the code: STOOP_BLESS=1 cargo test --test docs reference. -->\n\n";

/// `path`, seen from the repository, holds `text`; `STOOP_BLESS=1` writes it there.
fn is_current(path: &str, text: &str) {
    let file = root().join(path);
    if env::var_os("STOOP_BLESS").is_some() {
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(&file, text).expect("it can be written");
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == text, "{path} is not current: write it anew with STOOP_BLESS=1");
}

fn table(out: &mut String, rows: &[Row]) {
    out.push_str("| key | | default | |\n|---|---|---|---|\n");
    for Row { key, kind, default, meaning } in rows {
        let meaning = meaning.replace('|', "\\|");
        let _ = writeln!(out, "| `{key}` | {kind} | {default} | {meaning} |");
    }
    out.push('\n');
}

#[test]
fn the_reference_of_playbooks_is_that_of_the_types() {
    let schema = act::schema();
    let mut out = format!("# Playbook reference\n\n{HEAD}");
    out.push_str("Every key, from the types that read it. What they mean together is in [playbooks](../playbooks.md); `stoop schema playbook` prints the same for editors.\n\n");
    out.push_str("`apiVersion` is `stoop.dev/v1alpha1`, `kind` is `Playbook` or `ClusterPlaybook`. A `*` marks a key that has to be there.\n\n## spec\n\n");
    let mut spec = rows(&schema, &schema["properties"]["spec"], "");
    spec.retain(|row| !row.key.starts_with("actions."));
    table(&mut out, &spec);
    out.push_str("## Actions\n\nEach item of `actions` is a name, or one name with its keys and, beside it, `onFailure`: `stop`, `continue`, or a list of actions to run in its place.\n\n");
    let actions = schema["$defs"]["Step"]["anyOf"][1]["properties"].as_object().expect("actions");
    for (action, keys) in actions.iter().filter(|(name, _)| *name != "onFailure") {
        let page = if action == "annotate" { "label" } else { action };
        let own = keys::resolved(&schema, keys);
        let meaning = own["description"].as_str().unwrap_or_default();
        let _ = writeln!(out, "### {action}\n\n{meaning} [Its page](../actions/{page}.md).\n");
        table(&mut out, &rows(&schema, own, ""));
    }
    is_current("docs/reference/playbook.md", &format!("{}\n", out.trim_end()));
}

#[test]
fn the_reference_of_the_configuration_is_that_of_the_types() {
    let schema = schemars::schema_for!(Config).to_value();
    let mut out = format!("# Configuration reference\n\n{HEAD}");
    out.push_str("Every key of `stoop.yaml`, from the types that read it. [Configuration](../configuration.md) says what they are for, the pages of the [brokers](../brokers.md) what theirs are; `stoop schema config` prints the same for editors. `NAME` is a name of yours, and a `*` marks a key that has to be there.\n\n");
    let mut plain = Vec::new();
    for (key, value) in schema["properties"].as_object().expect("keys") {
        let below = rows(&schema, value, &format!("{key}."));
        match below.is_empty() {
            true => plain.extend(keys::one(&schema, key, value, false)),
            false => {
                let meaning = value["description"].as_str().unwrap_or_default();
                let _ = writeln!(out, "## {key}\n\n{meaning}\n");
                table(&mut out, &below);
            }
        }
    }
    out.push_str("## The others\n\n");
    table(&mut out, &plain);
    is_current("docs/reference/configuration.md", &format!("{}\n", out.trim_end()));
}

#[test]
fn the_reference_of_the_commands_is_their_own_help() {
    let mut out = format!(
        "# Command reference\n\n{HEAD}What `--help` says of each. Exit codes: 0 done, 1 done but something is wrong, 2 it could not be tried.\n\n"
    );
    let mut whole = Cli::command().term_width(100);
    whole.build();
    help(&whole, &mut out);
    is_current("docs/reference/cli.md", &format!("{}\n", out.trim_end()));
}

fn help(command: &Command, out: &mut String) {
    let mut shown =
        command.clone().term_width(100).mut_args(|argument| argument.hide_env_values(true));
    let text = shown.render_long_help().to_string();
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let _ = writeln!(out, "## {name}\n\n```text\n{}\n```\n", text.trim_end());
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        help(below, out);
    }
}

#[test]
fn the_reference_of_rights_is_what_the_chart_grants() {
    let path = "deploy/helm/stoop/files/rights.yaml";
    let text = fs::read_to_string(root().join(path)).expect("the chart's rights");
    let read = yaml::parse(path, &text).map_err(|error| error.to_string()).expect("YAML").value;
    let mut out = format!("# Rights\n\n{HEAD}");
    out.push_str("What each way of each action takes on the API server, by a worker's roles. `stoop rbac` prints the least for your playbooks, the chart grants the same, and a worker tested under them does what it should. A way is an action, or what follows from a key of it; `isolate/tier/cilium` adds to `isolate`, `delete/evict` stands in its place. What verifies a target, `target`, is beside those of every action that has one.\n\n");
    out.push_str("| way | in | resource | verbs |\n|---|---|---|---|\n");
    for (way, takes) in read.as_object().expect("ways") {
        let rights = takes["rights"].as_array().expect("rights");
        if rights.is_empty() {
            let _ = writeln!(out, "| `{way}` | | none | |");
        }
        for right in rights {
            let text = |key: &str| right[key].as_str().unwrap_or_default();
            let place = match text("namespace") {
                "" => "everywhere",
                "own" => "stoop's namespace",
                "captures" => "`captureNamespace`",
                "run" => "the `namespace` of `run`",
                other => panic!("{way}: a namespace `{other}` that this page has no words for"),
            };
            let group = match text("group") {
                "" => String::new(),
                group => format!(" ({group})"),
            };
            let named = if right["named"] == true { ", by name" } else { "" };
            let verbs: Vec<_> = right["verbs"]
                .as_array()
                .expect("verbs")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            let _ = writeln!(
                out,
                "| `{way}` | {place} | {}{group}{named} | {} |",
                text("resource"),
                verbs.join(", ")
            );
        }
    }
    is_current("docs/reference/permissions.md", &out);
}
