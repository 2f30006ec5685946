//! Every way to show who we are, against a server that asks for it; and what is said where it isn't good enough.

use std::time::Duration;

use brokers::{
    Health,
    nats::{Auth, Config, Plan, Publisher, Tls},
};
use settings::Secret;
use testbed::nats::{Guard, Keys, Nats};

use crate::{
    bench::SLOTS,
    staff::{Log, Staff},
};

struct Guarded {
    _nats: Nats,
    keys: Keys,
    config: Config,
}

impl Guarded {
    async fn start(guard: Guard) -> Self {
        let (nats, keys) = Nats::guarded(guard).await.unwrap();
        let config = serde_json::json!({
            "servers": [nats.url()], "stream": "FALCO", "consumer": "stoop", "deadLetters": "falco.dead",
        });
        let mut config: Config = serde_json::from_value(config).unwrap();
        config.tls = Some(Tls { ca: Some(keys.ca.clone()), ..Tls::default() });
        Self { _nats: nats, keys, config }
    }

    fn with(&self, auth: Auth) -> Config {
        Config { auth: Some(auth), ..self.config.clone() }
    }

    /// From setup to an event that is done.
    async fn serves(&self, config: &Config) {
        Plan::of(config).await.unwrap().apply().await.unwrap();
        Publisher::new(config).unwrap().publish(None, b"event", &[]).await.unwrap();
        let log = Log::default();
        let staff = Staff::start(config, SLOTS, Duration::ZERO, &log);
        log.has(1).await;
        staff.stop().await;
    }

    async fn refuses(&self, config: &Config, says: &str) {
        let staff = Staff::start(config, SLOTS, Duration::ZERO, &Log::default());
        let told = |h: &Health| matches!(h, Health::Unavailable(what) if what.contains(says));
        staff.is(&format!("told of {says}"), told).await;
        staff.crash().await;
        let error = Plan::of(config).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_wants_the_right_authority() {
    let guarded = Guarded::start(Guard::Tls).await;
    guarded.serves(&guarded.config).await;
    let other = Tls { ca: Some(guarded.keys.other_ca.clone()), ..Tls::default() };
    let untrusted = Config { tls: Some(other), ..guarded.config.clone() };
    guarded.refuses(&untrusted, "name its authority in tls.ca").await;
    let missing = Tls { ca: Some("/nowhere/ca.pem".into()), ..Tls::default() };
    let missing = Config { tls: Some(missing), ..guarded.config.clone() };
    guarded.refuses(&missing, "tls can't be used").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_wants_a_name_that_the_certificate_has() {
    let guarded = Guarded::start(Guard::Tls).await;
    // Resolves to 127.0.0.1 everywhere, and is not what the certificate calls it.
    let servers = guarded.config.servers.iter().map(|url| url.replace("localhost", "0x7f000001"));
    let misnamed = Config { servers: servers.collect(), ..guarded.config.clone() };
    guarded.refuses(&misnamed, "not for the name that `servers` calls it by").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutual_tls_wants_a_certificate() {
    let guarded = Guarded::start(Guard::MutualTls).await;
    let Keys { ca, certificate, key, .. } = guarded.keys.clone();
    let known = Tls { ca: Some(ca), certificate: Some(certificate), key: Some(key) };
    guarded.serves(&Config { tls: Some(known), ..guarded.config.clone() }).await;
    guarded.refuses(&guarded.config, "tls.certificate and tls.key").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_a_password_is_let_in() {
    let guarded = Guarded::start(Guard::Password).await;
    let auth = |password: &str| Auth {
        user: Some(guarded.keys.user.to_owned()),
        password: Some(Secret::literal(password)),
        ..Auth::default()
    };
    guarded.serves(&guarded.with(auth(guarded.keys.password))).await;
    guarded.refuses(&guarded.with(auth("wrong")), "check auth").await;
    guarded.refuses(&guarded.config, "set auth").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_let_in() {
    let guarded = Guarded::start(Guard::Token).await;
    let auth = |token: &str| Auth { token: Some(Secret::literal(token)), ..Auth::default() };
    guarded.serves(&guarded.with(auth(guarded.keys.token))).await;
    guarded.refuses(&guarded.with(auth("wrong")), "check auth").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_nkey_is_let_in() {
    let guarded = Guarded::start(Guard::Nkey).await;
    let auth =
        |seed: &str| Auth { nkey: Some(Secret::literal(seed.to_owned())), ..Auth::default() };
    guarded.serves(&guarded.with(auth(&guarded.keys.nkey))).await;
    let stranger = nkeys::KeyPair::new_user().seed().unwrap();
    guarded.refuses(&guarded.with(auth(&stranger)), "check auth").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credentials_file_is_let_in_and_read_again_once_it_is_renewed() {
    let guarded = Guarded::start(Guard::Credentials).await;
    let of = |path: &std::path::Path| {
        let secret = serde_json::from_value(serde_json::json!({"file": path})).unwrap();
        guarded.with(Auth { credentials: Some(secret), ..Auth::default() })
    };
    guarded.serves(&of(&guarded.keys.credentials)).await;
    guarded.refuses(&of(&guarded.keys.expired_credentials), "expired").await;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.creds");
    std::fs::copy(&guarded.keys.expired_credentials, &path).unwrap();
    let staff = Staff::start(&of(&path), SLOTS, Duration::ZERO, &Log::default());
    staff.is("told", |health| matches!(health, Health::Unavailable(_))).await;
    std::fs::copy(&guarded.keys.credentials, &path).unwrap();
    staff.is("let in", |health| *health == Health::Connected).await;
    staff.stop().await;
}
