//! What the broker is told: one node that is broker and controller, with the fewest internal
//! partitions, since a test has no use for their number and waits for each.

use std::path::Path;

use crate::port::Port;

/// The listeners' ports.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) plain: Port,
    pub(crate) secure: Port,
    pub(crate) controller: Port,
}

/// Who may log in on the secure listener.
pub(crate) const USER: &str = "stoop";
/// With what password.
pub(crate) const PASSWORD: &str = "stoop-secret";

/// The text of `server.properties`; `dir` has the data and `broker.pem`.
pub(crate) fn server(dir: &Path, ports: &Ports) -> String {
    let (plain, secure, controller) =
        (ports.plain.address(), ports.secure.address(), ports.controller.address());
    let dir = dir.display();
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{plain},SECURE://{secure},CONTROLLER://{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={dir}/broker.pem
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";
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
