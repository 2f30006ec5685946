//! Overrides from the environment: `STOOP_LIMITS__MEMORY=128MiB` is `limits: {memory: 128MiB}`.

use playbooks::decide::yaml::{self, Path};
use serde_json::{Map, Value};

use super::Error;

/// A variable that set something.
#[derive(Debug)]
pub(super) struct Override {
    pub(super) name: String,
    /// What it set.
    pub(super) path: Path,
}

/// Sets in `config` what the variables override, and returns those that did.
///
/// `__` goes a level down; a name is matched whatever its case and its `_` and `-`, first against the keys that are there
/// and then as camelCase. A value is read as YAML. Variables without `__` count only where they name a top-level key:
/// Kubernetes puts some of its own, such as `STOOP_PORT`, into every pod beside a Service called stoop.
pub(super) fn overlay(
    config: &mut Value,
    top_level: &[&str],
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<Override>, Error> {
    let mut applied = Vec::new();
    let mut variables: Vec<_> = variables.into_iter().collect();
    // So that a whole section comes before its keys, whatever order the environment is in.
    variables.sort();
    for (name, text) in variables {
        let Some(path) = name.strip_prefix("STOOP_") else { continue };
        let keys: Vec<&str> = path.split("__").collect();
        let known = top_level.iter().any(|key| keys.first().is_some_and(|first| alike(key, first)));
        match (known, keys.len()) {
            (true, _) => {}
            (false, 1) => continue,
            (false, _) => {
                let known = top_level.join(", ");
                return Err(Error::Variable {
                    name,
                    why: format!("no such section; known: {known}"),
                });
            }
        }
        let value = match yaml::parse(&name, &text) {
            Ok(located) => located.value,
            Err(error) => return Err(Error::Variable { name, why: error.message().to_owned() }),
        };
        match set(config, Path::root(), &keys, value) {
            Ok(path) => applied.push(Override { name, path }),
            Err(why) => return Err(Error::Variable { name, why }),
        }
    }
    Ok(applied)
}

/// Sets the value below `config`, which stands at `at`; the path is the one that it has now.
fn set(config: &mut Value, at: Path, keys: &[&str], value: Value) -> Result<Path, String> {
    let Some((first, rest)) = keys.split_first() else {
        *config = value;
        return Ok(at);
    };
    if config.is_null() {
        *config = Value::Object(Map::new());
    }
    let Value::Object(object) = config else {
        return Err(format!("nothing can be set below a value that is no mapping (at `{first}`)"));
    };
    let key = object.keys().find(|key| alike(key, first)).cloned();
    let key = key.unwrap_or_else(|| camel_case(first));
    let at = at.key(&key);
    set(object.entry(key).or_insert(Value::Null), at, rest, value)
}

fn alike(key: &str, variable: &str) -> bool {
    let letters = |text: &str| -> Vec<char> {
        text.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
    };
    letters(key) == letters(variable)
}

fn camel_case(variable: &str) -> String {
    let mut words =
        variable.split('_').filter(|word| !word.is_empty()).map(str::to_ascii_lowercase);
    let mut name = words.next().unwrap_or_default();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn overlaid(config: Value, variables: &[(&str, &str)]) -> Result<Value, Error> {
        let mut config = config;
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        overlay(&mut config, &["limits", "namespace", "subscriptions", "killSwitch"], variables)?;
        Ok(config)
    }

    #[test]
    fn a_variable_sets_a_key_at_any_depth() {
        let config = json!({"subscriptions": {"my-falco": {"kafka": {"topic": "falco"}}}});
        let variables = [
            ("STOOP_LIMITS__ACTION_TIMEOUT", "5s"),
            ("STOOP_NAMESPACE", "security"),
            ("STOOP_SUBSCRIPTIONS__MY_FALCO__KAFKA__BROKERS", "[a:1, b:2]"),
            ("STOOP_SUBSCRIPTIONS__MY_FALCO__CONCURRENCY", "7"),
        ];
        let expected = json!({
            "limits": {"actionTimeout": "5s"},
            "namespace": "security",
            "subscriptions": {"my-falco": {"kafka": {"topic": "falco", "brokers": ["a:1", "b:2"]}, "concurrency": 7}},
        });
        assert_eq!(overlaid(config, &variables).unwrap(), expected);
    }

    #[test]
    fn variables_that_kubernetes_sets_for_a_service_are_left_alone() {
        let variables = [("STOOP_PORT", "tcp://10.0.0.1:80"), ("STOOP_SERVICE_HOST", "10.0.0.1")];
        assert_eq!(overlaid(json!({}), &variables).unwrap(), json!({}));
    }

    #[test]
    fn an_unknown_section_is_refused_by_its_variable_name() {
        let error = overlaid(json!({}), &[("STOOP_LIMIT__MEMORY", "1MiB")]).unwrap_err();
        assert!(error.to_string().starts_with("STOOP_LIMIT__MEMORY: no such section"), "{error}");
    }
}
