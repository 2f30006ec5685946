//! The keys of each action, as its own type says them.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    call, capture, cordon, delete, drain, forward, isolate, label, notify, run, scale, taint,
};

/// What an action can be configured with.
pub(in crate::act) struct Keys {
    /// What playbooks call it.
    pub(in crate::act) action: &'static str,
    /// Its own keys.
    pub(in crate::act) schema: fn(&mut SchemaGenerator) -> Schema,
    /// True where it also takes `expireAfter`, which no action knows: what it changes can be taken back.
    pub(in crate::act) expires: bool,
}

/// Those that come with stoop, in order of name.
pub(in crate::act) const KEYS: [Keys; 13] = [
    reversible::<label::Written>("annotate"),
    lasting::<call::Written>("call"),
    lasting::<capture::Written>("capture"),
    reversible::<cordon::Written>("cordon"),
    lasting::<delete::Written>("delete"),
    reversible::<drain::Written>("drain"),
    lasting::<forward::Written>("forward"),
    reversible::<isolate::Written>("isolate"),
    reversible::<label::Written>("label"),
    lasting::<notify::Written>("notify"),
    lasting::<run::Written>("run"),
    reversible::<scale::Written>("scale"),
    reversible::<taint::Written>("taint"),
];

const fn lasting<T: JsonSchema>(action: &'static str) -> Keys {
    Keys { action, schema: SchemaGenerator::subschema_for::<T>, expires: false }
}

const fn reversible<T: JsonSchema>(action: &'static str) -> Keys {
    Keys { action, schema: SchemaGenerator::subschema_for::<T>, expires: true }
}
