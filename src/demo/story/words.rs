//! What came over the wire, in words.

use serde_json::Value;

use crate::demo::{kubernetes::Request, stage::short};

/// What a delete asked for, and its answer.
pub(super) fn tell(delete: &Request) -> String {
    let uid = delete.body["preconditions"]["uid"].as_str();
    let condition = uid.map_or_else(
        || "whatever its uid".to_owned(),
        |uid| format!("if its uid is {}", short(uid)),
    );
    let pod = delete.path.rsplit('/').next().unwrap_or_default();
    format!("DELETE {pod}, {condition}: {}", answer(delete))
}

/// What a policy is for, and the answer.
pub(super) fn tell_policy(policy: &Request) -> String {
    let name = policy.path.rsplit('/').next().unwrap_or_default();
    format!("APPLY {name}: nothing in, nothing out, for whom it has marked: {}", answer(policy))
}

/// What a change of a pod's labels takes away and sets, and its answer.
pub(super) fn tell_change(change: &Request) -> String {
    let uid = change.body["metadata"]["uid"].as_str().map(short).unwrap_or_default();
    let labels = change.body["metadata"]["labels"].as_object().into_iter().flatten();
    let (gone, set): (Vec<_>, Vec<_>) = labels.partition(|(_, value)| value.is_null());
    let names = |labels: Vec<(&String, &Value)>| -> String {
        let names: Vec<_> = labels.into_iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    };
    let pod = change.path.rsplit('/').next().unwrap_or_default();
    let (gone, set) = (names(gone), names(set));
    format!("PATCH {pod}, if its uid is {uid}: without {gone}, with {set}: {}", answer(change))
}

fn answer(request: &Request) -> String {
    request.answered.map_or_else(|| "no answer".to_owned(), |code| code.to_string())
}

/// What a notification says.
pub(in crate::demo) fn read_out(message: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let steps = message["steps"].as_array().into_iter().flatten();
    let steps: Vec<String> = steps
        .map(|step| {
            let why = step["reason"].as_str().map(|why| format!(" ({why})")).unwrap_or_default();
            format!("{} {}{why}", text(&step["action"]), text(&step["outcome"]))
        })
        .collect();
    format!("hears of {}: {}", text(&message["target"]), steps.join(", "))
}

#[cfg(test)]
mod tests {
    use axum::http::{Method, StatusCode};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_delete_without_a_uid_is_told_as_such() {
        let mut delete = Request {
            method: Method::DELETE,
            path: "/api/v1/namespaces/shop/pods/web".to_owned(),
            query: String::new(),
            body: json!({"preconditions": {"uid": "449567e2-f28a-46db-864d-db8588eed581"}}),
            answered: Some(StatusCode::CONFLICT),
        };
        assert_eq!(tell(&delete), "DELETE web, if its uid is 449567e2…: 409 Conflict");
        delete.body = Value::Null;
        assert_eq!(tell(&delete), "DELETE web, whatever its uid: 409 Conflict");
    }

    #[test]
    fn a_notification_is_read_out_with_every_step() {
        let steps = json!([
            {"action": "delete", "outcome": "refused", "reason": "protected-namespace"},
            {"action": "notify", "outcome": "skipped", "reason": null},
        ]);
        let message = json!({"target": "kube-system/dns", "steps": steps});
        let expected =
            "hears of kube-system/dns: delete refused (protected-namespace), notify skipped";
        assert_eq!(read_out(&message), expected);
    }
}
