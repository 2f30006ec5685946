//! `when`: what an expression sees, and that a hostile one is refused before it can do harm.

use playbooks::decide::{Candidate, Event, Matcher, read_text};
use serde_json::{Value, json};
use std::thread;

/// What a tokio worker has.
const STACK: usize = 2 << 20;

/// Half of it: there is other work on that stack, and a build without optimisation needs several times as much.
fn on_an_ordinary_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .stack_size(STACK / 2)
            .spawn_scoped(scope, work)
            .expect("a thread");
        thread.join().expect("no panic")
    })
}

fn playbook(when: &str) -> String {
    json!({
        "apiVersion": "stoop.dev/v1alpha1", "kind": "Playbook", "metadata": {"name": "p"},
        "spec": {"match": {"when": when}, "actions": ["delete"]},
    })
    .to_string()
}

/// What the playbook says of an event with these fields; `Err` if the expression is refused.
fn candidates(when: &str, fields: Value) -> Result<Vec<Candidate>, String> {
    on_an_ordinary_stack(|| candidates_here(when, fields))
}

fn candidates_here(when: &str, fields: Value) -> Result<Vec<Candidate>, String> {
    let matcher =
        Matcher::new(read_text("p", &playbook(when)).map_err(|errors| errors.to_string())?);
    let event = json!({
        "output": "text", "priority": "Notice", "rule": "Terminal shell in container", "source": "syscalls",
        "time": "2026-11-21T05:24:10.361728219Z", "output_fields": fields, "tags": ["shell", "T1059"],
        "hostname": "node-a",
    });
    let text = event.to_string();
    let event = Event::decode(text.as_bytes()).expect("an event");
    Ok(matcher.candidates(&event).expect("fields"))
}

fn holds(when: &str, fields: Value) -> bool {
    let found = candidates(when, fields).unwrap_or_else(|error| panic!("{when}: {error}"));
    match found.as_slice() {
        [] => false,
        [candidate] => match &candidate.when_error {
            None => true,
            Some(error) => panic!("{when}: {error}"),
        },
        _ => panic!("one playbook"),
    }
}

fn refusal(when: &str) -> String {
    candidates(when, json!({})).expect_err(when)
}

fn error(when: &str, fields: Value) -> String {
    let found = candidates(when, fields).unwrap_or_else(|error| panic!("{when}: {error}"));
    found
        .first()
        .and_then(|candidate| candidate.when_error.clone())
        .unwrap_or_else(|| panic!("{when}: no error"))
}

#[test]
fn an_expression_sees_the_event() {
    let fields = json!({
        "proc.name": "bash", "proc.aname[2]": "sshd", "evt.time": 1619987050361728219i64, "user.uid": 4294967295u32,
        "big": 18446744073709551615u64, "real": 1.5, "yes": true, "list": ["a", 1], "proc.cmdline": "sh -c <NA>",
    });
    for when in [
        "rule == 'Terminal shell in container'",
        "priority == 'Notice'",
        "source == 'syscall'",
        "'shell' in tags",
        "tags.exists(tag, tag.startsWith('T1'))",
        "hostname == 'node-a'",
        "output == 'text'",
        "timestamp(time) > timestamp('2026-11-21T05:24:10Z')",
        "timestamp(time).getHours() == 5",
        r#"fields["proc.name"] == "bash""#,
        r#"fields["proc.name"] in ["bash", "sh"]"#,
        r#"fields["proc.name"].matches("^ba?sh$")"#,
        r#"matches(fields["proc.name"], "a")"#,
        r#"!fields["proc.name"].matches("^a")"#,
        r#"["^x"].exists(unused, fields["proc.name"].matches("h$"))"#,
        r#"fields["proc.aname_2"] == "sshd""#,
        r#"fields["evt.time"] == 1619987050361728219"#,
        r#"fields["user.uid"] == 4294967295"#,
        r#"fields["big"] == 18446744073709551615u"#,
        r#"fields["real"] > 1.4"#,
        r#"fields["yes"]"#,
        r#"fields["list"][0] == "a" && size(fields["list"]) == 2"#,
        r#""proc.name" in fields && !("nope" in fields)"#,
        r#"fields["proc.cmdline"].endsWith("<NA>")"#,
        "['a', 'shell'].exists(wanted, tags.exists(tag, tag == wanted))",
    ] {
        assert!(holds(when, fields.clone()), "{when}");
    }
}

#[test]
fn what_is_missing_is_null_however_it_is_written() {
    let fields = json!({"null": null, "empty": "", "na": "<NA>", "template": "<no value>"});
    for key in ["absent", "null", "empty", "na", "template"] {
        assert!(holds(&format!("fields['{key}'] == null"), fields.clone()), "{key}");
        assert!(!holds(&format!("fields['{key}'] == 'root'"), fields.clone()), "{key}");
        assert!(!holds(&format!("'{key}' in fields"), fields.clone()), "{key}");
    }
}

#[test]
fn an_expression_that_errs_is_reported_and_not_taken_for_a_no() {
    for (when, fields, why) in [
        ("fields['a'] > 5", json!({}), "no matching overload"),
        ("fields['a'].startsWith('x')", json!({"a": 5}), "no matching overload"),
        ("fields['a'].matches('x')", json!({}), "no matching overload"),
        ("rule", json!({}), "evaluates to a string, not to true or false"),
        ("1 / int(fields['a']) == 1", json!({"a": 0}), "Division by zero"),
        ("fields['a'] != 'x'", json!({"a": "x".repeat(20_000)}), "too large"),
        ("fields['a'] != []", json!({"a": vec![1; 300]}), "too large"),
    ] {
        let error = error(when, fields);
        assert!(error.contains(why), "{when}: {error}");
        assert!(error.len() < 1_100 && !error.contains('\n'), "{when}: {error}");
    }
}

#[test]
fn an_error_that_does_not_decide_is_no_error() {
    assert!(!holds("rule == 'other' && fields['a'] > 5", json!({})));
    assert!(holds("source == 'syscall' || fields['a'] > 5", json!({})));
}

#[test]
fn what_an_event_does_not_have_is_refused_with_the_fix() {
    for (when, fix) in [
        ("rul == 'x'", "did you mean `rule`?"),
        ("event.rule == 'x'", "an event has rule, priority"),
        ("fields.user == 'x'", "write `fields[\"user\"]`"),
        ("fields.proc.name == 'x'", "write `fields[\"proc.name\"]`"),
        ("has(fields.user)", "write `fields[\"user\"] != null`"),
        ("rule.startWith('x')", "startsWith"),
        ("output.matches(rule)", "write the pattern as a string"),
        ("output.matches('(')", "see the syntax"),
        ("Struct{a: 1} == null", "compare plain values"),
        ("tags.?a == null", "write a CEL condition"),
        ("rule = 'x'", "write a CEL condition"),
        ("", "write a condition"),
    ] {
        let error = refusal(when);
        assert!(error.contains(fix), "{when}: {error}");
    }
}

#[test]
fn a_hostile_expression_is_refused() {
    let n = |text: &str, times: usize| text.repeat(times);
    let ones = |many: usize| vec!["1"; many].join(",");
    for when in [
        vec!["1"; 4_000].join("+") + " == 1",
        vec!["1"; 200].join("+") + " == 1",
        n("(", 1_000) + "true" + &n(")", 1_000),
        n("(", 24),
        n("[", 24) + &n("{", 100),
        n("(!", 24),
        n("a(", 24),
        n("{1:", 24),
        n("!", 2_000) + "true",
        n("true ? ", 100) + "true" + &n(" : true", 100),
        n("true ? true : ", 120) + "true",
        "tags".to_owned() + &n(".a", 200),
        "tags".to_owned() + &n("[0]", 600),
        "rule".to_owned() + &n(" + rule", 100) + " == ''",
        n("'", 2_000),
        n("'", 3) + &n("a", 2_000),
        n("é", 1_000),
        n("9", 2_000) + " == 1",
        format!("[{0}].all(x, [{0}].all(y, x == y))", ones(450)),
        n("[1,1].map(a, ", 8) + "a" + &n(")", 8) + " == []",
        n("tags.exists(a, ", 3) + "true" + &n(")", 3),
        "tags.map(a, tags.map(b, output + output)) == []".to_owned(),
        "tags".to_owned() + &n(".map(a, a + a)", 20) + " == []",
        "[1]".to_owned() + &n(".map(a, [a,a,a,a])", 20) + " == []",
        "['a']".to_owned() + &n(".map(a, a + a)", 28) + " == []",
        "output.matches('(((a{100}){100}){100})')".to_owned(),
        format!("output.matches('{}')", n("a", 300)),
    ] {
        refusal(&when);
    }
}

/// Each shape is tried deeper and deeper, until it is refused: nothing in between may use up the stack.
#[test]
fn the_deepest_expression_that_is_allowed_fits_an_ordinary_stack() {
    for (open, core, close) in [
        ("[", "", "]"),
        ("(1 + ", "1", ")"),
        ("1 + ", "1", ""),
        ("!", "true", " == true"),
        ("[1].exists(a, ", "true", ")"),
        ("[[1]].exists(a, a.map(b, ", "true", ") == [])"),
        ("{'a': ", "1", "}"),
        ("dyn(", "true", ")"),
        ("(true ? ", "true", " : false)"),
        ("(false ? false : ", "true", ")"),
        ("(true && ", "true", ")"),
    ] {
        let shape = |depth: usize| open.repeat(depth) + core + &close.repeat(depth);
        let refused = (1..64).find(|depth| candidates(&shape(*depth), json!({})).is_err());
        assert!(refused.is_some_and(|depth| depth > 2), "{}: {refused:?}", shape(1));
    }
}
