//! The server starts, dies, and comes back with nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use testbed::{Error, pubsub::PubSub};

#[tokio::test]
async fn a_killed_server_is_gone_and_a_restarted_one_has_its_address_and_nothing_else()
-> Result<(), Error> {
    let mut server = PubSub::start().await?;
    let address = server.address().to_owned();
    assert!(ask(&address, "PUT").starts_with("HTTP/1.1 200"));
    assert!(ask(&address, "GET").starts_with("HTTP/1.1 200"));

    server.kill();
    assert!(TcpStream::connect(&address).is_err(), "something still listens on {address}");

    server.restart().await?;
    assert_eq!(server.address(), address);
    assert!(ask(&address, "GET").starts_with("HTTP/1.1 404"));
    Ok(())
}

/// Makes or gets a topic.
fn ask(address: &str, method: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let body = if method == "PUT" { "{}" } else { "" };
    let request = format!(
        "{method} /v1/projects/testbed/topics/kept HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    // Not to its end: the emulator keeps the connection whatever we say.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
