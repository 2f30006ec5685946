//! The page: what is asked, in words that were escaped, and two buttons.

use playbooks::act::StoredResponse;

/// What a response asks; without buttons where it is `open` no longer.
pub(super) fn of(stored: &StoredResponse, open: bool) -> String {
    let spec = &stored.spec;
    let target = spec.target.as_ref().map(|target| {
        let namespace = target.namespace.as_ref().map(|it| format!("{it}/")).unwrap_or_default();
        format!("{} {namespace}{}", target.kind, target.name)
    });
    let rows = [
        ("Playbook", spec.playbook.clone()),
        ("Target", target.unwrap_or_else(|| "the event alone".to_owned())),
        ("Cluster", spec.cluster.clone().unwrap_or_else(|| "not named".to_owned())),
        ("Rule", spec.event.rule.clone()),
        ("Priority", spec.event.priority.clone()),
        ("Time", spec.event.time.to_string()),
        ("Falco says", spec.event.output.clone()),
    ];
    let rows: String = rows
        .iter()
        .map(|(name, value)| format!("<tr><th>{name}</th><td>{}</td></tr>", escaped(value)))
        .collect();
    let rest = match open {
        true => {
            "<form method=\"post\">\
             <button name=\"decision\" value=\"approve\">Approve</button> \
             <button name=\"decision\" value=\"deny\">Deny</button></form>"
        }
        false => "<p>This is decided, or over.</p>",
    };
    whole(&format!("<table>{rows}</table>{rest}"))
}

/// One line.
pub(super) fn word(text: &str) -> String {
    whole(&format!("<p>{}</p>", escaped(text)))
}

fn whole(body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>stoop: approval</title>\
         <h1>stoop asks</h1>{body}</html>"
    )
}

/// As text between tags, or in an attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_event_says_is_text() {
        let page = word("<script>alert('x')</script> & \"more\"");
        assert!(
            page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;more&quot;")
        );
        assert!(!page.contains("<script"));
    }
}
