//! From text to values and places.

use super::{Error, Located, Path, Place, Spot};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The longest text that is read at all.
const LONGEST: usize = 4 << 20;

/// Reads a text that holds exactly one document. `name` is shown in errors.
///
/// # Errors
///
/// What is not YAML, has a key twice, or is built to exhaust memory; more or fewer documents than one.
pub fn parse(name: &str, text: &str) -> Result<Located, Error> {
    let mut documents = parse_all(name, text)?;
    match (documents.pop(), documents.is_empty()) {
        (Some(document), true) => Ok(document),
        (None, _) => Ok(Located::from_value(name, Value::Null)),
        (Some(second), false) => Err(second.error_at(
            &Path::root(),
            "a second document",
            "keep one document: take away the `---` line",
        )),
    }
}

/// Reads a text that may hold several documents; empty ones are left out.
///
/// # Errors
///
/// As [`parse`], for any of the documents.
pub fn parse_all(name: &str, text: &str) -> Result<Vec<Located>, Error> {
    if text.len() > LONGEST {
        return Err(Error::of_file(name, format!("larger than {LONGEST} bytes"), "split the file"));
    }
    let name: Arc<str> = name.into();
    // To YAML a carriage return alone ends a line, too.
    let lines: Arc<[Box<str>]> =
        text.replace("\r\n", "\n").split(['\n', '\r']).map(Box::from).collect();
    let nodes: Vec<Spanned<Node>> = serde_saphyr::from_multiple_with_options(text, options())
        .map_err(|error| syntax(&name, &lines, &error))?;
    Ok(nodes
        .into_iter()
        .map(|node| {
            let mut spots = BTreeMap::new();
            let value = flatten(node, None, &Path::root(), &mut spots);
            Located { name: Arc::clone(&name), value, spots, lines: Arc::clone(&lines) }
        })
        .collect())
}

/// Strict where YAML is loose: `yes` is a string, a key is there once, and aliases can't multiply.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 64,
            max_nodes: 200_000,
            max_events: 1_000_000,
            max_documents: 1_024,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 16,
        },
        strict_booleans: true,
        with_snippet: false,
    }
}

fn syntax(name: &str, lines: &[Box<str>], error: &serde_saphyr::Error) -> Error {
    let place = error.location().map(place);
    let line =
        place.and_then(|place| lines.get(place.line.checked_sub(1)?)).map(|line| line.to_string());
    // The message goes on with the place, which is shown in front of it, and with the parser's own options.
    let text = error.to_string();
    let message = text.lines().next().unwrap_or_default();
    let message = [" at line ", ", set "].iter().fold(message, |message, tail| {
        message.split_once(tail).map_or(message, |(message, _)| message)
    });
    let help = match message.contains("duplicate") {
        true => "keep one of them",
        false => "",
    };
    Error::new(name, place, Path::root(), message.to_owned(), help.to_owned(), line)
}

fn place(location: Location) -> Place {
    let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Place { line: count(location.line()), column: count(location.column()) }
}

/// Takes the places out of a tree.
fn flatten(
    node: Spanned<Node>,
    key: Option<Place>,
    path: &Path,
    spots: &mut BTreeMap<Path, Spot>,
) -> Value {
    spots.insert(path.clone(), Spot { key, value: place(node.referenced) });
    match node.value {
        Node::Scalar(value) => value,
        Node::List(items) => {
            let item = |(at, node)| flatten(node, None, &path.index(at), spots);
            Value::Array(items.into_iter().enumerate().map(item).collect())
        }
        Node::Mapping(entries) => {
            let mut map = Map::new();
            for (key, node) in entries {
                let value =
                    flatten(node, Some(place(key.referenced)), &path.key(&key.value), spots);
                map.insert(key.value, value);
            }
            Value::Object(map)
        }
    }
}

enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Mapping(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(Node::Scalar(Value::Number(number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Mapping(entries))
    }
}
