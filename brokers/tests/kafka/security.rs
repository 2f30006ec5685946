//! Listeners that want to know who we are, and that show who they are.

use std::{fs, path::PathBuf, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use brokers::{
    Health,
    conformance::Record,
    kafka::{Config, Mechanism, Plan, Publisher, Sasl, Tls},
};
use jiff::Timestamp;
use settings::Secret;
use testbed::kafka::Kafka;
use tokio::sync::OnceCell;

use crate::{
    bench::Bench,
    staff::{Log, Staff},
};

/// The broker of these tests.
async fn kafka() -> &'static Kafka {
    static KAFKA: OnceCell<Kafka> = OnceCell::const_new();
    KAFKA.get_or_init(async || Kafka::start().await.unwrap()).await
}

/// A topic with a message in it, and the configuration for a listener of its broker.
async fn bench(bootstrap: String, ca: PathBuf) -> (Bench, Config) {
    let bench = Bench::on(kafka().await.bootstrap(), 1).await;
    bench.publish_in_turn(vec![Record::new("a")]).await;
    let tls = Some(Tls { ca: Some(ca), ..Tls::default() });
    let config = Config { brokers: vec![bootstrap], tls, ..bench.config.clone() };
    (bench, config)
}

async fn secure() -> (Bench, Config) {
    let secure = kafka().await.secure();
    bench(secure.bootstrap, secure.ca).await
}

fn user(mechanism: Mechanism, name: &str, password: &str) -> Option<Sasl> {
    let (username, password) = (Some(name.to_owned()), Some(Secret::literal(password)));
    Some(Sasl { mechanism, username, password, token: None })
}

fn bearer(file: &tempfile::NamedTempFile) -> Option<Sasl> {
    let token = serde_json::from_value(serde_json::json!({"file": file.path()})).unwrap();
    let mechanism = Mechanism::OauthBearer;
    Some(Sasl { mechanism, username: None, password: None, token: Some(token) })
}

/// Writes a token that expires so many seconds from now.
fn write_token(file: &tempfile::NamedTempFile, seconds: i64) {
    let now = Timestamp::now().as_second();
    let claims = format!(r#"{{"sub":"stoop","iat":{},"exp":{}}}"#, now - 60, now + seconds);
    let token = format!("{}.{}.", BASE64.encode(r#"{"alg":"none"}"#), BASE64.encode(claims));
    fs::write(file.path(), token).unwrap();
}

/// What is published comes, is settled, and can be answered.
async fn works(config: &Config) {
    let log = Log::default();
    let staff = Staff::start(config, 10, Duration::ZERO, &log);
    log.has(1).await;
    Publisher::new(config).unwrap().publish(None, b"b", &[]).await.unwrap();
    log.has(2).await;
    staff.is("connected", |health| *health == Health::Connected).await;
    staff.stop().await;
    assert!(Plan::of(config).await.unwrap().changes().is_empty());
}

/// The worker waits, and says all of `texts`.
async fn says(config: &Config, texts: &[&str]) -> Staff {
    let staff = Staff::start(config, 10, Duration::ZERO, &Log::default());
    let said = |health: &Health| match health {
        Health::Unavailable(what) => texts.iter().all(|text| what.contains(text)),
        _ => false,
    };
    staff.is(&format!("{texts:?}"), said).await;
    staff
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken() {
    let encrypted = kafka().await.encrypted();
    let (_bench, config) = bench(encrypted.bootstrap, encrypted.ca).await;
    works(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutual_tls_is_spoken() {
    let mutual = kafka().await.mutual();
    let (_bench, mut config) = bench(mutual.bootstrap, mutual.ca.clone()).await;
    config.tls = Some(Tls {
        ca: Some(mutual.ca),
        certificate: Some(mutual.certificate),
        key: Some(mutual.key),
        key_password: None,
    });
    works(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_wants_a_certificate_is_said_to() {
    let mutual = kafka().await.mutual();
    let (_bench, config) = bench(mutual.bootstrap, mutual.ca.clone()).await;
    says(&config, &["tls.certificate", "tls.key"]).await.crash().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_prove_a_password_is_spoken() {
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512] {
        let (_bench, mut config) = secure().await;
        let secure = kafka().await.secure();
        config.sasl = user(mechanism, secure.username, secure.password);
        works(&config).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_named_and_waited_out() {
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512] {
        let (_bench, mut config) = secure().await;
        config.sasl = user(mechanism, "stoop", "wrong");
        says(&config, &["`stoop`", "sasl.password"]).await.crash().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_is_not_trusted_is_named() {
    let encrypted = kafka().await.encrypted();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let other = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), other.pem()).unwrap();
    let (_bench, config) = bench(encrypted.bootstrap, file.path().to_owned()).await;
    says(&config, &["tls.ca"]).await.crash().await;
}

/// As 127.1 the broker is reached and isn't called.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_not_the_brokers_is_named() {
    let encrypted = kafka().await.encrypted();
    let elsewhere = encrypted.bootstrap.replace("localhost", "127.1");
    let (_bench, config) = bench(elsewhere, encrypted.ca).await;
    says(&config, &["brokers"]).await.crash().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_speaks_otherwise_is_said_to() {
    let kafka = kafka().await;
    let encrypted = kafka.encrypted();
    let (_bench, mut config) = bench(encrypted.bootstrap, encrypted.ca).await;
    config.tls = None;
    says(&config, &["tls"]).await.crash().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_shown_and_read_anew_before_it_expires() {
    let (_bench, mut config) = secure().await;
    let token = tempfile::NamedTempFile::new().unwrap();
    write_token(&token, -1);
    config.sasl = bearer(&token);
    let staff = says(&config, &["sasl.token", "expired at"]).await;
    write_token(&token, 3600);
    staff.is("connected", |health| *health == Health::Connected).await;
    staff.crash().await;
    works(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_the_broker_refuses_is_named() {
    let (_bench, mut config) = secure().await;
    let token = tempfile::NamedTempFile::new().unwrap();
    let claims = format!(r#"{{"exp":{}}}"#, Timestamp::now().as_second() + 3600);
    fs::write(token.path(), format!("e30.{}.c2ln", BASE64.encode(claims))).unwrap();
    config.sasl = bearer(&token);
    says(&config, &["sasl.token", "refuses"]).await.crash().await;
    fs::remove_file(token.path()).unwrap();
    says(&config, &["sasl.token", "can't be read"]).await.crash().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_a_token_can_not_create_is_named() {
    let (bench, mut config) = secure().await;
    let token = tempfile::NamedTempFile::new().unwrap();
    write_token(&token, 3600);
    config.sasl = bearer(&token);
    config.topics = vec![bench.topic.clone(), format!("{}.more", bench.topic)];
    config.topic = None;
    let plan = Plan::of(&config).await.unwrap();
    assert_eq!(plan.changes().len(), 1);
    let refused = plan.apply().await.unwrap_err();
    assert!(refused.is_configuration() && refused.to_string().contains("OAUTHBEARER"), "{refused}");
}
