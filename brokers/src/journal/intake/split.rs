//! A request's body as events: one, or the elements of an array, each with its bytes as they were sent.

use bytes::Bytes;
use serde_json::value::RawValue;

/// Says why a body is no event.
pub trait Validate: Fn(&[u8]) -> Result<(), String> + Send + Sync + 'static {}

impl<F: Fn(&[u8]) -> Result<(), String> + Send + Sync + 'static> Validate for F {}

/// The events of a body, all of them valid; or why one of them is not.
pub(super) fn split(body: Bytes, validate: &dyn Validate) -> Result<Vec<Bytes>, String> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        validate(&body)?;
        return Ok(vec![body]);
    }
    let elements: Vec<&RawValue> =
        serde_json::from_slice(&body).map_err(|e| format!("the array is not JSON: {e}"))?;
    if elements.is_empty() {
        return Err("the array holds no event".to_owned());
    }
    let mut events = Vec::with_capacity(elements.len());
    for (position, element) in elements.into_iter().enumerate() {
        let event = element.get().as_bytes();
        validate(event).map_err(|why| format!("element {position} of the array: {why}"))?;
        // A copy: one event must not keep the whole array in memory.
        events.push(Bytes::copy_from_slice(event));
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(body: &[u8]) -> Result<(), String> {
        match serde_json::from_slice::<serde_json::Value>(body) {
            Ok(value) if value.is_object() => Ok(()),
            Ok(_) => Err("not an object".to_owned()),
            Err(e) => Err(e.to_string()),
        }
    }

    fn events(body: &str) -> Result<Vec<Bytes>, String> {
        split(Bytes::copy_from_slice(body.as_bytes()), &object)
    }

    #[test]
    fn one_event_keeps_every_byte() {
        assert_eq!(events(" {\"a\": 1.50}\n").unwrap(), [" {\"a\": 1.50}\n"]);
    }

    #[test]
    fn an_arrays_events_keep_their_bytes() {
        let body = "\n[ {\"a\" : 1.50}\n,{\"b\":[\"\\u003c]\"]} ] ";
        assert_eq!(events(body).unwrap(), ["{\"a\" : 1.50}", "{\"b\":[\"\\u003c]\"]}"]);
    }

    #[test]
    fn one_bad_element_refuses_the_array_and_is_named() {
        assert_eq!(events("[{}, 7, {}]").unwrap_err(), "element 1 of the array: not an object");
        assert_eq!(events("[[{}]]").unwrap_err(), "element 0 of the array: not an object");
    }

    #[test]
    fn what_is_no_array_of_events_is_refused() {
        for body in ["", " ", "[", "[]", "[{}", "[{}]x", "[{},]", "no", "{}{}"] {
            assert!(events(body).is_err(), "{body}");
        }
        let deep = "[".repeat(100_000);
        assert!(events(&deep).is_err());
        assert!(split(Bytes::from_static(b"[\"\xff\"]"), &object).is_err());
    }
}
