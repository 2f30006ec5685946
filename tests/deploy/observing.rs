//! The alerts and the dashboard, as Prometheus reads them: what they ask for is what a worker tells.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use serde_json::{Value, json};
use stoop::metrics::{Kind, Metrics};

use crate::chart::{of_kind, rendered, values};

const ALERTS: &str = "deploy/alerts/stoop.yaml";
const DASHBOARD: &str = "deploy/dashboards/stoop.json";

fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

fn text(of: &str) -> String {
    fs::read_to_string(path(of)).expect(of)
}

/// What Prometheus makes of it.
fn prometheus(arguments: &[&str], asked: &Value) -> Value {
    static PROGRAM: LazyLock<PathBuf> =
        LazyLock::new(|| testbed::prometheus::provision().expect("Prometheus"));
    let mut command = Command::new(&*PROGRAM);
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A command that reads nothing may have closed it.
    let _ = child.stdin.take().expect("piped").write_all(asked.to_string().as_bytes());
    let ran = child.wait_with_output().expect("it ends");
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).expect("JSON")
}

fn alerts() -> Vec<Value> {
    let read = prometheus(&["alerts", ALERTS], &Value::Null);
    read.as_array().expect("alerts").clone()
}

/// The names under which a worker's metrics can be asked for.
fn known() -> BTreeSet<String> {
    let of = |name: String, kind| match kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).to_vec(),
        Kind::Counter | Kind::Gauge => vec![name],
    };
    let defined = Metrics::new().expect("metrics").definitions();
    defined.into_iter().flat_map(|it| of(it.name, it.kind)).collect()
}

fn are_told(expressions: &[String]) {
    let (known, asked) = (known(), prometheus(&["metrics"], &json!(expressions)));
    for (expression, names) in expressions.iter().zip(asked.as_array().expect("lists")) {
        let names = names.as_array().expect("names");
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(
                known.contains(name.as_str().expect("a name")),
                "no worker tells {name}: {expression}"
            );
        }
    }
}

#[test]
fn an_alert_asks_for_what_a_worker_tells_and_leads_to_a_page_that_says_what_to_do() {
    const PAGES: &str = "https://github.com/stoop-dev/stoop/blob/main/docs/runbooks/";
    let alerts = alerts();
    assert!(alerts.len() > 12, "{}", alerts.len());
    let mut led = BTreeSet::new();
    for alert in &alerts {
        let name = alert["name"].as_str().expect("a name");
        let severity = alert["labels"]["severity"].as_str();
        assert!(matches!(severity, Some("critical" | "warning" | "info")), "{name}: {severity:?}");
        for key in ["summary", "description"] {
            assert!(alert["annotations"][key].as_str().is_some_and(|it| !it.is_empty()), "{name}");
        }
        let url = alert["annotations"]["runbook_url"].as_str().expect("a page");
        let page = url.strip_prefix(PAGES).expect(url);
        let book = text(&format!("docs/runbooks/{page}"));
        assert!(book.starts_with(&format!("# {name}\n")), "{page}");
        for heading in ["## Look", "## Do", "## When it is harmless"] {
            assert!(book.contains(heading), "{page}: {heading}");
        }
        led.insert(page.to_owned());
    }
    let pages = fs::read_dir(path("docs/runbooks")).expect("pages");
    let pages: BTreeSet<_> =
        pages.map(|it| it.expect("a page").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(led, pages);
    let expressions = alerts.iter().map(|it| it["expr"].as_str().unwrap_or_default().to_owned());
    are_told(&expressions.collect::<Vec<_>>());
}

/// Series of a worker that does well, each minute for an hour, with those of `instead` in place of theirs.
fn load(instead: &[(&str, &str)]) -> String {
    const WELL: [(&str, &str); 32] = [
        ("stoop_build_info{version=\"1\"}", "1x60"),
        ("stoop_ready", "1x60"),
        ("stoop_oldest_unsettled_seconds{subscription=\"falco\"}", "0x60"),
        ("stoop_lag{scope=\"worker\",subscription=\"falco\"}", "5x60"),
        // Two workers on a topic of Kafka, and two on a stream of NATS.
        ("stoop_lag{scope=\"worker\",subscription=\"topic\",pod=\"a\"}", "5x60"),
        ("stoop_lag{scope=\"worker\",subscription=\"topic\",pod=\"b\"}", "5x60"),
        ("stoop_lag{scope=\"fleet\",subscription=\"stream\",pod=\"a\"}", "5x60"),
        ("stoop_lag{scope=\"fleet\",subscription=\"stream\",pod=\"b\"}", "5x60"),
        ("stoop_settled_total{subscription=\"topic\",how=\"acked\"}", "0+60x60"),
        ("stoop_settled_total{subscription=\"stream\",how=\"acked\"}", "0+60x60"),
        ("stoop_settled_total{subscription=\"falco\",how=\"acked\"}", "0+60x60"),
        ("stoop_settled_total{subscription=\"falco\",how=\"unknown\"}", "0x60"),
        ("stoop_messages_total{subscription=\"falco\",fate=\"skipped\"}", "0+600x60"),
        ("stoop_messages_total{subscription=\"falco\",fate=\"kept\"}", "0+60x60"),
        ("stoop_redelivered_total{subscription=\"falco\"}", "0x60"),
        ("stoop_dead_lettered_total{subscription=\"falco\",reason=\"failed\"}", "0x60"),
        ("stoop_can_lose_events{subscription=\"falco\"}", "0x60"),
        ("stoop_audit_failures_total", "0x60"),
        ("stoop_breaker_open", "0x60"),
        ("stoop_breaker_owners", "0x60"),
        ("stoop_budget_used{playbook=\"shell\",scope=\"namespace\"}", "3x60"),
        ("stoop_budget_limit{playbook=\"shell\",scope=\"namespace\"}", "10x60"),
        ("stoop_kill_switch{state=\"on\"}", "0x60"),
        ("stoop_kill_switch{state=\"unreadable\"}", "0x60"),
        ("stoop_playbooks_refused", "0x60"),
        ("stoop_playbook_objects_refused{kind=\"Playbook\",reason=\"refused\",pod=\"a\"}", "0x60"),
        (
            "stoop_playbook_objects_refused{kind=\"Playbook\",reason=\"name-taken\",pod=\"a\"}",
            "0x60",
        ),
        ("stoop_playbook_objects_refused{kind=\"Playbook\",reason=\"refused\",pod=\"b\"}", "0x60"),
        ("stoop_outage{dependency=\"sink\"}", "_x60"),
        ("stoop_time_to_effect_seconds_bucket{le=\"60\"}", "0+10x60"),
        ("stoop_time_to_effect_seconds_bucket{le=\"300\"}", "0+10x60"),
        ("stoop_time_to_effect_seconds_bucket{le=\"+Inf\"}", "0+10x60"),
    ];
    let mut series: Vec<_> = WELL.to_vec();
    for (name, values) in instead {
        let place = series.iter_mut().find(|(known, _)| known == name).expect(name);
        place.1 = values;
    }
    let lines = series.iter().map(|(name, values)| format!("  {name} {values}\n"));
    format!("load 1m\n{}", lines.collect::<String>())
}

/// The series that differ from those of a worker that does well, and the alerts that fire.
type Scene = (&'static [(&'static str, &'static str)], &'static [&'static str]);

#[test]
fn each_alert_fires_for_its_own_trouble_and_none_where_all_is_well() {
    const LAG: &str = "stoop_lag{scope=\"worker\",subscription=\"falco\"}";
    const ACKED: &str = "stoop_settled_total{subscription=\"falco\",how=\"acked\"}";
    const SKIPPED: &str = "stoop_messages_total{subscription=\"falco\",fate=\"skipped\"}";
    // Of each worker: after an hour 600 where it counts by ten.
    const OWN: [&str; 2] = [
        "stoop_lag{scope=\"worker\",subscription=\"topic\",pod=\"a\"}",
        "stoop_lag{scope=\"worker\",subscription=\"topic\",pod=\"b\"}",
    ];
    const WHOLE: [&str; 2] = [
        "stoop_lag{scope=\"fleet\",subscription=\"stream\",pod=\"a\"}",
        "stoop_lag{scope=\"fleet\",subscription=\"stream\",pod=\"b\"}",
    ];
    let scenes: [Scene; 24] = [
        (&[], &[]),
        (
            &[("stoop_oldest_unsettled_seconds{subscription=\"falco\"}", "0+60x60")],
            &["StoopEventsWaiting"],
        ),
        (&[(ACKED, "60x60"), (SKIPPED, "600x60")], &["StoopNothingSettled"]),
        // What is skipped is settled too.
        (&[(ACKED, "60x60")], &[]),
        // Nothing waits.
        (&[(ACKED, "60x60"), (SKIPPED, "600x60"), (LAG, "0x60")], &[]),
        (&[(LAG, "0+100x60")], &["StoopLagGrowing"]),
        // What partitions have adds up, though one of them catches up.
        (&[(OWN[0], "700+15x60"), (OWN[1], "500-5x60")], &["StoopLagGrowing"]),
        // Each tells of the same messages.
        (&[(WHOLE[0], "0+10x60"), (WHOLE[1], "0+10x60")], &[]),
        (&[(WHOLE[0], "0+100x60"), (WHOLE[1], "0+100x60")], &["StoopLagGrowing"]),
        // It catches up.
        (&[(LAG, "90000-100x60")], &[]),
        (&[("stoop_time_to_effect_seconds_bucket{le=\"60\"}", "0+9x60")], &["StoopSlowEffect"]),
        (
            &[("stoop_dead_lettered_total{subscription=\"falco\",reason=\"failed\"}", "0x55 1x5")],
            &["StoopDeadLetters"],
        ),
        (&[("stoop_redelivered_total{subscription=\"falco\"}", "0+40x60")], &["StoopRedeliveries"]),
        (
            &[("stoop_settled_total{subscription=\"falco\",how=\"unknown\"}", "0+10x60")],
            &["StoopAcksLost"],
        ),
        (&[("stoop_can_lose_events{subscription=\"falco\"}", "1x60")], &["StoopCanLoseEvents"]),
        (&[("stoop_audit_failures_total", "0x56 1+1x4")], &["StoopAuditLogNotWritten"]),
        (&[("stoop_breaker_open", "0x59 1")], &["StoopBreakerOpen"]),
        (&[("stoop_breaker_owners", "0x59 2")], &["StoopOwnerHeldBack"]),
        (
            &[("stoop_budget_used{playbook=\"shell\",scope=\"namespace\"}", "10x60")],
            &["StoopBudgetUsedUp"],
        ),
        (&[("stoop_kill_switch{state=\"on\"}", "1x60")], &["StoopKillSwitchOn"]),
        (&[("stoop_kill_switch{state=\"unreadable\"}", "1x60")], &["StoopKillSwitchUnreadable"]),
        // One worker that judges so is enough.
        (
            &[(
                "stoop_playbook_objects_refused{kind=\"Playbook\",reason=\"refused\",pod=\"b\"}",
                "0x55 1x5",
            )],
            &["StoopPlaybookObjectsRefused"],
        ),
        (
            &[("stoop_playbooks_refused", "1x60"), ("stoop_outage{dependency=\"sink\"}", "1x60")],
            &["StoopOutage", "StoopPlaybooksRefused"],
        ),
        (
            &[("stoop_build_info{version=\"1\"}", "_x60"), ("stoop_ready", "0x60")],
            &["StoopAbsent", "StoopNotReady"],
        ),
    ];
    let asked: Vec<_> =
        scenes.iter().map(|(instead, _)| json!({"load": load(instead), "at": 60 * 60})).collect();
    let played = prometheus(&["play", ALERTS], &json!(asked));
    let mut fired = BTreeSet::new();
    for ((instead, expected), found) in scenes.iter().zip(played.as_array().expect("lists")) {
        assert_eq!(*found, json!(expected), "{instead:?}");
        fired.extend(expected.iter().map(|name| (*name).to_owned()));
    }
    let all = alerts().iter().filter_map(|it| Some(it["name"].as_str()?.to_owned())).collect();
    assert_eq!(fired, all, "every alert has been seen to fire");
}

/// The dashboard's panels, rows included.
fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().expect("panels")
}

#[test]
fn the_dashboard_asks_for_what_a_worker_tells() {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).expect("JSON");
    let targets =
        panels(&dashboard).iter().flat_map(|it| it["targets"].as_array().into_iter().flatten());
    let mut expressions = Vec::new();
    for target in targets {
        assert_eq!(target["datasource"]["uid"], "${datasource}", "{target}");
        // Grafana fills this in before Prometheus sees it.
        let expression = target["expr"].as_str().expect("an expression");
        expressions.push(expression.replace("$__rate_interval", "5m"));
    }
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let names: Vec<_> = variables.iter().filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(names, ["datasource", "namespace", "subscription"]);
    for query in variables.iter().filter_map(|it| it["definition"].as_str()) {
        let asked = query.strip_prefix("label_values(").and_then(|it| it.split_once(','));
        expressions.push(asked.expect(query).0.to_owned());
    }
    assert!(expressions.len() > 25, "{}", expressions.len());
    are_told(&expressions);
}

#[test]
fn no_panel_of_the_dashboard_lies_on_another_and_none_has_the_number_of_another() {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).expect("JSON");
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|it| it >= 41), "of Grafana 12");
    assert_eq!((&dashboard["uid"], &dashboard["id"]), (&json!("stoop"), &Value::Null));
    let (mut ids, mut taken, mut rows) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().filter(|it| !it.is_empty()).expect("a title");
        assert!(ids.insert(panel["id"].as_u64().expect("a number")), "{title}");
        let [x, y, w, h] =
            ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().expect("a place"));
        assert!(w > 0 && h > 0 && x + w <= 24, "{title}");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{title} lies on another");
        }
        match panel["type"].as_str() {
            Some("row") => rows.push(title),
            Some("stat" | "timeseries") => assert!(panel["targets"][0].is_object(), "{title}"),
            other => panic!("{title}: {other:?}"),
        }
    }
    let expected =
        ["Is the promise kept?", "Flow", "Outcomes", "Guardrails", "Latency", "Dependencies"];
    assert_eq!(rows, expected);
}

#[test]
fn a_page_names_no_metric_that_is_not_told() {
    let known = known();
    let plain: BTreeSet<_> =
        Metrics::new().expect("metrics").definitions().into_iter().map(|it| it.name).collect();
    let books = fs::read_dir(path("docs/runbooks")).expect("pages");
    let books = books.map(|it| it.expect("a page").path());
    let pages = ["docs/observability.md", "docs/configuration.md", "docs/deploy.md"].map(path);
    for page in books.chain(pages) {
        let text = fs::read_to_string(&page).expect("a page");
        let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
        for (at, _) in text.match_indices("`stoop_") {
            let rest = &text[at + 1..];
            let name = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
            assert!(known.contains(name) || plain.contains(name), "{}: {name}", page.display());
        }
    }
}

#[test]
fn the_chart_installs_both() {
    let objects = rendered(&values("keda"));
    let rule = of_kind(&objects, "PrometheusRule");
    let alerts: Value = serde_saphyr::from_str(&text(ALERTS)).expect("YAML");
    assert_eq!(rule["spec"], alerts);
    assert_eq!(rule["metadata"]["labels"]["release"], "prometheus");
    let found = objects.iter().find(|it| it["metadata"]["name"] == "stoop-dashboard");
    let map = found.expect("a dashboard");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    let data = map["data"]["stoop.json"].as_str().expect("text");
    assert_eq!(data.trim_end(), text(DASHBOARD).trim_end());
    let without = rendered(&values("kafka"));
    assert!(!without.iter().any(|it| it["kind"] == "PrometheusRule"));
}
