//! The server starts, dies and comes back with what it had.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
};

use testbed::{
    Error,
    nats::{Guard, Nats},
};

#[tokio::test]
async fn a_killed_server_is_gone_and_a_restarted_one_has_its_address() -> Result<(), Error> {
    let mut nats = Nats::start().await?;
    let (url, address) = (nats.url().to_owned(), address(&nats));
    nats.kill();
    assert!(TcpStream::connect(&address).is_err(), "something still listens on {address}");
    nats.restart().await?;
    assert_eq!(nats.url(), url);
    assert!(TcpStream::connect(&address).is_ok());
    Ok(())
}

#[tokio::test]
async fn a_paused_server_answers_nothing_until_it_is_resumed() -> Result<(), Error> {
    let nats = Nats::start().await?;
    let mut stream = TcpStream::connect(address(&nats)).expect("a connection");
    BufReader::new(&stream).read_line(&mut String::new()).expect("its introduction");
    nats.pause()?;
    stream.write_all(b"CONNECT {}\r\nPING\r\n").expect("a question");
    stream.set_nonblocking(true).expect("a setting");
    assert!(stream.read(&mut [0; 64]).is_err());
    nats.resume()?;
    stream.set_nonblocking(false).expect("a setting");
    assert!(stream.read(&mut [0; 64]).is_ok_and(|n| n > 0));
    Ok(())
}

#[tokio::test]
async fn every_guard_starts_and_wants_tls() -> Result<(), Error> {
    use Guard::{Credentials, MutualTls, Nkey, Password, Tls, Token};
    for guard in [Tls, MutualTls, Password, Token, Nkey, Credentials] {
        let (nats, _keys) = Nats::guarded(guard).await?;
        let stream = TcpStream::connect(address(&nats)).expect("a connection");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("its introduction");
        assert!(line.contains("\"tls_required\":true"), "{guard:?}: {line}");
    }
    Ok(())
}

fn address(nats: &Nats) -> String {
    nats.url().rsplit("//").next().unwrap_or_default().to_owned()
}
