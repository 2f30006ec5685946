//! Whether a selector selects labels, as the API server and the controllers decide it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// An object's labels.
pub(super) type Labels = BTreeMap<String, String>;

/// An operator that this version doesn't know: whether it selects can't be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the selector's operator `{0}` is not known")]
pub(super) struct UnknownOperator(String);

/// A Service's or ReplicationController's selector: an empty one selects nothing, unlike a `LabelSelector`.
pub(super) fn of_map(map: Option<&Labels>) -> Option<LabelSelector> {
    let labels = map.filter(|map| !map.is_empty())?;
    Some(LabelSelector { match_labels: Some(labels.clone()), ..LabelSelector::default() })
}

/// Whether all of the selector's requirements hold; an empty one selects everything.
///
/// # Errors
///
/// Where the answer hangs on an operator that isn't known.
pub(super) fn selects(selector: &LabelSelector, labels: &Labels) -> Result<bool, UnknownOperator> {
    let pairs = selector.match_labels.iter().flatten();
    if !pairs.into_iter().all(|(key, value)| labels.get(key) == Some(value)) {
        return Ok(false);
    }
    let mut unknown = None;
    for requirement in selector.match_expressions.iter().flatten() {
        match holds(requirement, labels) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => unknown = Some(error),
        }
    }
    unknown.map_or(Ok(true), Err)
}

fn holds(requirement: &LabelSelectorRequirement, labels: &Labels) -> Result<bool, UnknownOperator> {
    let value = labels.get(&requirement.key);
    let is_listed =
        || value.is_some_and(|value| requirement.values.iter().flatten().any(|it| it == value));
    match requirement.operator.as_str() {
        "In" => Ok(is_listed()),
        // A key that isn't there has none of the values.
        "NotIn" => Ok(!is_listed()),
        "Exists" => Ok(value.is_some()),
        "DoesNotExist" => Ok(value.is_none()),
        other => Err(UnknownOperator(other.to_owned())),
    }
}

/// The keys without which it can't select: taking one of them away from an object takes the object out of it.
pub(super) fn needed_keys(selector: &LabelSelector) -> impl Iterator<Item = &str> {
    let pairs = selector.match_labels.iter().flatten().map(|(key, _)| key.as_str());
    let expressions = selector.match_expressions.iter().flatten();
    let needed = expressions
        .filter(|requirement| matches!(requirement.operator.as_str(), "In" | "Exists"))
        .map(|requirement| requirement.key.as_str());
    pairs.chain(needed)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::{collection, option, prelude::*};
    use serde_json::json;

    use super::*;

    /// Few keys and values, so that selectors often select.
    pub(in super::super) fn labels() -> impl Strategy<Value = Labels> {
        collection::btree_map("[a-d]", "[x-z]", 0..4)
    }

    pub(in super::super) fn selector() -> impl Strategy<Value = LabelSelector> {
        let operator = prop_oneof![Just("In"), Just("NotIn"), Just("Exists"), Just("DoesNotExist")];
        let requirement = ("[a-d]", operator, collection::vec("[x-z]", 1..3)).prop_map(
            |(key, operator, values)| LabelSelectorRequirement {
                key,
                operator: operator.to_owned(),
                values: operator.ends_with("In").then_some(values),
            },
        );
        (option::of(labels()), option::of(collection::vec(requirement, 0..3))).prop_map(
            |(match_labels, match_expressions)| LabelSelector { match_expressions, match_labels },
        )
    }

    fn read(selector: serde_json::Value) -> LabelSelector {
        serde_json::from_value(selector).unwrap()
    }

    #[test]
    fn each_form_selects_as_kubernetes_documents_it() {
        let of = |pairs: &[(&str, &str)]| -> Labels {
            pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
        };
        let web = of(&[("app", "web"), ("tier", "front")]);
        let one = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        let table = [
            (json!({}), true),
            (json!({"matchLabels": {}}), true),
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "web", "tier": "back"}}), false),
            (json!({"matchLabels": {"other": "web"}}), false),
            (json!({"matchLabels": {"other": ""}}), false),
            (one("app", "In", &["api", "web"]), true),
            (one("app", "In", &["api"]), false),
            (one("other", "In", &["web"]), false),
            (one("app", "NotIn", &["api"]), true),
            (one("app", "NotIn", &["web"]), false),
            (one("other", "NotIn", &["web"]), true),
            (one("app", "Exists", &[]), true),
            (one("other", "Exists", &[]), false),
            (one("app", "DoesNotExist", &[]), false),
            (one("other", "DoesNotExist", &[]), true),
            (
                json!({
                    "matchLabels": {"app": "web"},
                    "matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]
                }),
                false,
            ),
        ];
        for (selector, selected) in table {
            assert_eq!(selects(&read(selector.clone()), &web), Ok(selected), "{selector}");
        }
    }

    #[test]
    fn an_empty_service_selector_selects_nothing() {
        assert_eq!(of_map(None), None);
        assert_eq!(of_map(Some(&Labels::new())), None);
        let of_web = of_map(Some(&Labels::from([("app".into(), "web".into())]))).unwrap();
        assert_eq!(selects(&of_web, &Labels::from([("app".into(), "web".into())])), Ok(true));
        assert_eq!(selects(&of_web, &Labels::new()), Ok(false));
    }

    #[test]
    fn an_operator_that_is_not_known_is_no_answer_unless_another_requirement_decides() {
        let selector = read(json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]
        }));
        let web = Labels::from([("app".into(), "web".into())]);
        assert!(selects(&selector, &web).is_err());
        assert_eq!(selects(&selector, &Labels::new()), Ok(false));
    }

    proptest! {
        #[test]
        fn opposite_operators_disagree_on_everything(labels in labels(), key in "[a-d]", values in collection::vec("[x-z]", 1..3)) {
            let one = |operator: &str, values: Option<Vec<String>>| LabelSelector {
                match_expressions: Some(vec![LabelSelectorRequirement { key: key.clone(), operator: operator.into(), values }]),
                match_labels: None,
            };
            let holds = |selector: &LabelSelector| selects(selector, &labels).unwrap();
            prop_assert_ne!(holds(&one("In", Some(values.clone()))), holds(&one("NotIn", Some(values))));
            prop_assert_ne!(holds(&one("Exists", None)), holds(&one("DoesNotExist", None)));
        }

        #[test]
        fn without_a_needed_key_nothing_is_selected(mut labels in labels(), selector in selector()) {
            let needed: Vec<_> = needed_keys(&selector).map(str::to_owned).collect();
            for key in needed {
                let taken = labels.remove(&key);
                prop_assert_eq!(selects(&selector, &labels), Ok(false));
                labels.extend(taken.map(|value| (key, value)));
            }
        }

        #[test]
        fn a_pair_is_the_same_as_a_list_of_one(labels in labels(), key in "[a-d]", value in "[x-z]") {
            let pair = LabelSelector { match_labels: Some(Labels::from([(key.clone(), value.clone())])), match_expressions: None };
            let list = LabelSelector {
                match_labels: None,
                match_expressions: Some(vec![LabelSelectorRequirement { key, operator: "In".into(), values: Some(vec![value]) }]),
            };
            prop_assert_eq!(selects(&pair, &labels), selects(&list, &labels));
        }
    }
}
