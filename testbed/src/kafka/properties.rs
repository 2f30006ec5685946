//! What the broker is told: one node that is broker and controller, with the fewest internal
//! partitions, since a test has no use for their number and waits for each.

use std::path::Path;

use crate::port::Port;

/// The listeners' ports.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) plain: Port,
    pub(crate) encrypted: Port,
    pub(crate) secure: Port,
    pub(crate) mutual: Port,
    pub(crate) controller: Port,
}

/// Who may log in on the secure listener.
pub(crate) const USER: &str = "stoop";
/// With what password.
pub(crate) const PASSWORD: &str = "stoop-secret";

/// The text of `server.properties`; `dir` has the data, `broker.pem` and `ca.pem`.
pub(crate) fn server(dir: &Path, ports: &Ports) -> String {
    let (plain, controller) = (ports.plain.address(), ports.controller.address());
    let (secure, mutual) = (ports.secure.address(), ports.mutual.address());
    let encrypted = ports.encrypted.address();
    let dir = dir.display();
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{plain},ENCRYPTED://{encrypted},SECURE://{secure},MUTUAL://{mutual},CONTROLLER://{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,ENCRYPTED:SSL,SECURE:SASL_SSL,MUTUAL:SSL,CONTROLLER:PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={dir}/broker.pem
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER
listener.name.secure.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";
listener.name.secure.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.truststore.type=PEM
listener.name.mutual.ssl.truststore.location={dir}/ca.pem
log.dirs={dir}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"
    )
}
