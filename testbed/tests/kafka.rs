//! The broker starts, dies and comes back with what it had.

#![allow(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

use std::{fs, net::TcpStream, path::Path, process::Command};

use testbed::{
    Error,
    kafka::{Kafka, Secure, provision},
};

#[tokio::test]
async fn a_killed_broker_is_gone_and_a_restarted_one_has_its_address_and_data() -> Result<(), Error>
{
    let mut kafka = Kafka::start().await?;
    let address = kafka.bootstrap().to_owned();
    topics(&address, &["--create", "--topic", "kept"]);

    kafka.kill();
    assert!(TcpStream::connect(&address).is_err(), "something still listens on {address}");

    kafka.restart().await?;
    assert_eq!(kafka.bootstrap(), address);
    assert_eq!(topics(&address, &["--list"]), "kept\n");
    Ok(())
}

#[tokio::test]
async fn the_secure_listener_wants_its_authority_and_password() -> Result<(), Error> {
    let kafka = Kafka::start().await?;
    let secure = kafka.secure();
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] {
        let client = client(&secure, mechanism, secure.password);
        assert!(listing(&secure.bootstrap, &client).status.success(), "{mechanism}");
    }
    let refused = listing(&secure.bootstrap, &client(&secure, "PLAIN", "wrong"));
    assert!(!refused.status.success());
    Ok(())
}

#[tokio::test]
async fn the_mutual_listener_wants_a_certificate_of_its_authority() -> Result<(), Error> {
    let kafka = Kafka::start().await?;
    let mutual = kafka.mutual();
    let anonymous = trusting(&mutual.ca, "SSL");
    // Kafka takes a PEM key store only as one file, key and certificate.
    let store = tempfile::NamedTempFile::new().unwrap();
    let pem = [&mutual.key, &mutual.certificate].map(|path| fs::read_to_string(path).unwrap());
    fs::write(&store, pem.concat()).unwrap();
    let known = format!(
        "{anonymous}ssl.keystore.type=PEM\nssl.keystore.location={}\n",
        store.path().display()
    );
    assert!(listing(&mutual.bootstrap, &known).status.success());
    assert!(!listing(&mutual.bootstrap, &anonymous).status.success());
    Ok(())
}

#[tokio::test]
async fn a_paused_broker_is_stopped_until_it_is_resumed() -> Result<(), Error> {
    let kafka = Kafka::start().await?;
    kafka.pause()?;
    assert_eq!(state(kafka.process_id()?), "T");
    kafka.resume()?;
    assert_ne!(state(kafka.process_id()?), "T");
    Ok(())
}

/// What Linux says the process is doing; `T` is stopped.
fn state(process: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    stat.rsplit(") ").next().unwrap().split(' ').next().unwrap().to_owned()
}

fn topics(bootstrap: &str, arguments: &[&str]) -> String {
    let output = tool(bootstrap).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn listing(bootstrap: &str, properties: &str) -> std::process::Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, properties).unwrap();
    tool(bootstrap).args(["--list", "--command-config"]).arg(file.path()).output().unwrap()
}

fn tool(bootstrap: &str) -> Command {
    let mut command = Command::new("java");
    command.arg("-cp").arg(provision().unwrap().join("*"));
    command.args(["org.apache.kafka.tools.TopicCommand", "--bootstrap-server", bootstrap]);
    command
}

fn client(secure: &Secure, mechanism: &str, password: &str) -> String {
    let module = match mechanism {
        "PLAIN" => "org.apache.kafka.common.security.plain.PlainLoginModule",
        _ => "org.apache.kafka.common.security.scram.ScramLoginModule",
    };
    format!(
        "{}sasl.mechanism={mechanism}\n\
         sasl.jaas.config={module} required username=\"{}\" password=\"{password}\";\n",
        trusting(&secure.ca, "SASL_SSL"),
        secure.username,
    )
}

fn trusting(ca: &Path, protocol: &str) -> String {
    format!(
        "security.protocol={protocol}\nssl.truststore.type=PEM\nssl.truststore.location={}\n",
        ca.display()
    )
}
