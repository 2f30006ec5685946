//! What the user says of a NATS subscription.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use settings::Secret;

use crate::contract::Error;

use super::subject;

/// The subjects that Falcosidekick publishes to: `falco.<priority>.<rule>`.
const SUBJECT: &str = "falco.*.*";

/// A durable consumer of a JetStream stream; or, where losing messages is accepted, a queue group of core NATS.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// `nats://host:port` or `tls://host:port` of some servers; the client finds the others.
    pub servers: Vec<String>,
    /// The JetStream stream.
    #[serde(default)]
    pub stream: Option<String>,
    /// The durable pull consumer that all workers of the fleet share.
    #[serde(default)]
    pub consumer: Option<String>,
    /// The subjects of the events, `falco.*.*` by default: what a stream made by `stoop setup` holds, or what core NATS is
    /// listened to on.
    #[serde(default)]
    pub subject: Option<String>,
    /// The queue group of core NATS that all workers of the fleet share, instead of `stream` and `consumer`.
    #[serde(default)]
    pub queue: Option<String>,
    /// Says that core NATS may lose messages: it has no acks, so what a worker holds when it dies is gone.
    #[serde(default)]
    pub accept_loss: bool,
    /// The subject for dead letters, which a stream of its own holds. Without one nothing can be given up.
    #[serde(default)]
    pub dead_letters: Option<String>,
    /// Who the client says it is, if the servers want to know.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// TLS, if the servers want it. `{}` trusts the system's authorities.
    #[serde(default)]
    pub tls: Option<Tls>,
}

/// Who the client says it is: one of `credentials`, `nkey`, `token`, or `user` with `password`. Secrets that change are read
/// again at every connection.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Auth {
    /// The text of a credentials file, a JWT with the seed of its key: `{file: nats.creds}`.
    #[serde(default)]
    pub credentials: Option<Secret>,
    /// The seed of an nkey.
    #[serde(default)]
    pub nkey: Option<Secret>,
    /// A token.
    #[serde(default)]
    pub token: Option<Secret>,
    /// A user, together with `password`.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<Secret>,
}

/// How TLS is spoken.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// A PEM file of the authorities to trust; without it the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// A PEM file of the client's certificate, for mutual TLS.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// A PEM file of its private key.
    #[serde(default)]
    pub key: Option<PathBuf>,
}

/// Where messages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    JetStream { stream: String, consumer: String },
    Core { subject: String, queue: String },
}

/// The one way in which the client shows who it is.
pub(super) enum Proof<'a> {
    Credentials(&'a Secret),
    Nkey(&'a Secret),
    Token(&'a Secret),
    Password { user: &'a str, password: &'a Secret },
}

impl Config {
    /// Whether it can work at all.
    ///
    /// # Errors
    /// It can't; the text says what to change.
    pub fn check(&self) -> Result<(), Error> {
        self.check_servers()?;
        let source = self.source()?;
        let pattern = self.subject();
        if !subject::is_pattern(pattern) {
            return wrong(
                "subject is no NATS subject: write words with dots between, such as falco.*.*",
            );
        }
        if let Some(dead_letters) = &self.dead_letters {
            if !subject::is_literal(dead_letters) {
                return wrong(
                    "deadLetters has to be one subject, without wildcards: such as falco.dead",
                );
            }
            let own = self.subject.is_some() || matches!(source, Source::Core { .. });
            if own && subject::matches(pattern, dead_letters) {
                return wrong(
                    "deadLetters is one of the subscription's own subjects, which would be read again without end: name a subject that `subject` does not match",
                );
            }
        }
        if let Some(tls) = &self.tls
            && tls.certificate.is_some() != tls.key.is_some()
        {
            return wrong("tls has only one of certificate and key: mutual TLS needs both");
        }
        let in_clear = matches!(self.proof()?, Some(Proof::Token(_) | Proof::Password { .. }));
        if in_clear && !self.speaks_tls() {
            return wrong(
                "auth with a token or a password without tls would send it in the clear: add tls, or use nkey or credentials",
            );
        }
        Ok(())
    }

    fn check_servers(&self) -> Result<(), Error> {
        if self.servers.iter().all(|server| server.trim().is_empty()) {
            return wrong("servers is empty: name at least one as nats://host:port");
        }
        for server in &self.servers {
            let scheme = server.split_once("://").map_or("nats", |(scheme, _)| scheme);
            if !matches!(scheme, "nats" | "tls")
                || server.parse::<async_nats::ServerAddr>().is_err()
            {
                return wrong(
                    "servers has one that is no address: write nats://host:port or tls://host:port",
                );
            }
            if server.contains('@') {
                return wrong("servers has one with a user or token in it: put that under auth");
            }
        }
        Ok(())
    }

    /// Whether the connection is TLS, whatever the server says.
    pub(super) fn speaks_tls(&self) -> bool {
        self.tls.is_some() || self.servers.iter().all(|server| server.starts_with("tls://"))
    }

    /// Where messages come from.
    pub(super) fn source(&self) -> Result<Source, Error> {
        let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        match (named(&self.stream), named(&self.consumer), named(&self.queue)) {
            (Some(stream), Some(consumer), None) => {
                if !subject::is_name(&stream) || !subject::is_name(&consumer) {
                    return wrong(
                        "stream and consumer are names: without spaces, dots, slashes and wildcards",
                    );
                }
                if self.accept_loss {
                    return wrong(
                        "acceptLoss is about core NATS, a stream loses nothing: leave it out",
                    );
                }
                Ok(Source::JetStream { stream, consumer })
            }
            (None, None, Some(queue)) => match (self.accept_loss, named(&self.subject)) {
                (true, Some(subject)) => Ok(Source::Core { subject, queue }),
                (true, None) => wrong("queue needs a subject to listen to: such as falco.*.*"),
                (false, _) => wrong(
                    "core NATS has no acks and loses what a worker holds when it dies: name stream and consumer instead of queue, or say acceptLoss: true",
                ),
            },
            (None, None, None) => wrong("name the JetStream stream and its consumer"),
            (_, _, Some(_)) => {
                wrong("queue is core NATS, stream and consumer are JetStream: name one of the two")
            }
            _ => wrong("stream and consumer belong together: name both"),
        }
    }

    /// The subjects of the events.
    pub(super) fn subject(&self) -> &str {
        self.subject.as_deref().unwrap_or(SUBJECT)
    }

    /// How the client shows who it is.
    pub(super) fn proof(&self) -> Result<Option<Proof<'_>>, Error> {
        let Some(auth) = &self.auth else { return Ok(None) };
        match (&auth.credentials, &auth.nkey, &auth.token, &auth.user, &auth.password) {
            (Some(secret), None, None, None, None) => Ok(Some(Proof::Credentials(secret))),
            (None, Some(seed), None, None, None) => Ok(Some(Proof::Nkey(seed))),
            (None, None, Some(token), None, None) => Ok(Some(Proof::Token(token))),
            (None, None, None, Some(user), Some(password)) => {
                Ok(Some(Proof::Password { user, password }))
            }
            _ => wrong("auth has to have one of credentials, nkey, token, or user with password"),
        }
    }
}

fn wrong<T>(text: &str) -> Result<T, Error> {
    Err(Error::Configuration(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn of(value: &Value) -> Result<Config, serde_json::Error> {
        let mut all = json!({"servers": ["nats://127.0.0.1:4222"]});
        if let (Some(all), Value::Object(more)) = (all.as_object_mut(), value.clone()) {
            all.extend(more);
        }
        from_value(all)
    }

    #[test]
    fn the_designs_examples_are_read() {
        let stream = json!({
            "stream": "FALCO", "consumer": "stoop", "deadLetters": "falco.dead",
            "auth": {"credentials": {"file": "nats.creds"}},
        });
        of(&stream).unwrap().check().unwrap();
        let core = json!({"subject": "falco.*.*", "queue": "stoop", "acceptLoss": true});
        let core = of(&core).unwrap();
        core.check().unwrap();
        let (subject, queue) = ("falco.*.*".to_owned(), "stoop".to_owned());
        assert_eq!(core.source().unwrap(), Source::Core { subject, queue });
    }

    #[test]
    fn unknown_keys_are_refused() {
        for wrong in [
            json!({"deadletters": "x"}),
            json!({"tls": {"insecure": true}}),
            json!({"auth": {"username": "u"}}),
        ] {
            assert!(of(&wrong).is_err());
        }
    }

    #[test]
    fn contradictions_are_refused_with_the_fix() {
        let stream = |more: Value| {
            let mut all = json!({"stream": "FALCO", "consumer": "stoop"});
            if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
                all.extend(more);
            }
            all
        };
        for (wrong, says) in [
            (json!({}), "name the JetStream stream"),
            (json!({"stream": "FALCO"}), "name both"),
            (stream(json!({"stream": "falco.events"})), "without spaces, dots"),
            (stream(json!({"servers": []})), "nats://host:port"),
            (stream(json!({"servers": ["ws://a"]})), "tls://host:port"),
            (stream(json!({"servers": ["nats://u:p@a:4222"]})), "under auth"),
            (stream(json!({"queue": "q"})), "one of the two"),
            (stream(json!({"acceptLoss": true})), "leave it out"),
            (stream(json!({"deadLetters": "falco.>"})), "without wildcards"),
            (stream(json!({"subject": "falco.>", "deadLetters": "falco.dead"})), "read again"),
            (stream(json!({"subject": "falco..x"})), "no NATS subject"),
            (stream(json!({"tls": {"certificate": "c.pem"}})), "needs both"),
            (stream(json!({"auth": {}})), "one of credentials"),
            (stream(json!({"auth": {"nkey": "S", "token": "t"}})), "one of credentials"),
            (stream(json!({"auth": {"token": "t"}})), "in the clear"),
            (stream(json!({"auth": {"user": "u", "password": "p"}})), "in the clear"),
            (json!({"subject": "falco.*.*", "queue": "q"}), "acceptLoss: true"),
            (json!({"queue": "q", "acceptLoss": true}), "subject to listen to"),
        ] {
            let error = of(&wrong).unwrap().check().unwrap_err();
            assert!(error.is_configuration() && error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn a_password_over_tls_is_taken() {
        let auth = json!({"user": "u", "password": "p"});
        let mut secret = json!({"stream": "FALCO", "consumer": "stoop", "auth": auth, "tls": {}});
        of(&secret).unwrap().check().unwrap();
        secret["tls"] = Value::Null;
        secret["servers"] = json!(["tls://a:4222"]);
        of(&secret).unwrap().check().unwrap();
    }
}
