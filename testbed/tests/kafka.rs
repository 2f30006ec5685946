//! The broker starts, dies and comes back with what it had.

use std::net::TcpStream;

use testbed::kafka::Kafka;

#[tokio::test]
async fn a_killed_broker_is_gone_and_a_restarted_one_serves_on_the_same_address() {
    let mut kafka = Kafka::start().await.unwrap();
    let address = kafka.bootstrap().to_owned();

    kafka.kill();
    assert!(TcpStream::connect(&address).is_err(), "something still listens on {address}");

    kafka.restart().await.unwrap();
    assert_eq!(kafka.bootstrap(), address);
}
