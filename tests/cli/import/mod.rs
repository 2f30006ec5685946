//! `stoop import`: what comes out is read by `stoop check` and means what the rules meant, and what can't is said.

use std::fs;

use stoop::import::{Imported, Kind, KreOptions, import_kre, import_talon};

use playbooks::decide::{Mode, read_text};

use crate::stage::{Ran, Stage, times};

mod model;

const RULES: &str = include_str!("../talon/rules.yaml");
const OVERRIDE: &str = include_str!("../talon/override.yaml");

fn talon(files: &[(&str, &str)]) -> Imported {
    let files: Vec<_> =
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    import_talon(&files, Mode::Observe).map_err(|errors| errors[0].to_string()).expect("rules")
}

/// One rule with these lines below it.
fn rule(lines: &str) -> Imported {
    talon(&[("rules.yaml", &format!("- rule: R\n{lines}"))])
}

fn text(imported: &Imported) -> String {
    imported.drafts[0].text()
}

fn lost(imported: &Imported) -> Vec<String> {
    let lost = imported.remarks().filter(|remark| remark.kind() == Kind::Lost);
    lost.map(ToString::to_string).collect()
}

/// What `stoop.yaml` is asked for on standard error.
fn needs(ran: &Ran) -> String {
    let (_, rest) = ran.err.split_once("stoop.yaml has to have:\n").expect("it says what");
    let yaml = |line: &&str| !line.contains("became playbooks");
    rest.lines().take_while(yaml).map(|line| format!("{line}\n")).collect()
}

fn imported(stage: &Stage, arguments: &[&str]) -> Ran {
    stage.run(&[&["import"], arguments].concat())
}

#[test]
fn every_action_of_talon_comes_out_as_playbooks_that_pass_check_and_explain() {
    let stage = Stage::empty().file("rules.yaml", RULES).file("override.yaml", OVERRIDE);
    let ran = imported(&stage, &["talon", "rules.yaml", "override.yaml", "--out", "playbooks"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(times(".yaml\n", &ran.out), 9, "{}", ran.out);
    let evidence = stage.path().join("evidence");
    fs::create_dir(&evidence).expect("a folder");
    let needs = needs(&ran).replace("/var/lib/evidence", &evidence.display().to_string());
    let stage = stage.file("stoop.yaml", &format!("playbooks: [playbooks]\n{needs}"));
    let run = |arguments: &[&str]| -> Ran {
        let variables =
            ["SLACK_WEBHOOK_URL", "SAMPLE_FUNCTION_URL", "SIMPLE_HTTP_URL", "UPLOADS_SECRET"];
        let command = variables.iter().fold(stage.command(arguments), |mut command, name| {
            command.env(name, "https://there.example/a/text/long/enough/for/a/secret");
            command
        });
        let mut command = command;
        command.output().expect("it starts").into()
    };
    let checked = run(&["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let stage_event = r#"{"rule": "Terminal shell in container", "priority": "Notice", "source": "syscall",
        "output": "o", "time": "2026-11-21T05:24:10Z", "output_fields": {"k8s.ns.name": "shop"}}"#;
    fs::write(stage.path().join("event.json"), stage_event).expect("a file");
    let explained = run(&["explain", "event.json"]);
    assert_eq!(explained.code, Some(0), "{explained:?}");
    assert!(explained.out.contains("01-terminal-shell-in-container: matches"), "{}", explained.out);
    assert!(explained.out.contains("=> in mode observe: delete"), "{}", explained.out);
}

#[test]
fn what_is_not_carried_over_is_told_with_its_place_and_stands_in_the_file() {
    let stage = Stage::empty().file("rules.yaml", RULES);
    let ran = imported(&stage, &["talon", "rules.yaml"]);
    for (line, why) in [
        ("[7].actions[0].action", "never holds pods/exec"),
        ("[9].actions[0].action", "stoop deletes verified pods alone"),
        ("[4].notifiers[2]", "there is no notifier `smtp`"),
        ("[5].actions[2].action", "pods would be evicted that Talon spares"),
        ("[4].actions[2].action", "nodes get no labels"),
        ("[4].actions[4].action", "the one address that the event names"),
        ("[6].actions[2].action", "`${HOME}/list` is no whole path"),
        ("[11].rule", "`Delete the namespace` matches"),
    ] {
        let told = ran.err.lines().find(|it| it.starts_with("rules.yaml:") && it.contains(why));
        assert!(told.is_some_and(|told| told.contains(line)), "{line} {why}: {}", ran.err);
        let comments: Vec<_> =
            ran.out.lines().filter(|line| line.trim().starts_with('#')).collect();
        let words =
            |text: &str| text.replace("# ", " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&comments.join(" ")).contains(why), "{why}: {}", ran.out);
    }
    assert!(ran.err.contains("fix: "), "{}", ran.err);
    assert_eq!(ran.code, Some(1));
}

#[test]
fn a_rule_that_can_be_kept_whole_is_a_0() {
    let rules = "- rule: R\n  match: {rules: [X]}\n  actions:\n    - action: A\n      actionner: kubernetes:label\n      parameters: {labels: {a: b}}\n";
    let stage = Stage::empty().file("rules.yaml", rules);
    let ran = imported(&stage, &["talon", "rules.yaml"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("- label:") && ran.out.contains("mode: observe"), "{}", ran.out);
}

#[test]
fn what_talon_could_not_read_either_is_a_2_with_file_line_and_column() {
    for (text, why) in [
        ("rule: R", "rules.yaml:1:1: expected a list"),
        ("- rule: R\n  actions: 5\n", "rules.yaml:2:12: [0].actions: expected a list"),
        (
            "- rule: R\n  continue: maybe\n",
            "rules.yaml:2:13: [0].continue: Talon takes true and false",
        ),
        ("- rule: [\n", "rules.yaml:"),
        ("- rule: R\n  rule: S\n", "rules.yaml:2:3"),
    ] {
        let stage = Stage::empty().file("rules.yaml", text);
        let ran = imported(&stage, &["talon", "rules.yaml"]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{text}: {ran:?}");
        assert!(ran.err.contains(why), "{text}: {}", ran.err);
    }
    let ran = imported(&Stage::empty(), &["talon", "none.yaml"]);
    assert!(ran.code == Some(2) && ran.err.contains("none.yaml: "), "{ran:?}");
}

#[test]
fn a_file_is_never_written_over_without_force() {
    let stage = Stage::empty().file("rules.yaml", RULES);
    let arguments = ["talon", "rules.yaml", "--out", "out"];
    imported(&stage, &arguments);
    let own = stage.path().join("out/01-terminal-shell-in-container.yaml");
    fs::write(&own, "mine").expect("a file");
    let again = imported(&stage, &arguments);
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.err.contains("is there already and 8 more: --force"), "{}", again.err);
    assert_eq!(fs::read_to_string(&own).expect("a file"), "mine");
    let forced = imported(&stage, &[&arguments[..], &["--force"]].concat());
    assert_eq!(forced.code, Some(1), "{forced:?}");
    assert!(fs::read_to_string(&own).expect("a file").contains("kind: Playbook"));
}

#[test]
fn modes_are_as_asked_but_a_dry_run_stays_one() {
    let stage = Stage::empty().file("rules.yaml", RULES);
    let ran = imported(&stage, &["talon", "rules.yaml", "--mode", "enforce", "--out", "out"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let mode = |name: &str| {
        let text = fs::read_to_string(stage.path().join("out").join(name)).expect("a file");
        text.lines().find_map(|line| line.trim().strip_prefix("mode: ").map(str::to_owned))
    };
    assert_eq!(mode("01-terminal-shell-in-container.yaml").as_deref(), Some("enforce"));
    assert_eq!(mode("03-node-drain.yaml").as_deref(), Some("observe"));
    assert_eq!(mode("05-look-inside.yaml"), None, "a rule that can't be kept is comments alone");
}

#[test]
fn several_files_are_put_together_as_talon_does() {
    let both = talon(&[("rules.yaml", RULES), ("override.yaml", OVERRIDE)]);
    let terminate = both.drafts[0].text();
    assert!(terminate.contains("gracePeriod: 2s"), "the later scalar: {terminate}");
    assert!(!terminate.contains("StatefulSet") && !terminate.contains("Standalone"), "{terminate}");
    let functions = both.drafts[5].text();
    assert_eq!(times("function: sample-function", &functions), 2, "actions are added: {functions}");
    assert!(
        functions.contains("- ops") && functions.contains("- dev"),
        "lists are joined: {functions}"
    );
}

#[test]
fn a_condition_that_cannot_be_kept_takes_its_rule_along() {
    for matching in [
        "{priority: '>=High'}",
        "{priority: '<Debug'}",
        "{output_fields: [proc.name]}",
        "{output_fields: ['proc.cmdline!=curl --user=x']}",
        "{output_fields: ['proc.name =bash']}",
        "{output_fields: ['proc.name=<NA>']}",
        "{output_fields: ['proc.args!=[a b]']}",
    ] {
        let imported = rule(&format!(
            "  match: {matching}\n  actions: [{{action: A, actionner: 'kubernetes:terminate'}}]\n"
        ));
        assert!(!imported.drafts[0].is_playbook(), "{matching}: {}", text(&imported));
        assert_eq!(lost(&imported).len(), 1, "{matching}: {:?}", lost(&imported));
    }
}

#[test]
fn a_rule_that_talon_may_not_come_to_is_given_up() {
    let label =
        "actions: [{action: L, actionner: 'kubernetes:label', parameters: {labels: {a: b}}}]";
    let terminate = "actions: [{action: T, actionner: 'kubernetes:terminate'}]";
    let shop = "output_fields: ['k8s.ns.name=shop']";
    for (first, second, is_kept) in [
        (shop, "rules: [X]", false),
        (shop, "output_fields: ['k8s.ns.name!=shop', 'proc.name=sh']", false),
        (shop, "output_fields: ['k8s.ns.name!=shop, proc.name=sh']", true),
        (shop, "output_fields: ['k8s.ns.name=bank']", true),
        (shop, "output_fields: ['k8s.ns.name!=bank']", false),
        // Talon passes over the first one's comparison, so that it matches everything.
        ("output_fields: ['proc.name=a=b']", "output_fields: ['proc.name!=a=b']", false),
        ("rules: [X]", "rules: [Y]", true),
        ("rules: [X, Y]", "rules: [Y]", false),
        ("source: syscall", "source: k8s_audit", true),
        ("priority: Error", "rules: [X]", false),
    ] {
        let rules = format!(
            "- rule: First\n  continue: false\n  match: {{{first}}}\n  {label}\n\
             - rule: Between\n  match: {{rules: [Z]}}\n  {label}\n\
             - rule: Second\n  match: {{{second}}}\n  {terminate}\n"
        );
        let imported = talon(&[("rules.yaml", &rules)]);
        let text = imported.drafts[2].text();
        assert_eq!(imported.drafts[2].is_playbook(), is_kept, "{first} / {second}: {text}");
        assert_eq!(text.contains("where `First` matches"), !is_kept, "{first} / {second}: {text}");
    }
}

#[test]
fn a_drain_that_spares_replicas_is_given_up_and_the_other_stays() {
    let text = talon(&[("rules.yaml", RULES)]).drafts[2].text();
    assert_eq!(times("- drain:", &text), 1, "{text}");
}

#[test]
fn a_step_that_the_action_would_refuse_is_not_carried_over() {
    for (action, why) in [
        (
            "{action: A, actionner: 'kubernetes:networkpolicy', parameters: {allow_cidr: [here]}}",
            "here",
        ),
        (
            "{action: A, actionner: 'kubernetes:label', parameters: {labels: {a: two words}}}",
            "two words",
        ),
        (
            "{action: A, actionner: 'kubernetes:terminate', parameters: {grace_period_seconds: 99999999999}}",
            "grace",
        ),
    ] {
        let imported = rule(&format!("  match: {{rules: [X]}}\n  actions: [{action}]\n"));
        assert!(!imported.drafts[0].is_playbook(), "{}", text(&imported));
        assert!(lost(&imported).iter().any(|it| it.contains(why)), "{:?}", lost(&imported));
    }
}

#[test]
fn a_namespace_is_that_of_the_verified_pod_where_there_is_one() {
    let of = |actionner: &str, parameters: &str| {
        text(&rule(&format!(
            "  match: {{output_fields: ['k8s.ns.name=shop']}}\n  actions: [{{action: A, actionner: '{actionner}', parameters: {parameters}}}]\n"
        )))
    };
    let pod = of("kubernetes:terminate", "{}");
    assert!(pod.contains("namespaces:") && !pod.contains("fields:"), "{pod}");
    let function = of("aws:lambda", "{aws_lambda_name: f}");
    assert!(function.contains("fields:") && !function.contains("namespaces:"), "{function}");
}

#[test]
fn nothing_of_a_rule_ends_a_comment_or_a_scalar() {
    let evil = r##"- rule: "x\nspec: {mode: enforce}\u2028# \u001b[31m"
  description: "a\r\nmode: enforce"
  match: {rules: ["a: b\n- c", "*", "'", "yes", "null", "1e3", "# x"]}
  actions:
    - {action: "b\n  c", actionner: "kubernetes:label", parameters: {labels: {a: "yes"}}}
    - {action: "d", actionner: "kubernetes:annotation", parameters: {annotations: {a: "x\n\n  y: {z}\n", b: "|-"}}}
"##;
    let imported = talon(&[("rules.yaml", evil)]);
    let text = text(&imported);
    let playbook = &read_text("p", &text).map_err(|errors| errors.to_string()).expect(&text)[0];
    assert_eq!(playbook.mode, Mode::Observe);
    assert_eq!(playbook.actions.len(), 3, "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{2028}'), "{text}");
}

#[test]
fn playbooks_of_the_response_engine_come_out_by_their_flags() {
    let stage = Stage::empty();
    let subject = ["-s", "falco.notice.terminal_shell_in_container"];
    for (flags, action, code) in [
        (&["-p", "delete"][..], "- delete:", 0),
        (&["-p", "isolate"], "- isolate:", 0),
        (&["-p", "taint", "-e", "TAINT_EFFECT=NoExecute"], "evictsPods: true", 0),
        (
            &["-p", "capture", "-e", "CAPTURE_DURATION=600", "-e", "AWS_S3_BUCKET=s3://b"],
            "duration: 300s",
            0,
        ),
        (&["-p", "slack", "-e", "SLACK_WEBHOOK_URL=https://hooks.example/secret"], "- slack", 0),
        (
            &["-p", "demisto", "-e", "DEMISTO_API_KEY=secret", "-e", "VERIFY_SSL=False"],
            "- xsoar",
            1,
        ),
        (&["-p", "phantom", "-e", "PHANTOM_PASSWORD=secret"], "- splunk-soar", 0),
        (
            &["-p", "mine", "-k", "cluster", "-z", "zone", "-n", "project", "-t", "topic"],
            "function: falco-mine",
            0,
        ),
    ] {
        let ran = imported(&stage, &[&["kre"], flags, &subject].concat());
        assert_eq!(ran.code, Some(code), "{flags:?}: {ran:?}");
        assert!(ran.out.contains(action) && ran.out.contains(subject[1]), "{flags:?}: {}", ran.out);
        assert!(!ran.out.contains("secret") && !ran.err.contains("secret"), "{flags:?}: {ran:?}");
    }
    for flags in
        [&["-p", "delete"][..], &["-s", "falco.*"], &["-p", "slack", "-s", "x", "-e", "NAME"]]
    {
        let ran = imported(&stage, &[&["kre"], flags].concat());
        assert_eq!(ran.code, Some(2), "{flags:?}: {ran:?}");
    }
}

#[test]
fn a_subject_asks_for_no_more_than_it_did_in_nats() {
    let import = |subject: &str| {
        let subscriptions = vec![subject.to_owned()];
        let options =
            KreOptions { playbook: "delete".to_owned(), subscriptions, ..KreOptions::default() };
        import_kre(&options, Mode::Observe)
    };
    for (subject, expected) in [
        ("falco.notice.*", "falco.notice.*"),
        ("falco.*.*", "falco.*.*"),
        ("falco.>", "falco.*"),
        (">", "'*'"),
    ] {
        let imported = import(subject).expect(subject);
        let text = text(&imported);
        let lines: Vec<_> = text.lines().map(|line| line.replace('"', "'")).collect();
        let is_there = lines.iter().any(|line| {
            line.trim().trim_start_matches("- ").trim_matches('\'') == expected.trim_matches('\'')
        });
        assert!(is_there, "{subject}: {text}");
    }
    for subject in [
        "falco.*",
        "falco",
        "*",
        "falco.notice.terminal*",
        "falco.n>.x",
        "falco.>.x",
        "falco..x",
        "falco.notice.a.>",
        "falco.notice.a.b",
    ] {
        assert!(import(subject).is_err(), "{subject}");
    }
}

#[test]
fn a_variable_that_nothing_reads_is_told_and_its_value_is_not() {
    let subject = ["-s", "falco.notice.*"];
    for (flags, unread) in [
        (["-p", "delete", "-e", "SUBSCRIBED_ALERTS=secret"], true),
        (["-p", "phantom", "-e", "PHANTOM_USER=secret"], true),
        (["-p", "mine", "-e", "TOKEN=secret"], true),
        (["-p", "taint", "-e", "TAINT_KEY=k"], false),
    ] {
        let ran = imported(&Stage::empty(), &[&["kre"], &flags[..], &subject].concat());
        let told = ran.err.contains("nothing here reads the variable");
        assert_eq!((ran.code, told), (Some(0), unread), "{flags:?}: {ran:?}");
        assert!(!ran.out.contains("secret") && !ran.err.contains("secret"), "{flags:?}: {ran:?}");
    }
}

#[test]
fn a_topic_of_the_first_engine_is_a_subscription() {
    let options = KreOptions {
        playbook: "delete".to_owned(),
        topic: Some("falco.error.>".to_owned()),
        ..KreOptions::default()
    };
    let imported = import_kre(&options, Mode::Observe).expect("a playbook");
    assert!(text(&imported).contains("falco.error.*"), "{}", text(&imported));
}
