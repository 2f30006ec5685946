//! Label and field selectors: which objects a list or a controller means.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Expression, Selector, SelectorExt};
use serde::Deserialize;
use serde_json::Value;

use super::{
    kinds::{EVENT, Kind, POD},
    meta,
    status::{Failure, bad_request},
};

/// What `spec.selector` of a controller or a budget selects. None that can be read selects nothing.
pub(super) fn of_spec(object: &Value) -> Option<Selector> {
    let selector = LabelSelector::deserialize(&object["spec"]["selector"]).ok()?;
    Selector::try_from(selector).ok()
}

pub(super) fn selects(selector: &Selector, object: &Value) -> bool {
    selector.matches(&meta::labels(object))
}

/// Reads the query's `labelSelector`: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
pub(super) fn labels(text: &str) -> Result<Selector, Failure> {
    requirements(text)
        .map(|requirement| {
            expression(requirement).ok_or_else(|| {
                bad_request(&format!("unable to parse requirement: {requirement:?}"))
            })
        })
        .collect()
}

/// Cuts at the commas that are not within parentheses.
fn requirements(text: &str) -> impl Iterator<Item = &str> {
    let mut within = false;
    let parts = text.split(move |letter| {
        match letter {
            '(' => within = true,
            ')' => within = false,
            _ => {}
        }
        letter == ',' && !within
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

fn expression(text: &str) -> Option<Expression> {
    if let Some((key, values)) = text.split_once(" notin ") {
        return Some(Expression::NotIn(key.trim().into(), set(values)?));
    }
    if let Some((key, values)) = text.split_once(" in ") {
        return Some(Expression::In(key.trim().into(), set(values)?));
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Some(Expression::NotEqual(key.trim().into(), value.trim().into()));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Expression::Equal(key.trim().into(), value.trim().into()));
    }
    let (key, absent) = text.strip_prefix('!').map_or((text, false), |key| (key.trim(), true));
    let plain = !key.is_empty() && !key.contains(|c: char| c.is_whitespace() || "()!".contains(c));
    plain.then(|| match absent {
        true => Expression::DoesNotExist(key.into()),
        false => Expression::Exists(key.into()),
    })
}

fn set(values: &str) -> Option<BTreeSet<String>> {
    let inner = values.trim().strip_prefix('(')?.strip_suffix(')')?;
    Some(inner.split(',').map(|value| value.trim().to_owned()).collect())
}

/// A field selector as read: every (path, wanted value, equal or not) must hold.
pub(super) struct Fields(Vec<(String, String, bool)>);

/// Reads the query's `fieldSelector`. A field that the resource can't be selected by is refused, as by the API server.
pub(super) fn fields(kind: &Kind, text: &str) -> Result<Fields, Failure> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let read = |part: &str| {
        let (field, value, equal) = part
            .split_once("!=")
            .map(|(field, value)| (field, value, false))
            .or_else(|| {
                part.split_once("==").or_else(|| part.split_once('=')).map(|(f, v)| (f, v, true))
            })
            .ok_or_else(|| {
                bad_request(&format!("invalid selector: {part:?}; can't understand {part:?}"))
            })?;
        let known = matches!(field, "metadata.name" | "metadata.namespace")
            || *kind == POD && matches!(field, "spec.nodeName" | "status.phase")
            || *kind == EVENT && field.starts_with("involvedObject.");
        if !known {
            return Err(bad_request(&format!("field label not supported: {field}")));
        }
        Ok((field.to_owned(), value.to_owned(), equal))
    };
    parts.map(read).collect::<Result<_, _>>().map(Fields)
}

impl Fields {
    pub(super) fn select(&self, object: &Value) -> bool {
        self.0.iter().all(|(field, wanted, equal)| {
            let found = field.split('.').fold(object, |value, step| &value[step]);
            (found.as_str().unwrap_or_default() == wanted) == *equal
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::kinds::NODE, *};

    fn chosen(selector: &str) -> bool {
        let pod = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}});
        selects(&labels(selector).expect("a selector"), &pod)
    }

    #[test]
    fn label_selectors_mean_what_kubernetes_means_by_them() {
        for yes in [
            "",
            "app=web",
            "app==web,tier",
            "app in (api, web),tier notin (back)",
            "!gone",
            "zone!=a",
        ] {
            assert!(chosen(yes), "{yes}");
        }
        for no in [
            "app=api",
            "app!=web",
            "gone",
            "app in (api,db)",
            "tier notin (front)",
            "!app",
            "app=web,gone",
        ] {
            assert!(!chosen(no), "{no}");
        }
    }

    #[test]
    fn a_label_selector_that_cannot_be_read_is_refused() {
        for wrong in ["app in web", "a b", "!", "app in (web"] {
            assert_eq!(labels(wrong).expect_err(wrong).code, 400, "{wrong}");
        }
    }

    #[test]
    fn field_selectors_compare_and_refuse_unknown_fields() {
        let pod = json!({"metadata": {"name": "web"}, "spec": {"nodeName": "a"}});
        let chosen = |text| fields(&POD, text).expect("a selector").select(&pod);
        assert!(chosen("spec.nodeName=a,metadata.name==web,status.phase!=Failed"));
        assert!(!chosen("spec.nodeName!=a"));
        assert_eq!(fields(&POD, "spec.color=red").err().expect("refused").code, 400);
        assert_eq!(fields(&NODE, "spec.nodeName=a").err().expect("refused").code, 400);
    }
}
